"""Runs scenarios: two at a time, with progress, logs, a result for programs and a last line for people."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from nestos.base import durable
from nestos.base.clock import Clock, SystemClock
from nestos.base.errors import NestosError
from nestos.base.log import Progress
from nestos.lab.scenario import Equipment, Lab, Scenario

AT_ONCE = 2
"""Two machines of two cores each: a third makes all of them miss their deadlines on two cores without KVM."""

_PATIENCE = 5.0  # a scenario that takes longer than this many times what it declares is ended
_TICK_SECONDS = 1.0
_LINES_SHOWN = 40


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of one scenario: ``passed``, ``failed`` or ``skipped``."""

    name: str
    outcome: str
    seconds: float = 0.0
    error: str = ""
    folder: str = ""
    steps: list[dict[str, Any]] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of a run."""

    results: tuple[Result, ...]

    def count(self, outcome: str) -> int:
        """How many scenarios ended so."""
        return sum(1 for result in self.results if result.outcome == outcome)

    @property
    def has_passed(self) -> bool:
        """True if nothing failed; a scenario left out for want of time is no failure."""
        return self.count("failed") == 0

    @property
    def by_name(self) -> dict[str, str]:
        """The outcome of each scenario, as ``nestos parity`` records them."""
        return {result.name: result.outcome for result in self.results}

    @property
    def last_line(self) -> str:
        """The line that ends a run's output."""
        return f"{self.count('passed')} passed, {self.count('failed')} failed"


def run_scenarios(
    selection: Sequence[Scenario],
    *,
    equipment: Equipment,
    logs: Path,
    stream: TextIO,
    budget_minutes: float | None = None,
    limit_minutes: float | None = None,
    at_once: int = AT_ONCE,
    clock: Clock | None = None,
) -> Outcome:
    """Runs the scenarios, longest first, and returns what came of them.

    The images of all are made before: a compose beside an emulated machine would take it the time that its limits
    count on. Each keeps its logs in a folder below ``logs/<time of the run>``, beside ``results.json``. A scenario that
    would not end within ``budget_minutes``, by its own estimate and the pace of those before it, is skipped. One that
    still runs after ``limit_minutes`` is ended and counts as skipped too. The last line written to ``stream`` counts
    those that passed and failed.
    """
    folder = logs / datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    folder.mkdir(parents=True, exist_ok=True)
    progress = Progress(stream)
    progress.say(f"{len(selection)} scenarios, {at_once} at a time, {equipment.accelerator.name}; logs: {folder}")
    clock = clock or SystemClock()
    run = _Run(
        equipment=equipment,
        folder=folder,
        progress=progress,
        budget_minutes=budget_minutes,
        limit_minutes=limit_minutes,
        clock=clock,
        began=clock.monotonic(),
    )
    waiting = run.prepare(sorted(selection, key=lambda item: -item.minutes))
    with ThreadPoolExecutor(max_workers=at_once) as pool:
        try:
            while waiting or run.active:
                while waiting and len(run.active) < at_once:
                    run.begin(waiting.pop(0), pool)
                run.tend()
        finally:  # an interruption ends what runs, so that the pool can close
            for attempt in run.active:
                attempt.work.lab.interrupt()
    outcome = Outcome(results=tuple(run.results))
    durable.write_text(folder / "results.json", _document(outcome, equipment) + "\n")
    _tell(outcome, stream)
    return outcome


@dataclass(kw_only=True)
class _Work:
    """A scenario in a thread of its own, with its bench. ``ended``: the moment of its end, after it."""

    scenario: Scenario
    lab: Lab
    clock: Clock
    ended: float = 0.0

    def __call__(self) -> None:
        """Puts the machines through it, and ends them, however it ends."""
        try:
            self.scenario.function(self.lab)
        finally:
            self.ended = self.clock.monotonic()
            self.lab.close()


@dataclass(kw_only=True)
class _Attempt:
    work: _Work
    future: Future[None]
    began: float
    is_out_of_time: bool = False
    """Ended because the whole run took too long."""


@dataclass
class _Run:
    """The moving state of a run. Only the thread that runs it touches it; scenarios have threads of their own."""

    equipment: Equipment
    folder: Path
    progress: Progress
    budget_minutes: float | None
    limit_minutes: float | None
    clock: Clock
    began: float
    active: list[_Attempt] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    images: dict[str, dict[str, Path]] = field(default_factory=dict)
    """Of each scenario, those that it needs."""
    printing: threading.Lock = field(default_factory=threading.Lock)
    declared_seconds: float = 0.0
    """What the scenarios that ended had declared together."""

    @property
    def pace(self) -> float:
        """How many times as long as declared the scenarios take on this machine, today; at least 1."""
        taken = sum(result.seconds for result in self.results)
        return max(1.0, taken / self.declared_seconds) if self.declared_seconds else 1.0

    def prepare(self, selection: Sequence[Scenario]) -> list[Scenario]:
        """Makes every image; returns the scenarios that have all of theirs, and records why the others have not."""
        able = []
        for item in selection:
            if not self._fits(item):
                continue
            try:
                self.images[item.name] = {name: self.equipment.images.get(name) for name in item.needs}
            except NestosError as error:
                self.say(f"{item.name}: FAILED: its images cannot be made: {error}")
                self.results.append(Result(name=item.name, outcome="failed", error=str(error)))
            else:
                able.append(item)
        return able

    def begin(self, item: Scenario, pool: ThreadPoolExecutor) -> None:
        """Starts a scenario, or records why not."""
        if not self._fits(item):
            return
        folder = self.folder / item.name
        folder.mkdir()
        lab = Lab(
            name=item.name,
            folder=folder,
            equipment=self.equipment,
            say=lambda text: self.say(f"{item.name}: {text}"),
            images=self.images[item.name],
        )
        self.say(f"{item.name}: start, about {item.minutes:g} min: {item.summary}")
        began = self.clock.monotonic()
        work = _Work(scenario=item, lab=lab, clock=self.clock)
        self.active.append(_Attempt(work=work, future=pool.submit(work), began=began))

    def _fits(self, item: Scenario) -> bool:
        """Whether there is time for it; records that it is skipped where there is none."""
        gone, wanted = self._minutes, item.minutes * self.pace
        if self.budget_minutes is None or gone + wanted <= self.budget_minutes:
            return True
        self.say(f"{item.name}: skipped: about {wanted:.0f} min, and {self.budget_minutes - gone:.0f} are left")
        self.results.append(Result(name=item.name, outcome="skipped", error="no time left"))
        return False

    def tend(self) -> None:
        """Waits a moment, ends what is overdue, and takes the results of what has ended."""
        wait([attempt.future for attempt in self.active], timeout=_TICK_SECONDS, return_when=FIRST_COMPLETED)
        for attempt in list(self.active):
            seconds = self.clock.monotonic() - attempt.began
            if attempt.future.done():
                self.active.remove(attempt)
                self.results.append(self._ended(attempt))
                self.declared_seconds += attempt.work.scenario.minutes * 60
            elif attempt.work.lab.is_interrupted:
                continue
            elif self.limit_minutes is not None and self._minutes > self.limit_minutes:
                self.say(f"{attempt.work.scenario.name}: ended, the time for the whole run is over")
                attempt.is_out_of_time = True
                attempt.work.lab.interrupt()
            elif seconds > attempt.work.scenario.minutes * 60 * _PATIENCE:
                self.say(f"{attempt.work.scenario.name}: ended, far over its time")
                attempt.work.lab.interrupt()

    @property
    def _minutes(self) -> float:
        return (self.clock.monotonic() - self.began) / 60

    def say(self, text: str) -> None:
        """One line, whole."""
        with self.printing:
            self.progress.say(text)

    def _ended(self, attempt: _Attempt) -> Result:
        name, lab = attempt.work.scenario.name, attempt.work.lab
        seconds = round(attempt.work.ended - attempt.began, 1)
        error = attempt.future.exception()
        if error is not None and attempt.is_out_of_time:
            return Result(name=name, outcome="skipped", seconds=seconds, error="no time left")
        how = "FAILED" if error else "passed"
        self.say(f"{name}: {how} in {seconds:.1f}s{_last_line(error)}")
        return Result(
            name=name,
            outcome="failed" if error else "passed",
            seconds=seconds,
            error=_explain(error, lab) if error else "",
            folder=str(lab.folder),
            steps=[asdict(step) for step in lab.steps],
            facts=lab.facts,
        )


def _last_line(error: BaseException | None) -> str:
    """An error in a line; whole, with the machines' last words, it comes at the end of the run."""
    lines = str(error).strip().splitlines() if error is not None else []
    return f": {lines[-1]}" if lines else ""


def _explain(error: BaseException, lab: Lab) -> str:
    """What failed, in which step, and what each machine showed last."""
    if isinstance(error, NestosError):
        lines = [str(error)]
    else:
        lines = ["".join(traceback.format_exception(error)).rstrip()]
    if lab.steps:
        lines.append(f"in the step: {lab.steps[-1].name}")
    for machine in lab.machines:
        tail = machine.console.tail(lines=_LINES_SHOWN)
        lines += [f"--- the last lines of the console of {machine.spec.name} ({machine.serial_log}):", tail]
    return "\n".join(lines)


def _document(outcome: Outcome, equipment: Equipment) -> str:
    accelerator = {"name": equipment.accelerator.name, "why": equipment.accelerator.why}
    results = [asdict(result) for result in outcome.results]
    return json.dumps({"accelerator": accelerator, "scenarios": results}, indent=1, default=str)


def _tell(outcome: Outcome, stream: TextIO) -> None:
    for result in outcome.results:
        if result.outcome == "failed":
            print(f"\nFAILED {result.name}: {result.error}\nlogs: {result.folder}", file=stream)
    skipped = [result.name for result in outcome.results if result.outcome == "skipped"]
    if skipped:
        print(f"\nnot run, for want of time: {', '.join(skipped)}", file=stream)
    print(outcome.last_line, file=stream, flush=True)
