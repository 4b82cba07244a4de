"""Rules for what can be fetched from."""

from __future__ import annotations

from nestos.ignition.spec.dataurl import DataUrlError, decode
from nestos.ignition.spec.schema import Traits
from nestos.ignition.spec.urls import parsed


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
