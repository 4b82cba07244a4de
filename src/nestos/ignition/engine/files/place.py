"""Putting one file, directory or link at a path: whole or not at all, with its owner and mode."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nestos.base.errors import NestosError
from nestos.ignition.engine.machine import Owners

PARENT_MODE = 0o755


class OccupiedError(NestosError):
    """Something else is at the path, and the config does not say to overwrite it."""

    kind = "occupied"


def remove(path: Path) -> None:
    """Removes whatever is at ``path``, a directory with all that is in it; nothing there is fine."""
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISDIR(mode):
        shutil.rmtree(path)
    else:
        path.unlink()


def make_parents(path: Path, *, owners: Owners) -> None:
    """Makes the missing directories above ``path``, for root, mode 0755."""
    missing = []
    for parent in path.parents:
        if parent.is_dir():
            break
        missing.append(parent)
    for parent in reversed(missing):
        parent.mkdir()
        parent.chmod(PARENT_MODE)
        owners.give(parent, uid=0, gid=0)


@contextmanager
def replacing(path: Path, *, uid: int, gid: int, mode: int, owners: Owners) -> Iterator[IO[bytes]]:
    """Yields a file that, when the block ends without an error, takes the place of whatever is at ``path``."""
    descriptor, name = tempfile.mkstemp(prefix=".ignition.", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "w+b") as file:
            yield file
        owners.give(temporary, uid=uid, gid=gid)
        temporary.chmod(mode)
        if path.is_dir() and not path.is_symlink():
            remove(path)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write(path: Path, data: bytes, *, mode: int, owners: Owners) -> None:
    """Puts a file of root with these contents at ``path``, over whatever is there; makes the directories above."""
    make_parents(path, owners=owners)
    with replacing(path, uid=0, gid=0, mode=mode, owners=owners) as file:
        file.write(data)
