"""Data URLs (RFC 2397): the contents stand in the URL itself. What is refused, and the words, are the original's."""

from __future__ import annotations

import binascii
import re

_WORD = r"[!#$%&'*+.0-9A-Z^_`a-z{|}~-]"  # RFC 2045, without its special characters
_TYPE = re.compile(rf"{_WORD}+")
_QUOTED = re.compile(r'(?:[^"\\]|\\.)*', re.DOTALL)
_KINDS = ("text", "image", "audio", "video", "application", "message", "multipart")
_DATA = re.compile(r"[!$-;=?-Z_a-z~]*")
_BASE64_DATA = re.compile(r"[A-Za-z0-9+/=\n]*")
_GROUP = 4


class DataUrlError(ValueError):
    """The URL does not hold data in a way that can be read. The sentence does not repeat the contents."""


def unescaped(text: str) -> bytes:
    """The bytes of ``text`` in UTF-8 with every ``%XX`` replaced by its byte; all escapes must be whole."""
    first, *rest = text.encode().split(b"%")
    return first + b"".join(bytes((int(part[:2], 16),)) + part[2:] for part in rest)


def decode(url: str) -> bytes:
    """The bytes in ``url``. Raises ``DataUrlError``."""
    if not url.startswith("data:"):
        raise DataUrlError("missing data prefix")
    at, is_base64 = _head(url)
    body = url[at:]
    if not (_BASE64_DATA if is_base64 else _DATA).fullmatch(body):
        raise DataUrlError("invalid data character")
    return _from_base64(body) if is_base64 else _from_escapes(body)


def _head(url: str) -> tuple[int, bool]:
    """Where the data begin, and whether they are in base64."""
    at = len("data:")
    if url[at : at + 1] not in (";", ","):
        at = _media_type(url, at)
    while url[at : at + 1] == ";":
        attribute = _TYPE.match(url, at + 1)
        at = attribute.end() if attribute else at + 1
        following = url[at : at + 1]
        if not following or (attribute is None and following in "=,"):
            raise DataUrlError("unterminated parameter sequence")
        if attribute is None or following not in ",=":
            raise DataUrlError("invalid character for parameter attribute")
        if following == ",":
            if attribute[0] != "base64":
                raise DataUrlError(f"expected base64, got {attribute[0]}")
            return at + 1, True
        at = _parameter(url, at + 1)
    return at + 1, False


def _media_type(url: str, at: int) -> int:
    """The place behind the media type."""
    if at >= len(url):
        raise DataUrlError("missing comma before data")
    kind = _TYPE.match(url, at)
    if kind is None:
        raise DataUrlError("invalid character after data prefix")
    if kind.end() >= len(url):
        raise DataUrlError("missing media type slash")
    if url[kind.end()] != "/":
        raise DataUrlError("invalid character for media type")
    if kind[0][:2] not in ("x-", "X-") and not kind[0].startswith(_KINDS):
        raise DataUrlError("invalid media type")
    subtype = _TYPE.match(url, kind.end() + 1)
    at = subtype.end() if subtype else kind.end() + 1
    if at >= len(url):
        raise DataUrlError("incomplete media type")
    if url[at] not in ";,":
        raise DataUrlError("invalid character for media subtype")
    return at


def _parameter(url: str, at: int) -> int:
    """The place behind a parameter's value."""
    if url[at : at + 1] == '"':
        quoted = _QUOTED.match(url, at + 1)
        assert quoted is not None
        if not quoted[0].isascii():
            raise DataUrlError("invalid character for parameter value")
        if quoted.end() >= len(url) or url[quoted.end()] != '"':
            raise DataUrlError("unclosed quoted string")
        at = quoted.end() + 1
        if at < len(url) and url[at] not in ";,":
            raise DataUrlError("expected semicolon or comma")
    else:
        value = _TYPE.match(url, at)
        if at < len(url) and value is None:
            raise DataUrlError("invalid character for parameter value")
        at = value.end() if value else at
        if at < len(url) and url[at] not in ";,":
            raise DataUrlError("invalid character for parameter value")
        _from_escapes(value[0] if value else "")
    if at >= len(url):
        raise DataUrlError("missing comma before data")
    return at


def _from_escapes(text: str) -> bytes:
    bad = re.search("%(?![0-9A-Fa-f]{2})", text)
    if bad is None:
        return unescaped(text)
    digits = text[bad.end() : bad.end() + 2]
    if re.fullmatch("[0-9A-Fa-f]*", digits):
        raise DataUrlError("rfc2396: unexpected end of unescape sequence")
    raise DataUrlError("rfc2396: invalid char 0x25 in unescape sequence")


def _from_base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text.replace("\n", "").encode(), strict_mode=True)
    except binascii.Error as error:
        raise DataUrlError(f"illegal base64 data at input byte {_base64_fault(text)}") from error


def _base64_fault(text: str) -> int:
    """The byte at which Go's decoder stops: the first that cannot stand there, or the last group's first if it ends."""
    seen = 0
    for at, letter in enumerate(text):
        if letter == "\n":
            continue
        if letter == "=":
            return _padding_fault(text, at, seen % _GROUP)
        seen += 1
    return len(text) - seen % _GROUP


def _padding_fault(text: str, at: int, place: int) -> int:
    """The same where the first ``=`` is at ``at``, behind ``place`` letters of its group."""
    if place < 2:
        return at
    rest = at + 1
    if place == 2:
        while text[rest : rest + 1] == "\n":
            rest += 1
        if rest >= len(text):
            return len(text)
        if text[rest] != "=":
            return rest - 1
        rest += 1
    while text[rest : rest + 1] == "\n":
        rest += 1
    return rest
