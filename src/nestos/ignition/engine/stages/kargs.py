"""Kernel arguments."""

from __future__ import annotations

from nestos.ignition.engine.job import Job, refuse


def run(job: Job) -> None:
    """Nothing to do without kernel arguments; with them, refuses."""
    arguments = job.read_config().get("kernelArguments", {})
    if arguments.get("shouldExist") or arguments.get("shouldNotExist"):
        refuse(job.read_config(), ("kernelArguments",))
