"""Contents that travel inside the config: data URLs (RFC 2397), the shortest of the ways to write one."""

from __future__ import annotations

import base64
import struct
import zlib
from urllib.parse import quote

from nestos.butane.local_files import LocalFileError
from nestos.butane.site import Site

TOO_MANY_SOURCES = "only one of the following can be set: inline, local, source"

_UNRESERVED = "!~*'()"  # RFC 2396, section 2.3, beyond letters, digits and _.-~
_CHOOSES_ENCODING = 2  # language version; the first one always percent-escapes
# Magic, deflate, no flags, no time, best compression, unknown system: the same bytes everywhere (RFC 1952).
_GZIP_HEADER = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"


def data_url(content: bytes, *, compression: str = "") -> tuple[str, str]:
    """A data URL for ``content`` and the compression to state with it.

    The shortest of percent escapes, base64 and gzip with base64 wins; gzip pays for its word in the config. What
    the user compressed (``compression`` is not empty) is not compressed again.
    """
    best = "," + quote(content, safe=_UNRESERVED)
    plain = ";base64," + base64.b64encode(content).decode()
    if len(plain) < len(best):
        best = plain
    if not compression:
        packed = ";base64," + base64.b64encode(gzip(content)).decode()
        if len(packed) + len("gzip") < len(best):
            return "data:" + packed, "gzip"
    return "data:" + best, compression


def gzip(content: bytes) -> bytes:
    """``content`` in one gzip member without a time, so that equal contents give equal bytes."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    body = deflate.compress(content) + deflate.flush()
    return _GZIP_HEADER + body + struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)


def embed(site: Site) -> None:
    """Hook of a resource: ``inline`` and ``local`` become the ``source``."""
    given = [name for name in ("local", "inline", "source") if name in site.values]
    if len(given) > 1:
        site.error(TOO_MANY_SOURCES, given[-1])
    elif given == ["local"]:
        try:
            content = site.run.files.read(site.values["local"])
        except LocalFileError as error:
            site.error(str(error), "local")
            return
        put_content(site, content, by="local")
    elif given == ["inline"]:
        put_content(site, site.values["inline"].encode(), by="inline")


def put_content(site: Site, content: bytes, *, by: str) -> None:
    """Sets the source of a resource. The compression is stated even if there is none.

    A config merged over another inherits what it does not state: without it, plain contents would be unpacked
    with the compression of those that they replace.
    """
    if site.run.level.language < _CHOOSES_ENCODING:
        site.made("source", "data:," + quote(content, safe=_UNRESERVED), by=(by,))
        return
    chosen = site.out.get("compression", "")
    url, compression = data_url(content, compression=chosen)
    site.made("source", url, by=(by,))
    if not chosen:
        site.made("compression", compression, by=(by,))
