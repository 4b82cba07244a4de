"""What a translation knows while it runs, and the view of it that one table's hook gets.

``Run`` owns the findings, the place of every node and the origin of every piece of the result; ``Site`` is one
object of the source with the Ignition object made from it. Neither knows YAML nor any key by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nestos.base.report import Finding, Report, Severity
from nestos.butane.document import Place
from nestos.butane.local_files import LocalFiles

Path = tuple[str | int, ...]
Object = dict[str, Any]

_CAPITAL = re.compile(r"MiB|[A-Z]")


@dataclass(frozen=True, kw_only=True)
class Level:
    """What the version of a variant means for the base language."""

    language: int
    """Version of the base language: 1 for Butane's base 0.1 and so on; later ones only add."""
    known_from: Mapping[int, str]
    """For each language version, the first version of the variant that speaks it; for messages."""
    mounts_below: tuple[str, ...] = ()
    """Folders that may hold a mount point with a generated unit; empty for anywhere."""


@dataclass(kw_only=True)
class Run:
    """One translation under way."""

    level: Level
    files: LocalFiles
    source: str = ""
    report: Report = field(default_factory=Report)
    places: dict[Path, Place] = field(default_factory=dict)
    origins: dict[Path, Path] = field(default_factory=dict)
    mounts: list[Site] = field(default_factory=list)
    trees: list[Site] = field(default_factory=list)

    def add(self, severity: Severity, message: str, path: Path, at: Place | None = None) -> None:
        """Adds a finding at a YAML path; its place is the nearest known one unless ``at`` is given."""
        where = at or self.nearest_place(path)
        self.report.findings.append(
            Finding(
                severity=severity,
                message=message,
                path=path,
                line=where.line if where else 0,
                column=where.column if where else 0,
                source=self.source,
            )
        )

    def nearest_place(self, path: Path) -> Place | None:
        """The place of the node at ``path``, or of the closest one above it."""
        for length in range(len(path), -1, -1):
            if (found := self.places.get(path[:length])) is not None:
                return found
        return None

    def origin(self, target: Path) -> Path:
        """The YAML path that led to a path of the result."""
        for length in range(len(target), -1, -1):
            if (found := self.origins.get(target[:length])) is not None:
                rest = (snake(part) if isinstance(part, str) else part for part in target[length:])
                return (*found, *rest)
        return tuple(snake(part) if isinstance(part, str) else part for part in target)


@dataclass(kw_only=True)
class Site:
    """One object of the source. ``values`` has what was written, sugar too; ``out`` is the Ignition object."""

    run: Run
    source: Path
    target: Path
    values: Object = field(default_factory=dict)
    out: Object = field(default_factory=dict)

    def error(self, message: str, *below: str | int) -> None:
        """Adds an error at this object or at a key below it."""
        self.run.add(Severity.ERROR, message, (*self.source, *below))

    def warning(self, message: str, *below: str | int) -> None:
        """Adds a warning at this object or at a key below it."""
        self.run.add(Severity.WARNING, message, (*self.source, *below))

    def made(self, key: str, value: object, *, by: Path) -> None:
        """Sets ``key`` of the result and remembers that the source at ``by``, below this object, led to it."""
        self.out[key] = value
        self.run.origins[(*self.target, key)] = (*self.source, *by)


def snake(name: str) -> str:
    """The YAML name of a JSON key: ``sizeMiB`` is ``size_mib``."""
    return _CAPITAL.sub(lambda match: "_" + match[0].lower(), name)
