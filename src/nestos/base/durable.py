"""Writes that survive power loss.

The only place that knows the order: temporary file beside the target, write, fsync, rename, fsync the folder
(see rename(2), fsync(2)). Writing in place, for files that a boot loader reads by block list, is offered apart.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import BinaryIO

_NUMBERS = count()
_EXCLUSIVE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def _temporary(path: Path) -> tuple[int, Path]:
    """A new file beside ``path``, open, that only its owner may read. Names left over by a crash are passed over.

    ``tempfile`` would do it too, and takes a tenth of the time of a first boot's stage to be imported.
    """
    while True:
        name = path.with_name(f".{path.name}.{os.getpid()}.{next(_NUMBERS)}")
        try:
            return os.open(name, _EXCLUSIVE, 0o600), name
        except FileExistsError:
            continue


def sync_directory(path: Path) -> None:
    """Makes renames and new names in the folder ``path`` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Yields a binary file whose content replaces ``path`` when the block ends without an error.

    Until then, and after any error, ``path`` is what it was. The folder must exist.
    """
    descriptor, temporary = _temporary(path)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replaces the content of ``path`` with ``data``, atomically and durably."""
    with replacing(path, mode=mode) as file:
        file.write(data)


def write_text(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Replaces the content of ``path`` with ``text`` in UTF-8, atomically and durably."""
    write(path, text.encode(), mode=mode)


def remove(path: Path) -> None:
    """Removes a file, durably; a missing one is fine."""
    path.unlink(missing_ok=True)
    sync_directory(path.parent)
