"""VirtualBox: the config is the guest property ``/Ignition/Config``."""

from __future__ import annotations

from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.guest_properties import delete_property, property_value
from nestos.ignition.engine.transport import FetchError, Transport

_CONFIG = "/Ignition/Config"
_ENCODING = "/Ignition/Config/Encoding"


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The property; none if it does not exist. An encoding is kept for later versions, and refused in this one."""
    del transport
    encoding = property_value(job, _ENCODING)
    if encoding:
        raise FetchError(f'unsupported "{_ENCODING}" value "{encoding.decode(errors="replace")}"')
    config = property_value(job, _CONFIG)
    if config is None:
        job.log.info(f'VirtualBox guest property "{_CONFIG}" does not exist; assuming no config')
    return config


def delete_config(job: Job) -> None:
    """Deletes the properties."""
    job.log.info("deleting Ignition config from VirtualBox guest property")
    delete_property(job, _ENCODING)
    delete_property(job, _CONFIG)
