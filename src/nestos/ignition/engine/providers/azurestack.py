"""Microsoft Azure Stack: the config is the custom data of the machine, on a drive."""

from __future__ import annotations

from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.ovf_drive import custom_data
from nestos.ignition.engine.transport import Transport


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The custom data."""
    del transport
    return custom_data(job, file_systems=("udf", "iso9660"))
