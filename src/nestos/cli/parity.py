"""``nestos parity``: what the project promises, how far it is kept, and the test that proves it.

The promises stand in ``parity.toml`` at the root of a checkout; ``docs/parity.md`` is made from it. A row that says
"works" or "partly" names tests; they must exist and, where a results file of a test run is given, have run and
passed. Tests are found by reading the files, never by importing them. This module runs no test itself.

A results file is JSON: ``{"outcomes": {"tests/unit/test_a.py::test_b": "passed", "first-boot": "failed"}}``. Test
runners add to it with ``record``.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import re
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import InputError
from nestos.base.report import Report, nearest

RESULTS_VARIABLE = "NESTOS_TEST_RESULTS"

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_KEYS = ("id", "feature", "state", "where", "test", "note")
_HEAD = """\
# Parity

What this project promises, against its mission, the original it replaces and its peers.
Made from [`parity.toml`](../parity.toml) by `nestos parity --write`; do not edit it by hand.

A row *works* when every test it names ran and passed. *Partly* means the same for a part, and the note says what is
missing. *Planned* means that nothing is proven yet, whatever code may exist. *Not wanted* is left out on purpose.
"""


class State(StrEnum):
    """How far a promise is kept."""

    WORKS = "works"
    PARTLY = "partly"
    PLANNED = "planned"
    NOT_WANTED = "not-wanted"

    @property
    def needs_proof(self) -> bool:
        """True if a row in this state must name a test."""
        return self in (State.WORKS, State.PARTLY)


@dataclass(frozen=True, kw_only=True)
class Feature:
    """One row. ``tests`` holds pytest node ids (with ``::``) and names of scenarios (without)."""

    id: str
    feature: str
    state: State
    where: str
    tests: tuple[str, ...]
    note: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """The whole file. ``groups`` maps the title of a group to its rows, in the file's order."""

    areas: Mapping[str, str]
    groups: Mapping[str, tuple[Feature, ...]]

    def __iter__(self) -> Iterator[Feature]:
        for rows in self.groups.values():
            yield from rows


def load(text: str) -> Table:
    """Reads ``parity.toml``. Raises ``InputError`` that lists every mistake in it."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"parity.toml: {error}") from error
    areas, titles = document.pop("areas", {}), document.pop("groups", {})
    report = Report()
    for name in document:
        if name not in titles:
            report.error(f'group "{name}" has no title in [groups]{nearest(name, titles)}', name)
    seen: set[str] = set()
    groups = {
        title: tuple(
            _feature(row, areas=areas, seen=seen, report=report, place=(name, number))
            for number, row in enumerate(document.get(name, []), start=1)
        )
        for name, title in titles.items()
    }
    if report.is_fatal:
        raise InputError(f"parity.toml is wrong:\n{report}")
    return Table(areas=areas, groups=groups)


def _feature(
    row: Mapping[str, object],
    *,
    areas: Mapping[str, str],
    seen: set[str],
    report: Report,
    place: tuple[str, int],
) -> Feature:
    """The row as a value; its mistakes go to ``report``. A row with an unknown state is taken as planned."""
    for key in row.keys() - set(_KEYS):
        report.error(f'unknown key "{key}"{nearest(key, _KEYS)}', *place, key)
    identifier, feature, word, where, note = (
        str(row.get(key, "")) for key in ("id", "feature", "state", "where", "note")
    )
    tests = _names(row.get("test", ()))
    state = State(word) if word in list(State) else State.PLANNED
    if not _SLUG.fullmatch(identifier) or identifier in seen:
        report.error(f'id "{identifier}" is not a new word of small letters, digits and hyphens', *place, "id")
    seen.add(identifier)
    if not feature:
        report.error(f"{identifier} has no feature", *place, "feature")
    if word not in list(State):
        report.error(f'{identifier}: unknown state "{word}"{nearest(word, State)}', *place, "state")
    if where not in areas:
        report.error(f'{identifier}: unknown area "{where}"{nearest(where, areas)}', *place, "where")
    if state.needs_proof and not tests:
        report.error(f"{identifier} says {state} and names no test", *place, "test")
    if not state.needs_proof and tests:
        report.error(f"{identifier} says {state} and yet names a test", *place, "test")
    if state in (State.PARTLY, State.NOT_WANTED) and not note:
        report.error(f"{identifier} says {state} and has no note that says why", *place, "note")
    return Feature(id=identifier, feature=feature, state=state, where=where, tests=tests, note=note)


def _names(value: object) -> tuple[str, ...]:
    """The ``test`` key, a string or a list of strings, as a tuple."""
    names = [value] if isinstance(value, str) else list(value) if isinstance(value, (list, tuple)) else []
    return tuple(str(name) for name in names if name)


def render(table: Table) -> str:
    """``docs/parity.md`` for ``table``: a summary, then one table a group."""
    counts = {title: Counter(row.state for row in rows) for title, rows in table.groups.items()}
    lines = [_HEAD, "| | " + " | ".join(state.replace("-", " ") for state in State) + " |", "|---" * 5 + "|"]
    lines += [
        f"| {title} | " + " | ".join(str(count[state]) for state in State) + " |" for title, count in counts.items()
    ]
    for title, rows in table.groups.items():
        lines += ["", f"## {title}", "", "| id | feature | state | area | proof | note |", "|---|---|---|---|---|---|"]
        lines += [_line(row) for row in rows]
    lines += ["", "## Areas", "", *(f"- **{name}**: {meaning}" for name, meaning in table.areas.items()), ""]
    return "\n".join(lines)


def _line(row: Feature) -> str:
    proof = "<br>".join(f"`{name}`" for name in row.tests)
    cells = (row.id, row.feature, row.state.replace("-", " "), row.where, proof, row.note)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def known_tests(root: Path) -> frozenset[str]:
    """Every test in the checkout ``root``: node ids of pytest functions, and names of scenarios.

    A scenario is a function under ``tests/scenarios`` with a decorator called ``scenario``. Its name is the
    decorator's first string or its ``name=``; without either, the function's own name.
    """
    found: set[str] = set()
    for path in sorted((root / "tests").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
        relative = path.relative_to(root).as_posix()
        if path.name.startswith("test_"):
            found.update(f"{relative}::{name}" for name in _test_functions(tree.body))
        if relative.startswith("tests/scenarios/"):
            found.update(_scenarios(tree))
    return frozenset(found)


def _test_functions(body: Iterable[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
            yield node.name
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield from (f"{node.name}::{name}" for name in _test_functions(node.body))


def _scenarios(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in node.decorator_list:
            called = decorator.func if isinstance(decorator, ast.Call) else decorator
            if ast.unparse(called).rpartition(".")[2] != "scenario":
                continue
            given: list[ast.expr] = []
            if isinstance(decorator, ast.Call):
                given = [*decorator.args[:1], *(word.value for word in decorator.keywords if word.arg == "name")]
            names = [item.value for item in given if isinstance(item, ast.Constant) and isinstance(item.value, str)]
            yield names[0] if names else node.name


def unknown_tests(table: Table, *, known: Iterable[str]) -> list[str]:
    """A sentence for every test that a row names and that does not exist."""
    names = frozenset(known)
    return [
        f'{row.id} names a test that does not exist: "{name}"{nearest(name, names)}'
        for row in table
        for name in row.tests
        if name not in names
    ]


def unproven(table: Table, *, outcomes: Mapping[str, str], scenarios_ran: bool = True) -> list[str]:
    """A sentence for every named test that did not run or did not pass.

    With ``scenarios_ran`` false, a scenario or system test that is missing from ``outcomes`` or was skipped there is no
    problem: the run was a short one, or the machine too slow.
    """
    problems = []
    for row in table:
        for name in row.tests:
            outcome = outcomes.get(name, "")
            is_long = "::" not in name or name.startswith("tests/system/")
            if outcome in ("", "skipped") and not scenarios_ran and is_long:
                continue
            if outcome != "passed":
                problems.append(f'{row.id} says {row.state}, but "{name}" {outcome or "did not run"}')
    return problems


def read_outcomes(path: Path) -> dict[str, str]:
    """The outcomes in a results file. Raises ``InputError`` when it is missing or not one."""
    try:
        outcomes = json.loads(path.read_bytes())["outcomes"]
        return {str(name): str(outcome) for name, outcome in outcomes.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no results file of a test run: {error}", hint="run ./nestos test first") from error


def record(path: Path, outcomes: Mapping[str, str]) -> None:
    """Adds outcomes (``passed``, ``failed`` or ``skipped`` by test name) to the results file, making it if need be."""
    before = read_outcomes(path) if path.exists() else {}
    durable.write_text(path, json.dumps({"outcomes": before | dict(outcomes)}, indent=1, sort_keys=True) + "\n")


def check(root: Path, *, outcomes: Mapping[str, str] | None = None, scenarios_ran: bool = True) -> list[str]:
    """All problems of the checkout ``root``: names, results where given, and a document that is not current."""
    table = load((root / "parity.toml").read_text(encoding="utf-8"))
    problems = unknown_tests(table, known=known_tests(root))
    if outcomes is not None:
        problems += unproven(table, outcomes=outcomes, scenarios_ran=scenarios_ran)
    document = root / "docs" / "parity.md"
    if not document.exists() or document.read_text(encoding="utf-8") != render(table):
        problems.append("docs/parity.md is not what parity.toml says: run nestos parity --write")
    return problems


def parser() -> argparse.ArgumentParser:
    """The command line of ``nestos parity``."""
    described = argparse.ArgumentParser(
        prog="nestos parity",
        description="Show which promises are kept and by which test. Without options, print the table.",
        epilog="Example: nestos parity --check --results build/results.json",
    )
    described.add_argument("--root", type=Path, default=Path(), metavar="DIR", help="the checkout (default: here)")
    action = described.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true", help="write docs/parity.md")
    action.add_argument("--check", action="store_true", help="fail if a row is not proven or the document is old")
    described.add_argument(
        "--results",
        type=Path,
        metavar="FILE",
        default=os.environ.get(RESULTS_VARIABLE) or None,
        help=f"with --check: what the test run wrote; every named test must have passed (default: ${RESULTS_VARIABLE})",
    )
    described.add_argument(
        "--short-run", action="store_true", help="with --check: scenarios that did not run are no problem"
    )
    return described


def program(arguments: Sequence[str] | None = None) -> int:
    """Runs ``nestos parity`` and returns its exit code: 0, or 1 when the check found problems."""
    options = parser().parse_args(arguments)
    source = options.root / "parity.toml"
    if not source.exists():
        raise InputError(f"there is no {source}", hint="run this in a checkout, or give --root=DIR")
    if options.check:
        outcomes = read_outcomes(options.results) if options.results else None
        problems = check(options.root, outcomes=outcomes, scenarios_ran=not options.short_run)
        for problem in problems:
            print(problem, file=sys.stderr)
        return 1 if problems else 0
    document = render(load(source.read_text(encoding="utf-8")))
    if options.write:
        durable.write_text(options.root / "docs" / "parity.md", document)
    else:
        print(document, end="")
    return 0


if __name__ == "__main__":
    sys.exit(program())
