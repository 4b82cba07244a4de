"""Schemas as tables: what a config may contain, how lists merge, which rules hold.

A version's module builds one ``Object`` out of these; reading, duplicate checks, rules and merging are generic walks
over it. Values stay plain JSON data (``dict``, ``list``, ``str``, ``int``, ``bool``): after ``reading.read`` keys have
their documented spelling, nulls are gone, and every value has its documented type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nestos.base.report import Report
from nestos.ignition.spec.jsontext import Path

Value = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What differs between versions and is not a field: the rules read it.

    ``schemes``: URL schemes of sources. ``hashes``: digest length in hexadecimal digits by function. ``formats``: file
    systems. ``special_modes``: setuid, setgid and sticky bits work. ``pins``: custom clevis pins, none means any.
    ``may_be_left_out``: RAID levels, link targets and custom pins may come from a parent config.
    """

    schemes: frozenset[str]
    hashes: Mapping[str, int]
    formats: frozenset[str]
    special_modes: bool
    pins: frozenset[str] | None
    may_be_left_out: bool


@dataclass(frozen=True, eq=False, repr=False)
class Place:
    """Where a rule is at work: it reports relative to ``path``."""

    path: Path
    report: Report
    traits: Traits

    def error(self, message: str, *below: str | int) -> None:
        """Adds an error at ``below``, counted from this place."""
        self.report.error(message, *self.path, *below)

    def warning(self, message: str, *below: str | int) -> None:
        """Adds a warning at ``below``, counted from this place."""
        self.report.warning(message, *self.path, *below)


Rule = Callable[[Value, Place], None]


@dataclass(frozen=True)
class Scalar:
    """A JSON string, whole number or boolean. ``name``: what the specification calls it, if it has a name."""

    kind: type[str] | type[int] | type[bool]
    name: str = ""


TEXT = Scalar(str)
NUMBER = Scalar(int)
FLAG = Scalar(bool)


@dataclass(frozen=True, kw_only=True, eq=False)
class Items:
    """A list. ``key`` tells entries apart for merging and duplicates; without one, entries only pile up.

    A child's entry without the field ``removes_without`` takes the parent's entry away. ``name`` as for scalars.
    """

    of: Scalar | Object
    key: Callable[[Any], str] | None = None
    removes_without: str = ""
    name: str = ""


NODE_FIELDS = ("group", "overwrite", "path", "user")
"""What files, directories and links have in common. These fields come before the others."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Object:
    """A JSON object. The lists named in one group of ``shared`` have one key space together.

    ``name``: what the specification calls it; ``known_as``: what messages call its type, where they do not call it
    by that name. ``is_node``: it has ``NODE_FIELDS``. ``nullable``: null is a value of
    its own, not just nothing. Fields are checked and reported in the order of their names.
    """

    name: str
    fields: Mapping[str, Shape]
    rules: tuple[Rule, ...] = ()
    shared: tuple[tuple[str, ...], ...] = ()
    is_node: bool = False
    nullable: bool = False
    known_as: str = ""
    folded: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        first = NODE_FIELDS if self.is_node else ()
        ordered = sorted(self.fields, key=lambda name: (name not in first, name.lower()))
        object.__setattr__(self, "fields", {name: self.fields[name] for name in ordered})
        object.__setattr__(self, "folded", {name.lower(): name for name in ordered})

    def grown(self, additions: Mapping[str, Mapping[str, Shape]]) -> Object:
        """This object with fields added or replaced below; ``additions`` maps ``a.b.c`` (through lists) to fields."""
        grown: dict[str, Shape] = {**self.fields, **additions.get("", {})}
        heads = {path.partition(".")[0] for path in additions if path}
        for head in heads:
            below = {
                path.partition(".")[2]: fields for path, fields in additions.items() if path.partition(".")[0] == head
            }
            shape = grown[head]
            inner = shape.of if isinstance(shape, Items) else shape
            assert isinstance(inner, Object), f"{head} has no fields"
            larger = inner.grown(below)
            grown[head] = replace(shape, of=larger) if isinstance(shape, Items) else larger
        return replace(self, fields=grown)


Shape = Scalar | Items | Object


def by(name: str) -> Callable[[Any], str]:
    """The key of list entries that are told apart by one field."""

    def key(entry: Any) -> str:
        return str(entry.get(name, ""))

    return key


def itself(entry: Any) -> str:
    """The key of list entries that are their own key."""
    return str(entry)


def check(shape: Shape, value: Any, place: Place) -> None:
    """Runs the rules of ``shape`` and of everything below it over a value that ``read`` returned."""
    if isinstance(shape, Items):
        for index, entry in enumerate(value):
            check(shape.of, entry, replace(place, path=(*place.path, index)))
    elif isinstance(shape, Object):
        for rule in shape.rules:
            rule(value, place)
        for name, inner in shape.fields.items():
            if name in value:
                check(inner, value[name], replace(place, path=(*place.path, name)))


def check_duplicates(shape: Shape, value: Any, place: Place) -> None:
    """Reports entries of lists that have the key of an earlier entry: those of an object before those below it."""
    if isinstance(shape, Items):
        if isinstance(shape.of, Object):
            for index, entry in enumerate(value):
                check_duplicates(shape.of, entry, replace(place, path=(*place.path, index)))
        return
    if isinstance(shape, Scalar):
        return
    seen_in: dict[str, set[str]] = {}
    for group in shape.shared:
        together: set[str] = set()
        seen_in |= dict.fromkeys(group, together)
    for name, inner in shape.fields.items():
        if isinstance(inner, Items) and inner.key is not None:
            seen = seen_in.get(name, set())
            for index, entry in enumerate(value.get(name, ())):
                key = inner.key(entry)
                if key in seen:
                    place.error("duplicate entry defined", name, index)
                seen.add(key)
    for name, inner in shape.fields.items():
        if name in value:
            check_duplicates(inner, value[name], replace(place, path=(*place.path, name)))
