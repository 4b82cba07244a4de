"""URLs as Ignition reads them, so that exactly those are refused which it refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL = r"[\x00-\x1f\x7f]"
_BAD_ESCAPE = r"%(?![0-9A-Fa-f]{2})"
_USER = r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*"
_HOST = r"(?:[A-Za-z0-9._~!$&'()*+,;=:\[\]<>\"-]|[^\x00-\x7f]|%25|%[89A-Fa-f][0-9A-Fa-f])*"
_ZONE = r"(?:[A-Za-z0-9._~!$&'()*+,;=:\[\]<>\"-]|[^\x00-\x7f]|%[0-9A-Fa-f]{2})*"
_PORT = r"(?::[0-9]*)?"
_ADDRESS = r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*"


@dataclass(frozen=True, kw_only=True)
class Url:
    """A URL in parts. ``opaque``: what follows the scheme where that does not begin with a slash."""

    scheme: str
    opaque: str
    query: str


def scheme_of(url: str) -> str:
    """The scheme of ``url`` in lower case, or the empty string."""
    match = _SCHEME.match(url)
    return match[1].lower() if match else ""


def parsed(text: str) -> Url | None:
    """``text`` in parts, or none where it is no URL: Go's ``url.Parse`` decides."""
    body, _, fragment = text.partition("#")
    if re.search(_CONTROL, text) or re.search(_BAD_ESCAPE, fragment) or body.startswith(":"):
        return None
    scheme = scheme_of(body)
    rest, _, query = body[len(scheme) + 1 if scheme else 0 :].partition("?")
    if not rest.startswith("/"):
        if scheme:
            return Url(scheme=scheme, opaque=rest, query=query)
        if ":" in rest.partition("/")[0]:
            return None
    if rest.startswith("//") and (scheme or not rest.startswith("///")):
        authority, _, path = rest[2:].partition("/")
        if not _is_authority(authority, scheme):
            return None
        rest = path
    return None if re.search(_BAD_ESCAPE, rest) else Url(scheme=scheme, opaque="", query=query)


def _is_authority(text: str, scheme: str) -> bool:
    user, _, host = text.rpartition("@")
    if not re.fullmatch(_USER, user) or re.search(_BAD_ESCAPE, user):
        return False
    bracket = host.rfind("[")
    if bracket > 0:
        return False
    if bracket == 0:
        address, closing, port = host[1:].rpartition("]")
        name, percent, zone = address.partition("%25")
        good = re.fullmatch(_ADDRESS, name) and (not percent or (zone and re.fullmatch(_ZONE, zone)))
        return bool(closing and good and re.fullmatch(_PORT, port))
    # Go allows several colons where it does not know the scheme, and then takes the last one for the port's.
    name, colon, port = host.partition(":") if scheme in ("http", "https") else host.rpartition(":")
    if not colon:
        name, port = host, ""
    return bool(re.fullmatch(_HOST, name)) and port.isdecimal() | (not port) and (port.isascii())
