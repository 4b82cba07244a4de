"""Rules for things fetched from a URL, and for the proxies they are fetched through."""

from __future__ import annotations

import re

from nestos.ignition.spec.dataurl import DataUrlError, decode
from nestos.ignition.spec.schema import Place, Rule, Traits, Value

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*):")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_AUTHORITY = re.compile(r"^[a-z0-9+.-]+://([^/?#]*)", re.IGNORECASE)
_EMPTY_VERSION = re.compile(r"[?&]versionId=?(&|#|$)")
_PORT = re.compile(r"^(\[[^\]]*\]|[^:\[\]]*)(:[0-9]*)?$")


def scheme_of(url: str) -> str:
    """The scheme of ``url`` in lower case, or the empty string."""
    match = _SCHEME.match(url)
    return match[1].lower() if match else ""


def url_problem(url: str, traits: Traits) -> str:
    """Why ``url`` cannot be a source in this version; empty where it can. The empty URL stands for empty contents."""
    if not url:
        return ""
    scheme = scheme_of(url)
    if scheme not in traits.schemes and not _unreadable(url):
        return "invalid url scheme"
    if scheme == "data":
        try:
            decode(url)
        except DataUrlError as error:
            return str(error)
        return ""
    if _unreadable(url):
        return "unable to parse url"
    if scheme == "arn":
        return _arn_problem(url)
    if scheme == "s3" and _EMPTY_VERSION.search(url):
        return "invalid S3 object VersionId"
    return ""


def _unreadable(url: str) -> bool:
    if _CONTROL.search(url):
        return True
    authority = _AUTHORITY.match(url)
    path = url.partition("?")[0].partition("#")[0]
    if scheme_of(url) != "data" and _BAD_ESCAPE.search(path):
        return True
    if authority is None:
        return False
    host = authority[1].rpartition("@")[2]
    return " " in host or _PORT.match(host) is None


def _arn_problem(url: str) -> str:
    """``arn:PARTITION:s3:REGION:ACCOUNT:RESOURCE``; the resource is BUCKET/KEY or accesspoint/NAME/object/KEY."""
    parts = url.partition("?")[0].split(":", 5)
    if len(parts) != 6 or parts[2] != "s3":
        return "invalid S3 ARN format"
    resource = parts[5]
    if resource.startswith("accesspoint/"):
        pieces = resource.split("/", 3)
        if not parts[3] or not parts[4] or len(pieces) != 4 or pieces[2] != "object" or not pieces[3]:
            return "invalid S3 ARN format"
    elif "/" not in resource or not resource.partition("/")[2]:
        return "invalid S3 ARN format"
    if _EMPTY_VERSION.search(url):
        return "invalid S3 object VersionId"
    return ""


def hash_problem(text: str, traits: Traits) -> str:
    """Why ``text`` is not ``function-digest``; empty where it is."""
    function, dash, digest = text.partition("-")
    if not dash:
        return "malformed hash specifier"
    if function not in traits.hashes:
        return "unrecognized hash function"
    if len(digest) != traits.hashes[function]:
        return "incorrect size for hash sum"
    return "" if re.fullmatch("[0-9A-Fa-f]*", digest) else "malformed hash specifier"


def resource(value: Value, place: Place) -> None:
    """Source, compression, headers and verification belong together."""
    source = value.get("source")
    problem = url_problem(source or "", place.traits)
    if problem:
        place.error(problem, "source")
    if value.get("compression", "") not in ("", "gzip"):
        place.error("invalid compression method", "compression")
    text = value.get("verification", {}).get("hash")
    if text is not None:
        if source is None:
            place.error("source must be specified if verification is specified", "verification", "hash")
        problem = hash_problem(text, place.traits)
        if problem:
            place.error(problem, "verification", "hash")
    if value.get("httpHeaders"):
        if not source or _unreadable(source):
            place.error("unable to parse url", "httpHeaders")
        elif scheme_of(source) not in ("http", "https"):
            place.error("cannot use HTTP headers with this source scheme", "httpHeaders")


def header(value: Value, place: Place) -> None:
    """A header has a name; a null value removes it in a merge, an empty one means nothing."""
    name = value.get("name", "")
    if not name:
        place.error("HTTP header name can't be empty", "name")
    elif not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name):
        place.error("unable to parse HTTP header", "name")
    if value.get("value") == "" or _CONTROL.search(value.get("value", "").replace("\t", "")):
        place.error("unable to parse HTTP header", "value")


def sourced(*names: str) -> Rule:
    """The rule that entries of the lists ``names`` have a source. Before 3.1 a config without one was no config."""

    def rule(value: Value, place: Place) -> None:
        for name in names:
            for index, entry in enumerate(value.get(name, [])):
                if entry.get("source"):
                    continue
                if place.traits.source_required:
                    place.error("source is required", name, index)
                elif name != "merge":
                    place.error("invalid url scheme", name, index, "source")

    return rule


def proxy(value: Value, place: Place) -> None:
    """Proxies are reached over HTTP or HTTPS; a plain one for HTTPS resources is worth a warning."""
    for name in ("httpProxy", "httpsProxy"):
        url = value.get(name)
        if url is None:
            continue
        if _unreadable(url):
            place.error("unable to parse url", name)
        elif scheme_of(url) not in ("http", "https"):
            place.error("proxies must be http(s)", name)
        elif name == "httpsProxy" and scheme_of(url) == "http":
            place.warning("insecure plaintext HTTP proxy specified for HTTPS resources", name)
