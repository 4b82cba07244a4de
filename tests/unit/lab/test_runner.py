from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from nestos.base.clock import SystemClock
from nestos.base.errors import InputError
from nestos.host.toolbox import Toolbox
from nestos.lab.emulator import Emulator
from nestos.lab.runner import Outcome, run_scenarios
from nestos.lab.scenario import Equipment, Lab, Scenario
from nestos.lab.spec import Accelerator, MachineSpec
from nestos.lab.ssh import Identity


class Images:
    """One image, ``disk``."""

    def get(self, name: str) -> Path:
        if name != "disk":
            raise InputError(f"no image {name}")
        return Path("/images/disk.raw")

    def emulator(self, architecture: str) -> Emulator:
        raise InputError(f"no emulator of {architecture}")


class StoodClock(SystemClock):
    """Only ``sleep`` moves it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class Bench:
    """Runs scenarios and keeps what was printed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stream = io.StringIO()
        self.equipment = Equipment(
            tools=Toolbox(folder / "tools"),
            accelerator=Accelerator(name="tcg", argument="tcg", cpu="max"),
            identity=Identity(private=folder / "id", public="ssh-ed25519 AAAA lab"),
            images=Images(),
        )

    def run(
        self,
        *scenarios: Scenario,
        budget_minutes: float | None = None,
        limit_minutes: float | None = None,
        at_once: int = 2,
        clock: StoodClock | None = None,
    ) -> Outcome:
        return run_scenarios(
            scenarios,
            equipment=self.equipment,
            logs=self.folder / "logs",
            stream=self.stream,
            budget_minutes=budget_minutes,
            limit_minutes=limit_minutes,
            at_once=at_once,
            clock=clock,
        )

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def a(name: str, function: Callable[[Lab], None], *, minutes: float = 1, needs: tuple[str, ...] = ()) -> Scenario:
    return Scenario(name=name, function=function, minutes=minutes, needs=needs)


def passes(lab: Lab) -> None:
    with lab.step("one thing"):
        lab.facts["bytes"] = 5


def fails(lab: Lab) -> None:
    machine = lab.machine(MachineSpec(name="node"))
    machine.folder.mkdir()
    machine.serial_log.write_text("".join(f"line {number}\n" for number in range(60)))
    with lab.step("the other thing"):
        lab.check(False, "the node is on slot b")


def test_the_last_line_counts(bench: Bench) -> None:
    outcome = bench.run(a("good", passes), a("bad", fails))
    assert bench.lines[-1] == "1 passed, 1 failed"
    assert outcome.by_name == {"good": "passed", "bad": "failed"}
    assert not outcome.has_passed


def test_progress_names_the_scenario_and_its_steps(bench: Bench) -> None:
    bench.run(a("good", passes))
    text = bench.stream.getvalue()
    for part in ("good: start, about 1 min", "good: one thing\n", "good: one thing: ", "good: passed in"):
        assert part in text


def test_a_failure_shows_the_step_and_the_last_lines_of_the_console(bench: Bench) -> None:
    bench.run(a("bad", fails))
    text = bench.stream.getvalue()
    assert "FAILED bad: the node is on slot b\nin the step: the other thing\n" in text
    assert "\nline 59\n" in text
    assert "\nline 20\n" in text
    assert "\nline 19\n" not in text


def test_an_assertion_is_shown_with_its_place(bench: Bench) -> None:
    def wrong(lab: Lab) -> None:
        assert lab.name == "other"

    bench.run(a("bad", wrong))
    assert "test_runner.py" in bench.stream.getvalue()
    assert "AssertionError" in bench.stream.getvalue()


def test_the_result_is_written_for_programs(bench: Bench) -> None:
    bench.run(a("good", passes))
    (path,) = bench.folder.glob("logs/*/results.json")
    document = json.loads(path.read_text())
    assert document["accelerator"]["name"] == "tcg"
    (result,) = document["scenarios"]
    assert (result["name"], result["outcome"], result["facts"]) == ("good", "passed", {"bytes": 5})
    assert [step["name"] for step in result["steps"]] == ["one thing"]
    assert (path.parent / "good").is_dir()


def test_what_does_not_fit_the_time_is_skipped_and_no_failure(bench: Bench) -> None:
    outcome = bench.run(a("long", passes, minutes=50), a("short", passes, minutes=5), budget_minutes=40)
    assert outcome.by_name == {"long": "skipped", "short": "passed"}
    assert outcome.has_passed
    assert "not run, for want of time: long" in bench.lines
    assert bench.lines[-1] == "1 passed, 0 failed"


@pytest.mark.parametrize(("budget_minutes", "outcome"), [(40, "skipped"), (46, "passed")])
def test_on_a_slow_machine_less_fits_the_time(bench: Bench, budget_minutes: float, outcome: str) -> None:
    clock = StoodClock()

    def takes_thirty_minutes(lab: Lab) -> None:
        clock.sleep(1800)

    scenarios = [a("slow", takes_thirty_minutes, minutes=10), a("next", passes, minutes=5)]
    # Five minutes would fit into forty, but at this pace they will be fifteen.
    done = bench.run(*scenarios, budget_minutes=budget_minutes, at_once=1, clock=clock)
    assert done.by_name == {"slow": "passed", "next": outcome}


def test_what_still_runs_when_the_time_is_over_is_ended_and_no_failure(bench: Bench) -> None:
    clock = StoodClock()

    def lasts(lab: Lab) -> None:
        clock.sleep(3600)
        while True:
            lab.sleep(0.01)

    outcome = bench.run(a("endless", lasts, minutes=50), limit_minutes=55, clock=clock)
    assert outcome.by_name == {"endless": "skipped"}
    assert outcome.has_passed
    assert "not run, for want of time: endless" in bench.lines


def test_an_image_that_cannot_be_made_fails_only_who_needs_it(bench: Bench) -> None:
    def uses(lab: Lab) -> None:
        assert lab.images == {"disk": Path("/images/disk.raw")}

    outcome = bench.run(a("needs-none", uses, needs=("none",)), a("needs-disk", uses, needs=("disk",)))
    assert outcome.by_name == {"needs-none": "failed", "needs-disk": "passed"}
    assert "FAILED needs-none: no image none" in bench.stream.getvalue()


def test_every_image_is_made_before_the_first_machine_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    def get(_: Images, name: str) -> Path:
        done.append(f"made {name}")
        return Path(name)

    monkeypatch.setattr(Images, "get", get)
    bench.run(a("one", lambda lab: done.append("ran"), needs=("x",)), a("two", passes, needs=("y",)), at_once=1)
    assert done == ["made x", "made y", "ran"]


def test_a_scenario_ends_its_machines_itself(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the thread that runs all of them, when it finds the time: until then they would take the others theirs."""
    threads: list[threading.Thread] = []
    monkeypatch.setattr(Lab, "close", lambda self: threads.append(threading.current_thread()))
    bench.run(a("bad", fails))
    (thread,) = threads
    assert thread is not threading.current_thread()


def test_two_run_at_a_time_and_no_more(bench: Bench) -> None:
    lock, meeting = threading.Lock(), threading.Barrier(2)
    running: list[int] = [0]
    most: list[int] = [0]

    def meets(lab: Lab) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        meeting.wait(timeout=30)
        with lock:
            running[0] -= 1

    assert bench.run(*(a(f"s{number}", meets) for number in range(4))).has_passed
    assert most == [2]


def test_one_that_takes_far_too_long_is_interrupted(bench: Bench) -> None:
    def waits(lab: Lab) -> None:
        lab.sleep(3600)

    outcome = bench.run(a("endless", waits, minutes=0.0001))
    assert outcome.by_name == {"endless": "failed"}
    assert "endless: ended, far over its time" in bench.stream.getvalue()
    assert "the scenario was interrupted" in bench.stream.getvalue()


def test_an_interruption_ends_what_runs(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    interrupted = threading.Event()
    started = threading.Event()

    def waits(lab: Lab) -> None:
        started.set()
        try:
            lab.sleep(3600)
        finally:
            interrupted.set()

    def control_c(*_: object, **__: object) -> None:
        started.wait(timeout=30)
        raise KeyboardInterrupt

    monkeypatch.setattr("nestos.lab.runner.wait", control_c)
    with pytest.raises(KeyboardInterrupt):
        bench.run(a("endless", waits))
    assert interrupted.is_set()
