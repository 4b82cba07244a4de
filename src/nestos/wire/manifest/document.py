"""YAML and JSON text as a tree of nodes that remember where they were written.

Scalars follow the core schema of YAML 1.2 (``yes`` and ``0755`` are strings' business, not booleans and octals),
because that is what other readers of treefiles do; PyYAML's own YAML 1.1 rules are not used. Tags, merge keys
and duplicate keys are refused. Nothing here knows a key of the manifest.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import yaml

from nestos.base.errors import InvariantError
from nestos.base.report import Finding, Report, Severity

Scalar: TypeAlias = str | int | float | bool | None
Step: TypeAlias = str | int

MOST_NODES = 50_000
"""Aliases can make a small file expand without end; more nodes than this is an error, not a wait."""

_CONSTANTS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]{1,30}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_JSON_TAB = re.compile(r'"(?:[^"\\]|\\.)*"|\t')


@dataclass(frozen=True, kw_only=True)
class Node:
    """One value with its place. ``source`` is the file; lines and columns count from 1.

    ``raw`` is a scalar as written, so that ``13.10`` can still be read as text. ``key_line`` and ``key_column``
    are the place of the key, where the node is a mapping's value.
    """

    value: Scalar | tuple[Node, ...] | Mapping[str, Node]
    source: str = ""
    path: tuple[Step, ...] = ()
    line: int = 0
    column: int = 0
    raw: str = ""
    key_line: int = 0
    key_column: int = 0

    @property
    def place(self) -> str:
        """``file:line``, for logs and messages."""
        return f"{self.source}:{self.line}"

    @property
    def text(self) -> str:
        """The scalar as text."""
        return self.value if isinstance(self.value, str) else self.raw

    @property
    def flag(self) -> bool:
        """The boolean. The shape was checked before: anything else is a bug."""
        if not isinstance(self.value, bool):
            raise InvariantError(f"{self.place}: not a boolean")
        return self.value

    @property
    def number(self) -> int:
        """The integer. The shape was checked before: anything else is a bug."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise InvariantError(f"{self.place}: not an integer")
        return self.value

    @property
    def items(self) -> tuple[Node, ...]:
        """The list. The shape was checked before: anything else is a bug."""
        if not isinstance(self.value, tuple):
            raise InvariantError(f"{self.place}: not a list")
        return self.value

    @property
    def entries(self) -> Mapping[str, Node]:
        """The mapping. The shape was checked before: anything else is a bug."""
        if not isinstance(self.value, Mapping):
            raise InvariantError(f"{self.place}: not a mapping")
        return self.value

    def with_value(self, value: Scalar | tuple[Node, ...] | Mapping[str, Node]) -> Node:
        """The same place with another value."""
        return replace(self, value=value, raw=value if isinstance(value, str) else self.raw)

    def plain(self) -> object:
        """The value without places, as ``json.loads`` gives it."""
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        if isinstance(self.value, Mapping):
            return {key: item.plain() for key, item in self.value.items()}
        return self.value

    def say(self, report: Report, message: str, *, severity: Severity = Severity.ERROR, at_key: bool = False) -> None:
        """Adds a finding at this place; with ``at_key`` at the key instead of its value."""
        at_key = at_key and self.key_line > 0
        report.extend(
            [
                Finding(
                    severity=severity,
                    message=message,
                    path=self.path,
                    line=self.key_line if at_key else self.line,
                    column=self.key_column if at_key else self.column,
                    source=self.source,
                )
            ]
        )


def kind_of(node: Node) -> str:
    """What the node is, in words for a message: ``a list``, ``the number 5``."""
    if isinstance(node.value, tuple):
        return "a list"
    if isinstance(node.value, Mapping):
        return "a mapping"
    if node.value is None:
        return "nothing"
    if isinstance(node.value, bool):
        return f"the boolean {node.raw}"
    if isinstance(node.value, str):
        return f'the text "{node.value}"' if len(node.value) <= 40 else "a text"
    return f"the number {node.raw}"


def parse(text: str, *, source: str, report: Report) -> Node | None:
    """The root node of a YAML text, or of a JSON text where ``source`` ends in ``.json``.

    Returns None, with the findings in ``report``, where the text is not one well-formed document.
    """
    before = len(report)
    if source.endswith(".json"):
        text = _json_as_yaml(text, source=source, report=report)
    if len(report) > before:
        return None
    try:
        root = yaml.compose(text, Loader=yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        _say(report, f"not valid YAML: {error.problem or error.context}", source=source, line=line, column=column)
        return None
    except yaml.YAMLError as error:
        _say(report, f"not valid YAML: {error}", source=source)
        return None
    except RecursionError:
        _say(report, "the document is nested too deeply", source=source)
        return None
    if root is None:
        _say(report, "the file is empty", source=source)
        return None
    try:
        return _Builder(source=source, report=report).build(root, ())
    except _TooManyError:
        _say(report, f"the document expands to more than {MOST_NODES} values (aliases?)", source=source)
        return None


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, depth first."""
    yield node
    children: tuple[Node, ...] = ()
    if isinstance(node.value, tuple):
        children = node.value
    elif isinstance(node.value, Mapping):
        children = tuple(node.value.values())
    for child in children:
        yield from walk(child)


def _say(report: Report, message: str, *, source: str, line: int = 0, column: int = 0) -> None:
    report.extend([Finding(severity=Severity.ERROR, message=message, source=source, line=line, column=column)])


def _json_as_yaml(text: str, *, source: str, report: Report) -> str:
    """Checks JSON with the JSON reader, then makes it digestible for YAML, which refuses tabs between tokens."""
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        _say(report, f"not valid JSON: {error.msg}", source=source, line=error.lineno, column=error.colno)
    except RecursionError:
        _say(report, "the document is nested too deeply", source=source)
    return _JSON_TAB.sub(lambda match: " " if match.group() == "\t" else match.group(), text)


class _TooManyError(Exception):
    pass


@dataclass
class _Builder:
    """Turns PyYAML's nodes into ours."""

    source: str
    report: Report
    count: int = field(default=0)

    def build(self, raw: yaml.Node, path: tuple[Step, ...]) -> Node:
        self.count += 1
        if self.count > MOST_NODES or len(path) > 100:
            raise _TooManyError
        node = Node(
            value=None,
            source=self.source,
            path=path,
            line=raw.start_mark.line + 1,
            column=raw.start_mark.column + 1,
        )
        if not raw.tag.startswith("tag:yaml.org,2002:"):
            node.say(self.report, f"the tag {raw.tag} is not part of the manifest language")
        if isinstance(raw, yaml.SequenceNode):
            return node.with_value(tuple(self.build(item, (*path, index)) for index, item in enumerate(raw.value)))
        if isinstance(raw, yaml.MappingNode):
            return node.with_value(self._mapping(raw, path))
        quoted = isinstance(raw, yaml.ScalarNode) and raw.style is not None
        return replace(node, value=_scalar(str(raw.value), quoted=quoted), raw=str(raw.value))

    def _mapping(self, raw: yaml.MappingNode, path: tuple[Step, ...]) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        for key, value in raw.value:
            name = str(key.value) if isinstance(key, yaml.ScalarNode) else ""
            built = replace(
                self.build(value, (*path, name)),
                key_line=key.start_mark.line + 1,
                key_column=key.start_mark.column + 1,
            )
            if not isinstance(key, yaml.ScalarNode):
                built.say(self.report, "a key must be a plain word", at_key=True)
            elif name in entries:
                first = entries[name].key_line
                built.say(self.report, f'the key "{name}" is given twice (first in line {first})', at_key=True)
            else:
                entries[name] = built
        return entries


def _scalar(text: str, *, quoted: bool) -> Scalar:
    if quoted:
        # A JSON text may write one character as two escaped surrogates, which YAML keeps apart.
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
