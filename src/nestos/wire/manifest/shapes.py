"""What a value may look like: each shape checks a node, describes itself in words, and as JSON Schema.

Shapes know nothing of merging, variables or files; ``keys`` puts them together into the manifest's table.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from nestos.base.report import Report, nearest
from nestos.wire.manifest.document import Node, kind_of

Schema: TypeAlias = dict[str, Any]


class Shape(ABC):
    """One kind of value."""

    @abstractmethod
    def fits(self, node: Node) -> bool:
        """True if the node is of the right kind (text, list, mapping), whatever is in it."""

    @abstractmethod
    def check(self, node: Node, report: Report) -> None:
        """Reports everything that is wrong with ``node`` and below."""

    @abstractmethod
    def schema(self) -> Schema:
        """The same rule as JSON Schema (draft 2020-12)."""

    @abstractmethod
    def words(self) -> str:
        """The shape for people: ``list of text``."""


def _is_number(node: Node) -> bool:
    return isinstance(node.value, (int, float)) and not isinstance(node.value, bool)


def _wrong(node: Node, report: Report, shape: Shape) -> None:
    node.say(report, f"must be {shape.words()}, not {kind_of(node)}")


@dataclass(frozen=True, kw_only=True)
class Text(Shape):
    """A text. ``numbers`` also takes a bare number, as it was written (``releasever: 13``)."""

    pattern: str = r"(?s).+"
    """The whole text must match it (Python and ECMAScript both read it, but for the leading flags)."""
    meaning: str = ""
    """What the pattern wants, in words."""
    numbers: bool = False

    def fits(self, node: Node) -> bool:
        return isinstance(node.value, str) or (self.numbers and _is_number(node))

    def check(self, node: Node, report: Report) -> None:
        if self.fits(node):
            if not re.fullmatch(self.pattern, node.text):
                wanted = f": it must be {self.meaning}" if self.meaning else ""
                node.say(report, f'"{node.text}" is not usable here{wanted}' if node.text else "must not be empty")
            return
        if _is_number(node):
            node.say(report, f'must be {self.words()}; write it in quotes: "{node.raw}"')
            return
        _wrong(node, report, self)

    def schema(self) -> Schema:
        pattern = re.sub(r"^\(\?[a-z]+\)", "", self.pattern)
        text: Schema = {"type": "string"}
        text |= {"minLength": 1} if pattern == ".+" else {"pattern": f"^(?:{pattern})$"}
        return {"anyOf": [text, {"type": "number"}]} if self.numbers else text

    def words(self) -> str:
        return "text or a number" if self.numbers else "text"


@dataclass(frozen=True, kw_only=True)
class Choice(Shape):
    """One of a few words."""

    options: tuple[str, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    """Values that rpm-ostree knows and this does not do, with the reason."""
    numbers: bool = False

    def fits(self, node: Node) -> bool:
        return isinstance(node.value, str) or (self.numbers and _is_number(node))

    def check(self, node: Node, report: Report) -> None:
        text = node.text if self.fits(node) else ""
        if text in self.options:
            return
        if text in self.refused:
            node.say(report, f'"{text}" is not supported: {self.refused[text]}')
            return
        hint = nearest(text, self.options) if text else ""
        node.say(report, f"must be {self.words()}, not {kind_of(node)}{hint}")

    def schema(self) -> Schema:
        numbers = [int(option) for option in self.options if self.numbers and option.isdigit()]
        return {"enum": [*self.options, *numbers]}

    def words(self) -> str:
        return " or ".join(f"`{option}`" for option in self.options)


@dataclass(frozen=True, kw_only=True)
class Flag(Shape):
    """``true`` or ``false``. ``refused`` maps the value that is not supported to the reason."""

    refused: Mapping[bool, str] = field(default_factory=dict)

    def fits(self, node: Node) -> bool:
        return isinstance(node.value, bool)

    def check(self, node: Node, report: Report) -> None:
        if not isinstance(node.value, bool):
            hint = " (YAML 1.2 knows only true and false)" if node.text.lower() in {"yes", "no", "on", "off"} else ""
            node.say(report, f"must be {self.words()}, not {kind_of(node)}{hint}")
        elif node.value in self.refused:
            node.say(report, f"{node.raw} is not supported: {self.refused[node.value]}")

    def schema(self) -> Schema:
        return {"enum": [value for value in (True, False) if value not in self.refused]}

    def words(self) -> str:
        return "`true` or `false`"


@dataclass(frozen=True, kw_only=True)
class Whole(Shape):
    """A whole number between two limits, both included."""

    least: int = 0
    most: int = 2**63 - 1

    def fits(self, node: Node) -> bool:
        return isinstance(node.value, int) and not isinstance(node.value, bool)

    def check(self, node: Node, report: Report) -> None:
        if not self.fits(node):
            _wrong(node, report, self)
        elif not self.least <= node.number <= self.most:
            node.say(report, f"{node.value} is outside {self.least} to {self.most}")

    def schema(self) -> Schema:
        return {"type": "integer", "minimum": self.least, "maximum": self.most}

    def words(self) -> str:
        return "a whole number"


@dataclass(frozen=True, kw_only=True)
class Anything(Shape):
    """Any value: it is handed on, not understood."""

    def fits(self, node: Node) -> bool:
        del node
        return True

    def check(self, node: Node, report: Report) -> None:
        del node, report

    def schema(self) -> Schema:
        return {}

    def words(self) -> str:
        return "any value"


@dataclass(frozen=True, kw_only=True)
class ListOf(Shape):
    """A list. With ``single`` one bare item stands for a list of one."""

    item: Shape
    single: bool = False
    least: int = 0

    def fits(self, node: Node) -> bool:
        return isinstance(node.value, tuple) or (self.single and self.item.fits(node))

    def check(self, node: Node, report: Report) -> None:
        if not isinstance(node.value, tuple):
            if self.single and node.value is not None:
                self.item.check(node, report)
            else:
                _wrong(node, report, self)
            return
        if len(node.value) < self.least:
            node.say(report, f"needs at least {self.least} entries")
        for item in node.value:
            self.item.check(item, report)

    def schema(self) -> Schema:
        listed: Schema = {"type": "array", "items": self.item.schema()}
        if self.least:
            listed["minItems"] = self.least
        return {"anyOf": [self.item.schema(), listed]} if self.single else listed

    def words(self) -> str:
        one = self.item.words()
        listed = "a list of texts" if one == "text" else f"a list, each item {one}"
        return f"{one}, or a list of such" if self.single else listed


@dataclass(frozen=True, kw_only=True)
class Row(Shape):
    """A list of a fixed length, each place with its own shape."""

    items: tuple[Shape, ...]
    names: tuple[str, ...]

    def fits(self, node: Node) -> bool:
        return isinstance(node.value, tuple)

    def check(self, node: Node, report: Report) -> None:
        if not isinstance(node.value, tuple) or len(node.value) != len(self.items):
            _wrong(node, report, self)
            return
        for item, shape in zip(node.value, self.items, strict=True):
            shape.check(item, report)

    def schema(self) -> Schema:
        count = len(self.items)
        shapes = [shape.schema() for shape in self.items]
        return {"type": "array", "prefixItems": shapes, "minItems": count, "maxItems": count}

    def words(self) -> str:
        return f"`[{', '.join(self.names)}]`"


@dataclass(frozen=True, kw_only=True)
class MapOf(Shape):
    """A mapping whose keys are free within a pattern and whose values share a shape."""

    item: Shape
    keys: str = r".+"
    meaning: str = "name"
    known: tuple[str, ...] = ()
    """If given, only these keys."""

    def fits(self, node: Node) -> bool:
        return isinstance(node.value, Mapping)

    def check(self, node: Node, report: Report) -> None:
        if not isinstance(node.value, Mapping):
            _wrong(node, report, self)
            return
        for name, item in node.value.items():
            if self.known and name not in self.known:
                hint = nearest(name, self.known) or f" (known: {', '.join(self.known)})"
                item.say(report, f'unknown {self.meaning} "{name}"{hint}', at_key=True)
            elif not re.fullmatch(self.keys, name):
                item.say(report, f'"{name}" is not a usable {self.meaning}', at_key=True)
            self.item.check(item, report)

    def schema(self) -> Schema:
        names: Schema = {"enum": list(self.known)} if self.known else {"pattern": f"^(?:{self.keys})$"}
        return {"type": "object", "propertyNames": names, "additionalProperties": self.item.schema()}

    def words(self) -> str:
        return f"a mapping from {self.meaning} to {self.item.words()}"


@dataclass(frozen=True, kw_only=True)
class Either(Shape):
    """The first of several shapes whose kind fits."""

    options: tuple[Shape, ...]
    label: str = ""
    """The options in words, where the sum of their own is clumsy."""

    def fits(self, node: Node) -> bool:
        return any(shape.fits(node) for shape in self.options)

    def check(self, node: Node, report: Report) -> None:
        for shape in self.options:
            if shape.fits(node):
                shape.check(node, report)
                return
        _wrong(node, report, self)

    def schema(self) -> Schema:
        return {"anyOf": [shape.schema() for shape in self.options]}

    def words(self) -> str:
        return self.label or ", or ".join(shape.words() for shape in self.options)
