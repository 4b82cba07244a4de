"""A fleet in virtual time against the server's own handlers, over a release folder that is changed meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nestos.updates import fleet as reports
from nestos.updates import model
from nestos.updates.counting import Requests
from nestos.updates.folder import Change, ReleaseFolder, Settings
from nestos.updates.guard import Guard
from nestos.updates.guardian import Guardian
from nestos.updates.http import Request
from nestos.updates.model import Build, Stream
from nestos.updates.reports import ReportHandler
from nestos.updates.service import GraphHandler, State
from nestos.wire import graph, report
from nestos.wire.report import Outcome

NODES = 1000
MANY_NODES = 10_000
CANARIES = 20
HOUR = 3600.0
SECRET = "5" * 64


def commit(version: str) -> str:
    return hashlib.sha256(version.encode()).hexdigest()


@dataclass
class FixedClock:
    """Time that moves only by hand."""

    moment: datetime = field(default_factory=lambda: datetime(2026, 11, 23, 12, tzinfo=UTC))

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def seal(published: Mapping[str, bytes], known: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"metadata/{name}": data for name, data in known.items()}


@dataclass(frozen=True, kw_only=True)
class Bad:
    """A release that does not come up on some nodes: they go back, remember it, and report."""

    version: str
    share: float
    """Of nodes on which it fails."""

    def fails_on(self, node_id: str) -> bool:
        return int(hashlib.sha256(node_id.encode()).hexdigest()[:8], 16) / 2**32 < self.share


class Fleet:
    """Nodes that ask, each in its turn, and take the newest release that they are led to."""

    def __init__(self, path: Path, *, nodes: int = NODES, canaries: int = 0, bad: Bad | None = None) -> None:
        self.clock = FixedClock()
        self.bad = bad
        self.folder = ReleaseFolder(path, clock=self.clock)
        self.folder.init(
            Settings(base_url="https://a"), metadata={"1.root.json": b"{}"}, change=Change(who="a", action="init")
        )
        self.change(lambda held: self.published(held, "1"))
        self.reports = reports.Fleet(path / "fleet.sqlite", clock=self.clock)
        self.guardian = Guardian(self.folder, self.reports, seal=seal, clock=self.clock)
        self.state = State(self.folder.public, clock=self.clock, withheld=lambda: self.guardian.withheld)
        self.alarms = 0
        self.handler = GraphHandler(
            self.state, Requests(), clock=self.clock, reports=ReportHandler(self.reports, alarm=self._alarm)
        )
        self.state.refresh()
        names = [hashlib.md5(b"%d" % number).hexdigest() for number in range(nodes)]
        self.runs = {name: ["1"] for name in names}
        self.canaries = frozenset(names[:canaries])
        self.denied: dict[str, set[str]] = {name: set() for name in names}
        self._parsed: dict[bytes, graph.Graph] = {}

    def _alarm(self) -> None:
        self.alarms += 1

    @property
    def now(self) -> int:
        return int(self.clock.now().timestamp())

    def change(self, edit: Callable[[Stream], Stream]) -> None:
        self.folder.change(Change(who="a", action="x"), seal=seal, name="stable", edit=edit)

    def published(self, held: Stream, version: str) -> Stream:
        held = model.create(held, version, {"x86_64": Build(commit=commit(version))}, now=self.now)
        return model.publish(held, version, now=self.now)

    def hand_out(self, version: str, *, hours: int) -> None:
        self.change(lambda held: self.published(held, version))
        self.change(lambda held: model.rollout(held, version, now=self.now, duration_minutes=hours * 60))

    def passes(self, hours: float) -> None:
        """Time goes by, then everybody asks. The server looks at its budgets when a node has failed, as it does."""
        self.clock.sleep(hours * HOUR)
        self.guardian.tick()
        self.state.refresh()
        for node_id, history in self.runs.items():
            self._ask(node_id, history)
            if self.alarms:
                self.alarms = 0
                if self.guardian.tick():
                    self.state.refresh()

    def _group(self, node_id: str) -> str:
        return "canary" if node_id in self.canaries else "default"

    def _ask(self, node_id: str, history: list[str]) -> None:
        query = f"basearch=x86_64&stream=stable&node_uuid={node_id}&group={self._group(node_id)}"
        answer = self.handler(Request(method="GET", path="/v1/graph", query=query, takes_gzip=False))
        body = answer.partition(b"\r\n\r\n")[2]
        if body not in self._parsed:
            self._parsed[body] = graph.parse(body, source="answer")
        seen = self._parsed[body]
        booted = [node.version for node in seen.nodes].index(history[-1])
        targets = [target for source, target in seen.edges if source == booted]
        targets = [target for target in targets if seen.nodes[target].version not in self.denied[node_id]]
        if targets:
            self._take(node_id, history, seen.nodes[max(targets)].version)

    def _take(self, node_id: str, history: list[str], version: str) -> None:
        before = history[-1]
        history.append(version)
        outcome = Outcome.UPDATED
        if self.bad is not None and self.bad.version == version and self.bad.fails_on(node_id):
            outcome = Outcome.ROLLED_BACK
            self.denied[node_id].add(version)
            history.append(before)
        told = report.Report(
            node=node_id,
            group=self._group(node_id),
            basearch="x86_64",
            stream="stable",
            before=before,
            after=version,
            outcome=outcome,
            reason="" if outcome is Outcome.UPDATED else "docker.service failed",
            time=self.clock.now(),
        )
        body = report.render(replace(report.sealed(told, secret=SECRET), secret=SECRET))
        said = self.handler(Request(method="POST", path="/v1/report", query="", takes_gzip=False, body=body))
        assert said.startswith(b"HTTP/1.1 200 ")

    def share(self, version: str) -> float:
        """Of nodes that run it now."""
        return sum(history[-1] == version for history in self.runs.values()) / len(self.runs)

    def ever(self, version: str) -> float:
        """Of nodes that ever ran it."""
        return sum(version in history for history in self.runs.values()) / len(self.runs)


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fleet]:
    monkeypatch.setattr("os.fsync", lambda _: None)
    made = Fleet(tmp_path / "releases")
    yield made
    made.reports.close()


def test_a_fleet_takes_a_release_as_fast_as_its_rollout_and_whole_in_the_end(fleet: Fleet) -> None:
    fleet.hand_out("2", hours=40)
    shares = []
    for _ in range(4):
        fleet.passes(10)
        shares.append(fleet.share("2"))

    assert shares == [pytest.approx(expected, abs=0.06) for expected in (0.25, 0.5, 0.75, 1.0)]
    assert shares[-1] == 1.0


def test_a_paused_rollout_reaches_nobody_more(fleet: Fleet) -> None:
    fleet.hand_out("2", hours=40)
    fleet.passes(10)
    reached = fleet.share("2")
    fleet.change(lambda held: model.pause(held, "2", now=fleet.now))
    fleet.passes(500)
    assert fleet.share("2") == reached

    fleet.change(lambda held: model.resume(held, "2", now=fleet.now))
    fleet.passes(30)
    assert fleet.share("2") == 1.0


def test_a_bad_release_taken_back_reaches_nobody_more_and_those_that_have_it_are_led_on(fleet: Fleet) -> None:
    fleet.hand_out("2", hours=40)
    fleet.passes(4)
    reached = fleet.ever("2")
    assert 0.04 < reached < 0.16

    fleet.change(lambda held: model.withdraw(held, "2", reason="loses the network"))
    fleet.passes(100)
    assert fleet.ever("2") == reached

    fleet.hand_out("3", hours=0)
    fleet.passes(0.1)
    assert fleet.share("3") == 1.0
    assert fleet.ever("2") == reached


def test_every_node_goes_through_a_barrier(fleet: Fleet) -> None:
    fleet.hand_out("2", hours=0)
    fleet.change(lambda held: model.barrier(held, "2", reason="keys", now=0))
    fleet.hand_out("3", hours=0)
    fleet.passes(1)
    assert fleet.share("2") == 1.0

    fleet.passes(1)
    assert {tuple(history) for history in fleet.runs.values()} == {("1", "2", "3")}


def test_nodes_on_a_dead_end_stay_there(fleet: Fleet) -> None:
    fleet.change(lambda held: model.deadend(held, "1", reason="no way on"))
    fleet.hand_out("2", hours=0)
    fleet.passes(1)

    assert fleet.share("1") == 1.0


# Guarded rollouts: how many nodes ever ran a bad release

GUARDED = Guard(canaries=("canary",), waves=(0.01, 0.1, 0.5), stage_minutes=240)


def guarded_fleet(path: Path, *, share: float, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """Nodes that ask every hour."""
    monkeypatch.setattr("os.fsync", lambda _: None)
    return Fleet(path / "releases", nodes=MANY_NODES, canaries=CANARIES, bad=Bad(version="2", share=share))


def ever_ran(fleet: Fleet, *, hours: int = 20) -> int:
    """Until two hours after the release was halted, ``hours`` at most."""
    left = hours
    while left > 0:
        fleet.passes(1)
        left -= 1
        if fleet.folder.read("stable").require("2").halted is not None:
            left = min(left, 2)
    fleet.reports.close()
    return sum("2" in history for history in fleet.runs.values())


@pytest.mark.parametrize(
    ("share", "most"),
    [
        pytest.param(1.0, CANARIES, id="fails everywhere"),
        pytest.param(0.05, 200, id="fails on one in twenty"),
    ],
)
def test_a_budget_keeps_a_bad_release_from_ten_thousand_nodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, most: int
) -> None:
    fleet = guarded_fleet(tmp_path, share=share, monkeypatch=monkeypatch)
    fleet.change(lambda held: fleet.published(held, "2"))
    fleet.change(lambda held: model.guarded_rollout(held, "2", GUARDED, now=fleet.now))

    assert 0 < ever_ran(fleet) <= most
    assert fleet.folder.read("stable").require("2").halted is not None
    line = (tmp_path / "releases/audit.jsonl").read_text().splitlines()[-1]
    assert '"who": "guard", "action": "halt", "subject": "stable 2"' in line


def test_without_a_budget_a_bad_release_reaches_every_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = guarded_fleet(tmp_path, share=1.0, monkeypatch=monkeypatch)
    fleet.hand_out("2", hours=4)

    assert ever_ran(fleet, hours=5) == MANY_NODES


def test_a_good_release_goes_through_every_stage_to_every_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fleet = guarded_fleet(tmp_path, share=0.0, monkeypatch=monkeypatch)
    fleet.change(lambda held: fleet.published(held, "2"))
    fleet.change(lambda held: model.guarded_rollout(held, "2", GUARDED, now=fleet.now))

    reached = []
    for _ in range(5):
        fleet.passes(1)
        reached.append(fleet.share("2"))
        fleet.clock.sleep(3.5 * HOUR)
    fleet.reports.close()
    assert reached == [pytest.approx(expected, abs=0.02) for expected in (0.002, 0.01, 0.1, 0.5, 1.0)]
    assert (reached[0], reached[-1]) == (CANARIES / MANY_NODES, 1.0)
