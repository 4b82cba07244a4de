"""Contents of Google's object storage: ``gs://BUCKET/OBJECT``, with the account of the machine if it has one."""

from __future__ import annotations

import json

from nestos.ignition.engine.fetchers.address import escaped, take_apart
from nestos.ignition.engine.fetchers.address import plain as unescaped
from nestos.ignition.engine.fetchers.http import Request, ask, get, require_found
from nestos.ignition.engine.transport import FetchError, Sink, Transport

_SERVICE = "http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default"
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_STORAGE = "https://storage.googleapis.com"
_PRODUCT = "/sys/class/dmi/id/product_name"
_IN_NAME = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")


def _is_google(transport: Transport) -> bool:
    if transport.platform == "gcp":
        return True
    try:
        return transport.machine.at(_PRODUCT).read_text().startswith("Google")
    except OSError:
        return False


def _authorization(transport: Transport) -> dict[str, str]:
    """The header for the account of this machine; none, anonymous, where there is no account."""
    if not _is_google(transport):
        transport.log.debug("falling back to unauthenticated GCS access: not running in GCE")
        return {}
    flavor = {"Metadata-Flavor": "Google", "Accept": "*/*"}
    try:
        get(Request(url=f"{_SERVICE}/scopes", headers=flavor), transport=transport)
        url = f"{_SERVICE}/token?scopes={escaped(_SCOPE)}"
        token = json.loads(get(Request(url=url, headers=flavor), transport=transport))["access_token"]
    except (FetchError, ValueError, KeyError, TypeError) as error:
        transport.log.debug(f"falling back to unauthenticated GCS access: {error}")
        return {}
    return {"Authorization": f"Bearer {token}"}


def fetch(url: str, *, sink: Sink, transport: Transport) -> None:
    """Writes the object that ``url`` names."""
    address = take_apart(url)
    target = f"{_STORAGE}/{address.host}/{escaped(unescaped(address.path).lstrip('/'), _IN_NAME)}"
    headers = {"Accept": "*/*", **_authorization(transport)}
    require_found(ask(Request(url=target, headers=headers), sink, transport=transport), url)
