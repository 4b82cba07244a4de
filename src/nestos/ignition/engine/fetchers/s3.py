"""Contents of Amazon's object storage: ``s3://BUCKET/KEY`` and ``arn:PARTITION:s3:...`` URLs.

On EC2 with the role of the instance, if it has one, else anonymously. The region of a bucket is asked for; that of an
access point stands in its ARN.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nestos.ignition.engine.fetchers.address import escaped, plain
from nestos.ignition.engine.fetchers.ec2 import region as region_of_instance
from nestos.ignition.engine.fetchers.ec2 import role
from nestos.ignition.engine.fetchers.http import Buffer, Request, ask, require_found
from nestos.ignition.engine.fetchers.signature import signed_headers
from nestos.ignition.engine.transport import FetchError, Sink, Transport, shown

_HINTS = {"aws": "us-east-1", "aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}
"""Partition to a region of it that can be asked where a bucket is."""

_DEFAULT_REGION = "us-east-1"
_IN_KEY = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")
_HOST_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


@dataclass(frozen=True, kw_only=True)
class Place:
    """An object. ``region``: empty where it has to be asked for, in the region ``hint``, if there is one.

    ``account``: of the access point ``bucket``; empty for a bucket.
    """

    bucket: str
    key: str
    region: str = ""
    hint: str = ""
    account: str = ""
    version: str = ""


def place_of(url: str) -> Place:
    """The object that ``url`` names. Raises ``FetchError``."""
    whole, _, query = url.partition("#")[0].partition("?")
    words = dict(word.partition("=")[::2] for word in query.split("&"))
    version = plain(words.get("versionId", "").replace("+", " "))
    scheme, _, rest = whole.partition(":")
    if scheme.lower() == "s3":
        bucket, _, key = rest.removeprefix("//").partition("/")
        return Place(bucket=bucket, key=plain(key.lstrip("/")), version=version)
    fields = whole.split(":", 5)
    if len(fields) != 6 or fields[2] != "s3":
        raise FetchError(f"invalid S3 ARN format: {shown(url)}")
    partition, region, account, resource = fields[1], fields[3], fields[4], fields[5]
    hint = _HINTS.get(partition, "")
    if resource.startswith("accesspoint/"):
        pieces = resource.split("/", 3)
        if len(pieces) != 4 or pieces[2] != "object":
            raise FetchError(f"invalid S3 ARN format: {shown(url)}")
        return Place(bucket=pieces[1], key=pieces[3], region=region, account=account, version=version)
    bucket, slash, key = resource.partition("/")
    if not slash:
        raise FetchError(f"invalid S3 ARN format: {shown(url)}")
    return Place(bucket=bucket, key=key, hint=hint, version=version)


def _domain(region: str) -> str:
    return "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"


def _host_and_path(place: Place, region: str) -> tuple[str, str]:
    """Where to ask for ``place``. A bucket whose name cannot be part of a host's stands in the path."""
    key = escaped(place.key, _IN_KEY)
    if place.account:
        return f"{place.bucket}-{place.account}.s3-accesspoint.dualstack.{region}.{_domain(region)}", f"/{key}"
    host = f"s3.dualstack.{region}.{_domain(region)}"
    if _HOST_LABEL.fullmatch(place.bucket):
        return f"{place.bucket}.{host}", f"/{key}"
    return host, f"/{place.bucket}/{key}"


def _region_of(place: Place, transport: Transport) -> str:
    """The region of a bucket: any of its partition's regions tells, whatever else it answers."""
    hint = place.hint
    if not hint and transport.platform == "aws":
        hint = region_of_instance(transport)
    hint = hint or _DEFAULT_REGION
    host = f"s3.{hint}.{_domain(hint)}"
    url = f"https://{place.bucket}.{host}/" if _HOST_LABEL.fullmatch(place.bucket) else f"https://{host}/{place.bucket}"
    head = ask(Request(url=url, method="HEAD", follows_redirects=False), Buffer(), transport=transport)
    found = head.headers.get("x-amz-bucket-region", "")
    if head.status == 404:
        raise FetchError(f'could not find bucket "{place.bucket}": bucket not found')
    if not found:
        raise FetchError(f'couldn\'t determine the region for bucket "{place.bucket}": answer {head.status}')
    return found


def fetch(url: str, *, sink: Sink, transport: Transport) -> None:
    """Writes the object that ``url`` names. Raises ``FetchError`` also for one that was to be decompressed."""
    if sink.decompresses:
        raise FetchError(f"compression is not supported with that scheme: {shown(url)}")
    place = place_of(url)
    region = place.region or _region_of(place, transport)
    host, path = _host_and_path(place, region)
    query = f"versionId={escaped(place.version)}" if place.version else ""
    credentials = role(transport) if transport.platform == "aws" else None
    headers: dict[str, str] = {}
    if credentials is not None:
        now = transport.machine.clock.now()
        headers = signed_headers(credentials, host=host, path=path, query=query, region=region, now=now)
    target = f"https://{host}{path}" + (f"?{query}" if query else "")
    head = ask(Request(url=target, headers={"Accept": "*/*", **headers}), sink, transport=transport)
    try:
        require_found(head, url)
    except FetchError as error:
        sentence = f'error fetching object "{place.key}" from bucket "{place.bucket}": {error}'
        raise FetchError(sentence) from error
