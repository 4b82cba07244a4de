"""Modules of the kernel that a platform's devices need."""

from __future__ import annotations

from nestos.base.errors import CommandError
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.transport import FetchError


def require_module(job: Job, name: str, *, shown_by: str = "") -> None:
    """Loads the module ``name`` unless the path ``shown_by`` shows that it is there. Raises ``FetchError``."""
    if shown_by and job.machine.at(shown_by).exists():
        return
    try:
        with job.log.operation(f"loading the kernel module {name}"):
            job.machine.runner(["modprobe", name])
    except CommandError as error:
        raise FetchError(f"couldn't load the kernel module {name}: {error}") from error
