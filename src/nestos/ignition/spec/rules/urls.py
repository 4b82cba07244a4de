"""URLs as Ignition reads them, so that exactly those are refused which it refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass

from nestos.ignition.spec.dataurl import DataUrlError, decode
from nestos.ignition.spec.schema import Traits

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_USER = re.compile(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*")
_HOST = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:\[\]<>\"-]|[^\x00-\x7f]|%25|%[89A-Fa-f][0-9A-Fa-f])*")
_ZONE = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:\[\]<>\"-]|[^\x00-\x7f]|%[0-9A-Fa-f]{2})*")
_PORT = re.compile(r"(?::[0-9]*)?")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*")


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
    if _CONTROL.search(text) or _BAD_ESCAPE.search(fragment) or body.startswith(":"):
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
    return None if _BAD_ESCAPE.search(rest) else Url(scheme=scheme, opaque="", query=query)


def _is_authority(text: str, scheme: str) -> bool:
    user, _, host = text.rpartition("@")
    if not _USER.fullmatch(user) or _BAD_ESCAPE.search(user):
        return False
    bracket = host.rfind("[")
    if bracket > 0:
        return False
    if bracket == 0:
        address, closing, port = host[1:].rpartition("]")
        name, percent, zone = address.partition("%25")
        good = _ADDRESS.fullmatch(name) and (not percent or (zone and _ZONE.fullmatch(zone)))
        return bool(closing and good and _PORT.fullmatch(port))
    # Go allows several colons where it does not know the scheme, and then takes the last one for the port's.
    name, colon, port = host.partition(":") if scheme in ("http", "https") else host.rpartition(":")
    if not colon:
        name, port = host, ""
    return bool(_HOST.fullmatch(name)) and port.isdecimal() | (not port) and (port.isascii())


def _first(query: str, name: str) -> str | None:
    """The first value of a query's parameter, or none."""
    for pair in query.split("&"):
        key, _, value = pair.partition("=")
        if key == name and ";" not in pair:
            return value
    return None


def url_problem(text: str, traits: Traits) -> str:
    """Why ``text`` cannot be fetched from in this version; empty where it can."""
    url = parsed(text)
    if url is None:
        return "unable to parse url"
    if url.scheme not in traits.schemes:
        return "invalid url scheme"
    if url.scheme == "data":
        try:
            decode(text)
        except DataUrlError as error:
            return str(error)
    if url.scheme == "arn" and not _is_arn(f"arn:{url.opaque}"):
        return "invalid S3 ARN format"
    if url.scheme in ("arn", "s3") and _first(url.query, "versionId") == "":
        return "invalid S3 object VersionId"
    return ""


def _is_arn(text: str) -> bool:
    """``arn:PARTITION:s3:REGION:ACCOUNT:RESOURCE``; the resource is BUCKET/KEY or accesspoint/NAME/object/KEY."""
    parts = text.split(":", 5)
    if len(parts) != 6 or parts[2] != "s3":
        return False
    return text.count("/") >= (2 if parts[5].startswith("accesspoint/") else 1)
