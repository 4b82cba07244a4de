"""From decoded JSON to values of the documented types; what does not fit is said in the words that tools know."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from nestos.base.report import Finding, Severity, nearest
from nestos.ignition.spec.jsontext import Node, Path, Repeated, earlier, position, without_surrogates
from nestos.ignition.spec.schema import NODE_FIELDS, Items, Object, Scalar, Shape, Value

_LARGEST = 2**63
_NAMES = {str: "a string", int: "a whole number", bool: "true or false"}
_KINDS = {str: "string", int: "int", bool: "bool"}


@dataclass(frozen=True, kw_only=True)
class Misfit:
    """A value of a wrong type. ``spelled``: its path as the text has it, ``path``: with the documented names.

    ``owner`` and ``trail`` are the object that has the field, and the field's path as tools know it.
    """

    path: Path
    spelled: Path
    shape: Shape
    owner: str
    trail: tuple[str, ...]

    def message(self, node: Node, data: bytes) -> str:
        """The original's sentence about it."""
        kind = node.kind
        if kind == "number" and isinstance(self.shape, Scalar) and self.shape.kind is int:
            kind = f"number {data[node.start : node.end].decode('ascii', 'replace')}"
        place = f"struct field {self.owner}.{'.'.join(self.trail)} of" if self.trail else "value of"
        return f"json: cannot unmarshal {kind} into Go {place} type {_type_of(self.shape)}"

    @property
    def hint(self) -> str:
        """What should stand there."""
        wanted = {Items: "a list", Object: "an object"}.get(type(self.shape)) or _NAMES[
            getattr(self.shape, "kind", str)
        ]
        return f"{'.'.join(['$', *map(str, self.path)])} must be {wanted}"


def _type_of(shape: Shape) -> str:
    if isinstance(shape, Object) and shape.known_as:
        return shape.known_as
    if shape.name:
        return f"types.{shape.name}"
    return f"[]{_type_of(shape.of)}" if isinstance(shape, Items) else _KINDS[getattr(shape, "kind", str)]


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where ``read`` is. ``located``: all keys so far are spelled as documented."""

    path: Path = ()
    spelled: Path = ()
    owner: str = ""
    trail: tuple[str, ...] = ()
    located: bool = True

    def inside(self, shape: Object, key: str, name: str, *, spelled: str) -> _Place:
        """The place of the field ``name``, written ``key`` and found in the text under ``spelled``."""
        part = ("Node" if name in NODE_FIELDS else f"{shape.name}Embedded1",) if shape.is_node else ()
        return _Place(
            path=(*self.path, name),
            spelled=(*self.spelled, spelled),
            owner=shape.name,
            trail=(*self.trail, *part, name),
            located=self.located and key == name,
        )

    def item(self, index: int) -> _Place:
        """The place of an entry of a list."""
        return _Place(
            path=(*self.path, index),
            spelled=(*self.spelled, index),
            owner=self.owner,
            trail=self.trail,
            located=self.located,
        )


@dataclass
class Reader:
    """Reads values, and keeps what does not fit: ``misfits`` in the order of the text, and ``unused`` keys."""

    misfits: list[Misfit] = field(default_factory=list)
    unused: list[Finding] = field(default_factory=list)

    def read(self, shape: Shape, raw: object) -> Any:
        """``raw`` in the documented form, or None where it is null or of a wrong type."""
        value = self._read(shape, raw, _Place(), None)
        self.unused.sort(key=lambda finding: _rank(shape, finding.path))
        return value

    def _read(self, shape: Shape, raw: object, place: _Place, before: Any) -> Any:
        """``before``: the value that the same key had earlier in the text; the later one adds to it."""
        if raw is None:
            if isinstance(shape, Object):
                if not shape.nullable and place.located:
                    self._mismatch(place)
                return None if shape.nullable else before
            return None
        if isinstance(shape, Scalar):
            return self._scalar(shape, raw, place)
        if isinstance(shape, Items):
            return self._items(shape, raw, place, before)
        if not isinstance(raw, dict):
            return self._refuse(shape, place)
        return self._object(shape, raw, place, before)

    def _items(self, shape: Items, raw: object, place: _Place, before: Any) -> list[Any] | None:
        if not isinstance(raw, list):
            self._refuse(shape, place)
            return None
        empty: object = {} if isinstance(shape.of, Object) else "" if shape.of.kind is str else 0
        result = []
        for index, entry in enumerate(raw):
            old = before[index] if before is not None and index < len(before) else None
            value = self._read(shape.of, entry, place.item(index), old)
            result.append(empty if value is None else value)
        return result

    def _object(self, shape: Object, raw: Value, place: _Place, before: Value | None) -> Value:
        result: Value = before or {}
        for key, spelled, inner in _entries(raw):
            name = key if key in shape.fields else shape.folded.get(key.lower())
            if name != key and place.located:
                known = nearest(key, shape.fields)
                hint = f"{without_surrogates(key)} is read as {name}" if name else known.strip(" ()")
                self._warn(place, f"unused key {without_surrogates(key)}", without_surrogates(key), hint=hint)
            if name is None:
                continue
            value = self._read(
                shape.fields[name], inner, place.inside(shape, key, name, spelled=spelled), result.get(name)
            )
            if value is not None:
                result[name] = value
            elif inner is None:
                result.pop(name, None)
        return result

    def _scalar(self, shape: Scalar, raw: object, place: _Place) -> str | int | bool | None:
        if type(raw) is not shape.kind:
            self._refuse(shape, place)
            return None
        if isinstance(raw, str):
            return without_surrogates(raw)
        assert isinstance(raw, int)
        if not -_LARGEST <= raw < _LARGEST:
            self._refuse(shape, place)
            return None
        return raw

    def _refuse(self, shape: Shape, place: _Place) -> None:
        self.misfits.append(
            Misfit(path=place.path, spelled=place.spelled, shape=shape, owner=place.owner, trail=place.trail)
        )

    def _mismatch(self, place: _Place) -> None:
        where = ".".join(["$", *map(str, place.path)])
        self._warn(
            place,
            f"context tree does not match content tree at {where}. Line and column reporting may be inconsistent. "
            "Unused keys may not be reported",
            hint="null stands where an object is expected",
        )

    def _warn(self, place: _Place, message: str, *below: str, hint: str = "") -> None:
        path = (*place.path, *below)
        self.unused.append(Finding(severity=Severity.WARNING, message=message, path=path, hint=hint))


def _entries(raw: Value) -> Iterator[tuple[str, str, Any]]:
    """Keys and values in the order of the text, and under which name the text's tree has them."""
    if not isinstance(raw, Repeated):
        yield from ((key, without_surrogates(key), value) for key, value in raw.items())
        return
    left = Counter(key for key, _ in raw.pairs)
    seen: Counter[str] = Counter()
    for key, value in raw.pairs:
        name = without_surrogates(key)
        yield key, name if left[key] == 1 else earlier(name, seen[key]), value
        left[key] -= 1
        seen[key] += 1


def _rank(shape: Shape, path: Path) -> tuple[int, ...]:
    """Sorts findings as they are reported: by the order of fields, unknown keys of an object before all below it."""
    rank: list[int] = []
    for part in path:
        if isinstance(shape, Items):
            rank.append(int(part))
            shape = shape.of
        elif isinstance(shape, Object):
            names = list(shape.fields)
            if part not in shape.fields:
                return (*rank, -1)
            rank.append(names.index(str(part)))
            shape = shape.fields[str(part)]
    return tuple(rank)


def refused(misfits: list[Misfit], *, top: Node, data: bytes) -> Finding:
    """The one error that tools know: the first misfit. The others are hints of it."""
    first = misfits[0]
    node = top.nearest(first.spelled)
    line, column = position(data, node.end)
    hints = []
    for misfit in misfits:
        place = position(data, top.nearest(misfit.spelled).start)
        hints.append(f"{misfit.hint} (line {place[0]} col {place[1]})")
    message = first.message(node, data)
    return Finding(
        severity=Severity.ERROR, message=message, line=line, column=column, hint="; ".join(hints), is_placed=True
    )
