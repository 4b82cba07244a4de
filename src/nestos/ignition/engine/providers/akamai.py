"""Akamai Connected Cloud (Linode): the config is the user data, in base64 and maybe compressed; a token opens it."""

from __future__ import annotations

from nestos.ignition.engine.fetchers.http import Request, get
from nestos.ignition.engine.job import Job
from nestos.ignition.engine.providers.sources.decoding import from_base64, from_gzip_if_any
from nestos.ignition.engine.providers.sources.metadata import ANYTHING
from nestos.ignition.engine.transport import FetchError, Transport

_SERVICE = "http://169.254.169.254/v1"
_SESSION_SECONDS = "300"


def fetch_config(job: Job, *, transport: Transport) -> bytes | None:
    """The user data, decoded; that there is none is an error."""
    del job
    wish = {"Accept": "text/plain", "Metadata-Token-Expiry-Seconds": _SESSION_SECONDS}
    token = get(Request(url=f"{_SERVICE}/token", method="PUT", headers=wish), transport=transport).strip()
    if not token:
        raise FetchError("get token: received an empty token")
    headers = {**ANYTHING, "Metadata-Token": token.decode("latin-1")}
    return from_gzip_if_any(
        from_base64(get(Request(url=f"{_SERVICE}/user-data", headers=headers), transport=transport))
    )
