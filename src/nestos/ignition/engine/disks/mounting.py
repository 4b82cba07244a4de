"""Which file systems of the config are mounted, in which order, and the directories that they need."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path

from nestos.ignition.engine.disks.filesystems import NONE
from nestos.ignition.engine.disks.survey import StorageError, execute, sentence
from nestos.ignition.engine.job import Job
from nestos.ignition.spec.model import Filesystem
from nestos.ignition.spec.rules.paths import depth

_UNMOUNTED = ("", "swap", NONE)
_DIRECTORY_MODE = 0o755


def mounted(filesystems: Sequence[Filesystem]) -> list[Filesystem]:
    """Those of ``filesystems`` that have a place, the outer before the inner."""
    chosen = [entry for entry in filesystems if entry.get("path") and entry.get("format", "") not in _UNMOUNTED]
    return sorted(chosen, key=lambda entry: depth(entry["path"]))


def place_of(job: Job, entry: Filesystem) -> Path:
    """Where the file system is mounted. No link is followed: see ``check``."""
    return job.root.path / entry["path"].lstrip("/")


def check(job: Job, entry: Filesystem, key: str) -> None:
    """Raises ``StorageError`` if something on the way to the place is no directory.

    A link could lead out of the root, and would be followed differently once the root is switched.
    """
    path = place_of(job, entry)
    for part in [*reversed(path.parents), path]:
        try:
            mode = part.lstat().st_mode
        except FileNotFoundError:
            return
        if not stat.S_ISDIR(mode):
            what = "a link" if stat.S_ISLNK(mode) else "no directory"
            hint = "a file system is mounted only where all of the path is directories; give the path that it leads to"
            raise StorageError(sentence(f"{key}.path", entry["path"], f"{part} is {what}", hint=hint))


def make_place(job: Job, entry: Filesystem) -> list[str]:
    """Makes the directories that are missing; their paths in the root, the outer first."""
    path = place_of(job, entry)
    missing = [part for part in [*reversed(path.parents), path] if not part.exists()]
    for part in missing:
        part.mkdir()
        part.chmod(_DIRECTORY_MODE)
        job.machine.owners.give(part, uid=0, gid=0)
    return [f"/{part.relative_to(job.root.path).as_posix()}" for part in missing]


def mount(job: Job, entry: Filesystem) -> None:
    """Mounts the file system."""
    options = ",".join(entry.get("mountOptions", []))
    command = ["mount", "-t", entry["format"], *(["-o", options] if options else [])]
    execute(job, [*command, entry["device"], str(place_of(job, entry))])


def unmount(job: Job, entry: Filesystem) -> None:
    """Unmounts it."""
    execute(job, ["umount", place_of(job, entry)])
