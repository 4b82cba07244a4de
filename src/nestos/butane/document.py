"""YAML text as nodes that remember their place.

The document is composed, never constructed: no value is built before a table says what it should be. How a plain
word is understood, and the words of the errors, are those of Go's yaml.v3, which the original Butane reads with and
which editors and scripts match on. libyaml does the scanning where it is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import yaml

from nestos.butane.place import Key, Path, Place

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LONG = "tag:yaml.org,2002:"
_RESOLVABLE = ("", "!!str", "!!bool", "!!int", "!!float", "!!null", "!!timestamp")
_WORDS: dict[str, tuple[str, object]] = {
    **dict.fromkeys(("true", "True", "TRUE"), ("!!bool", True)),
    **dict.fromkeys(("false", "False", "FALSE"), ("!!bool", False)),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), ("!!null", None)),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), ("!!float", float("nan"))),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), ("!!float", float("inf"))),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), ("!!float", float("-inf"))),
    "<<": ("!!merge", "<<"),
}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"([-+]?)(?:0[bB]([01]+)|0[xX]([0-9a-fA-F]+)|0[oO]?([0-7]+)|(0|[1-9][0-9]*))")
_TIMESTAMP = re.compile(
    r"[0-9]{4}-(0?[1-9]|1[0-2])-(0?[1-9]|[12][0-9]|3[01])"
    r"([Tt ][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}(\.[0-9]+)?(Z|[-+][0-9]{2}:[0-9]{2})?)?"
)
_LOOKAHEAD = 4  # tokens
_LONGEST_NUMBER = 4000  # digits; Python refuses to read much longer ones


class DocumentError(Exception):
    """The text is not a document that can be read; the sentence begins with ``yaml:``."""


class NodeKind(Enum):
    """What a node is."""

    SCALAR = "scalar"
    LIST = "list"
    MAPPING = "mapping"
    ALIAS = "alias"


@dataclass(slots=True, eq=False)
class Node:
    """A piece of the document. ``items`` are a list's entries, or a mapping's keys and values by turns."""

    kind: NodeKind
    tag: str
    place: Place
    value: str = ""
    is_text: bool = False
    items: list[Node] = field(default_factory=list)
    target: Node | None = None

    def pairs(self) -> Iterator[tuple[Node, Node]]:
        """Key and value of each entry of a mapping."""
        return zip(self.items[::2], self.items[1::2], strict=True)

    def resolved(self) -> object:
        """What a scalar means. Raises ``DocumentError`` where it cannot be what its tag says."""
        return self.value if self.is_text else resolve(self.tag, self.value)[1]

    @property
    def is_null(self) -> bool:
        """True if the node says nothing: empty, ``~`` or ``null``."""
        return self.tag == "!!null"

    @property
    def is_merge(self) -> bool:
        """True for the key ``<<``."""
        return self.kind is NodeKind.SCALAR and self.tag == "!!merge"


def parse(data: bytes) -> Node | None:
    """The root node of the first document in ``data``, or None if it is empty. Raises ``DocumentError``."""
    try:
        return _first_document(data)
    except yaml.MarkedYAMLError as error:
        first = _error_ahead(data, error.problem_mark) if not isinstance(error, yaml.scanner.ScannerError) else None
        raise DocumentError(_sentence(first or error)) from error
    except yaml.reader.ReaderError as error:
        raise DocumentError(f"yaml: {error.reason}") from error
    except RecursionError as error:
        raise DocumentError("yaml: exceeded max depth") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # PyYAML lets chr() and int() raise on odd escapes
        raise DocumentError(f"yaml: {error}") from error


def _first_document(data: bytes) -> Node | None:
    events = yaml.parse(data, Loader=_LOADER)
    if not any(isinstance(event, yaml.DocumentStartEvent) for event in events):
        return None
    root = _Composer(events).node(next(events))
    end = next(events)
    try:
        is_last = isinstance(next(events), yaml.StreamEndEvent)
    except yaml.YAMLError:
        is_last = False
    ahead = None if is_last else _error_ahead(data, end.start_mark)
    if ahead is not None:
        raise ahead
    return root


def _error_ahead(data: bytes, mark: Any) -> yaml.scanner.ScannerError | None:
    """The error that yaml.v3 comes to first, since its scanner runs ahead of its parser at ``mark``."""
    left = _LOOKAHEAD
    try:
        for token in yaml.scan(data, Loader=_LOADER):
            left -= mark is not None and token.start_mark.index >= mark.index
            if left < 0:
                return None
    except yaml.scanner.ScannerError as error:
        return error
    except yaml.YAMLError:
        return None
    return None


def find(root: Node, path: Path) -> Node | None:
    """The node at ``path``, or None. Nothing is found below an alias: it is a leaf of the text."""
    node = root
    for part in path:
        child = _child(node, part)
        if child is None:
            return None
        node = child
    return node


def nearest_place(root: Node, path: Path) -> Place:
    """The place of the node at ``path``, or of the closest one above it."""
    node = root
    for part in path:
        child = _child(node, part)
        if child is None:
            break
        node = child
    return node.place


def resolve(tag: str, text: str) -> tuple[str, object]:
    """Tag and value of an unquoted word. ``tag`` is what the author said it is, or empty.

    Raises ``DocumentError`` where the word cannot be what the author said.
    """
    if tag not in _RESOLVABLE:
        return tag, text
    found, value = _guess(tag, text)
    if tag in ("", "!!str", found):
        return found, value
    if tag == "!!float" and found == "!!int" and isinstance(value, int):
        return "!!float", float(value)
    raise DocumentError(f"yaml: cannot decode {found} `{text}` as a {tag}")


def _guess(tag: str, text: str) -> tuple[str, object]:
    if tag == "!!str":
        return "!!str", text
    if text in _WORDS:
        return _WORDS[text]
    first = text[0]
    if first == ".":
        return ("!!float", float(text)) if _FLOAT.fullmatch(text) else ("!!str", text)
    if first not in "+-0123456789":
        return "!!str", text
    if tag in ("", "!!timestamp") and _TIMESTAMP.fullmatch(text):
        return "!!timestamp", text
    plain = text.replace("_", "")
    number = _number(plain)
    if number is not None:
        return "!!int", number
    return ("!!float", float(plain)) if _FLOAT.fullmatch(plain) else ("!!str", text)


def _number(plain: str) -> int | None:
    match = _INTEGER.fullmatch(plain) if len(plain) <= _LONGEST_NUMBER else None
    if match is None:
        return None
    sign, *digits = match.groups()
    size = next(int(part, base) for part, base in zip(digits, (2, 16, 8, 10), strict=True) if part)
    number = -size if sign == "-" else size
    return number if -(2**63) <= number < 2**64 else None


def _child(node: Node, part: str | int) -> Node | None:
    if isinstance(part, int):
        return node.items[part] if node.kind is NodeKind.LIST and part < len(node.items) else None
    if node.kind is not NodeKind.MAPPING:
        return None
    is_key = isinstance(part, Key)
    return next(
        (key if is_key else value for key, value in node.pairs() if key.value == part),
        None,
    )


def _sentence(error: yaml.MarkedYAMLError) -> str:
    """What yaml.v3 says; it counts lines from 1 for the scanner, from 0 for the parser, and never names line 0."""
    where = ""
    for mark in () if isinstance(error, yaml.composer.ComposerError) else (error.problem_mark, error.context_mark):
        if mark is not None and mark.line:
            where = f"line {mark.line + isinstance(error, yaml.scanner.ScannerError)}: "
    return f"yaml: {where}{error.problem or 'unknown problem parsing YAML content'}"


class _Composer:
    """Builds nodes from the parser's events."""

    def __init__(self, events: Iterator[Any]) -> None:
        self._events = events
        self._anchors: dict[str, Node] = {}

    def node(self, event: Any) -> Node:
        mark = event.start_mark
        place = Place(mark.line + 1, mark.column + 1)
        if isinstance(event, yaml.AliasEvent):
            target = self._anchors.get(str(event.anchor))
            if target is None:
                raise yaml.composer.ComposerError(None, None, f"unknown anchor '{event.anchor}' referenced", mark)
            return Node(NodeKind.ALIAS, "", place, str(event.anchor), target=target)
        tag = _short(event.tag)
        if isinstance(event, yaml.ScalarEvent):
            node = _scalar(event, tag, place)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = Node(NodeKind.LIST, tag or "!!seq", place)
        else:
            node = Node(NodeKind.MAPPING, tag or "!!map", place)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        if node.kind is not NodeKind.SCALAR:
            for inner in self._events:
                if isinstance(inner, (yaml.SequenceEndEvent, yaml.MappingEndEvent)):
                    break
                node.items.append(self.node(inner))
        return node


def _scalar(event: Any, tag: str, place: Place) -> Node:
    text: str = event.value
    if tag == "!!str" or (not tag and event.style):
        return Node(NodeKind.SCALAR, "!!str", place, text, is_text=True)
    return Node(NodeKind.SCALAR, tag or resolve("", text)[0], place, text)


def _short(tag: str | None) -> str:
    if tag is None or tag == "!":
        return ""
    return "!!" + tag.removeprefix(_LONG) if tag.startswith(_LONG) else tag
