"""Bare metal: the config comes from the kernel command line or from a file in the initramfs, never from here."""

from __future__ import annotations

from nestos.ignition.engine.job import Job
from nestos.ignition.engine.transport import Transport


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """None: there is nothing to ask."""
    del transport
    job.log.info("no config provided by the platform")
    return None
