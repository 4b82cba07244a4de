"""KubeVirt: the config is the user data on a drive, of the NoCloud or of the OpenStack kind."""

from __future__ import annotations

from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.drive import NOCLOUD_FILE, OPENSTACK_FILE, Drive
from nestos.ignition.engine.providers.sources.race import DriveContender, won
from nestos.ignition.engine.transport import Transport

_DRIVES = (Drive(label="cidata", file=NOCLOUD_FILE), Drive(label="config-2", file=OPENSTACK_FILE))


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The user data."""
    del transport
    return won(job, [DriveContender(job=job, drive=drive) for drive in _DRIVES])
