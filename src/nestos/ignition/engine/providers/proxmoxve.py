"""Proxmox VE: the config is the user data, else the vendor data, on a drive that is waited for half a minute.

A configuration of cloud-init in one of them is somebody else's: https://bugzilla.proxmox.com/show_bug.cgi?id=2429.
"""

from __future__ import annotations

from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.drive import NOCLOUD_FILE, Drive, read_if_there
from nestos.ignition.engine.transport import Transport

_WAIT_SECONDS = 30.0
_FOREIGN = b"#cloud-config\n"


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The data; none if no drive appears in time, or none is ours."""
    del transport
    drive = Drive(label="cidata", file=NOCLOUD_FILE, others=("/vendor-data",), ignored=_FOREIGN)
    return read_if_there(job, drive, within_seconds=_WAIT_SECONDS)
