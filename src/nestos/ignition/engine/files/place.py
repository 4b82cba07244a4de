"""Putting one file, directory or link at a path: whole or not at all, with its owner and mode.

Nothing is flushed to the disk here: a first boot that is cut off is run again from its start, and what ends it
flushes everything before it says so. Paths are strings: a config may have thousands of them, and they are met often.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO

from nestos.base.errors import NestosError
from nestos.base.paths import Root
from nestos.ignition.engine.machine import Owners

PARENT_MODE = 0o755
_EXCLUSIVE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
UNCHANGED = -1
"""For an owner: as it is (chown(2))."""


class OccupiedError(NestosError):
    """Something else is at the path, and the config does not say to overwrite it."""

    kind = "occupied"


def status(path: str) -> os.stat_result | None:
    """What is at ``path`` itself, or none."""
    try:
        return os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def remove(path: str) -> None:
    """Removes whatever is at ``path``, a directory with all that is in it; nothing there is fine."""
    present = status(path)
    if present is None:
        return
    if not stat.S_ISDIR(present.st_mode):
        os.unlink(path)
        return
    for folder, folders, files in os.walk(path, topdown=False):
        for name in files:
            os.unlink(f"{folder}/{name}")
        for name in folders:
            below = f"{folder}/{name}"
            if os.path.islink(below):
                os.unlink(below)
            else:
                os.rmdir(below)
    os.rmdir(path)


def _rename(temporary: str, path: str) -> None:
    try:
        os.rename(temporary, path)
    except IsADirectoryError:
        remove(path)
        os.rename(temporary, path)


def _discard(temporary: str) -> None:
    if os.path.lexists(temporary):
        os.unlink(temporary)


@dataclass
class Places:
    """The paths of one root. Remembers which directories it found or made, and what has to be labelled.

    ``touched``: for every path, the first element of it that was missing, else the path itself; none where nobody
    wants to know.
    """

    root: Root
    owners: Owners
    touched: list[str] | None = None
    _resolved: dict[str, str] = field(default_factory=dict)
    _present: set[str] = field(default_factory=set)
    _numbers: Iterator[int] = field(default_factory=count)
    _process: int = field(default_factory=os.getpid)

    def find(self, path: str) -> str:
        """The host path of ``path``; links in front of its last element are followed inside the root."""
        folder, _, name = path.rpartition("/")
        resolved = self._resolved.get(folder)
        if resolved is None:
            resolved = os.fspath(self.root.join(folder or "/"))
            self._resolved[folder] = resolved
        if name in ("..", ".", ""):
            return os.fspath(self.root.join(path, follow_last=False))
        return f"{resolved}/{name}" if resolved != "/" else f"/{name}"

    def forget(self) -> None:
        """To be called when links in the root may have changed."""
        self._resolved.clear()
        self._present.clear()

    def changed(self, path: str) -> None:
        """To be called when ``path`` became a link: paths through it are found anew."""
        if any(folder == path or folder.startswith(f"{path}/") for folder in self._resolved.values()):
            self.forget()

    def give(self, path: str, *, uid: int, gid: int) -> None:
        """Makes ``path`` itself belong to a user and a group, as far as one is named."""
        if uid != UNCHANGED or gid != UNCHANGED:
            self.owners.give(Path(path), uid=uid, gid=gid)

    def prepare(self, path: str) -> None:
        """Makes the missing directories above ``path``, for root, mode 0755."""
        folder = os.path.dirname(path)
        if folder in self._present and self.touched is None:
            return
        missing = []
        while not os.path.isdir(folder):
            missing.append(folder)
            folder = os.path.dirname(folder)
        if self.touched is not None:
            self.touched.append(missing[-1] if missing else path)
        for parent in reversed(missing):
            os.mkdir(parent, PARENT_MODE)
        self._present.add(os.path.dirname(path))

    def put(self, path: str, data: bytes, *, mode: int, uid: int = UNCHANGED, gid: int = UNCHANGED) -> None:
        """Puts a file with these contents in the place of whatever is at ``path``."""
        descriptor, temporary = self._temporary(path)
        try:
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(descriptor, view) :]
                self.give(temporary, uid=uid, gid=gid)
                os.fchmod(descriptor, mode)
            finally:
                os.close(descriptor)
            _rename(temporary, path)
        except BaseException:
            _discard(temporary)
            raise

    def _temporary(self, path: str) -> tuple[int, str]:
        """A new file beside ``path``, open, that only its owner may read."""
        folder = path[: path.rindex("/")]
        while True:
            name = f"{folder}/.ignition.{self._process}.{next(self._numbers)}"
            try:
                return os.open(name, _EXCLUSIVE, 0o600), name
            except FileExistsError:
                continue  # left over by a boot that was cut off

    @contextmanager
    def replacing(self, path: str, *, mode: int, uid: int = UNCHANGED, gid: int = UNCHANGED) -> Iterator[IO[bytes]]:
        """Yields a file that, when the block ends without an error, takes the place of whatever is at ``path``."""
        descriptor, temporary = self._temporary(path)
        try:
            with open(descriptor, "w+b") as file:
                yield file
                file.flush()
                self.give(temporary, uid=uid, gid=gid)
                os.fchmod(descriptor, mode)
            _rename(temporary, path)
        except BaseException:
            _discard(temporary)
            raise

    def write(self, path: str, data: bytes, *, mode: int) -> None:
        """Puts a file with these contents at ``path``, over whatever is there; makes the directories above."""
        self.prepare(path)
        self.put(path, data, mode=mode)
