"""``nestos test``: every gate of the project, one after the other, each with its name and how long it took."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from pathlib import Path

from nestos.base.errors import InputError
from nestos.base.log import Progress
from nestos.cli import parity
from nestos.cli.compose import checkout
from nestos.compose import tools
from nestos.compose.workspace import Workspace
from nestos.host import process
from nestos.lab import accelerator, pace
from nestos.lab.runner import run_scenarios
from nestos.lab.scenario import ALL, Scenario, collect, select
from nestos.lab.ssh import identity

BUDGET_MINUTES = 40.0
_WHOLE_MINUTES = 75.0  # of a default run, gates and scenarios; for machines so slow that the budget's estimates mislead
_SYSTEM_QUICK = "tests/system/ignition"  # the others start servers, browsers and package managers: minutes each
_SYSTEM = "system tests"  # root's, on loop devices: where there are none, they say so and none runs
_NONE_COLLECTED = 5  # pytest's exit status
_EPILOG = """\
examples:
  nestos test                         linters, types, layers, unit tests, and the scenarios that fit in 40 minutes
  nestos test --all                   every scenario, every system test
  nestos test --unit                  without virtual machines
  nestos test --scenario=first-boot   one scenario, or a pattern of names (repeatable); --list names them
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-command."""
    parser = subparsers.add_parser(
        "test",
        help="run the tests",
        description="Run the project's gates: linters, types, layers, unit tests, scenarios in virtual machines.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--all", action="store_true", help="every scenario and system test, however long")
    parser.add_argument("--unit", action="store_true", help="no scenarios")
    parser.add_argument("--scenario", action="append", default=[], metavar="NAME", help="only these scenarios")
    parser.add_argument("--list", action="store_true", help="list the scenarios and end")
    parser.set_defaults(handler=handle)


def handle(options: argparse.Namespace) -> int:
    """Runs the gates; 0 if every one passed. A gate that fails does not stop the ones behind it."""
    if not (checkout() / "tests").is_dir():
        raise InputError("the tests are in the project's checkout, and this is not one")
    sys.path.insert(0, str(checkout()))
    known = collect("tests.scenarios")
    if options.list:
        for item in known:
            print(f"{item.name:24} {item.minutes:4.0f} min  {item.summary}")
        return 0
    began = time.monotonic()
    progress = Progress()
    results = Workspace.default().folder("results") / "outcomes.json"
    results.unlink(missing_ok=True)
    failed: list[str] = []
    is_short = not (options.all or options.scenario)
    is_slow = is_short and _says_it_is_slow()
    if not options.scenario:
        gates = _gates(system="tests/system" if options.all else _SYSTEM_QUICK)
        if is_slow:
            del gates[_SYSTEM]
        failed += [name for name, command in gates.items() if not _passes(name, command, results, progress)]
    if not (options.unit or is_slow or (is_short and _says_it_is_slow())):
        chosen = select(known, [ALL] if options.all else options.scenario)
        limit = _WHOLE_MINUTES - (time.monotonic() - began) / 60 if is_short else None
        if not _scenarios_pass(chosen, results, limit=limit, progress=progress):
            failed.append("scenarios")
    if not options.scenario:
        outcomes = parity.read_outcomes(results) if results.exists() else {}
        problems = parity.check(checkout(), outcomes=outcomes, scenarios_ran=options.all and not options.unit)
        failed += [f"parity: {problem}" for problem in problems]
    for name in failed:
        print(f"FAILED: {name}")
    print(f"nestos test: {'failed' if failed else 'every gate passed'}", flush=True)
    return 1 if failed else 0


def _says_it_is_slow() -> bool:
    """True on a machine so slow that only unit tests mean something; then it has been said what is not run."""
    slowness = pace.measure()
    if slowness <= pace.SLOWEST:
        return False
    print(f"NOT RUN: system tests and scenarios. This machine takes {slowness:.1f} times as long as usual now; behind")
    print(
        f"{pace.SLOWEST:g}, emulated guests and real servers fail on limits of their own. --all runs them all the same."
    )
    return True


def _gates(*, system: str) -> dict[str, list[str]]:
    python = sys.executable
    pytest = [python, "-m", "pytest", "-p", "tests.outcomes", "-p", "no:cacheprovider", "--quiet"]
    return {
        "format": [python, "-m", "ruff", "format", "--check", "--quiet", "."],
        "lint": [python, "-m", "ruff", "check", "--quiet", "."],
        "types": [python, "-m", "mypy"],
        "layers": [python, "-c", "from importlinter.cli import lint_imports_command as c; c()"],
        "unit tests": [*pytest],
        _SYSTEM: [*pytest, "-rs", system],
    }


def _passes(name: str, command: list[str], results: Path, progress: Progress) -> bool:
    """Runs one gate in the checkout, its output to ours. True if it ended with 0."""
    environment = {"PYTHONPATH": str(checkout() / "src"), "NESTOS_TEST_RESULTS": str(results)}
    with progress.stage(name), os.fdopen(os.dup(sys.stdout.fileno()), "wb") as output:
        sys.stdout.flush()
        done = process.run(command, cwd=checkout(), environment=environment, output=output, accepted=range(-64, 256))
        if done.returncode == _NONE_COLLECTED and name == _SYSTEM:
            progress.say(f"{name}: none ran, for the reason above")
            return True
        if done.returncode != 0:
            progress.say(f"exit status {done.returncode}")
    return done.returncode == 0


def _scenarios_pass(chosen: list[Scenario], results: Path, *, limit: float | None, progress: Progress) -> bool:
    """Runs the scenarios; with ``limit``, in minutes, those of them that fit the time."""
    images = importlib.import_module("tests.scenarios.images")
    workspace = Workspace.default()
    box = tools.ensure(workspace.home, progress=progress)
    provider = images.ScenarioImages(
        workspace,
        box=box,
        accelerator=accelerator.choose(tools=box, cache=workspace.folder("lab") / "accelerator.json"),
        identity=identity(workspace.folder("lab")),
        progress=progress,
    )
    outcome = run_scenarios(
        chosen,
        equipment=provider.equipment,
        logs=workspace.folder("scenarios"),
        stream=sys.stdout,
        budget_minutes=None if limit is None else min(BUDGET_MINUTES, limit),
        limit_minutes=limit,
    )
    parity.record(results, outcome.by_name)
    return outcome.has_passed
