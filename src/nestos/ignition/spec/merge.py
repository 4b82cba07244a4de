"""Merging of configs of the newest version: a child into its parent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from nestos.ignition.spec.schema import Items, Object, Shape, Value
from nestos.ignition.spec.versions import NEWEST

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Config


def merged(parent: Config, child: Config) -> Config:
    """A new config: ``parent`` with everything that ``child`` says.

    Where both say something the child wins. Entries of keyed lists merge in the parent's position, new ones follow;
    other lists are joined. An entry that the child has in another list of the same key space replaces the parent's.
    """
    return cast("Config", _merged(NEWEST.config, cast(Value, parent), cast(Value, child)))


def _merged(shape: Shape, parent: Any, child: Any) -> Any:
    if isinstance(shape, Items):
        return _merged_lists(shape, parent, child)
    if isinstance(shape, Object):
        return _merged_objects(shape, parent, child)
    return child


def _merged_objects(shape: Object, parent: Value, child: Value) -> Value:
    result: Value = {}
    for name, inner in shape.fields.items():
        if name not in child:
            if name in parent:
                result[name] = parent[name]
        elif name not in parent:
            result[name] = _merged(inner, _empty(inner), child[name])
        else:
            result[name] = _merged(inner, parent[name], child[name])
    for group in shape.shared:
        _remove_moved(shape, result, child, group)
    return result


def _empty(shape: Shape) -> Any:
    return [] if isinstance(shape, Items) else {} if isinstance(shape, Object) else None


def _remove_moved(shape: Object, result: Value, child: Value, group: tuple[str, ...]) -> None:
    """Takes out of each list what the child has in another list of the group."""
    keys: dict[str, set[str]] = {}
    for name in group:
        items = shape.fields[name]
        assert isinstance(items, Items) and items.key is not None, f"{name} has no keys to share"
        keys[name] = {items.key(entry) for entry in child.get(name, [])}
    for name in group:
        items = shape.fields[name]
        assert isinstance(items, Items) and items.key is not None, f"{name} has no keys to share"
        elsewhere = set().union(*(keys[other] for other in group if other != name))
        if name in result:
            result[name] = [
                entry for entry in result[name] if items.key(entry) not in elsewhere or items.key(entry) in keys[name]
            ]


def _merged_lists(shape: Items, parent: list[Any], child: list[Any]) -> list[Any]:
    if shape.key is None:
        return [*parent, *child]
    result = list(parent)
    positions = {shape.key(entry): index for index, entry in enumerate(result)}
    for entry in child:
        key = shape.key(entry)
        if key in positions:
            result[positions[key]] = _merged(shape.of, result[positions[key]], entry)
        else:
            positions[key] = len(result)
            result.append(entry)
    if shape.removes_without:
        known = {shape.key(entry) for entry in parent}
        removed = {shape.key(entry) for entry in child if shape.removes_without not in entry} & known
        result = [entry for entry in result if shape.key(entry) not in removed]
    return result
