"""A machine made of a temporary folder, for tests of the engine: no root, no processes, no network, no waiting."""

from __future__ import annotations

import errno
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack, cast

from nestos.base.errors import CommandError
from nestos.base.paths import Root
from nestos.host.process import Completed, RunOptions
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.log import Log
from nestos.ignition.engine.machine import Machine, Network
from nestos.ignition.engine.program import run
from nestos.ignition.engine.settings import Settings
from nestos.ignition.engine.transport import Transport
from nestos.ignition.spec.model import Config


class FakeClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    def monotonic(self) -> float:
        return sum(self.slept)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class FakeOwners:
    """Remembers who was given what, and as whom files were made."""

    def __init__(self) -> None:
        self.owners: dict[str, tuple[int, int]] = {}
        self.acted_as: list[tuple[int, int]] = []

    def give(self, path: Path, *, uid: int, gid: int) -> None:
        self.owners[self._identity(path)] = (uid, gid)

    def of(self, path: Path) -> tuple[int, int] | None:
        return self.owners.get(self._identity(path))

    @staticmethod
    def _identity(path: Path) -> str:
        status = path.lstat()
        return f"{status.st_dev}:{status.st_ino}"

    @contextmanager
    def acting_as(self, *, uid: int, gid: int) -> Iterator[None]:
        self.acted_as.append((uid, gid))
        yield


class FakeTools:
    """Stands for useradd and the like: remembers command lines, and adds users to the account file of the root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.commands: list[list[str]] = []
        self.secrets: list[str] = []
        self.failing: set[str] = set()

    def __call__(self, command: Sequence[str | os.PathLike[str]], /, **options: Unpack[RunOptions]) -> Completed:
        words = [os.fspath(word) for word in command]
        self.commands.append([word.replace(str(self.root), "ROOT") for word in words])
        self.secrets += options.get("secrets", ())
        if words[0] in self.failing:
            raise CommandError(f"exit status 1 from: {words[0]}", returncode=1, output="")
        if words[0] == "useradd":
            name = words[-1]
            homes = [word.partition("=")[2] for word in words if word.startswith("--home-dir=")]
            home = homes[0] if homes else f"/home/{name}"
            with (self.root / "etc/passwd").open("a") as file:
                file.write(f"{name}:x:1000:1000::{home}:/bin/bash\n")
            if "--create-home" in words:
                Root(self.root).join(home).mkdir(exist_ok=True)
        return Completed(returncode=0, stdout="", stderr="")


class _NoNetwork:
    """A test that reaches for a network has to bring one."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nothing to {name} in this test")


def _no_control(file: int, request: int, argument: Any) -> Any:
    raise OSError(errno.ENOTTY, "Inappropriate ioctl for device")


@dataclass(kw_only=True)
class Bench:
    """The machine, and what happened on it."""

    folder: Path
    tools: FakeTools
    owners: FakeOwners = field(default_factory=FakeOwners)
    clock: FakeClock = field(default_factory=FakeClock)
    environment: dict[str, str] = field(default_factory=dict)
    network: Network | None = None
    control: Callable[[int, int, Any], Any] | None = None
    architecture: str = "x86_64"
    output: io.StringIO = field(default_factory=io.StringIO)

    @property
    def root(self) -> Path:
        return self.folder / "root"

    @property
    def cache(self) -> Path:
        return self.folder / "run/ignition.json"

    @property
    def neednet(self) -> Path:
        return self.folder / "run/neednet"

    @property
    def machine(self) -> Machine:
        names = ("run-ignition", "etc-ignition", "lib-ignition")
        return Machine(
            config_folders=cast(Any, tuple(self.folder / name for name in names)),
            command_line=self.folder / "cmdline",
            fw_cfg=self.folder / "fw_cfg",
            boot_id=self.folder / "boot_id",
            journal_socket=self.folder / "journal",
            authority_bundles=(),
            environment={"IGNITION_CONFIG_FILE": str(self.folder / "config.ign"), **self.environment},
            runner=self.tools,
            owners=self.owners,
            network=self.network or cast(Network, _NoNetwork()),
            top=self.folder / "top",
            control=self.control or _no_control,
            architecture=self.architecture,
            clock=self.clock,
        )

    def job(self) -> Job:
        settings = Settings(
            platform="file",
            stage="files",
            root=self.root,
            config_cache=self.cache,
            neednet=self.neednet,
            state_file=self.folder / "run/state",
        )
        return Job(settings=settings, machine=self.machine, log=Log(self.output), root=Root(self.root))

    def transport(self, *, offline: bool = False, total_seconds: float = 0.0, platform: str = "") -> Transport:
        return Transport(
            machine=self.machine,
            log=Log(self.output),
            offline=offline,
            total_seconds=total_seconds,
            platform=platform,
        )

    def give(self, config: Mapping[str, Any] | str, *, version: str = "3.6.0") -> None:
        """Makes ``config`` the one that the platform ``file`` has."""
        text = config if isinstance(config, str) else json.dumps({"ignition": {"version": version}, **config})
        (self.folder / "config.ign").write_text(text)

    def stage(self, name: str, *, platform: str = "file") -> int:
        """Runs one stage; its exit code."""
        arguments = [f"--stage={name}", f"--platform={platform}", f"--root={self.root}", f"--neednet={self.neednet}"]
        arguments += [f"--config-cache={self.cache}", f"--state-file={self.folder / 'run/state'}"]
        return run(arguments, machine=self.machine, stdout=self.output, stderr=self.output)

    def cached(self) -> Config:
        """The config that a fetch stage left."""
        return cast(Config, json.loads(self.cache.read_text()))

    @property
    def said(self) -> str:
        return self.output.getvalue()


def bench(folder: Path) -> Bench:
    """A machine with the account files of a small system."""
    made = Bench(folder=folder, tools=FakeTools(folder / "root"))
    (made.root / "etc").mkdir(parents=True)
    (made.root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:2::/:/bin/false\n")
    (made.root / "etc/group").write_text("root:x:0:\nadm:x:4:\n")
    (folder / "cmdline").write_text("root=/dev/mapper/root ignition.firstboot ignition.platform.id=qemu\n")
    (folder / "boot_id").write_text("01234567-89ab-cdef-0123-456789abcdef\n")
    return made
