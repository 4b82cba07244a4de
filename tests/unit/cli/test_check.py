from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.cli import check, parity
from nestos.host import process
from nestos.host.process import Completed
from nestos.lab.scenario import Scenario

GATES = ["format", "lint", "types", "layers", "unit tests", "system tests"]
QUICK = "tests/system/ignition"


def nothing(context: object) -> None:
    """A scenario that is never run."""


KNOWN = [
    Scenario(name="first-boot", function=nothing, minutes=4.0, tags=frozenset({"default"})),
    Scenario(name="power-cut", function=nothing, minutes=60.0),
]


class Bench:
    """The gates' surroundings: ``broken`` gates fail, scenarios end as told."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.broken: set[str] = set()
        self.status = 1
        self.scenarios: list[tuple[list[str], float | None]] = []
        self.scenarios_pass = True
        self.parity: list[str] = []
        self.scenarios_ran: object = None
        self.system = ""

    def run(self, command: Sequence[str], /, *, environment: dict[str, str], **given: object) -> Completed:
        gates = [*check._gates(system=QUICK).items(), *check._gates(system="tests/system").items()]
        name = next(gate for gate, line in gates if line == list(command))
        self.system = command[-1]
        assert environment["NESTOS_TEST_RESULTS"].endswith("outcomes.json")
        self.ran.append(name)
        return Completed(returncode=self.status if name in self.broken else 0, stdout="", stderr="")

    def run_scenarios(self, chosen: list[Scenario], results: Path, *, limit: float | None, progress: object) -> bool:
        self.scenarios.append(([item.name for item in chosen], limit))
        return self.scenarios_pass

    def check_parity(self, root: Path, *, outcomes: object, scenarios_ran: bool) -> list[str]:
        self.scenarios_ran = scenarios_ran
        return self.parity


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    bench = Bench()
    monkeypatch.setenv("NESTOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr("nestos.lab.pace.measure", lambda: 1.0)
    monkeypatch.setattr(process, "run", bench.run)
    monkeypatch.setattr(check, "collect", lambda package: KNOWN)
    monkeypatch.setattr(check, "_scenarios_pass", bench.run_scenarios)
    monkeypatch.setattr(parity, "check", bench.check_parity)
    return bench


def handle(*words: str) -> int:
    parser = argparse.ArgumentParser(prog="nestos")
    check.register(parser.add_subparsers())
    return check.handle(parser.parse_args(["test", *words]))


# capfd: the output of a gate goes to the program's own descriptor.
Capture = pytest.CaptureFixture[str]


def test_every_gate_runs_in_turn_and_scenarios_in_the_time_that_is_left(bench: Bench, capfd: Capture) -> None:
    assert handle() == 0
    assert bench.ran == GATES
    ((names, limit),) = bench.scenarios
    assert names == ["first-boot"]
    assert limit is not None and 74 < limit < 75
    assert capfd.readouterr().out == "nestos test: every gate passed\n"


def test_a_machine_that_is_far_too_slow_runs_unit_tests_only_and_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.setattr("nestos.lab.pace.measure", lambda: 6.2)
    assert handle() == 0
    assert bench.ran == GATES[:-1]
    assert bench.scenarios == []
    assert "NOT RUN: system tests and scenarios. This machine takes 6.2 times as long" in capfd.readouterr().out
    handle("--all")
    assert bench.ran[-1] == GATES[-1]
    assert len(bench.scenarios) == 1


def test_a_gate_that_fails_does_not_stop_the_ones_behind_it(bench: Bench, capfd: Capture) -> None:
    bench.broken = {"lint", "types"}
    bench.scenarios_pass = False
    bench.parity = ["row 7 names no test"]
    assert handle() == 1
    assert bench.ran == GATES
    assert capfd.readouterr().out.splitlines() == [
        "FAILED: lint",
        "FAILED: types",
        "FAILED: scenarios",
        "FAILED: parity: row 7 names no test",
        "nestos test: failed",
    ]


def test_all_means_every_scenario_without_a_limit(bench: Bench, capfd: Capture) -> None:
    handle("--all")
    assert bench.scenarios == [(["first-boot", "power-cut"], None)]
    assert bench.scenarios_ran is True
    assert bench.system == "tests/system"


def test_without_all_only_the_quick_system_tests_run(bench: Bench) -> None:
    handle()
    assert bench.system == QUICK


def test_unit_means_no_scenario(bench: Bench, capfd: Capture) -> None:
    assert handle("--unit", "--all") == 0
    assert bench.ran == GATES
    assert bench.scenarios == []
    assert bench.scenarios_ran is False


def test_a_named_scenario_runs_alone(bench: Bench, capfd: Capture) -> None:
    assert handle("--scenario=power-*") == 0
    assert bench.ran == []
    assert [names for names, _ in bench.scenarios] == [["power-cut"]]
    assert bench.scenarios_ran is None


def test_an_unknown_scenario_is_named(bench: Bench, capfd: Capture) -> None:
    with pytest.raises(InputError, match="frist-boot"):
        handle("--scenario=frist-boot")
    assert bench.scenarios == []


def test_scenarios_are_listed_with_their_time(bench: Bench, capfd: Capture) -> None:
    assert handle("--list") == 0
    assert [line.split() for line in capfd.readouterr().out.splitlines()] == [
        ["first-boot", "4", "min", "A", "scenario", "that", "is", "never", "run."],
        ["power-cut", "60", "min", "A", "scenario", "that", "is", "never", "run."],
    ]
    assert bench.ran == []


def test_outcomes_of_an_earlier_run_do_not_count(bench: Bench, capfd: Capture, tmp_path: Path) -> None:
    old = tmp_path / "cache/results/outcomes.json"
    old.parent.mkdir(parents=True)
    old.write_text("{}")
    handle("--unit")
    assert not old.exists()


def test_unit_tests_that_left_no_outcomes_hide_no_failure(bench: Bench, capfd: Capture) -> None:
    bench.broken = {"unit tests"}
    assert handle("--unit") == 1
    assert "FAILED: unit tests" in capfd.readouterr().out


def test_system_tests_of_which_none_can_run_here_are_told_and_no_failure(bench: Bench, capfd: Capture) -> None:
    bench.broken, bench.status = {"system tests"}, 5
    assert handle("--unit") == 0
    assert "system tests: none ran" in "".join(capfd.readouterr())
    bench.broken = {"unit tests"}
    assert handle("--unit") == 1


def test_scenarios_asked_for_by_name_have_no_limit(bench: Bench) -> None:
    handle("--scenario=first-*")
    assert bench.scenarios[-1][1] is None


def test_outside_a_checkout_it_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(check, "checkout", lambda: tmp_path)
    with pytest.raises(InputError, match="checkout"):
        handle()


def test_the_gates_use_the_same_python(bench: Bench) -> None:
    assert {command[0] for command in check._gates(system="tests/system").values()} == {sys.executable}
