"""Forms in which platforms hand over what the user gave them."""

from __future__ import annotations

import binascii
import zlib

from nestos.ignition.engine.transport import FetchError

_GZIP = 16 + zlib.MAX_WBITS
_GZIP_MAGIC = b"\x1f\x8b\x08"


def from_base64(data: bytes) -> bytes:
    """What ``data`` stands for; line ends in it mean nothing. Raises ``FetchError``."""
    try:
        return binascii.a2b_base64(data.replace(b"\r", b"").replace(b"\n", b""), strict_mode=True)
    except binascii.Error as error:
        raise FetchError(f"unable to decode base64: {error}") from error


def from_gzip(data: bytes) -> bytes:
    """``data`` decompressed. Raises ``FetchError``."""
    result = b""
    while data or not result:
        stream = zlib.decompressobj(_GZIP)
        try:
            result += stream.decompress(data)
        except zlib.error as error:
            raise FetchError(f"unable to decompress gzip: {error}") from error
        if not stream.eof:
            raise FetchError("unable to decompress gzip: it ends too early")
        data = stream.unused_data
        if not data:
            break
    return result


def from_gzip_if_any(data: bytes) -> bytes:
    """``data`` decompressed if it looks compressed."""
    return from_gzip(data) if data.startswith(_GZIP_MAGIC) else data
