"""VMware: the config is the guestinfo value ``ignition.config.data``, or the OVF environment's property of that name.

``ignition.config.data.encoding`` says in which form it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.decoding import from_base64, from_gzip
from nestos.ignition.engine.providers.sources.guest_info import guest_info, set_value, value
from nestos.ignition.engine.providers.sources.ovf_environment import properties, without
from nestos.ignition.engine.transport import FetchError, Transport

_ENVIRONMENT = "ovfenv"
_DATA = "ignition.config.data"
_ENCODING = "ignition.config.data.encoding"
_PREFIX = "guestinfo."
_DELETED, _DELETED_ENCODING = "e30K", "base64"  # an empty object: a value can be neither deleted nor emptied


def _compressed(data: bytes) -> bytes:
    return from_gzip(from_base64(data))


_FORMS: Mapping[str, Callable[[bytes], bytes]] = {
    "": bytes,
    **dict.fromkeys(("b64", "base64"), from_base64),
    **dict.fromkeys(("gz", "gzip"), from_gzip),
    **dict.fromkeys(("gz+base64", "gzip+base64", "gz+b64", "gzip+b64"), _compressed),
}


def decoded(data: str, encoding: str) -> bytes:
    """The config that ``data`` stands for in ``encoding``. Raises ``FetchError``."""
    form = _FORMS.get(encoding)
    if form is None:
        raise FetchError(f'unsupported encoding "{encoding}"')
    return form(data.encode("utf-8", "surrogateescape"))


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The value, else the property, decoded; empty if there is neither."""
    del transport
    info = guest_info(job)
    environment = value(info, _ENVIRONMENT)
    found = properties(environment.encode("utf-8", "surrogateescape")) if environment else {}
    data = value(info, _DATA, found.get(_PREFIX + _DATA, ""))
    encoding = value(info, _ENCODING, found.get(_PREFIX + _ENCODING, ""))
    return decoded(data, encoding)


def delete_config(job: Job) -> None:
    """Puts an empty config in the place of the value, and takes the properties out of the OVF environment."""
    info = guest_info(job)
    if value(info, _DATA, _DELETED) != _DELETED:
        job.log.info("deleting config from guestinfo properties")
        set_value(info, _DATA, _DELETED)
        if value(info, _ENCODING) != _DELETED_ENCODING:
            set_value(info, _ENCODING, _DELETED_ENCODING)
    environment = value(info, _ENVIRONMENT).encode("utf-8", "surrogateescape")
    if not environment:
        return
    pruned = without(environment, (_PREFIX + _DATA, _PREFIX + _ENCODING))
    if pruned != environment:
        job.log.info("deleting config from OVF environment")
        set_value(info, _ENVIRONMENT, pruned.decode("utf-8", "surrogateescape"))
