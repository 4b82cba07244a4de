"""Contents of Azure's blob storage, read as the machine's managed identity."""

from __future__ import annotations

import json

from nestos.ignition.engine.fetchers.address import take_apart
from nestos.ignition.engine.fetchers.http import Request, ask, get, require_found
from nestos.ignition.engine.transport import FetchError, Sink, Transport, shown

_IDENTITY = (
    "http://169.254.169.254/metadata/identity/oauth2/token"
    "?api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com"
)
_API_VERSION = "2023-11-03"
_IDENTITY_ATTEMPTS = 3


def fetch(url: str, *, sink: Sink, transport: Transport) -> bool:
    """Writes the blob that ``url`` names; false if it cannot be had that way and a plain request may do."""
    name = shown(url)
    try:
        if len(take_apart(url).path.strip("/").split("/")) != 2:
            raise FetchError("invalid URL path, ensure url has a structure of /container/filename.ign")
        identity = Request(url=_IDENTITY, headers={"Metadata": "true", "Accept": "*/*"}, attempts=_IDENTITY_ATTEMPTS)
        token = json.loads(get(identity, transport=transport))["access_token"]
        headers = {"Authorization": f"Bearer {token}", "x-ms-version": _API_VERSION, "Accept": "*/*"}
        require_found(ask(Request(url=url, headers=headers), sink, transport=transport), url)
    except (FetchError, ValueError, KeyError, TypeError) as error:
        transport.log.info(f"could not fetch {name} via Azure credentials: {error}")
        transport.log.info("falling back to HTTP fetch")
        return False
    return True
