"""The one way from a manifest file to a ``Manifest``."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from nestos.base.errors import InputError
from nestos.base.report import Finding, Report, Severity, nearest
from nestos.wire.manifest.condition import RESERVED, Variables
from nestos.wire.manifest.fragments import collect
from nestos.wire.manifest.model import Manifest
from nestos.wire.manifest.resolve import resolve
from nestos.wire.manifest.treefile import ARCHITECTURES


def load(path: Path, *, arch: str, today: date, variables: Variables | None = None) -> tuple[Manifest | None, Report]:
    """Reads a manifest with everything it includes and names.

    Returns the manifest, or None if the report holds an error, and all findings of all files at once, each with
    file, line and column. ``variables`` override those of the files. ``today`` fills the date tag of the version.
    """
    report = Report()
    given = dict(variables or {})
    if arch not in ARCHITECTURES:
        _say(report, path, f'unknown architecture "{arch}"{nearest(arch, ARCHITECTURES)}')
    for name in RESERVED:
        if name in given:
            _say(report, path, f'the variable "{name}" defines itself and cannot be given')
    if report.is_fatal:
        return None, report
    merged = collect(path, arch=arch, variables=given, report=report)
    if merged is None:
        return None, report
    manifest = resolve(merged, arch=arch, today=today, report=report)
    report.findings[:] = [_with_source(item, path) for item in report.findings]
    return (None if report.is_fatal else manifest), report


def require(path: Path, *, arch: str, today: date, variables: Variables | None = None) -> Manifest:
    """``load`` for callers that go no further with an error: raises ``InputError`` with all findings."""
    manifest, report = load(path, arch=arch, today=today, variables=variables)
    if manifest is None:
        raise InputError(
            f"the manifest {path} has errors:\n{report}", hint="docs/manifest.md lists every key", kind="manifest"
        )
    return manifest


def _say(report: Report, path: Path, message: str) -> None:
    report.extend([Finding(severity=Severity.ERROR, message=message, source=str(path))])


def _with_source(finding: Finding, path: Path) -> Finding:
    """Findings about the whole (a missing key) belong to the main file."""
    if finding.source:
        return finding
    return Finding(severity=finding.severity, message=finding.message, path=finding.path, source=str(path))
