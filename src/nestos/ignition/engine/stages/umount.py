"""The file systems that the mount stage mounted, unmounted."""

from __future__ import annotations

from typing import cast

from nestos.ignition.engine import parts
from nestos.ignition.engine.job import Job


def run(job: Job) -> None:
    """Unmounts them, the inner before the outer, each even if another could not be. Raises ``StorageError``."""
    if _has_places(job):
        parts.load(parts.MOUNTING).unmount_all(job)


def plan(job: Job) -> list[str]:
    """What ``run`` would do."""
    return cast(list[str], parts.load(parts.MOUNTING).told_unmounts(job)) if _has_places(job) else []


def _has_places(job: Job) -> bool:
    return any(entry.get("path") for entry in job.read_config().get("storage", {}).get("filesystems", []))
