"""The agent's configuration files: which count, how they are merged. What they mean is ``nestos.agent.settings``.

TOML drop-ins of zincati's layout. All files are one list in the order of their names, whatever folder they lie in. Of
two with one name only the stronger folder's is read: /run, /etc, /usr/lib, in this order, and within each
``nestos/agent.d`` before ``zincati/config.d``. A link to /dev/null (or an empty file) masks. Names with a leading dot
and without ``.toml`` do not count.

A later file wins key by key; lists of tables (windows, black-outs) and the deny list grow.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nestos.base.errors import InputError
from nestos.base.paths import Root

FOLDERS = tuple(
    f"/{top}/{folder}" for top in ("usr/lib", "etc", "run") for folder in ("zincati/config.d", "nestos/agent.d")
)
"""The weakest first."""

GROWING = frozenset({("updates", "periodic", "window"), ("updates", "blackout"), ("updates", "deny")})
"""Keys whose lists are joined over files."""

Key = tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """One file as it is."""

    source: str
    content: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Value:
    """A merged value and the file that it came from last."""

    content: Any
    source: str


def files(root: Root) -> list[Path]:
    """The files that count, in the order in which they are read."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in sorted(root.join(folder).glob("*.toml")):
            if not path.name.startswith("."):
                found[path.name] = path
    return [found[name] for name in sorted(found)]


def parse(text: str, *, source: str) -> Fragment:
    """Reads one file. Raises ``InputError`` naming it where it is no TOML."""
    try:
        return Fragment(source=source, content=tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source}: {error}") from error


def read(root: Root) -> list[Fragment]:
    """All files that count. Raises ``InputError`` with every one that cannot be read."""
    fragments, problems = [], []
    for path in files(root):
        try:
            fragments.append(parse(path.read_text(encoding="utf-8"), source=str(path)))
        except (OSError, UnicodeDecodeError, InputError) as error:
            problems.append(str(error) if isinstance(error, InputError) else f"{path}: {error}")
    if problems:
        raise InputError("\n".join(problems), hint="mend the file named; the agent starts again by itself")
    return fragments


def merge(fragments: Iterable[Fragment], *, leaves: Iterable[Key]) -> dict[Key, Value]:
    """Key to the last value. ``leaves`` are the known keys: below them a table is a value, not a section."""
    known = frozenset(leaves)
    merged: dict[Key, Value] = {}
    for fragment in fragments:
        for key, content in _flat(fragment.content, known):
            earlier = merged.get(key)
            if (
                key in GROWING
                and earlier is not None
                and isinstance(content, list)
                and isinstance(earlier.content, list)
            ):
                content = [*earlier.content, *content]  # noqa: PLW2901 - what it is in the end
            merged[key] = Value(content=content, source=fragment.source)
    return merged


def _flat(table: Mapping[str, Any], known: frozenset[Key], prefix: Key = ()) -> Iterator[tuple[Key, Any]]:
    for name, content in table.items():
        key = (*prefix, name)
        if isinstance(content, dict) and key not in known:
            yield from _flat(content, known, key)
        else:
            yield key, content
