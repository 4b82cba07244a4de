"""A fleet in virtual time against the server's own handlers, over a release folder that is changed meanwhile."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nestos.updates import model
from nestos.updates.counting import Requests
from nestos.updates.folder import Change, ReleaseFolder, Settings
from nestos.updates.http import Request
from nestos.updates.model import Build, Stream
from nestos.updates.service import GraphHandler, State
from nestos.wire import graph

NODES = 1000
HOUR = 3600.0


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


class Fleet:
    """Nodes that ask, each in its turn, and take the newest release that they are led to."""

    def __init__(self, path: Path) -> None:
        self.clock = FixedClock()
        self.folder = ReleaseFolder(path, clock=self.clock)
        self.folder.init(
            Settings(base_url="https://a"), metadata={"1.root.json": b"{}"}, change=Change(who="a", action="init")
        )
        self.change(lambda held: self.published(held, "1"))
        self.state = State(self.folder.public, clock=self.clock)
        self.handler = GraphHandler(self.state, Requests(), clock=self.clock)
        self.state.refresh()
        self.runs = {hashlib.md5(b"%d" % number).hexdigest(): ["1"] for number in range(NODES)}

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
        """Time goes by, then everybody asks."""
        self.clock.sleep(hours * HOUR)
        self.state.refresh()
        for node_id, history in self.runs.items():
            self._ask(node_id, history)

    def _ask(self, node_id: str, history: list[str]) -> None:
        query = f"basearch=x86_64&stream=stable&os_checksum={commit(history[-1])}&node_uuid={node_id}"
        answer = self.handler(Request(method="GET", path="/v1/graph", query=query, takes_gzip=False))
        seen = graph.parse(answer.partition(b"\r\n\r\n")[2], source="answer")
        booted = [node.payload for node in seen.nodes].index(commit(history[-1]))
        targets = [target for source, target in seen.edges if source == booted]
        if targets:
            history.append(seen.nodes[max(targets)].version)

    def share(self, version: str) -> float:
        """Of nodes that run it now."""
        return sum(history[-1] == version for history in self.runs.values()) / NODES

    def ever(self, version: str) -> float:
        """Of nodes that ever ran it."""
        return sum(version in history for history in self.runs.values()) / NODES


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    monkeypatch.setattr("os.fsync", lambda _: None)
    return Fleet(tmp_path / "releases")


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
