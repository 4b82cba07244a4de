"""JSON as text: decoding by Go's rules, and the line and column of every value.

The values come from the standard library's fast decoder. Places are worked out by a second, slower pass that runs
only when there is something to report, so that a good config pays nothing for them. Places are counted in bytes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

from nestos.ignition.spec.jsonsyntax import SyntaxFaultError, check

Path = tuple[str | int, ...]

_TOKEN = re.compile(
    rb'[ \t\r\n]+|(?P<text>"(?:[^"\\]|\\.)*")|(?P<mark>[{}\[\]:,])|(?P<word>[^\s{}\[\]:,"]+)', re.DOTALL
)


class JsonError(ValueError):
    """The text is not JSON. ``offset``: how many bytes were read when that was found."""

    def __init__(self, message: str, *, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class Repeated(dict[str, Any]):
    """An object in which a key comes more than once; ``pairs`` has all of them in order."""

    pairs: list[tuple[str, Any]]


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    plain = dict(pairs)
    if len(plain) == len(pairs):
        return plain
    repeated = Repeated(pairs)
    repeated.pairs = pairs
    return repeated


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def decode(data: bytes) -> object:
    """The value that ``data`` stands for. Raises ``JsonError``."""
    try:
        return json.loads(data.decode("utf-8", "replace"), parse_constant=_constant, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        try:
            check(data)
        except SyntaxFaultError as fault:
            raise JsonError(str(fault), offset=fault.offset) from error
        what = "a number is too long" if isinstance(error, ValueError) else "nested too deeply"
        raise JsonError(what, offset=0) from error


def without_surrogates(text: str) -> str:
    """``text`` with each lone surrogate replaced by U+FFFD, as Go does; any other text is returned as it is."""
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


@dataclass(kw_only=True)
class Node:
    """A value in the text. ``start``: its first byte; ``end``: behind it, or behind the bracket that opens it.

    ``keys``: where each key of an object begins.
    """

    start: int
    end: int
    kind: str
    children: dict[str | int, Node] = field(default_factory=dict)
    keys: dict[str, int] = field(default_factory=dict)

    @property
    def place(self) -> int:
        """Where findings about it are: at its first byte, or behind the bracket that opens it."""
        return self.end if self.kind in ("object", "array") else self.start

    def exact(self, path: Path) -> Node | None:
        """The value at ``path``, or none if the text has nothing there."""
        node: Node | None = self
        for part in path:
            node = node.children.get(part) if node else None
        return node

    def nearest(self, path: Path) -> Node:
        """The value at ``path``, or the deepest one above it that the text has."""
        node = self
        for part in path:
            inner = node.children.get(part)
            if inner is None:
                return node
            node = inner
        return node


def earlier(key: str, number: int) -> str:
    """The name of a value whose key comes again later on; ``number`` counts its forerunners."""
    return f"{key}\0{number}"


_KINDS = {b"{": "object", b"[": "array", b'"': "string", b"t": "bool", b"f": "bool", b"n": "null"}


def tree(data: bytes) -> Node:
    """The places of all values of a text that ``decode`` accepts.

    Of a key that comes more than once the last one counts; the others have names of their own, see ``earlier``.
    """
    top = Node(start=0, end=0, kind="array")
    open_ = [top]
    repeated: dict[tuple[int, str], int] = {}
    key: tuple[str, int] | None = None
    for token in _TOKEN.finditer(data):
        symbol = token[0]
        if token.lastgroup is None or symbol in b",:":
            continue
        above = open_[-1]
        if symbol in b"}]":
            open_.pop()
            key = None
            continue
        if above.kind == "object" and key is None:
            key = (without_surrogates(json.loads(symbol.decode("utf-8", "replace"))), token.start())
            continue
        node = Node(start=token.start(), end=token.end(), kind=_KINDS.get(symbol[:1], "number"))
        if key is not None:
            if key[0] in above.children:
                repeated[id(above), key[0]] = number = repeated.get((id(above), key[0]), -1) + 1
                above.children[earlier(key[0], number)] = above.children[key[0]]
            above.children[key[0]] = node
            above.keys[key[0]] = key[1]
            key = None
        else:
            above.children[len(above.children)] = node
        if node.kind in ("object", "array"):
            open_.append(node)
    return top.children[0]


def position(data: bytes, offset: int) -> tuple[int, int]:
    """Line and column of a byte, from 1; (0, 0) behind the last one, as the original says it."""
    if offset >= len(data):
        return (0, 0)
    return data.count(b"\n", 0, offset) + 1, offset - data.rfind(b"\n", 0, offset)
