"""YAML text as nodes that remember their place.

The document is composed, never constructed: no value is built before a table says what it should be, so the
surprises of implicit typing (``no`` as false, ``1:30`` as 90) cannot happen where text is wanted. Numbers and
booleans follow the rules of Go's yaml.v3, which the original Butane reads with.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

_NULL = "tag:yaml.org,2002:null"
_MERGE = "tag:yaml.org,2002:merge"
_BINARY = "tag:yaml.org,2002:binary"
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "y"), True),
    **dict.fromkeys(("false", "no", "off", "n"), False),
}
_NUMBER = re.compile(r"([-+]?)(?:0b([01_]+)|0x([0-9a-fA-F_]+)|0o?([0-7_]+)|(0|[1-9][0-9_]*)(?:\.0*)?)")
_LONGEST_NUMBER = 70  # characters: 64 binary digits with sign and prefix


class DocumentError(Exception):
    """Something in the text is not what it must be; ``line`` and ``column`` count from 1, 0 if unknown."""

    def __init__(self, message: str, *, line: int = 0, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


@dataclass(frozen=True)
class Place:
    """Where a node begins; both count from 1."""

    line: int
    column: int


def place(node: yaml.Node) -> Place:
    """Where ``node`` begins in the text."""
    return Place(node.start_mark.line + 1, node.start_mark.column + 1)


def parse(text: str) -> yaml.Node | None:
    """The root node of the only document in ``text``, or None if it is empty. Raises ``DocumentError``."""
    try:
        return yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        message = ", ".join(part for part in (error.context, error.problem) if part)
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        raise DocumentError(f"cannot parse YAML: {message}", line=line, column=column) from error
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        line, column = before.count("\n") + 1, error.position - (before.rfind("\n") + 1) + 1
        raise DocumentError(f"cannot parse YAML: {error.reason}", line=line, column=column) from error
    except RecursionError as error:
        raise DocumentError("cannot parse YAML: nested too deeply") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # PyYAML lets chr() and int() raise on odd escapes
        raise DocumentError(f"cannot parse YAML: {error}") from error


def is_null(node: yaml.Node) -> bool:
    """True if the node says nothing: empty, ``~`` or ``null``."""
    return isinstance(node, yaml.ScalarNode) and node.tag == _NULL


def describe(node: yaml.Node) -> str:
    """What a node is, for a message that says what was found instead."""
    if isinstance(node, yaml.MappingNode):
        return "a mapping"
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if is_null(node):
        return "nothing"
    return "a value"


def text(node: yaml.Node) -> str:
    """The node as text, whatever it looks like (``1``, ``no`` and ``2020-01-01`` are text here)."""
    if not isinstance(node, yaml.ScalarNode) or is_null(node):
        raise DocumentError(f"expected text, found {describe(node)}")
    if node.tag == _BINARY:
        raise DocumentError("binary values are not supported; put the bytes in a local file")
    value = str(node.value)
    if not _is_unicode(value):
        raise DocumentError("not valid Unicode: a surrogate stands alone")
    return value


def number(node: yaml.Node) -> int:
    """The node as a whole number: decimal, ``0644`` or ``0o644``, ``0x1ff``, ``0b11``, with ``_`` between digits."""
    if not isinstance(node, yaml.ScalarNode) or is_null(node):
        raise DocumentError(f"expected a whole number, found {describe(node)}")
    value = str(node.value)
    match = _NUMBER.fullmatch(value)
    if match is None:
        raise DocumentError(f"expected a whole number, found {quoted(value)}")
    if node.style:
        raise DocumentError(f"expected a whole number, found text {quoted(value)}; remove the quotes")
    if len(value) > _LONGEST_NUMBER:
        raise DocumentError("this number is too large")
    sign, *digits = match.groups()
    size = next(int(part, base) for part, base in zip(digits, (2, 16, 8, 10), strict=True) if part and part.strip("_"))
    result = -size if sign == "-" else size
    if not -(2**63) <= result < 2**63:
        raise DocumentError("this number is too large")
    return result


def truth(node: yaml.Node) -> bool:
    """The node as true or false; ``yes``, ``on`` and their kin are understood as Go's yaml does."""
    if not isinstance(node, yaml.ScalarNode) or is_null(node):
        raise DocumentError(f"expected true or false, found {describe(node)}")
    value = str(node.value)
    result = _BOOLEANS.get(value.lower())
    if result is None:
        raise DocumentError(f"expected true or false, found {quoted(value)}")
    if node.style:
        raise DocumentError(f"expected true or false, found text {quoted(value)}; remove the quotes")
    return result


def items(node: yaml.Node) -> list[yaml.Node]:
    """The entries of a list."""
    if not isinstance(node, yaml.SequenceNode):
        raise DocumentError(f"expected a list, found {describe(node)}")
    return list(node.value)


def entries(node: yaml.Node) -> list[tuple[str, yaml.Node, yaml.Node]]:
    """Key, key node and value node of each entry of a mapping, with ``<<`` merged in behind its own keys.

    Raises ``DocumentError`` for a key that is given twice or is not text.
    """
    if not isinstance(node, yaml.MappingNode):
        raise DocumentError(f"expected a mapping, found {describe(node)}")
    found: dict[str, tuple[str, yaml.Node, yaml.Node]] = {}
    for key, key_node, value in _own(node):
        if key in found:
            first = place(found[key][1])
            raise DocumentError(
                f"key {quoted(key)} is given twice, first in line {first.line}",
                line=place(key_node).line,
                column=place(key_node).column,
            )
        found[key] = (key, key_node, value)
    for parent in _parents(node, {id(node)}):
        for entry in _own(parent):
            found.setdefault(entry[0], entry)
    return list(found.values())


def quoted(value: str) -> str:
    """The text in quotes, safe to print and not endless."""
    return json.dumps(value if len(value) <= 60 else value[:57] + "...")


def _own(node: yaml.MappingNode) -> Iterator[tuple[str, yaml.Node, yaml.Node]]:
    for key_node, value in node.value:
        if key_node.tag == _MERGE:
            continue
        if not isinstance(key_node, yaml.ScalarNode) or not _is_unicode(str(key_node.value)):
            where = place(key_node)
            raise DocumentError("a key must be text", line=where.line, column=where.column)
        yield str(key_node.value), key_node, value


def _parents(node: yaml.MappingNode, seen: set[int]) -> Iterator[yaml.MappingNode]:
    """The mappings that ``<<`` pulls in, nearest first; one that contains itself is an error."""
    for key_node, value in node.value:
        if key_node.tag != _MERGE:
            continue
        for parent in value.value if isinstance(value, yaml.SequenceNode) else [value]:
            if not isinstance(parent, yaml.MappingNode):
                where = place(key_node)
                raise DocumentError("<< needs a mapping or a list of mappings", line=where.line, column=where.column)
            if id(parent) in seen:
                continue
            seen.add(id(parent))
            yield parent
            yield from _parents(parent, seen)


def _is_unicode(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)
