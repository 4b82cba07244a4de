"""Data URLs (RFC 2397): the contents stand in the URL itself."""

from __future__ import annotations

import binascii
import re

_BASE64 = re.compile(rb"[A-Za-z0-9+/]*={0,2}")


class DataUrlError(ValueError):
    """The URL does not hold data in a way that can be read."""


def unescaped(text: str) -> bytes:
    """The bytes of ``text`` in UTF-8 with every ``%XX`` replaced by its byte; all escapes must be whole."""
    first, *rest = text.encode().split(b"%")
    return first + b"".join(bytes((int(part[:2], 16),)) + part[2:] for part in rest)


def decode(url: str) -> bytes:
    """The bytes in ``url``. Raises ``DataUrlError``, with a sentence that does not repeat the contents."""
    head, comma, body = url.partition(",")
    if not head.lower().startswith("data:") or not comma:
        raise DataUrlError("malformed data url: no comma before the data")
    if re.search("%(?![0-9A-Fa-f]{2})", body):
        raise DataUrlError("malformed data url: invalid URL escape")
    data = unescaped(body)
    if head.rpartition(";")[2].strip().lower() != "base64":
        return data
    data = data.replace(b"\n", b"").replace(b"\r", b"")
    if not _BASE64.fullmatch(data):
        raise DataUrlError("illegal base64 data: a character outside the alphabet")
    try:
        return binascii.a2b_base64(data, strict_mode=True)
    except binascii.Error as error:
        raise DataUrlError(f"illegal base64 data: {error}") from error
