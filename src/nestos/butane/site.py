"""What a translation knows while it runs, and the views of it that the rules and hooks of tables get.

``Run`` owns the findings and the origin of every piece of the result; ``Check`` is one object of the source while it
is judged, ``Site`` while it is translated. None of them knows YAML nor any key by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nestos.base.report import Finding, Report, Severity
from nestos.butane.local_files import LocalFiles
from nestos.butane.place import Path, snake_path

Object = dict[str, Any]
Inspect = Callable[[bytes, str], tuple[Iterable[Finding], str]]
"""Judges the text of an Ignition config that must be of a version: findings, and why it is none at all."""

Include = Callable[[bytes], tuple[Object | None, Report, str]]
"""Translates the text of another Butane config: the result, the findings, and why there is no result."""


@dataclass(frozen=True, kw_only=True)
class Level:
    """What the version of a variant means for the base language."""

    language: int
    """Version of the base language: 1 for Butane's base 0.1 and so on; later ones only add."""
    ignition: str
    """Version of the Ignition config that is made."""
    known_from: Mapping[int, str] = field(default_factory=dict)
    """For each language version, the first version of the variant that speaks it; for hints."""
    compresses: bool = True
    """Whether embedded contents may be compressed."""
    types: Mapping[str, str] = field(default_factory=dict)
    """What each part of the language is called where a message names a type."""


@dataclass(kw_only=True)
class Run:
    """One translation under way. Findings have paths of the source; their places are filled in at the end."""

    level: Level
    files: LocalFiles
    inspect: Inspect | None = None
    include: Include | None = None
    """For versions in which a config can name other Butane configs."""
    report: Report = field(default_factory=Report)
    origins: dict[Path, Path] = field(default_factory=dict)
    is_merged: bool = False
    """Whether ``origins`` has every part of the result: without a merge, only those that did not come 1:1."""

    def add(self, severity: Severity, message: str, path: Path) -> None:
        """Adds a finding at a YAML path."""
        self.report.findings.append(Finding(severity=severity, message=message, path=path))

    def add_translated(self, findings: Iterable[Finding], *, places: Callable[[Path], Path]) -> None:
        """Adds findings about the result, each led back to the source by ``places``."""
        for finding in findings:
            self.report.findings.append(replace(finding, path=places(finding.path)))

    def origin(self, target: Path) -> Path:
        """The YAML path that led to a path of the result."""
        return self.origins.get(target) or snake_path(target)

    def came_from(self, source: Path, target: Path, value: Any) -> None:
        """Remembers that ``value`` at ``target`` and everything in it was led to by ``source``."""
        self.origins[target] = source
        if isinstance(value, dict):
            for name, inner in value.items():
                self.came_from(source, (*target, name), inner)
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                self.came_from(source, (*target, index), inner)


@dataclass(kw_only=True)
class Check:
    """One object of the source with what was written in it, while it is judged."""

    run: Run
    source: Path
    values: Object

    @property
    def language(self) -> int:
        """The version of the base language."""
        return self.run.level.language

    def error(self, message: str, *below: str | int) -> None:
        """Adds an error at this object or at a key below it."""
        self.run.add(Severity.ERROR, message, (*self.source, *below))

    def warning(self, message: str, *below: str | int) -> None:
        """Adds a warning at this object or at a key below it."""
        self.run.add(Severity.WARNING, message, (*self.source, *below))


@dataclass(kw_only=True)
class Site(Check):
    """One object of the source while it is translated; ``out`` is the Ignition object made from it."""

    target: Path
    out: Object = field(default_factory=dict)

    def made(self, key: str, value: object, *, by: Path) -> None:
        """Sets ``key`` of the result and remembers that the source at ``by``, below this object, led to it."""
        self.out[key] = value
        self.run.origins[(*self.target, key)] = (*self.source, *by)
