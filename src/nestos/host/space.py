"""Room on a file system: asked for before anything is written, and named when it runs out all the same."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nestos.base.errors import CommandError, SpaceError

FULL = ("No space left on device", "Disk quota exceeded", "You don't have enough free space")
"""What programs print when a disk is full."""

_HINT = "free some space there, or name a roomier folder in NESTOS_CACHE; the same command goes on from there"
_NEARLY_NOTHING = 4 << 20  # bytes; a program that failed with less than this had no room, whatever it printed


def free_bytes(folder: Path) -> int:
    """Bytes that may still be written below ``folder``, which must exist."""
    return shutil.disk_usage(folder).free


def require(folder: Path, *, need_bytes: int, what: str) -> None:
    """Raises ``SpaceError`` where ``folder`` has no room for ``what``, which takes about ``need_bytes``."""
    free = free_bytes(folder)
    if free < need_bytes:
        need_mib = -(-need_bytes >> 20)
        raise SpaceError(f"{what}: about {need_mib} MiB are needed in {folder}, {free >> 20} MiB are free", hint=_HINT)


@contextmanager
def watched(folder: Path) -> Iterator[None]:
    """Inside it, a full disk is a ``SpaceError`` naming ``folder``, whether this program or a child met it."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise _full(folder, at=error.filename or "") from error
    except CommandError as error:
        if not any(words in error.output for words in FULL) and free_bytes(folder) >= _NEARLY_NOTHING:
            raise
        raise _full(folder) from error


def _full(folder: Path, *, at: object = "") -> SpaceError:
    place = f" (while writing {at})" if at else ""
    return SpaceError(f"no space is left in {folder}: {free_bytes(folder) >> 20} MiB are free{place}", hint=_HINT)
