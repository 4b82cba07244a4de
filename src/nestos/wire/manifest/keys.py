"""What a key of the manifest is: its shape, how it joins across included files, and what becomes of it here.

The tables themselves are in ``treefile`` (rpm-ostree's keys) and ``extension`` (ours).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from nestos.base.report import Report, Severity, nearest
from nestos.wire.manifest.document import Node, kind_of
from nestos.wire.manifest.shapes import Schema, Shape


class Status(StrEnum):
    """What becomes of a key. Nothing is ignored in silence."""

    WORKS = "works"
    NO_EFFECT = "no effect"
    """Accepted with a warning: the result is what the key asks for anyway, or it means nothing here."""
    REFUSED = "refused"
    """An error: the key asks for something that is not done."""


class Merge(StrEnum):
    """How the values of an including and an included file become one."""

    INCLUDER = "the includer's value"
    JOIN = "joined, included first"
    UPDATE = "united, the includer's entry wins"
    FIELDS = "field by field"
    OWN = "belongs to its file"


@dataclass(frozen=True, kw_only=True)
class Key:
    """One row of the table."""

    name: str
    shape: Shape
    note: str
    merge: Merge = Merge.INCLUDER
    status: Status = Status.WORKS
    reason: str = ""
    """Why it has no effect or is refused: the message's second half."""
    default: str = "none"
    """The value where the key is absent, in words."""
    substitutes: bool = False
    """True if ``${variable}`` is replaced in its texts."""
    aliases: tuple[str, ...] = ()
    example: str = ""
    required: bool = False
    """For fields of a record: the record is wrong without it."""


def check_entries(node: Node, table: Sequence[Key], report: Report) -> dict[str, Node]:
    """Checks a mapping against a table and returns its usable entries under the keys' proper names."""
    by_name = {name: key for key in table for name in (key.name, *key.aliases)}
    found: dict[str, Node] = {}
    for name, item in node.entries.items():
        key = by_name.get(name)
        if key is None:
            hint = nearest(name, by_name)
            item.say(report, f'unknown key "{name}"{hint}', at_key=True)
        elif key.name in found:
            item.say(report, f'"{name}" and "{key.name}" are the same key; keep one', at_key=True)
        elif key.status is Status.REFUSED:
            item.say(report, f'"{name}" is not supported by this backend: {key.reason}', at_key=True)
        else:
            if key.status is Status.NO_EFFECT:
                item.say(report, f'"{name}" has no effect: {key.reason}', severity=Severity.WARNING, at_key=True)
            before = len(report)
            key.shape.check(item, report)
            if not any(finding.severity is Severity.ERROR for finding in report.findings[before:]):
                found[key.name] = item
    for key in table:
        if key.required and key.name not in found and key.name not in node.entries:
            node.say(report, f'"{key.name}" is missing')
    return found


@dataclass(frozen=True, kw_only=True)
class Record(Shape):
    """A mapping with a table of its own."""

    fields: tuple[Key, ...]

    def fits(self, node: Node) -> bool:
        return isinstance(node.value, Mapping)

    def check(self, node: Node, report: Report) -> None:
        if not isinstance(node.value, Mapping):
            node.say(report, f"must be {self.words()}, not {kind_of(node)}")
            return
        check_entries(node, self.fields, report)

    def schema(self) -> Schema:
        return object_schema(self.fields)

    def words(self) -> str:
        return f"a mapping with {', '.join(f'`{item.name}`' for item in self.fields)}"


def object_schema(table: Sequence[Key]) -> Schema:
    """The JSON Schema of a mapping with this table."""
    properties: Schema = {}
    for key in table:
        for name in (key.name, *key.aliases):
            properties[name] = key_schema(key)
    required = [key.name for key in table if key.required]
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | {"required": required} if required else schema


def key_schema(key: Key) -> Schema:
    """The JSON Schema of one key's value; one that nothing satisfies if the key is refused."""
    if key.status is Status.REFUSED:
        return {"description": f"Not supported: {key.reason}", "not": {}}
    return {"description": key.note, **key.shape.schema()}


def merge_entries(
    includer: Mapping[str, Node], included: Mapping[str, Node], *, table: Sequence[Key]
) -> dict[str, Node]:
    """Both files' entries as one, by each key's rule. The includer's places win where a value is shared."""
    merged = dict(includer)
    for key in table:
        other = included.get(key.name)
        if other is None or key.merge is Merge.OWN:
            continue
        own = merged.get(key.name)
        merged[key.name] = other if own is None else _merge_values(own, other, key=key)
    return merged


def _merge_values(own: Node, other: Node, *, key: Key) -> Node:
    if key.merge is Merge.JOIN:
        return own.with_value((*other.items, *own.items))
    if key.merge is Merge.UPDATE:
        return own.with_value({**other.entries, **own.entries})
    if key.merge is Merge.FIELDS and isinstance(key.shape, Record):
        return own.with_value(merge_entries(own.entries, other.entries, table=key.shape.fields))
    return own
