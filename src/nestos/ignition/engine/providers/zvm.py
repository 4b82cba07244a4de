"""IBM z/VM: the config is a file of type ``ign`` in the queue of the virtual card reader, read with s390-tools."""

from __future__ import annotations

from nestos.base.errors import CommandError
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.kernel import require_module
from nestos.ignition.engine.transport import FetchError, Transport

_READER = "000c"
_FOLDER = "/run/ignition-reader"
_FIELDS = 11  # origin, file, class twice, records, copies, hold, date, time, name, type


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The first such file, without its padding; none if there is none."""
    del transport
    require_module(job, "vmur")
    _bring_online(job)
    try:
        listed = job.machine.runner(["vmur", "li"])
    except CommandError as error:
        raise FetchError(f"can not get reader device: {error}") from error
    for line in (listed.stdout + listed.stderr).splitlines():
        fields = line.split()
        if len(fields) <= 1:
            break
        if len(fields) >= _FIELDS and fields[10] == "ign":
            return _received(job, spool=fields[1], name=f"{fields[9]}.{fields[10]}")
    return None


def _bring_online(job: Job) -> None:
    """Puts the reader on line; one that the kernel was told to ignore is uncovered first."""
    run = job.machine.runner
    try:
        try:
            run(["chccwdev", "-e", _READER])
        except CommandError:
            run(["cio_ignore", "-r", _READER])
            run(["chccwdev", "-e", _READER])
        run(["udevadm", "settle"])
    except CommandError as error:
        raise FetchError(f"couldn't online reader device: {error}") from error


def _received(job: Job, *, spool: str, name: str) -> bytes:
    folder = job.machine.at(_FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with job.log.operation(f"receiving the spool file {name}"):
            job.machine.runner(["vmur", "re", "-f", spool, name], cwd=folder)
        return (folder / name).read_bytes().strip(b"\0")
    except (CommandError, OSError) as error:
        raise FetchError(f'couldn\'t read config from configFile "{name}": {error}') from error
