"""File systems of the config, mounted below the root."""

from __future__ import annotations

from typing import cast

from nestos.ignition.engine import parts
from nestos.ignition.engine.job import Job


def run(job: Job) -> None:
    """Mounts them, the outer before the inner; if one cannot be, none stays. Raises ``StorageError``."""
    if _has_places(job):
        parts.load(parts.MOUNTING).mount_all(job)


def plan(job: Job) -> list[str]:
    """What ``run`` would do. Raises ``StorageError`` for a path that is no path of directories."""
    return cast(list[str], parts.load(parts.MOUNTING).told_mounts(job)) if _has_places(job) else []


def _has_places(job: Job) -> bool:
    return any(entry.get("path") for entry in job.read_config().get("storage", {}).get("filesystems", []))
