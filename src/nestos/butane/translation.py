"""From the text of a config to an Ignition config and a report: the public entry of this package.

The order is the original's: the document, unknown keys, rules of the source, translation, what the variant refuses,
and last what Ignition itself says about the result. Each step ends the run if it found an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path as FilePath
from typing import Any

from nestos.base.errors import InputError
from nestos.base.report import Finding, Report
from nestos.butane import document, machine_config
from nestos.butane.checks import apply_rules, find_unused
from nestos.butane.decode import decode
from nestos.butane.document import DocumentError, Node
from nestos.butane.local_files import LocalFiles
from nestos.butane.mounts import add_mount_units
from nestos.butane.place import Path, snake_path
from nestos.butane.quadlets import add_quadlets
from nestos.butane.refusals import find_refused
from nestos.butane.schema import Scalar, Table, key
from nestos.butane.site import Inspect, Level, Object, Run
from nestos.butane.trees import add_trees
from nestos.butane.variants import VARIANTS, Variant, Version
from nestos.butane.walk import translate_object

Validate = Callable[[dict[str, Any]], Iterable[Finding]]

NO_VARIANT = "error parsing variant; must be specified"
BAD_VERSION = "error parsing version; must be a valid semver"
INVALID_SOURCE = "source config is invalid"
INVALID_RESULT = "config generated was invalid"
TOO_DEEP = "configs include each other, or too deeply"
STRICT = "the config produced warnings and strict was asked for"

_REMOVED = {
    ("rhcos", "0.1.0"): "rhcos variant has been removed; use openshift variant instead: "
    "https://coreos.github.io/butane/upgrading-openshift/"
}
"""Variants that once were, each with the sentence that says what to do."""
_HEADER = Table(
    name="commonFields",
    owner="config",
    fields=(key("version", Scalar.TEXT), key("variant", Scalar.TEXT)),
)
_HEADER_LEVEL = Level(language=1, ignition="", types={"config": "config"})
_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)(-[0-9A-Za-z.-]*)?(\+[0-9A-Za-z.-]*)?")
_DEEPEST_INCLUDE = 8
_BASE_STEPS = (add_mount_units, add_trees, add_quadlets)


@dataclass(frozen=True, kw_only=True)
class Translation:
    """What came of a config. ``config`` is None if it must not be used; the report and ``problem`` then say why."""

    config: dict[str, Any] | None
    report: Report = field(default_factory=Report)
    problem: str = ""
    """Why there is no config, in a sentence; the findings have the details, if there are any."""
    hint: str = ""
    """What could be written instead, where that is known."""
    is_wrapped: bool = False
    """Whether ``config`` is a MachineConfig with the Ignition config in it."""

    def require(self) -> dict[str, Any]:
        """The Ignition config. Raises ``InputError`` with all findings if there is none."""
        if self.config is None:
            sentence = f"the Butane config cannot be used: {self.problem}"
            raise InputError(f"{sentence}\n{self.report}".strip(), kind="butane", hint=self.hint)
        return self.config


class _RefusedError(Exception):
    """The config is of no use; the text says why."""

    def __init__(self, problem: str, hint: str = "") -> None:
        super().__init__(problem)
        self.hint = hint


def translate(
    text: str | bytes,
    *,
    files_dir: FilePath | None = None,
    strict: bool = False,
    raw: bool = False,
    source: str = "",
    validate: Validate | None = None,
    inspect: Inspect | None = None,
) -> Translation:
    """Translates a Butane config to an Ignition config, a dict ready for ``json.dumps``.

    ``files_dir`` is the folder that ``local`` names are relative to; None allows none. ``strict`` refuses a config
    with warnings. ``raw`` never wraps in a MachineConfig. ``source`` names the document in findings; empty leaves it
    out, as the original does. ``validate`` gets the finished Ignition config, ``inspect`` the text of one that is
    written in the source; paths of findings about the result are led back to the YAML. They are passed in because
    this package and the Ignition specification do not know each other.

    Never raises for what is in the text: every text ends in a report.
    """
    data = text.encode(errors="surrogatepass") if isinstance(text, str) else text
    options = _Options(files_dir=files_dir, raw=raw, source=source, validate=validate, inspect=inspect)
    outcome = _outcome(data, options)
    if outcome.config is not None and strict and len(outcome.report):
        return replace(outcome, config=None, problem=STRICT)
    return outcome


@dataclass(frozen=True, kw_only=True)
class _Options:
    """What ``translate`` was asked for; ``depth`` counts the configs that include this one."""

    files_dir: FilePath | None
    raw: bool
    source: str
    validate: Validate | None
    inspect: Inspect | None
    depth: int = 0


def _outcome(data: bytes, options: _Options) -> Translation:
    run = Run(level=_HEADER_LEVEL, files=LocalFiles(options.files_dir), inspect=options.inspect)
    root: Node | None = None
    config: dict[str, Any] | None = None
    problem, hint, is_wrapped = "", "", False
    try:
        root = _read(data)
        variant, name = _choose(root)
        version = variant.versions[name]
        is_wrapped = version.operator is not None and not options.raw
        run.level = variant.level(name)
        run.include = partial(_include, options) if version.includes else None
        assert root is not None
        config = _translate(run, root, version, is_wrapped=is_wrapped, validate=options.validate)
    except _RefusedError as refusal:
        problem, hint = str(refusal), refusal.hint
    report = _placed(run.report, root, options.source)
    return Translation(config=config, report=report, problem=problem, hint=hint, is_wrapped=is_wrapped)


def _include(options: _Options, data: bytes) -> tuple[Object | None, Report, str]:
    if options.depth == _DEEPEST_INCLUDE:
        return None, Report(), TOO_DEEP
    outcome = _outcome(data, replace(options, raw=True, source="", depth=options.depth + 1))
    return outcome.config, outcome.report, outcome.problem


def _read(data: bytes) -> Node | None:
    try:
        return document.parse(data)
    except DocumentError as error:
        raise _RefusedError(f"Error unmarshaling yaml: {error}") from error


def _choose(root: Node | None) -> tuple[Variant, str]:
    """The variant and version that the config is written in."""
    try:
        header = {} if root is None else decode(root, _HEADER, _HEADER_LEVEL)
    except DocumentError as error:
        raise _RefusedError(f"Error unmarshaling yaml: {error}") from error
    name = header.get("variant", "")
    if not name:
        raise _RefusedError(NO_VARIANT, f"known are {', '.join(VARIANTS)}")
    variant = VARIANTS.get(name)
    known = f"known are {', '.join(variant.versions if variant is not None else VARIANTS)}"
    match = _VERSION.fullmatch(header.get("version", ""))
    if match is None:
        raise _RefusedError(BAD_VERSION, known)
    suffixes = [part for part in match.groups("")[3:] if len(part) > 1]
    version = ".".join(str(int(part)) for part in match.groups()[:3]) + "".join(suffixes)
    if (name, version) in _REMOVED:
        raise _RefusedError(_REMOVED[name, version])
    if variant is None or version not in variant.versions:
        raise _RefusedError(f"No translator exists for variant {name} with version {version}", known)
    return variant, version


def _translate(
    run: Run, root: Node, version: Version, *, is_wrapped: bool, validate: Validate | None
) -> dict[str, Any]:
    table = version.table
    try:
        values = decode(root, table, run.level)
    except DocumentError as error:
        raise _RefusedError(str(error)) from error
    find_unused(run, table, values, root)
    apply_rules(run, table, values)
    _stop_if(run.report.is_fatal, INVALID_SOURCE)
    config = _base(run, table, values)
    _stop_if(run.report.is_fatal, INVALID_SOURCE)
    result, places = _finished(run, version, values, config, is_wrapped=is_wrapped)
    _stop_if(run.report.is_fatal, INVALID_SOURCE)
    if is_wrapped or version.operator is None:
        refused = find_refused(result, version.refused, zero_is_fine=version.zero_is_fine)
        run.add_translated(refused, places=places)
        _stop_if(run.report.is_fatal, INVALID_SOURCE)
    ignition = result["spec"]["config"] if is_wrapped else result
    prefix = machine_config.SPEC if is_wrapped else ()
    if is_wrapped:
        run.add_translated(machine_config.find_duplicates(result), places=places)
    found = validate(ignition) if validate is not None else ()
    run.add_translated((replace(item, path=(*prefix, *item.path)) for item in found), places=places)
    _stop_if(run.report.is_fatal, INVALID_RESULT)
    return result if is_wrapped else {"ignition": result["ignition"], **dict(sorted(result.items()))}


def _base(run: Run, table: Table, values: Object) -> Object:
    """What all variants make of the config."""
    out = translate_object(run, table, values)
    out["ignition"] = {"version": run.level.ignition, **out.get("ignition", {})}
    config = {"ignition": out.pop("ignition"), **out}
    run.origins[("ignition", "version")] = ("version",)
    for step in _BASE_STEPS:
        config = step(run, values, config)
    return config


def _finished(
    run: Run, version: Version, values: Object, config: Object, *, is_wrapped: bool
) -> tuple[Object, Callable[[Path], Path]]:
    """The result of the variant, and the way from its paths to those of the source."""
    for step in version.steps:
        config = step(run, values, config)
    odd = version.judge(config) if version.judge is not None else []
    for step in version.last_steps:
        config = step(run, values, config)
    if version.operator is None:
        run.add_translated(odd, places=run.origin)
        return config, run.origin
    config = machine_config.adapt(run, version.operator, values, config)
    wrapped = machine_config.wrap(values, config)
    places = _Wrapped(run, values, config)
    unsupported = machine_config.find_unsupported(version.operator, config)
    # The original looks for these paths before or behind the config was wrapped: they are not led back.
    run.add_translated(odd, places=snake_path if is_wrapped else run.origin)
    run.add_translated(unsupported, places=places if is_wrapped else snake_path)
    if is_wrapped:
        return wrapped, places
    machine_config.warn_of_elided(run, values)
    return config, run.origin


@dataclass(frozen=True)
class _Wrapped:
    """The way from the paths of a MachineConfig to those of the source."""

    run: Run
    values: Object
    config: Object

    def __call__(self, target: Path) -> Path:
        inner = target[len(machine_config.SPEC) :]
        if target[: len(machine_config.SPEC)] != machine_config.SPEC:
            return machine_config.source_of(target)
        if inner in self.run.origins:
            return self.run.origins[inner]
        return snake_path(inner if not inner or self._came_one_to_one(inner) else target)

    def _came_one_to_one(self, inner: Path) -> bool:
        """Whether the original keeps track of a part that no merge saw: all that was written, but empty objects."""
        if self.run.is_merged:
            return False
        written = _at(self.values, snake_path(inner))
        return written not in (None, {}) or _at(self.config, inner) not in (None, {}) or inner[-1] == "url"


def _at(config: Any, path: Path) -> Any:
    value = config
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def _stop_if(condition: bool, problem: str) -> None:
    if condition:
        raise _RefusedError(problem)


def _placed(report: Report, root: Node | None, source: str) -> Report:
    """The report with line and column of every finding."""
    placed = Report()
    for item in report:
        if root is None:
            placed.findings.append(replace(item, source=source))
            continue
        place = document.nearest_place(root, item.path)
        placed.findings.append(replace(item, line=place.line, column=place.column, source=source))
    return placed
