"""A node in memory, and a server with small releases behind a runner that plays ``ostree`` and the image tools."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Unpack

from nestos.base.errors import CommandError
from nestos.base.paths import Root
from nestos.deploy.config import Settings
from nestos.deploy.node import Node
from nestos.host.process import Completed, RunOptions
from nestos.slots import bootstate, install, verity
from nestos.slots.bootstate import BootState, Slot, SlotState, SlotStatus
from nestos.slots.disk import BootFilesystem, Disk, EnvironmentBlock, EtcStore
from nestos.wire import deployment as wire
from nestos.wire.deployment import Deployment
from tests.unit.ostree import recorded
from tests.unit.slots.releases import slot_bytes

REF = "nestos/x86_64/test"
SALT = "ab" * 32
UUID = "12345678-1234-1234-1234-123456789abc"
GOOD = SlotStatus(state=SlotState.GOOD, tries=3)


class FakeClock:
    """Time that moves only when someone sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 11, 23, 12, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class MemoryBoot:
    """A ``BootFilesystem``."""

    def __init__(self, *, free: int = 10**9) -> None:
        self.files: dict[str, bytes] = {}
        self.free = free

    def free_bytes(self) -> int:
        return self.free

    def read(self, path: str) -> bytes | None:
        return self.files.get(path)

    def size(self, path: str) -> int:
        return len(self.files.get(path, b""))

    def digest(self, *paths: str) -> str:
        return hashlib.sha256(b"".join(self.files.get(path, b"") for path in paths)).hexdigest()

    def write_file(self, path: str, source: BinaryIO) -> None:
        self.files[path] = source.read()

    def replace_file(self, path: str, data: bytes) -> None:
        self.files[path] = data

    def checkpoint(self) -> None:
        pass


class MemoryEnvironment:
    """An ``EnvironmentBlock``; ``writes`` counts."""

    def __init__(self, state: BootState) -> None:
        self.block = bootstate.render(state)
        self.writes = 0

    def read(self) -> bytes:
        return self.block

    def write(self, block: bytes) -> None:
        self.block = block
        self.writes += 1

    def flush(self) -> None:
        pass


class MemoryPartition:
    """A ``PartitionDevice``."""

    def __init__(self, size: int) -> None:
        self.content = bytearray(size)

    @property
    def size(self) -> int:
        return len(self.content)

    def write(self, offset: int, data: bytes) -> None:
        self.content[offset : offset + len(data)] = data

    def flush(self) -> None:
        pass

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self.content[offset : offset + size])


class FakeMachine:
    """A ``Machine`` in memory."""

    def __init__(self, state: BootState, *, booted: Slot = Slot.A) -> None:
        self.booted = booted
        self.boot = MemoryBoot()
        self.block = MemoryEnvironment(state)
        self.partitions = {slot: MemoryPartition(1024 * 1024) for slot in Slot}

    @property
    def state(self) -> BootState:
        return bootstate.parse(self.block.block)

    def put(self, slot: Slot, deployment: Deployment) -> None:
        self.boot.files[f"{slot.boot_folder}/{install.RECORD}"] = wire.render(deployment).encode()
        self.boot.files[f"{slot.boot_folder}/{install.KERNEL}"] = b"k" * 700

    def reboot(self) -> Slot:
        """What GRUB would do."""
        self.booted, state = bootstate.choose(self.state)
        self.block.block = bootstate.render(state)
        return self.booted

    @contextmanager
    def records(self) -> Iterator[tuple[BootFilesystem, EnvironmentBlock]]:
        yield self.boot, self.block

    @contextmanager
    def environment(self) -> Iterator[EnvironmentBlock]:
        yield self.block

    @contextmanager
    def files(self) -> Iterator[BootFilesystem]:
        yield self.boot

    @contextmanager
    def disk(self, etc: EtcStore) -> Iterator[Disk]:
        passive = self.booted.other
        yield Disk(partitions={passive: self.partitions[passive]}, boot=self.boot, environment=self.block, etc=etc)


@dataclass(frozen=True, kw_only=True)
class Made:
    """A release on the server. ``metadata`` is what its commit says."""

    deployment: Deployment
    blocks: tuple[bytes, ...]
    kernel: bytes
    initramfs: bytes
    parent: str
    metadata: Mapping[str, str]


def made(version: str, *, day: int, parent: str = "", metadata: Mapping[str, str] | None = None) -> Made:
    """A release made on a day of January 2026; ``metadata`` replaces what its commit would say."""
    source = random.Random(version)
    blocks = tuple(source.randbytes(verity.BLOCK_BYTES) for _ in range(3))
    root_hash, whole = slot_bytes(list(blocks), salt=bytes.fromhex(SALT))
    kernel, initramfs = source.randbytes(700), source.randbytes(300)
    deployment = Deployment(
        version=version,
        commit=hashlib.sha256(version.encode()).hexdigest(),
        root_hash=root_hash,
        hash_offset=len(blocks) * verity.BLOCK_BYTES,
        image_size=len(whole),
        kernel_digest=hashlib.sha256(kernel + initramfs).hexdigest(),
        ref=REF,
        kargs=("quiet",),
        timestamp=f"2026-01-{day:02d}T00:00:00Z",
    )
    said = {
        "version": version,
        "ostree.linux": "6.12",
        "nestos.verity-root-hash": root_hash,
        "nestos.verity-hash-offset": str(deployment.hash_offset),
        "nestos.verity-salt": SALT,
        "nestos.uuid": UUID,
        "nestos.image-size": str(len(whole)),
        "nestos.kernel-digest": deployment.kernel_digest,
        "nestos.erofs-options": '["-zlz4"]',
        "nestos.kargs": '["quiet"]',
        "nestos.packages": '{"erofs-utils": "1.8"}',
    }
    return Made(
        deployment=deployment,
        blocks=blocks,
        kernel=kernel,
        initramfs=initramfs,
        parent=parent,
        metadata=said | dict(metadata or {}),
    )


@dataclass(kw_only=True)
class FakeServer:
    """A runner that plays ``ostree`` against a server with ``releases``, mkfs.erofs and veritysetup.

    ``branches``: the heads of others than ``head``'s. ``answers``: words of a command, and what it then does instead.
    ``damaged``: an object in the node's repository is, until fsck finds it. ``etc``: files of every release's /usr/etc,
    ``files``: others, by their paths in the tree.
    """

    releases: dict[str, Made] = field(default_factory=dict)
    head: str = ""
    branches: dict[str, str] = field(default_factory=dict)
    damaged: bool = False
    etc: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    lines: list[list[str]] = field(default_factory=list)
    answers: list[tuple[tuple[str, ...], Completed]] = field(default_factory=list)

    def publish(self, release: Made) -> Made:
        self.releases[release.deployment.commit] = release
        self.head = release.deployment.commit
        return release

    def fail(self, *words: str, stderr: str) -> None:
        self.answer(*words, stderr=stderr, returncode=1)

    def answer(self, *words: str, stdout: str = "", stderr: str = "", returncode: int = 0) -> None:
        self.answers.append((words, Completed(returncode=returncode, stdout=stdout, stderr=stderr)))

    def ran(self, *words: str) -> bool:
        return any(all(word in line for word in words) for line in self.lines)

    def __call__(self, command: Sequence[str | os.PathLike[str]], /, **options: Unpack[RunOptions]) -> Completed:
        line = [os.fspath(part) for part in command]
        self.lines.append(line)
        for words, done in self.answers:
            if all(word in line for word in words):
                if done.returncode not in options.get("accepted", (0,)):
                    raise CommandError("it failed", returncode=done.returncode, output=done.stderr)
                return done
        return Completed(returncode=0, stdout=self._play(line), stderr="")

    def _play(self, line: list[str]) -> str:
        line = line[line.index("ostree") :] if "ostree" in line and line[0] == "unshare" else line
        if "mkfs.erofs" in line:
            self._mkfs(line)
        elif line[0] == "veritysetup":
            return self._veritysetup(line)
        elif line[0] == "ostree":
            return self._ostree(line[1], line[2].removeprefix("--repo="), line[3:])
        return ""

    def _ostree(self, command: str, repository: str, rest: list[str]) -> str:
        folder = Path(repository)
        match command:
            case "init":
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "config").touch()
            case "rev-parse":
                return f"{self.branches.get(rest[-1].rpartition(':')[2], self.head)}\n"
            case "commit":
                return "5eed" * 16 + "\n"
            case "log":
                return self._log(rest)
            case "show":
                return (
                    "Compressed size (needed/total): 1.0 kB/2.0 kB\nUnpacked size (needed/total): 2.0 kB/4.0 kB\n"
                    + ("Number of objects (needed/total): 3/9\n")
                )
            case "pull" if "--commit-metadata-only" not in rest:
                self._complete(folder, rest[-1].rpartition("@")[2])
            case "fsck" if self.damaged:
                self.damaged = False
                raise CommandError("it failed", returncode=1, output=recorded.FSCK)
            case "checkout":
                self._checkout(self.releases[rest[-2]], Path(rest[-1]))
        return ""

    def _complete(self, folder: Path, commit: str) -> None:
        name = folder / "objects" / commit[:2] / f"{commit[2:]}.commit"
        name.parent.mkdir(parents=True, exist_ok=True)
        name.touch()

    def _log(self, rest: list[str]) -> str:
        if rest[-1] not in self.releases:
            raise CommandError("it failed", returncode=1, output=f"error: No such metadata object {rest[-1]}.commit")
        release = self.releases[rest[-1]]
        held = release.deployment
        if "--raw" in rest:
            pairs = ", ".join(f"{json.dumps(key)}: <{json.dumps(value)}>" for key, value in release.metadata.items())
            return f"commit {held.commit}\n({{{pairs}}}, [byte 0x00])\n"
        parent = f"Parent:  {release.parent}\n" if release.parent else ""
        when = held.timestamp.replace("T", " ").replace("Z", " +0000")
        return f"commit {held.commit}\n{parent}Date:  {when}\nVersion: {held.version}\n\n    {held.version}\n\n"

    def _checkout(self, release: Made, tree: Path) -> None:
        modules = tree / "usr/lib/modules/6.12"
        modules.mkdir(parents=True)
        (modules / "vmlinuz").write_bytes(release.kernel)
        (modules / "initramfs.img").write_bytes(release.initramfs)
        (tree / "usr/etc").mkdir()
        for name, text in self.etc.items():
            (tree / "usr/etc" / name).write_text(text)
        for name, text in self.files.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text(text)
        (tree / "version").write_text(release.deployment.commit)
        (tree / "damaged").write_text("x" * self.damaged)

    def _mkfs(self, line: list[str]) -> None:
        output, tree = self._host(line, line[-2]), self._host(line, line[-1])
        release = self.releases[(tree / "version").read_text()]
        blocks = reversed(release.blocks) if (tree / "damaged").read_text() else release.blocks
        output.write_bytes(b"".join(blocks))

    def _host(self, line: list[str], path: str) -> Path:
        """The host's name of a path inside a chroot whose /run is the staging folder."""
        if line[0] != "unshare":
            return Path(path)
        return Path(line[line.index("tools-of-tree") + 1]) / Path(path).relative_to("/run")

    def _veritysetup(self, line: list[str]) -> str:
        output = Path(line[-1])
        data = output.read_bytes()
        blocks = [data[start : start + verity.BLOCK_BYTES] for start in range(0, len(data), verity.BLOCK_BYTES)]
        salt = next(part for part in line if part.startswith("--salt=")).removeprefix("--salt=")
        root_hash, whole = slot_bytes(blocks, salt=bytes.fromhex(salt))
        output.write_bytes(whole)
        return f"Root hash:      \t{root_hash}\n"


def running_a(*, b: SlotStatus = GOOD) -> BootState:
    """Slot a runs and is good."""
    return BootState(pointer=Slot.A, booted=Slot.A, a=GOOD, b=b)


def node(
    folder: Path, machine: FakeMachine, server: FakeServer, *, boot_id: str = "boot-1", settings: Settings | None = None
) -> Node:
    """A node whose root is ``folder``."""
    for name in ("var/lib/nestos", "usr/etc", "etc/nestos/keys"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / "etc/nestos/keys/release.gpg").touch()
    return Node(
        root=Root(folder),
        machine=machine,
        boot_id=boot_id,
        settings=settings or Settings(update_url="http://updates.example"),
        runner=server,
        clock=FakeClock(),
    )
