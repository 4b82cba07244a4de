"""Fifty agents, the real lock server and an update server in one process, in virtual time, with faults from a seed."""

from __future__ import annotations

import heapq
import random
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from nestos.agent.engine import Engine
from nestos.agent.http import Answer, Question
from nestos.agent.identity import Identity
from nestos.agent.machine import State
from nestos.agent.memory import Memory, MemoryFile
from nestos.agent.metrics import Metrics
from nestos.agent.orders import OrderBook, Orders
from nestos.agent.servers import Cincinnati, FleetLock
from nestos.agent.settings import Settings, Strategy
from nestos.agent.surroundings import Surroundings
from nestos.base.errors import NetworkError
from nestos.locks.server import Service
from nestos.locks.settings import Group
from nestos.locks.settings import Settings as LockSettings
from nestos.locks.store import Store, Synchronous
from nestos.wire import graph as wire
from tests.unit.agent.fakes import FakeClock, FakeDriver, FakePeople, graph

NODES, SLOTS, LEASE_SECONDS = 50, 3, 1800
SETTINGS = Settings(strategies=(Strategy.FLEET_LOCK,), base_url="http://updates/", fleet_lock_url="http://locks/")


class Crash(BaseException):
    """An agent's process ends."""


class NoOrders(OrderBook):
    """Nobody orders anything; fifty nodes would look for it thousands of times."""

    def read(self) -> Orders:
        return Orders()


class Ram(MemoryFile):
    """A memory that outlives its agent, and needs no disk."""

    kept = Memory()

    def read(self) -> Memory:
        return self.kept

    def write(self, memory: Memory) -> None:
        self.kept = memory

    def note(self, *, time: str, event: str, version: str, detail: str) -> None:
        pass


class Fleet:
    """The servers and the clock of all nodes; counts who is down."""

    def __init__(self, folder: Path, *, seed: int) -> None:
        self.folder = folder
        self.chance = random.Random(seed)
        self.clock = FakeClock()
        self.shown = wire.render(graph("1", "2"))
        self.down: set[str] = set()
        self.most_down = 0
        self.faults = 0
        self.groups = LockSettings(
            groups={"default": Group(name="default", slots=SLOTS, lease_seconds=LEASE_SECONDS, lost_allowed=2)}
        )
        self.restart_server()
        self.nodes = [Member(f"{number:032x}", fleet=self) for number in range(NODES)]

    def restart_server(self) -> None:
        store = Store(
            self.folder / "locks.sqlite",
            settings=self.groups,
            clock=self.clock,
            boot_id="one",
            synchronous=Synchronous.OFF,
        )
        self.service = Service(store, self.groups)

    def ask(self, question: Question, /) -> Answer:
        """Carries a question, or not; and its answer, or not."""
        fault = self.chance.random()
        if fault < 0.02:
            self.faults += 1
            raise NetworkError("the question was lost")
        parts = urlsplit(question.url)
        if parts.hostname == "updates":
            answer = Answer(status=200, headers={}, body=self.shown)
        else:
            headers = {name.lower(): value for name, value in question.headers.items()}
            given = self.service.answer(question.method, parts.path, headers=headers, body=question.body)
            answer = Answer(status=given.status, headers={}, body=given.body)
        if fault < 0.05:
            self.faults += 1
            raise NetworkError("the answer was lost")
        if fault < 0.06:
            self.faults += 1
            raise Crash
        if fault < 0.07:
            self.faults += 1
            self.restart_server()
            return Answer(status=502, headers={}, body=b"<html>")
        return answer

    def run(self, *, hours: float) -> None:
        end = self.clock.ticks + hours * 3600
        queue = [(self.chance.random() * 300, number) for number in range(NODES)]
        heapq.heapify(queue)
        while queue:
            moment, number = heapq.heappop(queue)
            if moment > end:
                return
            self.clock.sleep(max(0.0, moment - self.clock.ticks))
            pause = self.nodes[number].live()
            if pause is not None:
                heapq.heappush(queue, (self.clock.ticks + pause, number))
            if all(node.is_done() for node in self.nodes):
                return


class Member:
    """A node of the fleet: its agent while it is up."""

    def __init__(self, name: str, *, fleet: Fleet) -> None:
        self.name = name
        self.fleet = fleet
        self.driver = FakeDriver()
        self.file = Ram(fleet.folder / name)
        self.driver.wanted = self._wanted
        self.people = FakePeople()
        self.is_dead = False
        self.who = Identity(node_uuid=name, group="default", basearch="x86_64", platform="qemu", stream="stable")
        self.start()

    def _wanted(self) -> Memory:
        return self.file.read()

    def start(self) -> None:
        ask = self.fleet.ask
        around = Surroundings(
            driver=self.driver,
            updates=Cincinnati(SETTINGS.base_url, who=self.who, ask=ask),
            locks=FleetLock(SETTINGS.fleet_lock_url, who=self.who, ask=ask),
            people=self.people,
            orders=NoOrders(self.fleet.folder / "orders"),
            file=self.file,
            marker=lambda: None,
            clock=self.fleet.clock,
            chance=self.fleet.chance,
            boot_id=f"boot-{self.driver.boot}",
        )
        self.engine = Engine(SETTINGS, around, metrics=Metrics())

    def live(self) -> float | None:
        """Does what is due; seconds until more is, none for a node that is gone for ever."""
        if self.is_dead:
            return None
        if self.name in self.fleet.down:
            self.fleet.down.discard(self.name)
            self.driver.restart_now()
            self.start()
            return 0.0
        before = self.driver.restarts
        try:
            pause = self.engine.step()
        except Crash:
            self.start()
            return 10.0
        if self.driver.restarts > before:
            return self._go_down()
        return pause

    def _go_down(self) -> float | None:
        self.fleet.down.add(self.name)
        self.fleet.most_down = max(self.fleet.most_down, len(self.fleet.down))
        if self.name in (f"{7:032x}", f"{31:032x}"):
            self.is_dead = True
            self.fleet.down.discard(self.name)  # it does not restart, it is gone
            return None
        return 40 + self.fleet.chance.random() * 60

    def is_done(self) -> bool:
        return self.is_dead or (self.driver.booted == "2" and self.engine.memory.state is State.IDLE)


@pytest.mark.parametrize("seed", [2026])
def test_a_fleet_gets_there_and_never_more_restart_than_there_are_slots(tmp_path: Path, seed: int) -> None:
    fleet = Fleet(tmp_path, seed=seed)
    fleet.run(hours=12)
    assert [node.name for node in fleet.nodes if not node.is_done()] == []
    assert [node.driver.restarts for node in fleet.nodes] == [1] * NODES
    assert fleet.most_down == SLOTS
    assert fleet.faults > 50


def test_without_the_lock_more_would_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test above can fail."""
    monkeypatch.setattr(f"{__name__}.SETTINGS", replace(SETTINGS, strategies=(Strategy.IMMEDIATE,)))
    monkeypatch.setattr(FleetLock, "ask", lambda _self, _api: None)
    fleet = Fleet(tmp_path, seed=0)
    fleet.run(hours=1)
    assert fleet.most_down > SLOTS
