"""What a first boot that was cut off left in the root: noted before it is written, undone before the next try.

``/etc`` needs none of this: on a first boot it begins empty. Elsewhere, what was not there before is removed again, and
a file that was appended to gets back the size it had. Nothing is touched on any other file system than the one it
was noted on: what a changed config mounts there may be a user's.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable

from nestos.ignition.engine import unfinished
from nestos.ignition.engine.files.place import remove, status
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.unfinished import Note

_TEMPORARY = re.compile(r"\.ignition\.\d+\.\d+")  # see ``place``
_EMPTY_AT_FIRST = "/etc/"


def note(job: Job, paths: Iterable[str]) -> None:
    """Notes what is at each of ``paths`` of the host now, and that it is about to be written."""
    root = os.fspath(job.root.path)
    found: dict[str, Note] = {}
    for path in paths:
        inside = "/" + os.path.relpath(path, root)
        if inside.startswith(_EMPTY_AT_FIRST):
            continue
        present = status(path)
        if present is None:
            top, above = _first_missing(path)
            inside = "/" + os.path.relpath(top, root)
            found[inside] = {"path": inside, "filesystem": os.statvfs(above).f_fsid}
        elif stat.S_ISREG(present.st_mode):
            found[inside] = {"path": inside, "filesystem": os.statvfs(path).f_fsid, "size": present.st_size}
    unfinished.add(job, list(found.values()))


def undo(job: Job) -> None:
    """Undoes what unfinished runs noted. What is not there, or not where it was noted, stays as it is."""
    for noted in unfinished.notes(job):
        if "path" not in noted:
            continue
        path = os.fspath(job.root.path / noted["path"].lstrip("/"))
        folder = os.path.dirname(path)
        if not os.path.isdir(folder) or os.statvfs(folder).f_fsid != noted["filesystem"]:
            continue
        for name in os.listdir(folder):
            if _TEMPORARY.fullmatch(name):
                os.unlink(f"{folder}/{name}")
        _restore(job, path, noted.get("size"))


def _restore(job: Job, path: str, size: int | None) -> None:
    present = status(path)
    if present is None:
        return
    if size is None and _is_within(path, os.lstat(os.path.dirname(path)).st_dev):
        job.log.info(f"removing {path}, which an unfinished first boot left")
        remove(path)
    elif size is not None and stat.S_ISREG(present.st_mode) and present.st_size > size:
        job.log.info(f"cutting {path} to its {size} bytes, to which an unfinished first boot appended")
        os.truncate(path, size)


def _is_within(path: str, device: int) -> bool:
    """True if all directories of ``path`` are on the file system of this number: nothing is mounted below."""
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        return True
    return all(os.lstat(folder).st_dev == device for folder, _, _ in os.walk(path))


def _first_missing(path: str) -> tuple[str, str]:
    """The first element of ``path`` that is not there, and the directory it is missing from."""
    above = os.path.dirname(path)
    while not os.path.lexists(above):
        path, above = above, os.path.dirname(above)
    return path, above
