"""The two walks over what was written before it is translated: for unknown keys, and for what the rules say."""

from __future__ import annotations

from typing import Any

from nestos.base.report import Finding, Severity, nearest
from nestos.butane.document import Node, NodeKind, find
from nestos.butane.place import Key, Path
from nestos.butane.schema import Field, ListOf, Table
from nestos.butane.site import Check, Object, Run


def find_unused(run: Run, table: Table, values: Object, root: Node) -> None:
    """Warns of every key that the table does not know. Below an alias nothing can be seen, which is a warning too."""
    _find_unused(run, table, values, root, ())


def apply_rules(run: Run, table: Table, values: Object, path: Path = ()) -> None:
    """Runs the rules of ``table`` and of every table in it, outer ones first, whether or not they were written."""
    if table.rule is not None:
        table.rule(Check(run=run, source=path, values=values))
    for item in table.fields:
        if item.refused and item.yaml in values:
            run.add(Severity.ERROR, item.refused, (*path, item.yaml))
    for item in table.known(run.level.language):
        for inner, value, below in _tables_in(item, values, path, run.level.language):
            apply_rules(run, inner, value, below)


def _tables_in(item: Field, values: Object, path: Path, language: int) -> list[tuple[Table, Any, Path]]:
    below = (*path, item.yaml)
    if isinstance(item.kind, Table):
        if item.yaml not in values and language <= item.kind.kept_until:
            return []
        return [(item.kind, values.get(item.yaml, {}), below)]
    if isinstance(item.kind, ListOf) and isinstance(item.kind.item, Table):
        inner = item.kind.item
        return [(inner, value, (*below, index)) for index, value in enumerate(values.get(item.yaml, []))]
    return []


def _find_unused(run: Run, table: Table, values: Object, root: Node, path: Path) -> None:
    language = run.level.language
    node = find(root, path)
    if node is not None and node.kind is not NodeKind.MAPPING:
        where = ".".join(["$", *map(str, path)])
        run.report.warning(
            f"context tree does not match content tree at {where}. Line and column reporting may be inconsistent. "
            "Unused keys may not be reported",
            *path,
        )
    elif node is not None:
        known = {item.yaml for item in table.known(language)}
        names = dict.fromkeys(key.value for key, _ in node.pairs())
        for name in names:
            if name not in known:
                _warn_unused(run, table, name, path)
    for item in table.known(language):
        for inner, value, below in _tables_in(item, values, path, language):
            _find_unused(run, inner, value, root, below)


def _warn_unused(run: Run, table: Table, name: str, path: Path) -> None:
    level = run.level
    later = next((item for item in table.fields if item.yaml == name), None)
    if later is not None and later.since in level.known_from:
        hint = f"it is known from version {level.known_from[later.since]} on"
    elif later is not None:
        hint = "a later version of the language knows it"
    else:
        hint = nearest(name, [item.yaml for item in table.known(level.language)]).strip(" ()")
    run.report.findings.append(
        Finding(
            severity=Severity.WARNING,
            message=f"unused key {name}",
            path=(*path, Key(name)),
            hint=hint,
        )
    )
