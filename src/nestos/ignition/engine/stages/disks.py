"""Partitions, RAID arrays, encrypted volumes and file systems."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from nestos.ignition.engine import parts
from nestos.ignition.engine.job import Job

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Storage


def run(job: Job) -> None:
    """Makes what the config lists, after all that can be checked was checked. Raises ``StorageError``."""
    storage = _storage(job)
    if storage is not None:
        parts.load(parts.DISKS).run(job, storage)


def plan(job: Job) -> list[str]:
    """What ``run`` would do, a sentence for each change. Reads only. Raises ``StorageError`` as ``run`` would."""
    storage = _storage(job)
    return [] if storage is None else cast(list[str], parts.load(parts.DISKS).plan(job, storage))


def _storage(job: Job) -> Storage | None:
    """The storage section; none without anything to do, because asking udev about devices takes time."""
    storage = job.read_config().get("storage", {})
    has_any = storage.get("disks") or storage.get("raid") or storage.get("luks") or storage.get("filesystems")
    return storage if has_any else None
