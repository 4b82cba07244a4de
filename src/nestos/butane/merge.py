"""Laying what the user wrote over what sugar generated, by Ignition's rules for a parent and a child config.

The child wins. Entries of a list that have the same key become one, in the parent's position; a parent's entry whose
key the child has in another list of the same key space goes. Where every piece of the result came from is kept.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from nestos.butane.place import Path
from nestos.butane.site import Object, Run

_KEYS = {
    "files": "path",
    "directories": "path",
    "links": "path",
    "disks": "device",
    "filesystems": "device",
    "certificateAuthorities": "source",
    "merge": "source",
    "tang": "url",
}
"""The key of the entries of a list of objects; ``name`` where it is not here. Bare texts are their own key."""
_ONLY_JOINED = frozenset(("append", "options", "mountOptions", "openOptions"))
_SHARED = (
    frozenset(("files", "directories", "links")),
    frozenset(("shouldExist", "shouldNotExist")),
)
_EMPTY_MEANS_NOTHING = frozenset(("device", "name", "path"))
_EMPTY_MEANT_NOTHING = _EMPTY_MEANS_NOTHING | {"level", "target", "config", "pin"}
_BEFORE_NULLABLE = 3
"""The last version of the language in which more texts could not be left out."""


class Generated:
    """A piece of a config that sugar makes, and what in the source led to each part of it."""

    def __init__(self) -> None:
        self.config: Object = {}
        self.origins: dict[Path, Path] = {}

    def add(self, target: Path, value: Any, *, source: Path) -> Path:
        """Puts ``value`` at the end of the list at ``target``; returns its path."""
        parent: Any = self.config
        for part in target[:-1]:
            parent = parent.setdefault(part, {})
        entries = parent.setdefault(target[-1], [])
        entries.append(value)
        path = (*target, len(entries) - 1)
        self.came_from(source, path, value)
        return path

    def came_from(self, source: Path, target: Path, value: Any = None) -> None:
        """Remembers that ``target`` and everything in ``value`` was led to by ``source``."""
        self.origins[target] = source
        if isinstance(value, dict):
            for name, inner in value.items():
                self.came_from(source, (*target, name), inner)
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                self.came_from(source, (*target, index), inner)


def lay_over(run: Run, parent: Generated, child: Object) -> Object:
    """The child laid over the parent; the run's origins are those of the result from then on."""
    merger = _Merger(run, parent.origins)
    result = merger.objects(parent.config, child, (), (), ())
    run.origins = merger.origins
    run.is_merged = True
    return result


class _Merger:
    """One merge; ``origins`` are those of the result."""

    def __init__(self, run: Run, parent: dict[Path, Path]) -> None:
        self.origins: dict[Path, Path] = {}
        self._run = run
        self._parent = parent
        self._silent = _EMPTY_MEANT_NOTHING if run.level.language <= _BEFORE_NULLABLE else _EMPTY_MEANS_NOTHING
        self._of_child: set[Path] = set()

    def objects(self, parent: Object, child: Object, above: Path, below: Path, to: Path) -> Object:
        """Two objects; ``above``, ``below`` and ``to`` are their paths and that of the result."""
        result: Object = {}
        for name in dict.fromkeys((*parent, *child)):
            upper, lower, path = (*above, name), (*below, name), (*to, name)
            old, new = parent.get(name), child.get(name)
            if isinstance(old or new, list) and not isinstance(new, dict):
                entries = self._lists(name, parent, child, (upper, lower, path))
                if entries:
                    result[name] = entries
            elif name not in child:
                result[name] = self._take_parent(old, upper, path)
            elif name not in parent or not isinstance(new, dict) or not old or not new:
                result[name] = self._take_child(new, lower, path) if new != {} or not old else old
            else:
                result[name] = self.objects(old or {}, new, upper, lower, path)
                self._note_both(upper, lower, path)
        return result

    def _lists(self, name: str, parent: Object, child: Object, paths: tuple[Path, Path, Path]) -> list[Any]:
        upper, lower, to = paths
        old, new = parent.get(name) or [], child.get(name) or []
        if name in _ONLY_JOINED:
            result = [self._take_parent(item, (*upper, index), (*to, index)) for index, item in enumerate(old)]
            for index, item in enumerate(new):
                result.append(self._take_child(item, (*lower, index), (*to, len(old) + index)))
        else:
            result = self._keyed(name, old, new, _elsewhere(name, child), paths)
        if old:
            self._note_parent(upper, to)
        if new:
            self._note_child(lower, to)
        return result

    def _keyed(
        self,
        name: str,
        old: list[Any],
        new: list[Any],
        elsewhere: set[str],
        paths: tuple[Path, Path, Path],
    ) -> list[Any]:
        upper, lower, to = paths
        result: list[Any] = []
        places = {_key(name, item): index for index, item in enumerate(new)}
        for index, item in enumerate(old):
            key, path = _key(name, item), (*to, len(result))
            if key in places:
                match = places[key]
                above, below = (*upper, index), (*lower, match)
                if isinstance(item, dict):
                    if name == "httpHeaders" and "value" not in new[match]:
                        continue
                    result.append(self.objects(item, new[match], above, below, path))
                    self._note_both(above, below, path)
                else:
                    result.append(self._take_child(new[match], below, path))
            elif key not in elsewhere:
                result.append(self._take_parent(item, (*upper, index), path))
        known = {_key(name, item) for item in old}
        for index, item in enumerate(new):
            if _key(name, item) not in known:
                result.append(self._take_child(item, (*lower, index), (*to, len(result))))
        return result

    def _take_parent(self, value: Any, source: Path, to: Path) -> Any:
        for below in _paths(value, self._silent):
            self._note_parent((*source, *below), (*to, *below))
        return value

    def _take_child(self, value: Any, source: Path, to: Path) -> Any:
        for below in _paths(value, self._silent):
            self._note_child((*source, *below), (*to, *below))
        return value

    def _note_both(self, upper: Path, lower: Path, to: Path) -> None:
        self._note_parent(upper, to)
        self._note_child(lower, to)

    def _note_parent(self, source: Path, to: Path) -> None:
        if source in self._parent and to not in self._of_child:
            self.origins[to] = self._parent[source]

    def _note_child(self, source: Path, to: Path) -> None:
        self.origins[to] = self._run.origin(source)
        self._of_child.add(to)


def _key(name: str, item: Any) -> str:
    if not isinstance(item, dict):
        return str(item)
    if name == "partitions":
        return f"number:{item['number']}" if item.get("number") else f"label:{item.get('label', '')}"
    return str(item.get(_KEYS.get(name, "name"), ""))


def _elsewhere(name: str, child: Object) -> set[str]:
    """The keys that the child has in the other lists of the same key space."""
    group = next((group for group in _SHARED if name in group), frozenset[str]())
    return {_key(other, item) for other in group if other != name for item in child.get(other, [])}


def _paths(value: Any, silent: Set[str]) -> list[Path]:
    """The paths of everything that is said in ``value``, itself included unless nothing is.

    An empty text says nothing in a list, nor under the keys in ``silent``.
    """
    if not isinstance(value, (dict, list)):
        return [()]
    found: list[Path] = []
    for part, below in value.items() if isinstance(value, dict) else enumerate(value):
        if below != "" or (isinstance(part, str) and part not in silent):
            found += [(part, *path) for path in _paths(below, silent)]
    return [*found, ()] if found else []
