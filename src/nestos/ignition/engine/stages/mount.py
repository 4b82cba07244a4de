"""File systems of the config, mounted below the root."""

from __future__ import annotations

from nestos.base.errors import NestosError
from nestos.ignition.engine.disks.mounting import check, make_place, mount, mounted, place_of, unmount
from nestos.ignition.engine.job import Job
from nestos.ignition.spec.model import Filesystem


def run(job: Job) -> None:
    """Mounts them, the outer before the inner; if one cannot be, none stays. Raises ``StorageError``."""
    listed = _listed(job)
    for key, entry in listed:
        check(job, entry, key)
    done: list[Filesystem] = []
    try:
        for key, entry in listed:
            with job.log.operation(_sentence(job, entry)):
                # Again: what was mounted since may have links of its own.
                check(job, entry, key)
                _note(job, make_place(job, entry))
                mount(job, entry)
                done.append(entry)
    except NestosError:
        for entry in reversed(done):
            with job.log.operation(f"unmounting {place_of(job, entry)} again"):
                unmount(job, entry)
        raise


def plan(job: Job) -> list[str]:
    """What ``run`` would do. Raises ``StorageError`` for a path that is no path of directories."""
    listed = _listed(job)
    for key, entry in listed:
        check(job, entry, key)
    return [_sentence(job, entry) for _, entry in listed]


def _listed(job: Job) -> list[tuple[str, Filesystem]]:
    """The file systems to mount, with their keys."""
    filesystems = job.read_config().get("storage", {}).get("filesystems", [])
    return [(f"$.storage.filesystems.{filesystems.index(entry)}", entry) for entry in mounted(filesystems)]


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
