"""Kernel arguments, changed by the distribution's own program, which restarts the machine if something changed."""

from __future__ import annotations

from nestos.base.errors import CommandError, NestosError
from nestos.ignition.engine.job import Job

HELPER = "ignition-kargs-helper"


class KernelArgumentsError(NestosError):
    """The arguments could not be set."""

    kind = "kernel-arguments"


def run(job: Job) -> None:
    """Has the arguments set for every boot to come; nothing to do without any. Raises ``KernelArgumentsError``."""
    should, should_not = _listed(job)
    if not should and not should_not:
        return
    words = [HELPER]
    for argument in should:
        words += ["--should-exist", argument]
    for argument in should_not:
        words += ["--should-not-exist", argument]
    with job.log.operation("; ".join(plan(job))):
        try:
            job.machine.runner(words)
        except CommandError as error:
            raise KernelArgumentsError(f"$.kernelArguments: they could not be set: {error}") from error


def plan(job: Job) -> list[str]:
    """What ``run`` would do."""
    should, should_not = _listed(job)
    return [
        *(f"kernel argument {argument} is added where it is missing" for argument in should),
        *(f"kernel argument {argument} is removed" for argument in should_not),
    ]


def _listed(job: Job) -> tuple[list[str], list[str]]:
    arguments = job.read_config().get("kernelArguments", {})
    return arguments.get("shouldExist", []), arguments.get("shouldNotExist", [])
