"""Rules for things fetched from a URL, and for the proxies they are fetched through."""

from __future__ import annotations

from nestos.ignition.spec.rules.urls import url_problem
from nestos.ignition.spec.schema import Place, Rule, Value
from nestos.ignition.spec.urls import parsed


def resource(value: Value, place: Place) -> None:
    """Source, compression, headers and verification belong together. An empty source stands for empty contents."""
    source = value.get("source")
    if value.get("compression", "") not in ("", "gzip"):
        place.error("invalid compression method", "compression")
    if source is None and "hash" in value.get("verification", {}):
        place.error("source must be specified if verification is specified", "verification", "hash")
    reference(value, place)
    if value.get("httpHeaders"):
        url = parsed(source) if source else None
        if url is None:
            place.error("unable to parse url", "httpHeaders")
        elif url.scheme not in ("http", "https"):
            place.error("cannot use HTTP headers with this source scheme", "httpHeaders")


def reference(value: Value, place: Place) -> None:
    """A source, where there is one, can be fetched from."""
    problem = url_problem(value["source"], place.traits) if value.get("source") else ""
    if problem:
        place.error(problem, "source")


def authority(value: Value, place: Place) -> None:
    """A certificate authority of 3.0 has a source."""
    problem = url_problem(value.get("source", ""), place.traits)
    if problem:
        place.error(problem, "source")


def verification(value: Value, place: Place) -> None:
    """A hash is ``function-digest``. Whether the digest is hexadecimal shows when it is compared."""
    if "hash" not in value:
        return
    function, dash, digest = value["hash"].partition("-")
    hashes = place.traits.hashes
    if not dash:
        place.error("malformed hash specifier", "hash")
    elif function not in hashes:
        place.error("unrecognized hash function", "hash")
    elif len(digest.encode()) != hashes[function]:
        place.error("incorrect size for hash sum", "hash")


def header(value: Value, place: Place) -> None:
    """A header has a name; a null value removes it in a merge, an empty one means nothing."""
    if not value.get("name"):
        place.error("HTTP header name can't be empty", "name")
    if value.get("value") == "":
        place.error("unable to parse HTTP header", "value")


def sourced(name: str) -> Rule:
    """The rule that entries of the list ``name`` have a source that can be fetched from."""

    def rule(value: Value, place: Place) -> None:
        for index, entry in enumerate(value.get(name, [])):
            source = entry.get("source")
            problem = url_problem(source, place.traits) if source else "source is required"
            if problem:
                place.error(problem, name, index)

    return rule


def proxy(value: Value, place: Place) -> None:
    """Proxies are reached over HTTP or HTTPS; a plain one for HTTPS resources is worth a warning."""
    for name in ("httpProxy", "httpsProxy"):
        if name not in value:
            continue
        url = parsed(value[name])
        if url is None:
            place.error("unable to parse url", name)
        elif url.scheme not in ("http", "https"):
            place.error("proxies must be http(s)", name)
        elif name == "httpsProxy" and url.scheme == "http":
            place.warning("insecure plaintext HTTP proxy specified for HTTPS resources", name)
