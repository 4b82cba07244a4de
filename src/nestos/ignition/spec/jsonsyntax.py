"""What is wrong with a text that is not JSON, in the words that tools which read Ignition's reports know.

The standard library's decoder says it in other words and counts characters instead of bytes, so it is only asked
whether a text is JSON. This module looks for the fault once it is known that there is one.
"""

from __future__ import annotations

import re
from functools import cache

_SPACE = rb"[ \t\r\n]*"
_PLAIN = rb'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*'
_HEX = rb"[0-9A-Fa-f]{0,4}"
_NUMBER = (
    (rb"-?", rb"0|[1-9][0-9]*", "in numeric literal"),
    (rb"\.", rb"[0-9]+", "after decimal point in numeric literal"),
    (rb"[eE][+-]?", rb"[0-9]+", "in exponent of numeric literal"),
)
"""The parts of a number: what begins each, what must follow, and what to say if it does not."""

_WORDS = {ord("t"): b"true", ord("f"): b"false", ord("n"): b"null"}
_ESCAPES = {7: "a", 8: "b", 9: "t", 10: "n", 11: "v", 12: "f", 13: "r", 92: "\\", 39: "'"}
_DEEPEST = 10000
_INSIDE = ("in literal", "in numeric", "after decimal", "in exponent", "in \\u", "in string escape")
"""Contexts inside of a word, where the end of the text is told as if a space followed it."""
_AFTER = {ord("{"): "after object key:value pair", ord("["): "after array element"}


class SyntaxFaultError(Exception):
    """``offset``: how many bytes were read when it was found, the faulty one included."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


def _quoted(byte: int) -> str:
    if byte in _ESCAPES:
        return f"'\\{_ESCAPES[byte]}'"
    if byte < 0x20 or byte == 0x7F:
        return f"'\\x{byte:02x}'"
    if 0x80 <= byte <= 0xA0 or byte == 0xAD:
        return f"'\\u{byte:04x}'"
    return f"'{chr(byte)}'"


def _refuse(data: bytes, at: int, context: str) -> SyntaxFaultError:
    """The fault that the byte ``at`` cannot stand there, or that the text ends."""
    if at >= len(data):
        is_inside = context.startswith(_INSIDE)
        return SyntaxFaultError(
            f"invalid character ' ' {context}" if is_inside else "unexpected end of JSON input", len(data)
        )
    return SyntaxFaultError(f"invalid character {_quoted(data[at])} {context}", at + 1)


_pattern = cache(re.compile)
"""Compiled when it is wanted, which most texts never do."""


def _end(pattern: bytes, data: bytes, at: int) -> int:
    match = _pattern(pattern).match(data, at)
    return match.end() if match else at


def _text(data: bytes, at: int) -> int:
    """The place behind the string whose quote is at ``at``."""
    end = _end(_PLAIN, data, at + 1)
    if data[end : end + 1] == b'"':
        return end + 1
    if data[end : end + 1] != b"\\":
        raise _refuse(data, end, "in string literal")
    if data[end + 1 : end + 2] != b"u":
        raise _refuse(data, end + 1, "in string escape code")
    raise _refuse(data, _end(_HEX, data, end + 2), "in \\u hexadecimal character escape")


def _number(data: bytes, at: int) -> int:
    for start, rest, context in _NUMBER:
        begun = _pattern(start).match(data, at)
        if begun is None:
            continue
        end = _end(rest, data, begun.end())
        if end == begun.end():
            raise _refuse(data, end, context)
        at = end
    return at


def _word(data: bytes, at: int, word: bytes) -> int:
    for index, letter in enumerate(word):
        if data[at + index : at + index + 1] != bytes((letter,)):
            raise _refuse(data, at + index, f"in literal {word.decode()} (expecting '{chr(letter)}')")
    return at + len(word)


def _value(data: bytes, at: int, open_: list[int]) -> int:
    """The place behind a value that is no container, or behind the bracket that opens one."""
    byte = data[at] if at < len(data) else 0
    if byte == ord('"'):
        return _text(data, at)
    if byte in _WORDS:
        return _word(data, at, _WORDS[byte])
    if byte == ord("-") or ord("0") <= byte <= ord("9"):
        return _number(data, at)
    if byte in _AFTER:
        open_.append(byte)
        if len(open_) > _DEEPEST:
            raise _refuse(data, at, "exceeded max depth")
        return at + 1
    raise _refuse(data, at, "looking for beginning of value")


def _key(data: bytes, at: int) -> int:
    """The place behind a key and its colon."""
    at = _end(_SPACE, data, at)
    if data[at : at + 1] != b'"':
        raise _refuse(data, at, "looking for beginning of object key string")
    at = _end(_SPACE, data, _text(data, at))
    if data[at : at + 1] != b":":
        raise _refuse(data, at, "after object key")
    return at + 1


def _closed(data: bytes, at: int, open_: list[int]) -> int:
    """The place behind all brackets that close at ``at``, and behind the comma and key that follow them."""
    while open_:
        at = _end(_SPACE, data, at)
        kind = open_[-1]
        if data[at : at + 1] == b",":
            return _key(data, at + 1) if kind == ord("{") else at + 1
        if data[at : at + 1] != (b"}" if kind == ord("{") else b"]"):
            raise _refuse(data, at, _AFTER[kind])
        open_.pop()
        at += 1
    return at


def check(data: bytes) -> None:
    """Raises ``SyntaxFaultError`` for the first thing that is wrong with ``data`` as JSON (RFC 8259)."""
    open_: list[int] = []
    at = 0
    while True:
        at = _end(_SPACE, data, at)
        before = len(open_)
        at = _value(data, at, open_)
        if len(open_) > before:
            inner = _end(_SPACE, data, at)
            if data[inner : inner + 1] == (b"}" if open_[-1] == ord("{") else b"]"):
                at = _closed(data, inner, open_)
            elif open_[-1] == ord("{"):
                at = _key(data, at)
                continue
            else:
                continue
        else:
            at = _closed(data, at, open_)
        if not open_:
            break
    at = _end(_SPACE, data, at)
    if at < len(data):
        raise _refuse(data, at, "after top-level value")
