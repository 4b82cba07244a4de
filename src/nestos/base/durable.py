"""Writes that survive power loss.

The only place that knows the order: temporary file beside the target, write, fsync, rename, fsync the folder
(see rename(2), fsync(2)). Writing in place, for files that a boot loader reads by block list, is offered apart.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


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
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    temporary = Path(name)
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
