"""Schemas as tables: what a config may contain, how lists merge, which rules hold.

A version's module builds one ``Object`` out of these; reading, duplicate checks, rules and merging are generic walks
over it. Values stay plain JSON data (``dict``, ``list``, ``str``, ``int``, ``bool``): after ``read`` keys have their
documented spelling, nulls are gone, and every value has its documented type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nestos.base.report import Report, nearest
from nestos.ignition.spec.jsontext import Path, without_surrogates

Value = dict[str, Any]
_LARGEST = 2**63


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What differs between versions and is not a field: the rules read it.

    ``schemes``: URL schemes of sources. ``hashes``: digest length in hexadecimal digits by function. ``formats``: file
    systems. ``special_modes``: setuid, setgid and sticky bits work. ``pins``: custom clevis pins, none means any.
    ``source_required``: list entries for configs and authorities must have a source.
    """

    schemes: frozenset[str]
    hashes: Mapping[str, int]
    formats: frozenset[str]
    special_modes: bool
    pins: frozenset[str] | None
    source_required: bool


@dataclass(frozen=True)
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
    """A JSON string, whole number or boolean."""

    kind: type[str] | type[int] | type[bool]


TEXT = Scalar(str)
NUMBER = Scalar(int)
FLAG = Scalar(bool)

_NAMES = {str: "a string", int: "a whole number", bool: "true or false"}


@dataclass(frozen=True, kw_only=True)
class Items:
    """A list. ``key`` tells entries apart for merging and duplicates; without one, entries only pile up.

    A child's entry without the field ``removes_without`` takes the parent's entry away.
    """

    of: Scalar | Object
    key: Callable[[Any], str] | None = None
    removes_without: str = ""


@dataclass(frozen=True, kw_only=True)
class Object:
    """A JSON object. The lists named in one group of ``shared`` have one key space together."""

    fields: Mapping[str, Shape]
    rules: tuple[Rule, ...] = ()
    shared: tuple[tuple[str, ...], ...] = ()
    folded: Mapping[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folded", {name.lower(): name for name in self.fields})

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
        return Object(fields=grown, rules=self.rules, shared=self.shared)


Shape = Scalar | Items | Object


def by(name: str) -> Callable[[Any], str]:
    """The key of list entries that are told apart by one field."""

    def key(entry: Any) -> str:
        return str(entry.get(name, ""))

    return key


def itself(entry: Any) -> str:
    """The key of list entries that are their own key."""
    return str(entry)


def read(shape: Shape, raw: object, *, path: Path, report: Report, unused: Report) -> Any:
    """``raw`` in the documented form, or None where it is null or of a wrong type (which goes to ``report``).

    Keys that the schema does not know go to ``unused`` as warnings, with the nearest known name.
    """
    if raw is None:
        return None
    if isinstance(shape, Scalar):
        return _read_scalar(shape, raw, path=path, report=report)
    if isinstance(shape, Items):
        if not isinstance(raw, list):
            report.error(f"must be a list, not {_name_of(raw)}", *path)
            return None
        empty = "" if isinstance(shape.of, Scalar) else {}
        read_all = (
            read(shape.of, empty if entry is None else entry, path=(*path, index), report=report, unused=unused)
            for index, entry in enumerate(raw)
        )
        return [entry for entry in read_all if entry is not None]
    if not isinstance(raw, dict):
        report.error(f"must be an object, not {_name_of(raw)}", *path)
        return None
    return _read_object(shape, raw, path=path, report=report, unused=unused)


def _read_object(shape: Object, raw: Value, *, path: Path, report: Report, unused: Report) -> Value:
    result: Value = {}
    for key, inner in raw.items():
        name = key if key in shape.fields else shape.folded.get(key.lower())
        if name is None:
            unused.warning(f"unused key {without_surrogates(key)}{nearest(key, shape.fields)}", *path, key)
            continue
        if name != key:
            unused.warning(f'unused key {key} (did you mean "{name}"?); read as {name}', *path, key)
        value = read(shape.fields[name], inner, path=(*path, name), report=report, unused=unused)
        if value is not None:
            result[name] = value
    return result


def _read_scalar(shape: Scalar, raw: object, *, path: Path, report: Report) -> str | int | bool | None:
    if type(raw) is not shape.kind:
        report.error(f"must be {_NAMES[shape.kind]}, not {_name_of(raw)}", *path)
        return None
    if isinstance(raw, str):
        return without_surrogates(raw)
    if isinstance(raw, int) and not -_LARGEST <= raw < _LARGEST:
        report.error("the number is too large", *path)
        return None
    assert isinstance(raw, int)
    return raw


def _name_of(raw: object) -> str:
    if isinstance(raw, bool):
        return "a boolean"
    names: dict[type, str] = {str: "a string", int: "a number", float: "a number with a fraction"}
    return names.get(type(raw), "a list" if isinstance(raw, list) else "an object")


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
    """Reports entries of lists that have the key of an earlier entry."""
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
    for name, inner in sorted(shape.fields.items()):
        if name not in value:
            continue
        if isinstance(inner, Items) and inner.key is not None:
            seen = seen_in.get(name, set())
            for index, entry in enumerate(value[name]):
                key = inner.key(entry)
                if key in seen:
                    place.error("duplicate entry defined", name, index)
                seen.add(key)
        check_duplicates(inner, value[name], replace(place, path=(*place.path, name)))
