"""IBM Cloud: the config is the user data, on a drive that is waited for half a minute."""

from __future__ import annotations

from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.drive import NOCLOUD_FILE, Drive, read_if_there
from nestos.ignition.engine.transport import Transport

_WAIT_SECONDS = 30.0


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The user data; none if no drive appears in time."""
    del transport
    return read_if_there(job, Drive(label="cidata", file=NOCLOUD_FILE), within_seconds=_WAIT_SECONDS)
