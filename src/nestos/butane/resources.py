"""Contents that travel inside the config: data URLs (RFC 2397), the shortest of the ways to write one."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from urllib.parse import quote

from nestos.base.report import Finding, Report
from nestos.butane.local_files import LocalFileError
from nestos.butane.place import Key
from nestos.butane.rendering import short
from nestos.butane.schema import ALWAYS, ListOf, Scalar, Table, key
from nestos.butane.site import Check, Object, Site

TOO_MANY_SOURCES = "only one of the following can be set: inline, local, source"
UNKNOWN_IGNITION = "skipping validation for the merge/replace ignition config due to an unkown version"

_UNRESERVED = "!~*'()"  # RFC 2396, section 2.3, beyond letters, digits and _.-~
_CHOOSES_ENCODING = 2  # language version; the first one always percent-escapes
# Magic, deflate, no flags, no time, best compression, unknown system: the same bytes everywhere (RFC 1952).
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"


def data_url(content: bytes, *, compression: str = "", may_compress: bool = True) -> tuple[str, str]:
    """A data URL for ``content`` and the compression to state with it.

    The shortest of percent escapes, base64 and gzip with base64 wins; gzip pays for its word in the config. What
    the user compressed (``compression`` is not empty) is not compressed again.
    """
    best = "," + quote(content, safe=_UNRESERVED)
    plain = ";base64," + base64.b64encode(content).decode()
    if len(plain) < len(best):
        best = plain
    if not compression and may_compress:
        packed = ";base64," + base64.b64encode(gzip(content)).decode()
        if len(packed) + len("gzip") < len(best):
            return "data:" + packed, "gzip"
    return "data:" + best, compression


def gzip(content: bytes) -> bytes:
    """``content`` in one gzip member without a time, so that equal contents give equal bytes."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(content) + deflate.flush()
    return _GZIP_HEADER + body + struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)


def check_resource(check: Check) -> None:
    """Rule of a resource: one source, and a config written out in a config must itself be good."""
    given = [name for name in ("local", "inline", "source") if name in check.values]
    if len(given) > 1:
        check.error(
            TOO_MANY_SOURCES,
            given[-1] if check.language >= _CHOOSES_ENCODING else "inline",
        )
    elif given == ["inline"] and check.source[:2] == ("ignition", "config"):
        _inspect(check)


def _inspect(check: Check) -> None:
    """Findings about an inner config keep the inner paths: that is what tells the two apart."""
    if check.run.inspect is None:
        return
    findings, problem = check.run.inspect(check.values["inline"].encode(), check.run.level.ignition)
    if problem == UNKNOWN_IGNITION:
        check.warning(problem, "version")
        return
    check.run.report.findings += [_without_place(finding) for finding in findings]
    if problem:
        check.error(problem, "inline")


def _without_place(finding: Finding) -> Finding:
    path = finding.path
    if finding.message.startswith("unused key"):
        path = (*path[:-1], Key(path[-1]))
    return Finding(severity=finding.severity, message=finding.message, path=path, hint=finding.hint)


def embed(site: Site) -> None:
    """Hook of a resource: ``inline`` and ``local`` become the ``source``."""
    if "local" in site.values:
        name = site.values["local"]
        try:
            written = site.run.files.read(name)
        except LocalFileError as error:
            site.error(str(error), "local")
            return
        content: bytes | None = written
        if site.run.include is not None and site.source[:2] == ("ignition", "config") and name.endswith(".bu"):
            content = _included(site, name, site.run.include(written))
        if content is not None:
            put_content(site, content, by="local")
    elif "inline" in site.values:
        put_content(site, site.values["inline"].encode(), by="inline")


def _included(site: Site, name: str, outcome: tuple[Object | None, Report, str]) -> bytes | None:
    """The text of a config that another one includes; its findings are told where it is included."""
    config, report, problem = outcome
    for finding in report:
        site.run.add(finding.severity, f"{name}: {short(finding)}", (*site.source, "local"))
    if config is not None:
        return json.dumps(config, separators=(",", ":")).encode()
    if not report.is_fatal:
        site.error(f"{name}: {problem}", "local")
    return None


def put_content(site: Site, content: bytes, *, by: str) -> None:
    """Sets the source of a resource. The compression is stated even if there is none.

    A config merged over another inherits what it does not state: without it, plain contents would be unpacked
    with the compression of those that they replace.
    """
    if site.language < _CHOOSES_ENCODING:
        site.made("source", "data:," + quote(content, safe=_UNRESERVED), by=(by,))
        return
    chosen = site.out.get("compression", "")
    url, compression = data_url(content, compression=chosen, may_compress=site.run.level.compresses)
    site.made("source", url, by=(by,))
    if not chosen:
        site.made("compression", compression, by=(by,))


_TEXT = Scalar.TEXT
_HEADER = Table(
    name="HTTPHeader",
    fields=(
        key("name", _TEXT, "The header's name.", required_until=ALWAYS),
        key(
            "value",
            _TEXT,
            "The header's value; without one, the header of a parent config is removed.",
        ),
    ),
)
_VERIFICATION = Table(
    name="Verification",
    fields=(
        key(
            "hash",
            _TEXT,
            "sha512- or sha256-, then the digest of the unpacked contents.",
        ),
    ),
)


def resource_table(first_name: str, *, sugar_since: int = 2, certificate: bool = False) -> Table:
    """A resource whose sugar and compression came with ``sugar_since``; ``first_name`` is its type in version 1."""
    return Table(
        name="Resource",
        renamed={1: first_name},
        fields=(
            key(
                "compression",
                _TEXT,
                "How the contents are packed: gzip, or nothing.",
                since=sugar_since,
            ),
            key(
                "http_headers",
                ListOf(item=_HEADER, named="HTTPHeaders"),
                "Headers to send when fetching over http.",
                since=2,
            ),
            key(
                "source",
                _TEXT,
                "URL that the node fetches it from: http, https, tftp, s3, gs, arn or data.",
                required_until=1 if certificate else 0,
            ),
            key(
                "inline",
                _TEXT,
                "The contents, written here.",
                since=sugar_since,
                sugar=True,
            ),
            key(
                "local",
                _TEXT,
                "A local file below the files directory with the contents.",
                since=2,
                sugar=True,
            ),
            key("verification", _VERIFICATION, "How the contents are checked."),
        ),
        rule=check_resource,
        hook=embed,
    )


CONTENTS = resource_table("FileContents", sugar_since=1)
REFERENCES = resource_table("ConfigReference")
KEY_FILE = resource_table("Resource")
