"""From the bytes of a config to a valid config of the newest version, or to a report of everything wrong with it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

from nestos.base.report import Finding, Report, Severity
from nestos.ignition.spec.jsontext import JsonError, decode, located
from nestos.ignition.spec.model import Config
from nestos.ignition.spec.schema import Place, Value, check, check_duplicates, read
from nestos.ignition.spec.versions import NEWEST, VERSIONS, Version, find, translated


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """What came of a text. ``config`` is there unless the report is fatal; ``problem`` says why the text could not
    even be taken for a config (empty, or of no known version), and is empty otherwise."""

    config: Config | None
    report: Report
    version: str = ""
    problem: str = ""


def parse(data: bytes, *, source: str = "") -> Parsed:
    """Reads and validates a config of any known version; ``source`` names it in the findings. Never raises."""
    text = data.decode("utf-8", "replace")
    if not text.strip():
        return _hopeless("not a config (empty)", source=source)
    try:
        raw = decode(text)
    except JsonError as error:
        finding = Finding(
            severity=Severity.ERROR, message=str(error), line=error.line, column=error.column, source=source
        )
        return Parsed(config=None, report=Report([finding]))
    findings, unused = Report(), Report()
    version = _version_of(raw, findings)
    if version is None:
        problem = findings.findings[0].message
        return Parsed(config=None, report=located(findings, text=text, source=source), problem=problem)
    config = read(version.config, raw, path=(), report=findings, unused=unused)
    if not findings.is_fatal:
        findings.extend(_checked(config, version))
    report = located(findings, text=text, source=source, at_keys=unused)
    if report.is_fatal:
        return Parsed(config=None, report=report, version=version.name)
    config = translated(config, origin=version)
    return Parsed(config=cast(Config, config), report=report, version=version.name)


def validate(config: Config) -> Report:
    """The findings about a config of the newest version that did not come from a text, such as a merged one."""
    return _checked(cast(Value, config), NEWEST)


def _checked(config: Value, version: Version) -> Report:
    report = Report()
    place = Place(path=(), report=report, traits=version.traits)
    check(version.config, config, place)
    check_duplicates(version.config, config, place)
    return report


def _hopeless(problem: str, *, source: str) -> Parsed:
    finding = Finding(severity=Severity.ERROR, message=problem, source=source)
    return Parsed(config=None, report=Report([finding]), problem=problem)


def _version_of(raw: object, report: Report) -> Version | None:
    """The version that ``raw`` claims, or none with one error in ``report``."""
    known = f"known are {VERSIONS[0].name} to {NEWEST.name}"
    if not isinstance(raw, dict):
        report.error("a config must be a JSON object")
        return None
    ignition = _member(raw, "ignition")
    if not isinstance(ignition, dict):
        report.error(f"invalid config version (couldn't parse): ignition.version is missing; {known}", "ignition")
        return None
    name = _member(ignition, "version")
    if not isinstance(name, str) or not re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?", name):
        what = "missing" if name is None else f"{name!r}"
        report.error(f"invalid config version (couldn't parse): it is {what}; {known}", "ignition", "version")
        return None
    version = find(name)
    if version is None:
        report.error(f"unsupported config version {name}; {known}", "ignition", "version")
    return version


def _member(value: dict[str, object], name: str) -> object:
    """The member of that name in any case; the exact spelling wins."""
    if name in value:
        return value[name]
    return next((inner for key, inner in value.items() if key.lower() == name), None)
