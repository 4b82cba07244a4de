"""Where something is: in the text by line and column, in a config by its path."""

from __future__ import annotations

import re
from dataclasses import dataclass

Path = tuple[str | int, ...]

_CAPITAL = re.compile(r"MiB|[A-Z]")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node begins; both count from 1, the column in characters."""

    line: int
    column: int


class Key(str):
    """The last part of a path that means the key itself, not the value under it."""

    __slots__ = ()


def snake(name: str) -> str:
    """The YAML name of a JSON key: ``sizeMiB`` is ``size_mib``."""
    return _CAPITAL.sub(lambda match: "_" + match[0].lower(), name)


def snake_path(path: Path) -> Path:
    """The YAML path of a JSON path where both have the same shape."""
    return tuple(snake(part) if isinstance(part, str) else part for part in path)
