"""What Ignition's specification says about a config that ``butane`` makes, or that a Butane config has in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from nestos.base.report import Finding, Report, Severity
from nestos.butane.resources import UNKNOWN_IGNITION
from nestos.ignition.spec.jsontext import JsonError, decode, tree
from nestos.ignition.spec.reading import Reader, refused
from nestos.ignition.spec.schema import Place, check, check_duplicates
from nestos.ignition.spec.versions import canonical, find

NO_CONFIG = "config is not valid"
NO_VERSION = "invalid config version (couldn't parse)"


def validate(config: dict[str, Any]) -> Report:
    """The findings of the version that ``config`` is of: duplicates first, then what each object must be."""
    report = Report()
    version = find(config["ignition"]["version"])
    if version is not None:
        place = Place(path=(), report=report, traits=version.traits)
        check_duplicates(version.config, config, place)
        check(version.config, config, place)
    return report


def inspect(data: bytes, wanted: str) -> tuple[Iterable[Finding], str]:
    """The findings about a config in the text, which must be of the version ``wanted``, and why it is none at all."""
    version = find(wanted)
    if version is None:
        return (), UNKNOWN_IGNITION
    try:
        raw = decode(data)
    except JsonError as error:
        return [Finding(severity=Severity.ERROR, message=str(error))], NO_CONFIG
    reader = Reader()
    config = reader.read(version.config, raw) or {}
    if reader.misfits:
        return [refused(reader.misfits, top=tree(data), data=data)], NO_CONFIG
    claimed = canonical(config.get("ignition", {}).get("version", ""))
    if claimed is not None and claimed != wanted:
        return (), UNKNOWN_IGNITION
    report = Report()
    if claimed is None:
        report.error(NO_VERSION, "ignition", "version")
    place = Place(path=(), report=report, traits=version.traits)
    check(version.config, config, place)
    check_duplicates(version.config, config, place)
    return [*report, *reader.unused], ""
