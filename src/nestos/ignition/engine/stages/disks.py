"""Partitions, RAID arrays, encrypted volumes and file systems."""

from __future__ import annotations

from nestos.ignition.engine.disks import arrays, filesystems, partitions, volumes
from nestos.ignition.engine.disks.devices import make_aliases
from nestos.ignition.engine.disks.survey import Survey
from nestos.ignition.engine.job import Job
from nestos.ignition.spec.model import Storage


def run(job: Job) -> None:
    """Makes what the config lists, after all that can be checked was checked. Raises ``StorageError``."""
    planned = _planned(job)
    if planned is None:
        return
    planned.raise_problems()
    for step in planned.steps:
        with job.log.operation("; ".join(step.sentences)):
            step.act()
    make_aliases(job, _devices(job.read_config().get("storage", {})))


def plan(job: Job) -> list[str]:
    """What ``run`` would do, a sentence for each change. Reads only. Raises ``StorageError`` as ``run`` would."""
    planned = _planned(job)
    if planned is None:
        return []
    planned.raise_problems()
    return [sentence for step in planned.steps for sentence in step.sentences]


def _devices(storage: Storage) -> list[str]:
    """Every device that the config names."""
    named = [*storage.get("disks", []), *storage.get("luks", []), *storage.get("filesystems", [])]
    members = [device for array in storage.get("raid", []) for device in array.get("devices", [])]
    return [device for entry in named if (device := entry.get("device"))] + members


def _planned(job: Job) -> Survey | None:
    """The plan; none without anything to do, because asking udev about devices takes time."""
    storage = job.read_config().get("storage", {})
    if not any(storage.get(name) for name in ("disks", "raid", "luks", "filesystems")):
        return None
    survey = Survey(job=job, state=job.read_state())
    partitions.survey(survey, storage.get("disks", []))
    arrays.survey(survey, storage.get("raid", []))
    volumes.survey(survey, storage.get("luks", []))
    filesystems.survey(survey, storage.get("filesystems", []))
    return survey
