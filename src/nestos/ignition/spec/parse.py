"""From the bytes of a config to a valid config of the newest version, or to a report of everything wrong with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, cast

from nestos.base.report import Finding, Report, Severity
from nestos.ignition.spec.jsontext import JsonError, decode, position, tree
from nestos.ignition.spec.reading import Misfit, Reader, refused
from nestos.ignition.spec.schema import TEXT, Object, Place, Value, check, check_duplicates
from nestos.ignition.spec.versions import NEWEST, NEWEST_STABLE, VERSIONS, Version, canonical, find, translated

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Config

_STUB = Object(
    name="versionStub",
    known_as="util.versionStub",
    fields={"Ignition": Object(name="", known_as="struct { Version string }", fields={"Version": TEXT})},
)
"""As much of a config as says which version it is of."""


@dataclass(frozen=True, kw_only=True)
class Parsed:
    """What came of a text. ``config`` is there unless the report is fatal; ``problem`` says why the text could not
    even be taken for a config (empty, or of no known version), and is empty otherwise."""

    config: Config | None
    report: Report
    version: str = ""
    problem: str = ""


@dataclass(frozen=True)
class _Text:
    """A config as text, for findings."""

    data: bytes
    source: str

    def refusal(self, finding: Finding) -> Parsed:
        """No config, for one reason."""
        return Parsed(config=None, report=Report([replace(finding, source=self.source)]))

    def hopeless(self, problem: str, hint: str = "") -> Parsed:
        """No config at all."""
        finding = Finding(severity=Severity.ERROR, message=problem, source=self.source, hint=hint)
        return Parsed(config=None, report=Report([finding]), problem=problem)

    def misfit(self, misfits: list[Misfit]) -> Parsed:
        """No config, for values of wrong types."""
        return self.refusal(refused(misfits, top=tree(self.data), data=self.data))

    def located(self, findings: Iterable[Finding]) -> Report:
        """The findings with the places of the values they are about."""
        findings = list(findings)
        report = Report()
        if not findings:
            return report
        top = tree(self.data)
        for finding in findings:
            self._add(report, finding, top.nearest(finding.path).place)
        return report

    def located_keys(self, findings: Iterable[Finding]) -> Report:
        """Findings about the text itself, with places: of keys that nobody reads, of null where an object should be.

        Of what comes twice only the last one counts.
        """
        findings = list(dict.fromkeys(findings))
        report = Report()
        if not findings:
            return report
        top = tree(self.data)
        for finding in findings:
            node = top.exact(finding.path)
            if finding.message.startswith("unused key"):
                above = top.exact(finding.path[:-1])
                if above is not None and finding.path[-1] in above.keys:
                    self._add(report, finding, above.keys[str(finding.path[-1])])
            elif node is not None and node.kind == "null":
                self._add(report, finding, node.place)
        return report

    def _add(self, report: Report, finding: Finding, start: int) -> None:
        line, column = position(self.data, start)
        report.findings.append(replace(finding, line=line, column=column, source=self.source))


def parse(data: bytes, *, source: str = "") -> Parsed:
    """Reads and validates a config of any known version; ``source`` names it in the findings. Never raises."""
    text = _Text(data, source)
    if not data:
        return text.hopeless("not a config (empty)")
    try:
        raw = decode(data)
    except JsonError as error:
        line, column = position(data, error.offset)
        finding = Finding(severity=Severity.ERROR, message=str(error), line=line, column=column, is_placed=True)
        return text.refusal(finding)
    stub = Reader()
    claimed = (stub.read(_STUB, raw) or {}).get("Ignition", {}).get("Version", "")
    if stub.misfits:
        return text.misfit(stub.misfits)
    known = f"known are {VERSIONS[0].name} to {NEWEST_STABLE.name}, and {NEWEST.name}"
    name = canonical(claimed)
    if name is None:
        what = f"it is {claimed!r}" if claimed else "ignition.version is missing"
        return text.hopeless("invalid config version (couldn't parse)", f"{what}; {known}")
    version = find(name)
    if version is None:
        return text.hopeless("unsupported config version", f"it is {name}; {known}")
    return _parsed(raw, version, text)


def _parsed(raw: object, version: Version, text: _Text) -> Parsed:
    reader = Reader()
    config = reader.read(version.config, raw)
    if reader.misfits:
        return text.misfit(reader.misfits)
    report = text.located([*_checked(config, version)])
    report.extend(text.located_keys(reader.unused))
    if report.is_fatal:
        return Parsed(config=None, report=report, version=version.name)
    config = translated(config, origin=version)
    return Parsed(config=cast("Config", config), report=report, version=version.name)


def validate(config: Config) -> Report:
    """The findings about a config of the newest version that did not come from a text, such as a merged one."""
    return _checked(cast(Value, config), NEWEST)


def _checked(config: Value, version: Version) -> Report:
    report = Report()
    place = Place(path=(), report=report, traits=version.traits)
    check(version.config, config, place)
    check_duplicates(version.config, config, place)
    return report
