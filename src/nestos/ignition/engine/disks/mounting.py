"""File systems of the config, mounted below the root and unmounted, in order, with the directories they need."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nestos.base.errors import CommandError, NestosError
from nestos.ignition.engine.disks.survey import StorageError, execute, sentence
from nestos.ignition.engine.files import leftovers
from nestos.ignition.engine.job import Job
from nestos.ignition.spec.paths import depth

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Filesystem

_UNMOUNTED = ("", "swap", "none")
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
    leftovers.note(job, map(str, missing[:1]))
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


def mount_all(job: Job) -> None:
    """Mounts them, the outer before the inner; if one cannot be, none stays. Raises ``StorageError``."""
    leftovers.undo(job)
    listed = _checked(job)
    done: list[Filesystem] = []
    try:
        for key, entry in listed:
            with job.log.operation(_sentence(job, entry)):
                # Again: what was mounted since may have links of its own.
                check(job, entry, key)
                _note(job, make_place(job, entry))
                mount(job, entry)
                done.append(entry)
    except (NestosError, OSError):
        for entry in reversed(done):
            with job.log.operation(f"unmounting {place_of(job, entry)} again"):
                unmount(job, entry)
        raise


def told_mounts(job: Job) -> list[str]:
    """What ``mount_all`` would do. Raises ``StorageError`` for a path that is no path of directories."""
    return [_sentence(job, entry) for _, entry in _checked(job)]


def _filesystems(job: Job) -> list[Filesystem]:
    return job.read_config().get("storage", {}).get("filesystems", [])


def _checked(job: Job) -> list[tuple[str, Filesystem]]:
    """The file systems to mount, with their keys."""
    filesystems = _filesystems(job)
    listed = [(f"$.storage.filesystems.{filesystems.index(entry)}", entry) for entry in mounted(filesystems)]
    for key, entry in listed:
        check(job, entry, key)
    return listed


def _sentence(job: Job, entry: Filesystem) -> str:
    options = ",".join(entry.get("mountOptions", []))
    told = f" with the options {options}" if options else ""
    return f"mounting {entry['device']} ({entry['format']}) at {place_of(job, entry)}{told}"


def _note(job: Job, made: list[str]) -> None:
    """Leaves the directories that were made for the files stage, which may have to give them to users."""
    if made:
        state = job.read_state()
        state["notatedDirectories"] = [*(state.get("notatedDirectories") or []), *made]
        job.write_state(state)


def unmount_all(job: Job) -> None:
    """Unmounts them, the inner before the outer, each even if another could not be. Raises ``StorageError``."""
    problems = []
    for entry in reversed(mounted(_filesystems(job))):
        place = place_of(job, entry)
        try:
            with job.log.operation(f"unmounting {place}"):
                unmount(job, entry)
        except CommandError as error:
            problems.append(f"{place} ({entry['device']}): {error}")
    if problems:
        raise StorageError("\n".join(problems), hint="something below still has files open there")


def told_unmounts(job: Job) -> list[str]:
    """What ``unmount_all`` would do."""
    return [f"unmounting {place_of(job, entry)}" for entry in reversed(mounted(_filesystems(job)))]
