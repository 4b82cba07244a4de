"""The disk that is installed to: exclusive, with its own sector size, and refused while anything of it is in use."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from nestos.base.errors import BusyError, InputError

# ioctl numbers of <linux/fs.h>
_BLKRRPART = 0x125F
_BLKFLSBUF = 0x1261
_BLKSSZGET = 0x1268
_BLKGETSIZE64 = 0x80081272
_BLKZEROOUT = 0x127F
_ZEROS = bytes(1 << 20)


class Disk(Protocol):
    """What an installation does to a disk. Offsets and sizes in bytes, whole sectors."""

    size_bytes: int
    sector_bytes: int

    def read(self, offset: int, size: int) -> bytes:
        """Bytes as the disk has them, if ``settle`` came before."""

    def write(self, offset: int, data: bytes) -> None:
        """Writes. Not durable until ``settle``."""

    def zero(self, offset: int, size: int) -> None:
        """Makes it read as zeros: written or told to the disk, but never only discarded."""

    def settle(self) -> None:
        """Makes every write durable, and forgets what the page cache knows of the disk."""

    def reread_table(self) -> None:
        """Lets the kernel look at the partition table again."""


class BlockDisk:
    """A block device, held exclusively (``O_EXCL``: the kernel refuses a disk that is mounted or part of something)."""

    def __init__(self, path: Path) -> None:
        try:
            mode = path.stat().st_mode
        except FileNotFoundError as error:
            raise InputError(f"there is no disk {path}", hint="lsblk lists the disks") from error
        if not stat.S_ISBLK(mode):
            raise InputError(f"{path} is not a disk", hint="lsblk lists the disks")
        self.path = path.resolve()
        if used := in_use(self.path):
            raise BusyError(f"{path} is in use: {'; '.join(used)}", hint="unmount it, or choose another disk")
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise BusyError(f"{path} is in use by the system") from error
            raise
        self.size_bytes = int(struct.unpack("Q", fcntl.ioctl(self._file, _BLKGETSIZE64, bytes(8)))[0])
        self.sector_bytes = int(struct.unpack("I", fcntl.ioctl(self._file, _BLKSSZGET, bytes(4)))[0])
        self._can_zero = True

    def read(self, offset: int, size: int) -> bytes:
        """As ``Disk``."""
        return os.pread(self._file, size, offset)

    def write(self, offset: int, data: bytes) -> None:
        """As ``Disk``."""
        view = memoryview(data)
        while view:
            done = os.pwrite(self._file, view, offset)
            view, offset = view[done:], offset + done

    def zero(self, offset: int, size: int) -> None:
        """As ``Disk``: by the kernel, which knows the fastest way that reads as zeros for certain."""
        if self._can_zero:
            try:
                fcntl.ioctl(self._file, _BLKZEROOUT, struct.pack("QQ", offset, size))
                return
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOTTY):
                    raise
                self._can_zero = False
        for start in range(0, size, len(_ZEROS)):
            self.write(offset + start, _ZEROS[: min(len(_ZEROS), size - start)])

    def settle(self) -> None:
        """As ``Disk``."""
        os.fsync(self._file)
        fcntl.ioctl(self._file, _BLKFLSBUF, 0)
        os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_DONTNEED)

    def reread_table(self) -> None:
        """As ``Disk``. A kernel that cannot do it says so at the next boot, by working."""
        with suppress(OSError):
            fcntl.ioctl(self._file, _BLKRRPART, 0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)


def in_use(device: Path, *, sys: Path = Path("/sys"), proc: Path = Path("/proc")) -> list[str]:
    """What uses ``device`` or a partition of it: mounts, swap, and devices made of it. Sentences for people."""
    home = sys / "class/block" / device.name
    found = []
    parts = [home, *sorted(path.parent for path in home.glob("*/partition"))]
    mounts, swaps = _mounts(proc), _swaps(proc)
    for part in parts:
        name = part.name
        number = _text(part / "dev")
        found += [f"{name} is mounted at {place}" for place in mounts.get(number, ())]
        if name in swaps:
            found.append(f"{name} is swap")
        found += [f"{name} carries {holder.name}{_root_note(holder)}" for holder in _listed(part / "holders")]
    return found


def _root_note(holder: Path) -> str:
    name = _text(holder / "dm/name")
    return " (the running system)" if name == "root" else f" ({name})" if name else ""


def _listed(folder: Path) -> Iterable[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else ()


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _mounts(proc: Path) -> dict[str, list[str]]:
    """Device number to mount points (proc_pid_mountinfo(5), fields 3 and 5)."""
    found: dict[str, list[str]] = {}
    for line in _text(proc / "self/mountinfo").splitlines():
        fields = line.split()
        if len(fields) > 4:
            found.setdefault(fields[2], []).append(fields[4])
    return found


def _swaps(proc: Path) -> set[str]:
    lines = _text(proc / "swaps").splitlines()[1:]
    return {Path(line.split()[0]).name for line in lines if line.strip()}
