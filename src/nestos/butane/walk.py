"""The walk from values to the Ignition config: the 1:1 part of the translation. The hooks of the tables do the rest."""

from __future__ import annotations

from typing import Any

from nestos.butane.place import Path
from nestos.butane.schema import Field, Kind, ListOf, Table
from nestos.butane.site import Object, Run, Site


def translate_object(run: Run, table: Table, values: Object, *, source: Path = (), target: Path = ()) -> Object:
    """The Ignition object that ``values`` stands for. Findings go to the run's report."""
    site = Site(run=run, source=source, target=target, values=values)
    for item in table.known(run.level.language):
        inner = values.get(item.yaml)
        below, result = (*source, item.yaml), (*target, item.json)
        if inner is None:
            if run.level.language <= item.required_until:
                site.out[item.json] = ""
            continue
        value = _value(run, item.kind, inner, below, result)
        if not item.sugar and not _is_left_out(run, item, value):
            site.out[item.json] = value
    if table.hook is not None:
        table.hook(site)
    return site.out


def _value(run: Run, kind: Kind, value: Any, source: Path, target: Path) -> Any:
    if isinstance(kind, Table):
        return translate_object(run, kind, value, source=source, target=target)
    if isinstance(kind, ListOf):
        entries = enumerate(value)
        return [_value(run, kind.item, entry, (*source, index), (*target, index)) for index, entry in entries]
    return value


def _is_left_out(run: Run, item: Field, value: Any) -> bool:
    """Empty lists and objects say nothing, nor does zero where it is the same as not written."""
    if value == {} and isinstance(item.kind, Table):
        return run.level.language > item.kind.kept_until
    return value == [] or (item.plain and not value)
