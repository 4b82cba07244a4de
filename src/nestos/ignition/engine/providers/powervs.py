"""IBM Power Systems Virtual Server: the config is the user data, on a config drive that is always there."""

from __future__ import annotations

from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.drive import OPENSTACK_FILE, Drive, read_when_there
from nestos.ignition.engine.transport import Transport


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The user data."""
    del transport
    return read_when_there(job, Drive(label="config-2", file=OPENSTACK_FILE))
