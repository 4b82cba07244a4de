"""From nodes to values, by the table that says what each should be.

What cannot be what its table says is collected, all of it, in the words of Go's yaml.v3; the document as a whole is
refused then. Unknown keys are passed over here: ``checks`` looks for them. Values are plain data: dicts with only the
keys that were written, lists, text, whole numbers, booleans.
"""

from __future__ import annotations

import binascii
import json
import math
import re
from collections.abc import Mapping
from typing import Any

from nestos.butane.document import DocumentError, Node, NodeKind
from nestos.butane.schema import Anything, Field, Kind, ListOf, Scalar, Table, TextMap
from nestos.butane.site import Level

_TRUE = frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"))
_FALSE = frozenset(("n", "N", "no", "No", "NO", "off", "Off", "OFF"))
_SHOWN = 10  # characters of a value in a message
_LARGEST = 2**63
_MOST_ALIASED = 400_000  # decoded nodes up to which nearly all may come from aliases, as in yaml.v3
_NOTHING = object()


def decode(node: Node, table: Table, level: Level) -> dict[str, Any]:
    """What ``node`` says as ``table``. Raises ``DocumentError`` with every place that has a wrong type."""
    decoder = _Decoder(level)
    try:
        value = decoder.value(node, table)
    except RecursionError as error:
        raise DocumentError("yaml: exceeded max depth") from error
    if decoder.errors:
        raise DocumentError("yaml: unmarshal errors:\n" + "\n".join(f"  {error}" for error in decoder.errors))
    return value if isinstance(value, dict) else {}


class _Decoder:
    """One walk over the document."""

    def __init__(self, level: Level) -> None:
        self.errors: list[str] = []
        self._level = level
        self._decoded = 0
        self._aliased = 0
        self._open: list[Node] = []

    def value(self, node: Node, kind: Kind, typed: str = "") -> Any:
        """What ``node`` says as ``kind``, or ``_NOTHING``; ``typed`` is a name for the type of a scalar."""
        self._count()
        if node.kind is NodeKind.ALIAS:
            return self._alias(node, kind, typed)
        if node.is_null:
            return _NOTHING
        if node.kind is NodeKind.SCALAR:
            return self._scalar(node, kind, typed)
        if node.kind is NodeKind.MAPPING:
            return self._mapping(node, kind, typed)
        if isinstance(kind, Anything):
            return self._mismatch(node, kind, typed)
        if isinstance(kind, ListOf):
            name = kind.typed if self._level.language <= kind.typed_until else ""
            entries = [self.value(item, kind.item, name) for item in node.items]
            return [entry for entry in entries if entry is not _NOTHING]
        return self._mismatch(node, kind, typed)

    def _count(self) -> None:
        self._decoded += 1
        self._aliased += bool(self._open)
        if self._aliased > 100 and self._decoded > 1000:
            scale = min(max((self._decoded - _MOST_ALIASED) / (9 * _MOST_ALIASED), 0.0), 1.0)
            if self._aliased / self._decoded > 0.99 - 0.89 * scale:
                raise DocumentError("yaml: document contains excessive aliasing")

    def _alias(self, node: Node, kind: Kind, typed: str) -> Any:
        if node in self._open:
            raise DocumentError(f"yaml: anchor '{node.value}' value contains itself")
        assert node.target is not None
        self._open.append(node)
        result = self.value(node.target, kind, typed)
        self._open.pop()
        return result

    def _scalar(self, node: Node, kind: Kind, typed: str) -> Any:
        found = node.resolved()
        match kind:
            case Scalar.TEXT:
                return node.value if node.tag != "!!binary" else _unpacked(node.value)
            case Scalar.FLAG if isinstance(found, bool):
                return found
            case Scalar.FLAG if isinstance(found, str) and found in _TRUE:
                return True
            case Scalar.FLAG if isinstance(found, str) and found in _FALSE:
                return False
            case Scalar.NUMBER if type(found) is int and found < _LARGEST:
                return found
            case Scalar.NUMBER if isinstance(found, float) and found <= _LARGEST and not math.isnan(found):
                return int(found) if -_LARGEST < found < _LARGEST else -_LARGEST
        return self._mismatch(node, kind, typed)

    def _mapping(self, node: Node, kind: Kind, typed: str) -> Any:
        if not self._is_unique(node):
            return _NOTHING
        if isinstance(kind, Table):
            return self._object(node, {item.yaml: item for item in kind.known(self._level.language)})
        if isinstance(kind, TextMap):
            result: dict[str, Any] = {}
            for key, inner in self._entries(node, set()):
                value = self.value(inner, Scalar.TEXT)
                result[key] = "" if value is _NOTHING else value
            return result
        if isinstance(kind, Anything):
            found = {key: self._anything(inner) for key, inner in self._entries(node, set())}
            return {key: value for key, value in found.items() if value is not _NOTHING}
        return self._mismatch(node, kind, typed)

    def _anything(self, node: Node) -> Any:
        """What ``node`` says by itself. Numbers, flags and texts are what they look like."""
        target = node.target if node.kind is NodeKind.ALIAS else node
        if target is not None and target.kind is NodeKind.LIST:
            entries = [self._anything(item) for item in target.items]
            return [entry for entry in entries if entry is not _NOTHING]
        if target is None or target.kind is NodeKind.MAPPING:
            return self.value(node, Anything())
        self._count()
        found = target.resolved()
        return _NOTHING if found is None else found

    def _object(self, node: Node, fields: Mapping[str, Field]) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key, inner in self._entries(node, set()):
            if key in fields:
                value = self.value(inner, fields[key].kind)
                if value is not _NOTHING:
                    result[key] = value
        return result

    def _entries(self, node: Node, seen: set[str]) -> list[tuple[str, Node]]:
        """Key and value of each entry, with what ``<<`` pulls in behind the node's own; the nearest wins."""
        found: list[tuple[str, Node]] = []
        merge: Node | None = None
        own = [(key, value) for key, value in node.pairs()]
        for key, value in own:
            if key.is_merge:
                merge = value
                continue
            name = self._key(key)
            if name is not None and name not in seen:
                found.append((name, value))
        seen.update(name for name, _ in found)
        if merge is not None:
            for parent in _parents(merge):
                found += self._merged(parent, seen)
        return found

    def _merged(self, parent: Node, seen: set[str]) -> list[tuple[str, Node]]:
        if parent.kind is not NodeKind.ALIAS:
            return self._entries(parent, seen) if self._is_unique(parent) else []
        if parent in self._open:
            raise DocumentError(f"yaml: anchor '{parent.value}' value contains itself")
        assert parent.target is not None
        self._open.append(parent)
        self._count()
        found = self._entries(parent.target, seen) if self._is_unique(parent.target) else []
        self._open.pop()
        return found

    def _key(self, node: Node) -> str | None:
        value = self.value(node, Scalar.TEXT)
        return None if value is _NOTHING else value

    def _is_unique(self, node: Node) -> bool:
        """Whether no key is written twice; if one is, every pair of places is an error, by the first of the two."""
        groups: dict[tuple[NodeKind, str], list[Node]] = {}
        for key, _ in node.pairs():
            groups.setdefault((key.kind, key.value), []).append(key)
        if all(len(group) == 1 for group in groups.values()):
            return True
        for first, _ in node.pairs():
            group = groups[first.kind, first.value]
            shown = json.dumps(first.value, ensure_ascii=False)
            for other in group[group.index(first) + 1 :]:
                where = f"already defined at line {first.place.line}"
                self.errors.append(f"line {other.place.line}: mapping key {shown} {where}")
        return False

    def _mismatch(self, node: Node, kind: Kind, typed: str) -> object:
        shown = ""
        if node.kind is NodeKind.SCALAR:
            text = node.value
            raw = text.encode()
            shown = f" `{raw[:7].decode(errors='replace')}...`" if len(raw) > _SHOWN else f" `{text}`"
        self.errors.append(f"line {node.place.line}: cannot unmarshal {node.tag}{shown} into {self._type(kind, typed)}")
        return _NOTHING

    def _type(self, kind: Kind, typed: str = "") -> str:
        if isinstance(kind, Scalar):
            return f"{self._level.types['base']}.{typed}" if typed else kind.value
        if isinstance(kind, Table):
            return f"{self._level.types[kind.owner]}.{kind.renamed.get(self._level.language, kind.name)}"
        if isinstance(kind, ListOf):
            if kind.named:
                return f"{self._level.types['base']}.{kind.named}"
            return "[]" + self._type(
                kind.item,
                kind.typed if self._level.language <= kind.typed_until else "",
            )
        return "map[string]string" if isinstance(kind, TextMap) else "map[string]interface {}"


def _unpacked(text: str) -> str:
    try:
        return binascii.a2b_base64(re.sub(r"[\r\n]", "", text), strict_mode=True).decode(errors="replace")
    except ValueError as error:
        raise DocumentError("yaml: !!binary value contains invalid base64 data") from error


def _parents(merge: Node) -> list[Node]:
    """The mappings that ``<<`` pulls in, nearest first."""
    candidates = merge.items if merge.kind is NodeKind.LIST else [merge]
    for candidate in candidates:
        node = candidate.target if candidate.kind is NodeKind.ALIAS else candidate
        if node is None or node.kind is not NodeKind.MAPPING:
            raise DocumentError("yaml: map merge requires map or sequence of maps as the value")
    return candidates
