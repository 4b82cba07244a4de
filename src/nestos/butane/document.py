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
_LONGEST_NUMBER = 70  # characters: 64 binary digits with sign and prefix


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
    resolved: object = None
    items: list[Node] = field(default_factory=list)
    target: Node | None = None

    def pairs(self) -> Iterator[tuple[Node, Node]]:
        """Key and value of each entry of a mapping."""
        return zip(self.items[::2], self.items[1::2], strict=True)

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
        events = yaml.parse(data, Loader=_LOADER)
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                return _Composer(events).node(next(events))
    except yaml.MarkedYAMLError as error:
        raise DocumentError(
            f"yaml: {_where(error)}{error.problem or 'unknown problem parsing YAML content'}"
        ) from error
    except yaml.reader.ReaderError as error:
        raise DocumentError(f"yaml: {error.reason}") from error
    except RecursionError as error:
        raise DocumentError("yaml: exceeded max depth") from error
    except (
        yaml.YAMLError,
        ValueError,
        OverflowError,
    ) as error:  # PyYAML lets chr() and int() raise on odd escapes
        raise DocumentError(f"yaml: {error}") from error
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


def _where(error: yaml.MarkedYAMLError) -> str:
    """``line N: ``, counted as yaml.v3 does: from 1 for the scanner, from 0 for the parser, never line 0."""
    for mark in (error.context_mark, error.problem_mark):
        if mark is not None and mark.line:
            return f"line {mark.line + isinstance(error, yaml.scanner.ScannerError)}: "
    return ""


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
                raise DocumentError(f"yaml: unknown anchor '{event.anchor}' referenced")
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
        return Node(NodeKind.SCALAR, "!!str", place, text, resolved=text)
    found, value = resolve(tag, text)
    return Node(NodeKind.SCALAR, tag or found, place, text, resolved=value)


def _short(tag: str | None) -> str:
    if tag is None or tag == "!":
        return ""
    return "!!" + tag.removeprefix(_LONG) if tag.startswith(_LONG) else tag
