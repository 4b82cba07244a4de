"""From the storage section to a plan, and the plan carried out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nestos.base.errors import NestosError
from nestos.ignition.engine.disks import arrays, filesystems, partitions, volumes
from nestos.ignition.engine.disks.devices import make_aliases
from nestos.ignition.engine.disks.leftovers import Leftovers
from nestos.ignition.engine.disks.survey import StorageError, Survey
from nestos.ignition.engine.job import Job

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Storage

_PARTLY = "the steps before it were carried out and stay; mend the cause and start again"


def run(job: Job, storage: Storage) -> None:
    """Makes what ``storage`` lists, after all that can be checked was checked. Raises ``StorageError``."""
    leftovers = Leftovers(job)
    leftovers.wait()
    leftovers.erase()
    for step in _planned(job, storage).steps:
        told = "; ".join(step.sentences)
        with job.log.operation(told):
            try:
                step.act()
                leftovers.erase()  # on what has only now come into being
            except StorageError as error:
                raise StorageError(str(error), hint=error.hint or _PARTLY) from error
            except (NestosError, OSError) as error:
                raise StorageError(f"this failed: {told}: {error}", hint=_PARTLY) from error
    make_aliases(job, _devices(storage))


def plan(job: Job, storage: Storage) -> list[str]:
    """What ``run`` would do, a sentence for each change. Reads only. Raises ``StorageError`` as ``run`` would."""
    return [sentence for step in _planned(job, storage).steps for sentence in step.sentences]


def _planned(job: Job, storage: Storage) -> Survey:
    survey = Survey(job=job)
    partitions.survey(survey, storage.get("disks", []))
    arrays.survey(survey, storage.get("raid", []))
    volumes.survey(survey, storage.get("luks", []))
    filesystems.survey(survey, storage.get("filesystems", []))
    survey.raise_problems()
    return survey


def _devices(storage: Storage) -> list[str]:
    """Every device that the config names."""
    named = [*storage.get("disks", []), *storage.get("luks", []), *storage.get("filesystems", [])]
    members = [device for array in storage.get("raid", []) for device in array.get("devices", [])]
    return [device for entry in named if (device := entry.get("device"))] + members
