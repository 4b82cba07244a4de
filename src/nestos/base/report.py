"""Findings of a validation: all of them at once, each with its place, its severity and a sentence.

Used by every parser of user input (manifest, Ignition config, Butane config, agent configuration).
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class Severity(StrEnum):
    """How bad a finding is. Only an error makes the input unusable."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing found in a document.

    ``path`` is a tuple of keys and indexes from the document's root; ``line`` and ``column`` count from 1 and
    are 0 where the place is unknown; ``source`` names the document (a file or URL) where that helps. ``hint`` is what
    the reader could do, apart from the message so that this can be a text that programs match; ``is_placed`` is for
    a place without a path, such as where the text ends.
    """

    severity: Severity
    message: str
    path: tuple[str | int, ...] = ()
    line: int = 0
    column: int = 0
    source: str = ""
    hint: str = ""
    is_placed: bool = False

    @property
    def pointer(self) -> str:
        """The path as Ignition prints it: ``$.storage.files.0.path``."""
        return ".".join(["$", *(str(part) for part in self.path)])

    def __str__(self) -> str:
        place = f"{self.source}: " if self.source else ""
        if self.is_placed:
            return f"{place}{self.severity} at line {self.line} col {self.column}: {self.message}"
        where = f", line {self.line} col {self.column}" if self.line else ""
        return f"{place}{self.severity} at {self.pointer}{where}: {self.message}"


@dataclass
class Report:
    """An ordered list of findings."""

    findings: list[Finding] = field(default_factory=list)

    def error(self, message: str, *path: str | int) -> None:
        """Adds an error at ``path``."""
        self.findings.append(Finding(severity=Severity.ERROR, message=message, path=path))

    def warning(self, message: str, *path: str | int) -> None:
        """Adds a warning at ``path``."""
        self.findings.append(Finding(severity=Severity.WARNING, message=message, path=path))

    def extend(self, findings: Iterable[Finding]) -> None:
        """Adds the findings of another report behind these."""
        self.findings.extend(findings)

    @property
    def is_fatal(self) -> bool:
        """True if any finding is an error."""
        return any(item.severity is Severity.ERROR for item in self.findings)

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    def __str__(self) -> str:
        return "\n".join(str(item) for item in self.findings)


def nearest(name: str, known: Iterable[str]) -> str:
    """A phrase that names the known word closest to ``name``, or the empty string where none is close.

    >>> nearest("pakages", ["packages", "units"])
    ' (did you mean "packages"?)'
    """
    # Loaded for the first unknown word: most documents have none, and a first boot counts milliseconds.
    matches = importlib.import_module("difflib").get_close_matches(name, list(known), n=1, cutoff=0.7)
    return f' (did you mean "{matches[0]}"?)' if matches else ""
