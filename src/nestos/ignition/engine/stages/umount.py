"""The file systems that the mount stage mounted, unmounted."""

from __future__ import annotations

from nestos.base.errors import CommandError
from nestos.ignition.engine.disks.mounting import mounted, place_of, unmount
from nestos.ignition.engine.disks.survey import StorageError
from nestos.ignition.engine.job import Job


def run(job: Job) -> None:
    """Unmounts them, the inner before the outer, each even if another could not be. Raises ``StorageError``."""
    problems = []
    for entry in reversed(mounted(job.read_config().get("storage", {}).get("filesystems", []))):
        place = place_of(job, entry)
        try:
            with job.log.operation(f"unmounting {place}"):
                unmount(job, entry)
        except CommandError as error:
            problems.append(f"{place} ({entry['device']}): {error}")
    if problems:
        raise StorageError("\n".join(problems), hint="something below still has files open there")


def plan(job: Job) -> list[str]:
    """What ``run`` would do."""
    listed = mounted(job.read_config().get("storage", {}).get("filesystems", []))
    return [f"unmounting {place_of(job, entry)}" for entry in reversed(listed)]
