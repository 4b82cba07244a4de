"""The running node's own disk: partitions by their GUIDs, and the boot partition, mounted only while it is needed.

GRUB passes the partitions' GUIDs on the kernel's command line, so that another disk with the same labels is never
touched. The caller holds the transaction lock; readers need none.
"""

from __future__ import annotations

import errno
import hashlib
import io
import mmap
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nestos.base import durable
from nestos.base.clock import Clock, SystemClock
from nestos.base.errors import BusyError, CommandError, NestosError, StateError
from nestos.host.process import Runner, run
from nestos.slots import syscalls
from nestos.slots.bootstate import Slot
from nestos.slots.disk import Disk, EtcStore

ENVIRONMENT_PATH = "grub/grubenv"
_ALIGNMENT = 4096  # of reads past the page cache: at least the logical sector of every disk
_COPY_BYTES = 1024 * 1024
_MOUNT_SECONDS = 30
_RUN = Path("/run/nestos")


@dataclass(frozen=True, kw_only=True)
class Node:
    """Which slot runs, and the devices of the boot partition and of the passive slot."""

    booted: Slot
    boot: Path
    passive: Path

    @contextmanager
    def disk(self, etc: EtcStore, *, runner: Runner = run, clock: Clock | None = None) -> Iterator[Disk]:
        """The node's disk for a transaction; closed and unmounted at the end, also after an error."""
        with ExitStack() as stack:
            root = stack.enter_context(mounted(self.boot, runner=runner, clock=clock or SystemClock()))
            partition = BlockPartition(self.passive)
            stack.callback(partition.close)
            yield Disk(
                partitions={self.booted.other: partition},
                boot=BootFolder(root),
                environment=EnvironmentFile(root),
                etc=etc,
            )

    @contextmanager
    def records(
        self, *, runner: Runner = run, clock: Clock | None = None
    ) -> Iterator[tuple[BootFolder, EnvironmentFile]]:
        """The boot partition for reading, also while a transaction runs; nothing on the disk changes."""
        with mounted(self.boot, runner=runner, clock=clock or SystemClock(), writable=False) as root:
            yield BootFolder(root), EnvironmentFile(root)

    @contextmanager
    def environment(self, *, runner: Runner = run, clock: Clock | None = None) -> Iterator[EnvironmentFile]:
        """The environment block for a change of state only: judging, rolling back."""
        with mounted(self.boot, runner=runner, clock=clock or SystemClock()) as root:
            yield EnvironmentFile(root)

    @contextmanager
    def files(self, *, runner: Runner = run, clock: Clock | None = None) -> Iterator[BootFolder]:
        """The boot partition's files for a change of a record only: pinning."""
        with mounted(self.boot, runner=runner, clock=clock or SystemClock()) as root:
            yield BootFolder(root)


def node(command_line: str, *, devices: Path = Path("/dev/disk/by-partuuid")) -> Node:
    """The node that was booted with this kernel command line (``/proc/cmdline``).

    Raises ``StateError`` where GRUB's words are missing: this is not a node, or its system was started by hand.
    """
    words = dict(word.partition("=")[::2] for word in command_line.split())
    try:
        booted = Slot(words["nestos.slot"])
        boot, passive = words["nestos.boot"], words["nestos.passive"]
    except (KeyError, ValueError) as error:
        raise StateError(
            "this system was not booted from a NestOS slot",
            hint="the words nestos.slot, nestos.boot and nestos.passive are missing on the kernel's command line",
        ) from error
    return Node(booted=booted, boot=devices / boot, passive=devices / passive)


class BlockPartition:
    """A partition by its device, or a file in its place (for tests). A ``PartitionDevice``; opened when first used.

    Opened exclusively, which fails while it is mounted or held by device-mapper: the running slot cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptors: list[int] = []

    @property
    def size(self) -> int:
        """As ``PartitionDevice.size``."""
        return os.lseek(self._open()[0], 0, os.SEEK_END)

    def write(self, offset: int, data: bytes) -> None:
        """As ``PartitionDevice.write``."""
        view = memoryview(data)
        while view:
            written = os.pwrite(self._open()[0], view, offset)
            view, offset = view[written:], offset + written

    def flush(self) -> None:
        """As ``PartitionDevice.flush``: fsync on a block device writes the page cache out and empties the disk's."""
        os.fsync(self._open()[0])

    def read(self, offset: int, size: int) -> bytes:
        """As ``PartitionDevice.read``: direct reads, so that what memory holds cannot vouch for the disk."""
        begin = offset - offset % _ALIGNMENT
        length = offset + size - begin
        length += -length % _ALIGNMENT
        with mmap.mmap(-1, length) as buffer, memoryview(buffer) as view:
            done = 0
            while done < length and (count := os.preadv(self._open()[1], [view[done:]], begin + done)):
                done += count
            return bytes(view[offset - begin : min(done, offset - begin + size)])

    def close(self) -> None:
        """Gives the device back."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def _open(self) -> tuple[int, int]:
        if not self._descriptors:
            try:
                is_device = stat.S_ISBLK(self._path.stat().st_mode)
                exclusive, direct = (os.O_EXCL, os.O_DIRECT) if is_device else (0, 0)
                self._descriptors.append(os.open(self._path, os.O_RDWR | os.O_CLOEXEC | exclusive))
                self._descriptors.append(os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | direct))
            except OSError as error:
                self.close()
                if error.errno == errno.EBUSY:
                    raise BusyError(f"{self._path} is in use: it is mounted, or the running slot") from error
                raise NestosError(f"{self._path} cannot be opened: {error.strerror}") from error
        writing, reading = self._descriptors
        return writing, reading


@contextmanager
def mounted(device: Path, *, runner: Runner, clock: Clock, writable: bool = True) -> Iterator[Path]:
    """Mounts the boot partition at a folder that only root can enter, for as long as the block lasts."""
    _RUN.mkdir(exist_ok=True)
    _clear_leftovers(runner)
    place = Path(tempfile.mkdtemp(prefix=f"boot.{os.getpid()}.", dir=_RUN))
    try:
        _mount(device, place, runner=runner, clock=clock, writable=writable)
        try:
            yield place
        finally:
            runner(["umount", place], timeout_seconds=_MOUNT_SECONDS)
    finally:
        place.rmdir()


def _mount(device: Path, place: Path, *, runner: Runner, clock: Clock, writable: bool) -> None:
    # The kernel refuses to mount one file system both for reading and for writing: a writer waits for readers, which
    # are short, and a reader beside a writer mounts as the writer did.
    modes = ["rw"] if writable else ["ro", "rw"]
    deadline = clock.monotonic() + _MOUNT_SECONDS
    while True:
        for mode in modes:
            command: list[str | Path] = [
                "mount",
                "--types=ext4",
                f"--options={mode},nosuid,nodev,noexec",
                device,
                place,
            ]
            try:
                runner(command, timeout_seconds=_MOUNT_SECONDS)
            except CommandError:
                if clock.monotonic() > deadline:
                    raise
            else:
                return
        clock.sleep(0.2)


def _clear_leftovers(runner: Runner) -> None:
    """Unmounts what a killed process left behind."""
    for place in _RUN.glob("boot.*.*"):
        owner = place.name.split(".")[1]
        if not Path("/proc", owner).exists():
            runner(["umount", place], accepted=(0, 1, 32), timeout_seconds=_MOUNT_SECONDS)
            with suppress(OSError):
                place.rmdir()


class BootFolder:
    """The files of a mounted boot partition. A ``BootFilesystem``."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def free_bytes(self) -> int:
        """As ``BootFilesystem.free_bytes``."""
        status = os.statvfs(self._root)
        return status.f_bavail * status.f_frsize

    def read(self, path: str) -> bytes | None:
        """As ``BootFilesystem.read``."""
        try:
            with (self._root / path).open("rb", buffering=0) as file:
                _forget(file)
                return file.read()
        except FileNotFoundError:
            return None

    def size(self, path: str) -> int:
        """As ``BootFilesystem.size``."""
        try:
            return (self._root / path).stat().st_size
        except FileNotFoundError:
            return 0

    def digest(self, *paths: str) -> str:
        """As ``BootFilesystem.digest``."""
        digest = hashlib.sha256()
        for path in paths:
            if self.size(path):
                with (self._root / path).open("rb", buffering=0) as file:
                    _forget(file)
                    while data := file.read(_COPY_BYTES):
                        digest.update(data)
        return digest.hexdigest()

    def write_file(self, path: str, source: BinaryIO) -> None:
        """As ``BootFilesystem.write_file``."""
        target = self._root / path
        target.parent.mkdir(exist_ok=True)
        with target.open("wb") as file:
            shutil.copyfileobj(source, file, _COPY_BYTES)

    def replace_file(self, path: str, data: bytes) -> None:
        """As ``BootFilesystem.replace_file``: a name that changes in the journal."""
        durable.write(self._root / path, data)

    def checkpoint(self) -> None:
        """As ``BootFilesystem.checkpoint``."""
        syscalls.empty_journal(self._root)


class EnvironmentFile:
    """The environment block's file on a mounted boot partition. An ``EnvironmentBlock``.

    A file of the right size is overwritten where it lies, for GRUB finds it by its blocks. A missing or truncated one
    is made anew, and the journal emptied so that GRUB sees it.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._path = root / ENVIRONMENT_PATH
        self._is_new = False

    def read(self) -> bytes:
        """As ``EnvironmentBlock.read``; nothing where the file is missing."""
        try:
            return self._path.read_bytes()
        except FileNotFoundError:
            return b""

    def write(self, block: bytes) -> None:
        """As ``EnvironmentBlock.write``."""
        if len(self.read()) != len(block):
            self._path.parent.mkdir(exist_ok=True)
            durable.write(self._path, block)
            self._is_new = True
            return
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.pwrite(descriptor, block, 0)
        finally:
            os.close(descriptor)

    def flush(self) -> None:
        """As ``EnvironmentBlock.flush``."""
        descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if self._is_new:
            syscalls.empty_journal(self._root)
            self._is_new = False


def _forget(file: BinaryIO | io.FileIO) -> None:
    """Drops what the page cache holds of an open file, so that the next read asks the disk."""
    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
