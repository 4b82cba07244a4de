"""First-boot provisioning by our engine, beside the original's binary from Debian, on equal roots.

Ours runs as in the initramfs: modules compiled ahead, the program text that ``closure`` writes. Debian's is taken from
its package and run by its own dynamic loader. Both use the host's ``useradd``; ``setfiles`` is a program that does
nothing, because Debian's engine calls it always. What they leave is compared, or the figures would mean nothing.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import py_compile
import random
import resource
import shutil
import stat
import sys
import tempfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nestos
from benchmarks.bench import Bench, Benchmark
from benchmarks.measure import Result
from benchmarks.roots import debian_root
from nestos.base.errors import InputError, InvariantError
from nestos.host import process
from nestos.ignition.engine import closure

_VERSION = "3.3.0"  # the newest that Debian's engine has
_OURS, _DEBIANS = "nestos", "Debian's ignition"
_STAGES = ("fetch-offline", "files")
_BINARY = "usr/lib/dracut/modules.d/30ignition/ignition"
_PARTS = ("base", "host", "ignition", "cli")
_FILES, _FOLDERS, _FILE_BYTES = 1000, 97, 600


@dataclass(frozen=True, kw_only=True)
class _Contender:
    """An engine: how it is started."""

    name: str
    command: tuple[str | Path, ...]


def run(bench: Bench) -> Result:
    """Both engines over both configs, in turns; then a stage with nothing to do, and what each adds to an initramfs."""
    if os.geteuid():
        raise InputError("the ignition benchmark makes users in a root: run it as root")
    contenders = (_ours(bench), _debians(bench))
    configs = {"typical": _typical(), f"{_FILES} files": _many()}
    for number in bench.rounds():
        turn = contenders if number % 2 else tuple(reversed(contenders))
        for what, config in configs.items():
            left = {contender.name: _provision(bench, contender, what, config) for contender in turn}
            _require_equal(left)
        for contender in turn:
            _start(bench, contender)
        _timed(bench, "python3 -IS -c pass", [sys.executable, "-IS", "-c", "pass"], environment={})
    _sizes(bench, contenders[1])
    names = [*configs, *(f"{what}, {stage}" for what in configs for stage in _STAGES), "a stage with nothing to do"]
    pairs = [(f"{_OURS}: {what}{unit}", f"{_DEBIANS}: {what}{unit}") for what in names for unit in ("", ", CPU")]
    pairs.append((f"{_OURS}: in the initramfs, compressed", f"{_DEBIANS}: in the initramfs, compressed"))
    return bench.samples.result(
        pairs,
        notes=[
            f"typical: a user with a key, 8 files, 2 directories, a link, 3 units. {_FILES} files: "
            f"{_FILE_BYTES} bytes each in {_FOLDERS} folders. Specification {_VERSION}, all contents in the config.",
            f"Debian's ignition 2.14.0; Python {sys.version.split()[0]}, started as in the initramfs.",
            "After every run the trees that both left were compared: owners, modes, links, contents.",
            "Initramfs: interpreter, extension libraries and compiled modules; the binary. Without shared libraries.",
        ],
    )


def _ours(bench: Bench) -> _Contender:
    """The package compiled ahead, in a folder of its own, and the program that starts it."""
    folder = bench.folder / "ours"
    shutil.rmtree(folder, ignore_errors=True)
    source = Path(nestos.__file__).parent
    for path in [source / "__init__.py", *(file for part in _PARTS for file in (source / part).rglob("*.py"))]:
        target = (folder / "nestos" / path.relative_to(source)).with_suffix(".pyc")
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = py_compile.PycInvalidationMode.UNCHECKED_HASH
        py_compile.compile(str(path), cfile=str(target), doraise=True, invalidation_mode=mode)
    interpreter = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
    program = folder / "ignition"
    program.write_text(closure.program_text("nestos.cli.ignition", interpreter=interpreter, package=folder))
    return _Contender(name=_OURS, command=(interpreter, "-IS", program))


def _debians(bench: Bench) -> _Contender:
    root = debian_root(bench, "ignition", packages=("ignition",)).path
    loader = next(root.glob("usr/lib*/ld-linux*"), None) or next(root.glob("usr/lib/*/ld-linux*"))
    libraries = ":".join(str(path) for path in (*root.glob("usr/lib/*-linux-gnu"), *root.glob("lib/*-linux-gnu")))
    return _Contender(name=_DEBIANS, command=(loader, "--library-path", libraries, root / _BINARY))


def _config(**sections: Any) -> str:
    return json.dumps({"ignition": {"version": _VERSION}, **sections})


def _data(text: bytes) -> dict[str, str]:
    return {"source": "data:;base64," + base64.b64encode(text).decode()}


def _many() -> str:
    chance = random.Random(1)
    files = [
        {
            "path": f"/opt/app/{number % _FOLDERS}/file-{number}",
            "mode": 0o600 if number % 3 else 0o644,
            "contents": _data(chance.randbytes(_FILE_BYTES)),
        }
        for number in range(_FILES)
    ]
    return _config(storage={"files": files})


def _typical() -> str:
    unit = "[Unit]\nDescription=x\n[Service]\nExecStart=/usr/bin/true\n[Install]\nWantedBy=multi-user.target\n"
    files = [
        {"path": f"/etc/app/{name}.conf", "mode": 0o644, "contents": _data(f"{name}=1\n".encode() * 40)}
        for name in "abcdefgh"
    ]
    return _config(
        passwd={
            "users": [{"name": "core", "groups": ["adm"], "sshAuthorizedKeys": ["ssh-ed25519 AAAA core"]}],
        },
        storage={
            "directories": [{"path": "/srv/data", "mode": 0o750}, {"path": "/srv/log"}],
            "files": files,
            "links": [{"path": "/etc/localtime", "target": "../usr/share/zoneinfo/UTC"}],
        },
        systemd={
            "units": [
                {"name": "app.service", "enabled": True, "contents": unit},
                {"name": "docker.service", "dropins": [{"name": "10-app.conf", "contents": "[Service]\nTasksMax=9\n"}]},
                {"name": "old.service", "mask": True},
            ]
        },
    )


def _provision(bench: Bench, contender: _Contender, what: str, config: str) -> dict[str, Any]:
    """Runs the stages on a new root; returns what is in it then."""
    with _folder() as folder:
        root = _root(folder / "root")
        environment = _environment(folder, config)
        whole = [0.0, 0.0]
        for stage in _STAGES:
            command = _stage(contender, stage, folder=folder)
            spent = _timed(bench, f"{contender.name}: {what}, {stage}", command, environment=environment)
            whole = [whole[0] + spent[0], whole[1] + spent[1]]
        bench.samples.add(f"{contender.name}: {what}", whole[0])
        bench.samples.add(f"{contender.name}: {what}, CPU", whole[1])
        return _tree(root)


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder that every user can get into: keys are written as the user whose they are."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as made:
        folder = Path(made)
        folder.chmod(0o755)
        with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
            (folder / "run").symlink_to(memory)  # on a node that is in memory too
            yield folder


def _start(bench: Bench, contender: _Contender) -> None:
    """A stage with nothing to do: what starting costs, six times at a first boot."""
    with _folder() as folder:
        _root(folder / "root")
        environment = _environment(folder, _config())
        process.run(_stage(contender, "fetch-offline", folder=folder), environment=environment)
        name = f"{contender.name}: a stage with nothing to do"
        _timed(bench, name, _stage(contender, "mount", folder=folder), environment=environment)


def _stage(contender: _Contender, stage: str, *, folder: Path) -> list[str | Path]:
    state = folder / "run"
    return [
        *contender.command,
        f"--stage={stage}",
        "--platform=file",
        f"--root={folder}/root",
        f"--config-cache={state}/cache",
        f"--state-file={state}/state",
        f"--neednet={state}/neednet",
        "--log-to-stdout",
    ]


def _environment(folder: Path, config: str) -> dict[str, str]:
    (folder / "config.ign").write_text(config)
    (folder / "bin").mkdir()
    (folder / "bin/setfiles").symlink_to("/bin/true")
    return {"IGNITION_CONFIG_FILE": f"{folder}/config.ign", "PATH": f"{folder}/bin:{os.environ['PATH']}"}


def _timed(
    bench: Bench, name: str, command: list[str | Path], *, environment: Mapping[str, str]
) -> tuple[float, float]:
    """Adds what a command took on the wall and of the processors, its children included."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), bench.samples.clock.monotonic()
    process.run(command, environment=environment)
    wall, after = bench.samples.clock.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    processors = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    bench.samples.add(name, wall)
    bench.samples.add(f"{name}, CPU", processors)
    return wall, processors


def _root(root: Path) -> Path:
    for name in ("etc/selinux/targeted", "home", "usr/bin"):
        (root / name).mkdir(parents=True)
    files = {
        "passwd": "root:x:0:0:root:/root:/bin/bash\n",
        "group": "root:x:0:\nadm:x:4:\n",
        "shadow": "root:*:19000::::::\n",
        "gshadow": "root:*::\nadm:*::\n",
        "login.defs": "CREATE_HOME yes\nUSERGROUPS_ENAB yes\n",
        "selinux/config": "SELINUXTYPE=targeted\n",
    }
    for name, text in files.items():
        (root / "etc" / name).write_text(text)
    return root


def _tree(root: Path) -> dict[str, Any]:
    """Everything below ``root`` that should not differ between two runs."""
    found: dict[str, Any] = {}
    for path in sorted(root.rglob("*")):
        if path.name.startswith((".ignition-result", "shadow", ".pwd.lock")):
            continue  # the times in them differ
        status = path.lstat()
        what: Any = None
        if stat.S_ISLNK(status.st_mode):
            what = path.readlink()
        elif stat.S_ISREG(status.st_mode):
            what = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(root))] = (status.st_mode, status.st_uid, status.st_gid, what)
    return found


def _require_equal(left: Mapping[str, dict[str, Any]]) -> None:
    ours, debians = left[_OURS], left[_DEBIANS]
    differing = sorted(name for name in ours.keys() | debians.keys() if ours.get(name) != debians.get(name))
    if differing:
        raise InvariantError(f"the engines left different trees: {', '.join(differing[:10])}")


def _sizes(bench: Bench, debians: _Contender) -> None:
    """What each engine adds to an initramfs, plain and compressed."""
    with tempfile.TemporaryDirectory(dir=bench.folder) as made:
        left = closure.put_into(Path(made))
        files = [path for path in Path(made).rglob("*") if path.is_file()] + sorted({path.resolve() for path in left})
        _size(bench, _OURS, files)
    _size(bench, debians.name, [Path(debians.command[-1])])


def _size(bench: Bench, name: str, files: list[Path]) -> None:
    data = b"".join(path.read_bytes() for path in files)
    bench.samples.add(f"{name}: in the initramfs", len(data), unit="B")
    bench.samples.add(f"{name}: in the initramfs, compressed", len(zlib.compress(data)), unit="B")


BENCHMARK = Benchmark(
    name="ignition",
    summary="provisioning a root, against Debian's ignition",
    run=run,
    runs=15,
    minutes=2,
)
