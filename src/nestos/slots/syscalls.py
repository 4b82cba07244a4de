"""System calls that slots need and Python's ``os`` does not offer.

Each raises ``OSError`` as ``os`` would. Linux only.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# linux/fs.h: _IOWR('X', 119, int) and _IOWR('X', 120, int)
_FIFREEZE = 0xC0045877
_FITHAW = 0xC0045878

_libc = ctypes.CDLL(None, use_errno=True)


def sync_filesystem(path: Path) -> None:
    """Makes everything durable that was written to the file system of ``path``; syncfs(2), which reports errors."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _check(_libc.syncfs(descriptor), path)
    finally:
        os.close(descriptor)


def exchange(first: Path, second: Path) -> None:
    """Swaps two names in one step; renameat2(2). Not durable until the folder is synced."""
    result = _libc.renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE)
    _check(result, first)


def empty_journal(path: Path) -> None:
    """Freezes and thaws the file system mounted at ``path``.

    Freezing writes everything to its final place and leaves the journal empty, which neither fsync nor sync does; a
    boot loader that reads the disk without replaying the journal then sees what we see. ioctl_fsfreeze in
    Documentation/filesystems; ostree does the same before it trusts GRUB with a new kernel.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.ioctl(descriptor, _FIFREEZE, 0)
        fcntl.ioctl(descriptor, _FITHAW, 0)
    finally:
        os.close(descriptor)


def _check(result: int, path: Path) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(path))
