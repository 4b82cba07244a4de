"""Fields of the result that a variant's system does not support."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Set
from typing import Any

from nestos.base.report import Finding, Severity
from nestos.butane.place import Path
from nestos.butane.site import Object


def find_refused(config: Object, refused: Mapping[str, str], *, zero_is_fine: Set[str] = frozenset()) -> list[Finding]:
    """An error for everything in ``config`` at one of the ``refused`` paths (names with dots, lists passed through).

    Nothing is said about what is empty, nor about a zero at the paths in ``zero_is_fine``.
    """
    return [
        Finding(severity=Severity.ERROR, message=refused[name], path=path)
        for name, path, value in _parts(config, refused)
        if value not in ([], {}) and not (name in zero_is_fine and not value)
    ]


def _parts(value: Any, names: Container[str], name: str = "", path: Path = ()) -> Iterator[tuple[str, Path, Any]]:
    """Name, path and value of everything whose name is one of ``names``."""
    if name in names:
        yield name, path, value
    elif isinstance(value, dict):
        for part in sorted(value):
            yield from _parts(value[part], names, f"{name}.{part}" if name else part, (*path, part))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _parts(item, names, name, (*path, index))
