"""Manifests in a folder, from a mapping of names to texts, and what loading them gave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from nestos.base.report import Report, Severity
from nestos.wire.manifest import Manifest, load
from nestos.wire.manifest.condition import Variables

TODAY = date(2026, 11, 23)

LEAST = """\
ref: nestos/${basearch}/stable
repositories: {debian: {suite: trixie}}
repos: [debian]
packages: [systemd]
"""


@dataclass(frozen=True)
class Loaded:
    """What ``load`` returned."""

    manifest: Manifest | None
    report: Report

    @property
    def good(self) -> Manifest:
        """The manifest, where nothing at all was found."""
        assert not list(self.report), str(self.report)
        assert self.manifest is not None
        return self.manifest

    @property
    def errors(self) -> list[str]:
        return [item.message for item in self.report if item.severity is Severity.ERROR]

    @property
    def warnings(self) -> list[str]:
        return [item.message for item in self.report if item.severity is Severity.WARNING]


@dataclass(frozen=True)
class Book:
    """A folder of manifests; ``main.yaml`` is the one that is loaded unless told otherwise."""

    folder: Path

    def write(self, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def load(
        self,
        files: Mapping[str, str],
        *,
        main: str = "main.yaml",
        arch: str = "x86_64",
        today: date = TODAY,
        variables: Variables | None = None,
    ) -> Loaded:
        """Writes the files and loads the main one."""
        self.write(files)
        return Loaded(*load(self.folder / main, arch=arch, today=today, variables=variables))

    def with_least(self, text: str, **others: str) -> Loaded:
        """Loads the least manifest with ``text`` added; ``others`` are further files (``_`` stands for a dot)."""
        return self.load({"main.yaml": LEAST + text, **{name.replace("_", "."): body for name, body in others.items()}})
