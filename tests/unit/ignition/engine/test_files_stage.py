"""The files stage, by cases: what is in the root, a config, what is in the root then."""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nestos.base.errors import CommandError
from nestos.host.process import Completed, Runner
from nestos.ignition.engine.files.place import UNCHANGED
from nestos.ignition.engine.stages.files import plan
from tests.unit.ignition.engine.bench import Bench

CASES = json.loads(Path(__file__).with_name("data").joinpath("files.json").read_text())
ALWAYS = {"/etc", "/etc/passwd", "/etc/group", "/etc/.ignition-result.json"}


KNOWN = ("enabled.service", "f@enabled.service")


class Systemctl:
    """Stands for systemctl, in front of the other tools: knows two units that are enabled. There is no live image."""

    def __init__(self, others: Runner) -> None:
        self.others = others
        self.disabled: list[str] = []

    def __call__(self, command: Sequence[Any], /, **options: Any) -> Completed:
        if command[0] in ("systemctl", "is-live-image"):
            if command[-1] not in KNOWN:
                raise CommandError("exit status 1", returncode=1, output="")
            self.disabled += [command[-1]] if "disable" in command else []
            return Completed(returncode=0, stdout="", stderr="")
        return self.others(command, **options)


@pytest.fixture(autouse=True)
def systemctl(machine: Bench) -> Systemctl:
    machine.tools = made = Systemctl(machine.tools)  # type: ignore[assignment]
    return made


def make(root: Path, path: str, description: str) -> None:
    """Makes ``dir MODE``, ``file MODE CONTENTS``, ``link TARGET`` or ``hard TARGET``."""
    kind, _, rest = description.partition(" ")
    target = root / path.lstrip("/")
    if kind == "link":
        target.symlink_to(rest)
        return
    if kind == "hard":
        target.hardlink_to(root / rest)
        return
    mode, _, contents = rest.partition(" ")
    if kind == "dir":
        target.mkdir()
    else:
        target.write_text(contents)
    target.chmod(int(mode, 8))


def described(machine: Bench, path: Path) -> str:
    """What is at ``path`` as the cases write it; the owner is ``-`` where it was not given."""
    owner = machine.owners.of(path)
    given = ":".join("-" if number == UNCHANGED else str(number) for number in owner) if owner else "-"
    mode = f"{stat.S_IMODE(path.lstat().st_mode):o}"
    if path.is_symlink():
        return f"link {given} {path.readlink()}"
    if path.is_dir():
        return f"dir {mode} {given}"
    return f"file {mode} {given} {path.read_text()}"


def tree(machine: Bench) -> dict[str, str]:
    root = machine.root
    found = {f"/{path.relative_to(root)}": path for path in root.rglob("*")}
    return {name: described(machine, path) for name, path in found.items() if name not in ALWAYS}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_root_is_as_the_config_says(case: dict[str, Any], machine: Bench) -> None:
    for path, description in case.get("before", {}).items():
        make(machine.root, path, description)
    machine.give(case["config"])

    assert machine.stage("fetch-offline") == 0, machine.said
    code = machine.stage("files")

    assert code == (1 if "error" in case else 0), machine.said
    assert case.get("error", "") in machine.said
    assert tree(machine) == case["after"]


def test_the_result_tells_when_and_whether_there_was_a_config(machine: Bench) -> None:
    machine.give({})

    assert machine.stage("fetch-offline") == machine.stage("files") == 0

    result = machine.root / "etc/.ignition-result.json"
    assert json.loads(result.read_text()) == {
        "provisioningBootID": "01234567-89ab-cdef-0123-456789abcdef",
        "provisioningDate": "2026-01-02T03:04:05Z",
        "userConfigProvided": True,
    }
    assert stat.S_IMODE(result.stat().st_mode) == 0o600


def test_a_second_run_keeps_the_result_of_the_first_and_warns(machine: Bench) -> None:
    machine.give({})
    machine.stage("fetch-offline")
    machine.stage("files")

    assert machine.stage("files") == 0

    result = json.loads((machine.root / "etc/.ignition-result.json").read_text())
    assert "previousReport" not in result["previousReport"]
    assert "Ignition has already run on this system" in machine.said


def test_a_link_that_the_config_writes_leads_no_later_path_out_of_the_root(machine: Bench) -> None:
    outside = machine.folder / "outside"
    outside.mkdir()
    (machine.root / "usr/lib").mkdir(parents=True)
    (machine.root / "lib").symlink_to("usr/lib")
    machine.give(
        {
            "storage": {
                "links": [{"path": "/usr/lib/away", "target": str(outside)}],
                "files": [{"path": "/lib/away/folder/file", "contents": {"source": "data:,x"}}],
            }
        }
    )
    machine.stage("fetch-offline")

    assert machine.stage("files") == 0, machine.said
    assert list(outside.iterdir()) == []
    assert (machine.root / str(outside)[1:] / "folder/file").read_text() == "x"


def test_a_part_that_cannot_be_fetched_is_named_by_its_key(machine: Bench) -> None:
    no_gzip = {"source": "data:,a", "compression": "gzip"}
    machine.give({"storage": {"files": [{"path": "/a"}, {"path": "/b", "append": [{"source": "data:,a"}, no_gzip]}]}})
    machine.stage("fetch-offline")

    assert machine.stage("files") == 1
    assert "Ignition failed: $.storage.files.1.append.1.source: the contents are not valid gzip" in machine.said


class ReadOnly:
    """What statvfs(3) says of a file system that cannot be written."""

    f_flag = os.ST_RDONLY


def test_places_that_cannot_be_written_are_found_before_anything_is_written(
    machine: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    usr = machine.root / "usr"
    (usr / "share").mkdir(parents=True)
    real = os.statvfs
    monkeypatch.setattr(os, "statvfs", lambda path: ReadOnly if str(path).startswith(str(usr)) else real(path))
    machine.give(
        {
            "storage": {
                "directories": [{"path": "/usr/share"}, {"path": "/usr/share/new/deep", "mode": 0o755}],
                "files": [
                    {"path": "/etc/new", "contents": {"source": "data:,x"}},
                    {"path": "/usr/bin/new", "contents": {"source": "data:,x"}},
                ],
            }
        }
    )
    machine.stage("fetch-offline")

    assert machine.stage("files") == 1
    assert "$.storage.directories.1.path: /usr/share/new/deep is on a file system that is mounted" in machine.said
    assert "$.storage.files.1.path: /usr/bin/new is on a file system that is mounted read-only" in machine.said
    assert "$.storage.directories.0" not in machine.said  # it is there and nothing about it is to be changed
    assert not (machine.root / "etc/new").exists()


def test_a_failed_write_leaves_no_temporary_file(machine: Bench) -> None:
    machine.give({"storage": {"files": [{"path": "/x/a", "contents": {"source": "data:,a", "compression": "gzip"}}]}})
    machine.stage("fetch-offline")

    assert machine.stage("files") == 1
    assert list((machine.root / "x").iterdir()) == []


def test_a_unit_is_disabled_by_systemctl_only_if_it_is_enabled(machine: Bench, systemctl: Systemctl) -> None:
    machine.give({"systemd": {"units": [{"name": "enabled.service", "enabled": False}, {"name": "b.service"}]}})
    machine.stage("fetch-offline")

    assert machine.stage("files") == 0, machine.said
    assert systemctl.disabled == ["enabled.service"]


def test_the_record_of_an_earlier_run_is_dropped_where_every_boot_is_the_first(
    machine: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "KNOWN", (*KNOWN, "is-live-image"))
    machine.give({})
    machine.stage("fetch-offline")
    machine.stage("files")

    assert machine.stage("files") == 0
    assert "previousReport" not in json.loads((machine.root / "etc/.ignition-result.json").read_text())


class Cryptsetup:
    """Stands for cryptsetup and setfiles in front of the other tools."""

    def __init__(self) -> None:
        self.labelled: list[str] = []

    def __call__(self, command: Sequence[Any], /, **options: Any) -> Completed:
        if command[0] == "setfiles":
            self.labelled = options["stdin"].removesuffix("\0").split("\0")
        elif command[0] != "cryptsetup":
            raise CommandError("not found", returncode=127, output="")
        return Completed(returncode=0, stdout=f"uuid-of-{Path(command[-1]).name}\n", stderr="")


@pytest.mark.parametrize(
    ("device", "path", "options"),
    [
        ("/dev/mapper/a", "/var", "luks,x-initrd.attach"),
        ("/dev/disk/by-id/dm-name-a", "/var", "luks,x-initrd.attach"),
        ("/dev/mapper/a", "/var/lib/a", "luks"),
        ("/dev/mapper/other", "/var", "luks"),
    ],
)
def test_a_volume_that_is_in_use_to_the_end_is_not_closed_at_shutdown(
    machine: Bench, device: str, path: str, options: str
) -> None:
    machine.tools = Cryptsetup()  # type: ignore[assignment]
    volumes = [{"name": "a", "device": "/dev/a", "clevis": {"tpm2": True}}]
    filesystems = [{"device": device, "path": path, "format": "ext4"}]
    machine.give({"storage": {"luks": volumes, "filesystems": filesystems}})
    machine.stage("fetch-offline")

    assert machine.stage("files") == 0, machine.said
    assert (machine.root / "etc/crypttab").read_text() == f"a UUID=uuid-of-a none {options}\n"


def test_volumes_come_into_crypttab_and_their_keys_out_of_the_state(machine: Bench) -> None:
    machine.tools = Cryptsetup()  # type: ignore[assignment]
    volumes = [
        {"name": "a", "device": "/dev/a"},
        {"name": "b", "device": "/dev/b", "clevis": {"tang": [{"url": "http://t", "thumbprint": "x"}]}},
        {"name": "c", "device": "/dev/c", "clevis": {"tpm2": True}},
        {"name": "d", "device": "/dev/d", "clevis": {"custom": {"pin": "p", "config": "c", "needsNetwork": True}}},
    ]
    machine.give({"storage": {"luks": volumes}})
    machine.stage("fetch-offline")
    state = machine.job().read_state()
    machine.job().write_state({**state, "luksPersistKeyFiles": {"a": "data:,secret"}})

    assert machine.stage("files") == 0, machine.said

    assert (machine.root / "etc/crypttab").read_text() == (
        "a UUID=uuid-of-a /etc/luks/a luks\nb UUID=uuid-of-b none luks,_netdev\n"
        "c UUID=uuid-of-c none luks\nd UUID=uuid-of-d none luks,_netdev\n"
    )
    key = machine.root / "etc/luks/a"
    assert key.read_text() == "secret"
    places = (key, key.parent, machine.root / "etc/crypttab")
    assert [stat.S_IMODE(path.stat().st_mode) for path in places] == [0o600, 0o700, 0o600]
    assert "luksPersistKeyFiles" not in machine.job().read_state()
    assert "secret" not in machine.said


def test_a_volume_whose_key_is_missing_fails(machine: Bench) -> None:
    machine.tools = Cryptsetup()  # type: ignore[assignment]
    machine.give({"storage": {"luks": [{"name": "a", "device": "/dev/a"}]}})
    machine.stage("fetch-offline")

    assert machine.stage("files") == 1
    assert "missing persisted keyfile for a" in machine.said


def test_files_that_the_platform_wants_are_written(machine: Bench) -> None:
    machine.give({})
    machine.stage("fetch-offline")
    state = machine.job().read_state()
    file: Any = {"path": "/etc/from-platform", "contents": {"source": "data:,x"}, "mode": 0o600}
    machine.job().write_state({**state, "providerOutputFiles": [file]})

    assert machine.stage("files") == 0, machine.said
    assert (machine.root / "etc/from-platform").read_text() == "x"


def test_everything_written_is_labelled_where_the_image_has_a_policy(machine: Bench) -> None:
    machine.tools = tools = Cryptsetup()  # type: ignore[assignment]
    (machine.root / "etc/selinux").mkdir()
    (machine.root / "etc/selinux/config").write_text("# x\nSELINUX=enforcing\nSELINUXTYPE=targeted\n")
    machine.give(
        {
            "storage": {"files": [{"path": "/new/deep/f"}, {"path": "/etc/f"}]},
            "systemd": {"units": [{"name": "a.service", "contents": "[Unit]\n"}]},
        }
    )
    machine.stage("fetch-offline")

    assert machine.stage("files") == 0, machine.said
    assert tools.labelled == [
        f"{machine.root}/{name}" for name in ("etc/f", "new", "etc/systemd", "etc/.ignition-result.json")
    ]


def test_the_plan_tells_what_would_be_done_and_writes_nothing(machine: Bench) -> None:
    config = {
        "passwd": {"users": [{"name": "u", "uid": 5, "passwordHash": "hidden", "sshAuthorizedKeys": ["k"]}]},
        "storage": {
            "files": [{"path": "/a", "mode": 384, "contents": {"source": "data:,hidden"}, "user": {"id": 0}}],
            "links": [{"path": "/h", "target": "/a", "hard": True}],
        },
        "systemd": {"units": [{"name": "x.service", "enabled": True, "mask": True}]},
    }
    machine.give(config)
    machine.stage("fetch-offline")

    assert plan(machine.job()) == [
        "user u is made: uid 5, a password, 1 ssh keys",
        "file /a: contents from data:..., mode 0600, user 0",
        "hard link /h: to /a",
        "unit x.service is masked",
        "preset: enable x.service",
    ]
    assert tree(machine) == {}
