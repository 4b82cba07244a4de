"""From the text of a config to an Ignition config and a report: the public entry of this package."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from nestos.base.errors import InputError
from nestos.base.report import Finding, Report, Severity, nearest
from nestos.butane import document
from nestos.butane.document import DocumentError
from nestos.butane.local_files import LocalFiles
from nestos.butane.site import Level, Run
from nestos.butane.variants import VARIANTS, Variant
from nestos.butane.walk import Walker

Validate = Callable[[dict[str, Any]], Iterable[Finding]]

NO_VARIANT = "error parsing variant; must be specified"
BAD_VERSION = "error parsing version; must be a valid semver"
STRICT = "the config produced warnings and strict was asked for"


@dataclass(frozen=True, kw_only=True)
class Translation:
    """What came of a config. ``config`` is None if it must not be used; the report then says why."""

    config: dict[str, Any] | None
    report: Report = field(default_factory=Report)

    def require(self) -> dict[str, Any]:
        """The Ignition config. Raises ``InputError`` with all findings if there is none."""
        if self.config is None:
            sentence = "the Butane config is invalid" if self.report.is_fatal else STRICT
            raise InputError(f"{sentence}:\n{self.report}", kind="butane")
        return self.config


def translate(
    text: str,
    *,
    files_dir: Path | None = None,
    strict: bool = False,
    source: str = "",
    validate: Validate | None = None,
) -> Translation:
    """Translates a Butane config to an Ignition config, a dict ready for ``json.dumps``.

    ``files_dir`` is the folder that ``local`` names are relative to; None allows none. ``strict`` refuses a config
    with warnings. ``source`` names the document in findings; empty leaves it out, as the original does.
    ``validate`` gets the finished Ignition config; paths of its findings are led back to the YAML. It is passed in
    because this package and the Ignition specification do not know each other.

    Never raises for what is in the text: every text ends in a report.
    """
    run = Run(level=Level(language=0, known_from={}), files=LocalFiles(files_dir), source=source)
    config = _config(text, run)
    if config is not None and validate is not None and not run.report.is_fatal:
        for finding in validate(config):
            run.add(finding.severity, finding.message, run.origin(finding.path))
    refused = run.report.is_fatal or (strict and len(run.report) > 0)
    return Translation(config=None if refused else config, report=run.report)


def _config(text: str, run: Run) -> dict[str, Any] | None:
    try:
        root = document.parse(text)
        chosen = _choose(root, run)
    except DocumentError as error:
        at = document.Place(error.line, error.column) if error.line else None
        run.add(Severity.ERROR, str(error), (), at)
        return None
    if root is None or chosen is None:
        return None
    variant, version = chosen
    run.level = variant.level(version)
    out = Walker(run).root(variant.table(version), root)
    run.origins[("ignition", "version")] = ("version",)
    ignition = {"version": variant.versions[version].ignition, **out.get("ignition", {})}
    return {**out, "ignition": ignition} if "ignition" in out else {"ignition": ignition, **out}


def _choose(root: yaml.Node | None, run: Run) -> tuple[Variant, str] | None:
    """The variant and version that the config is written in."""
    if root is None or document.is_null(root):
        run.add(Severity.ERROR, NO_VARIANT, ())
        return None
    run.places[()] = document.place(root)
    header = {key: node for key, _, node in document.entries(root)}
    name, version = _word(header, "variant", run), _word(header, "version", run)
    if name is None or version is None:
        return None
    if not name:
        run.add(Severity.ERROR, NO_VARIANT, ("variant",))
        return None
    variant = VARIANTS.get(name)
    if variant is None:
        hint = nearest(name, VARIANTS)
        known = ", ".join(VARIANTS)
        run.add(Severity.ERROR, f"unknown variant {document.quoted(name)}{hint}; known: {known}", ("variant",))
        return None
    if version not in variant.versions:
        known = ", ".join(variant.versions)
        message = f"no translator exists for variant {name} with version {document.quoted(version)}; known: {known}"
        run.add(Severity.ERROR, message if _is_semver(version) else f"{BAD_VERSION}; known: {known}", ("version",))
        return None
    return variant, version


def _word(header: Mapping[str, yaml.Node], key: str, run: Run) -> str | None:
    """The text under ``key``, empty if it is not there; None, with a finding, if it is no text."""
    node = header.get(key)
    if node is None:
        return ""
    run.places[(key,)] = document.place(node)
    try:
        return "" if document.is_null(node) else document.text(node)
    except DocumentError as error:
        run.add(Severity.ERROR, str(error), (key,))
        return None


def _is_semver(version: str) -> bool:
    return re.fullmatch(r"\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?", version) is not None
