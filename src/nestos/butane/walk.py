"""The walk over a document by its table: types, unknown keys, and the 1:1 part of the translation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import yaml

from nestos.base.report import Severity, nearest
from nestos.butane import document
from nestos.butane.document import DocumentError, Place
from nestos.butane.schema import Field, Kind, ListOf, Refused, Scalar, Table
from nestos.butane.site import Path, Run, Site

_MOST_NODES = 500_000  # aliases can make a short text say far more than anyone can mean

_SCALARS: dict[Scalar, Callable[[yaml.Node], str | int | bool]] = {
    Scalar.TEXT: document.text,
    Scalar.NUMBER: document.number,
    Scalar.FLAG: document.truth,
}


class TooLargeError(DocumentError):
    """The document says more than any config can need. Ends the walk."""


class Walker:
    """Translates nodes; what is wrong with them goes to the run's report and is left out of the result."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._nodes = 0

    def root(self, table: Table, node: yaml.Node) -> dict[str, Any]:
        """The Ignition object of a whole document, without its version."""
        try:
            return self._object(table, node, (), ())
        except TooLargeError as error:
            self._run.add(Severity.ERROR, str(error), ())
            return {}

    def _value(self, kind: Kind, node: yaml.Node, source: Path, target: Path) -> Any:
        """What ``node`` means as ``kind``; None for null and for what cannot be used."""
        self._nodes += 1
        if self._nodes > _MOST_NODES:
            raise TooLargeError("the document expands to too many entries")
        self._run.places[source] = document.place(node)
        self._run.origins[target] = source
        if document.is_null(node):
            return None
        match kind:
            case Scalar():
                return self._scalar(kind, node, source)
            case ListOf():
                return self._list(kind, node, source, target)
            case Table():
                return self._object(kind, node, source, target)
            case Refused():
                self._run.add(Severity.ERROR, kind.sentence, source)
                return None

    def _scalar(self, kind: Scalar, node: yaml.Node, source: Path) -> str | int | bool | None:
        try:
            return _SCALARS[kind](node)
        except DocumentError as error:
            self._fault(error, source)
            return None

    def _list(self, kind: ListOf, node: yaml.Node, source: Path, target: Path) -> list[Any]:
        try:
            nodes = document.items(node)
        except DocumentError as error:
            self._fault(error, source)
            return []
        result = []
        for index, item in enumerate(nodes):
            if document.is_null(item):
                self._run.add(Severity.ERROR, "this entry is empty", (*source, index), document.place(item))
            result.append(self._value(kind.item, item, (*source, index), (*target, index)))
        # One unusable entry makes the whole list unusable: without it the indexes of source and result would not
        # agree, and its error ends the translation anyway.
        return [] if None in result else result

    def _object(self, table: Table, node: yaml.Node, source: Path, target: Path) -> dict[str, Any]:
        self._run.places[source] = document.place(node)
        site = Site(run=self._run, source=source, target=target)
        try:
            entries = document.entries(node)
        except DocumentError as error:
            self._fault(error, source)
            return {}
        fields = {field.yaml: field for field in table.fields}
        written: dict[str, yaml.Node] = {}
        for name, key_node, value in entries:
            field = fields.get(name)
            if field is None or field.since > self._run.level.language:
                self._unused(name, field, table, (*source, name), document.place(key_node))
            else:
                written[name] = value
        for field in table.fields:  # in the table's order, so that the result does not depend on the source's
            if field.yaml in written:
                self._entry(site, field, written[field.yaml])
        if table.hook is not None:
            table.hook(site)
        return site.out

    def _entry(self, site: Site, field: Field, node: yaml.Node) -> None:
        source = (*site.source, field.yaml)
        value = self._value(field.kind, node, source, (*site.target, field.json))
        if value is None:
            return
        site.values[field.yaml] = value
        if not field.sugar and value not in ([], {}):
            site.out[field.json] = value

    def _unused(self, name: str, field: Field | None, table: Table, path: Path, at: Place) -> None:
        level = self._run.level
        if field is not None and field.since in level.known_from:
            hint = f" (it is known from version {level.known_from[field.since]} on)"
        elif field is not None:
            hint = " (a later version of the language knows it)"
        else:
            hint = nearest(name, [item.yaml for item in table.fields if item.since <= level.language])
        self._run.add(Severity.WARNING, f"unused key {name}{hint}", path, at)

    def _fault(self, error: DocumentError, path: Path) -> None:
        at = Place(error.line, error.column) if error.line else None
        self._run.add(Severity.ERROR, str(error), path, at)
