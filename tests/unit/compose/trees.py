"""Trees from dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias


@dataclass(frozen=True)
class Link:
    """A symbolic link to ``target``."""

    target: str


@dataclass(frozen=True)
class Program:
    """A file with a mode of its own."""

    mode: int = 0o755
    text: str = ""


Entry: TypeAlias = "str | Link | Program | None"
"""A text is a file, None a folder."""


def plant(root: Path, entries: Mapping[str, Entry]) -> Path:
    """Makes the entries below ``root``, over what is there, and returns it."""
    root.mkdir(parents=True, exist_ok=True)
    for name, entry in entries.items():
        place = root / name
        if entry is None:
            place.mkdir(parents=True, exist_ok=True)
            continue
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        if isinstance(entry, Link):
            place.symlink_to(entry.target)
        else:
            place.write_text(entry if isinstance(entry, str) else entry.text)
            place.chmod(0o644 if isinstance(entry, str) else entry.mode)
    return root


def picture(root: Path, folder: str = "") -> dict[str, str | None]:
    """What is below a folder: the text of each file, ``-> target`` of each link, None for an empty folder."""
    found: dict[str, str | None] = {}
    for path in sorted((root / folder).rglob("*")):
        name = str(path.relative_to(root))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file():
            found[name] = path.read_text()
        elif not any(path.iterdir()):
            found[name] = None
    return found
