"""A node, servers and people made of values, and a clock that tests move."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nestos.agent.driver import NodeStatus, Outcome
from nestos.agent.engine import Engine
from nestos.agent.machine import State
from nestos.agent.memory import Memory, MemoryFile
from nestos.agent.metrics import Metrics
from nestos.agent.orders import OrderBook
from nestos.agent.reporting import Reports
from nestos.agent.settings import Settings, Strategy
from nestos.agent.surroundings import Surroundings
from nestos.base.errors import NestosError, NetworkError, StateError
from nestos.wire import graph as wire
from nestos.wire.fleetlock import Api, Refusal
from nestos.wire.graph import Graph, Node

START = datetime(2026, 11, 23, 12, tzinfo=UTC)  # a Monday


class FakeClock:
    """The wall's clock may be set; the other one only goes forward."""

    def __init__(self) -> None:
        self.wall = START
        self.ticks = 0.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.ticks

    def sleep(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.ticks += seconds


def payload(version: str) -> str:
    return version.encode().hex().ljust(64, "0")


def graph(
    *versions: str, edges: tuple[tuple[str, str], ...] | None = None, deadends: Mapping[str, str] | None = None
) -> Graph:
    """Releases, the oldest first; by default every one leads to every younger one."""
    nodes = tuple(
        Node(
            version=version,
            payload=payload(version),
            metadata={wire.SCHEME: wire.CHECKSUM_SCHEME, wire.AGE_INDEX: str(age)}
            | (
                {wire.DEADEND: "true", wire.DEADEND_REASON: (deadends or {})[version]}
                if version in (deadends or {})
                else {}
            ),
        )
        for age, version in enumerate(versions)
    )
    if edges is None:
        pairs = tuple((old, new) for new in range(len(versions)) for old in range(new))
    else:
        pairs = tuple((versions.index(old), versions.index(new)) for old, new in edges)
    return Graph(nodes=nodes, edges=pairs)


class FakeUpdates:
    """An update server: ``graph`` is what it shows, ``error`` what is wrong with it."""

    def __init__(self, shown: Graph) -> None:
        self.shown = shown
        self.error: NestosError | None = None
        self.asked = 0

    def graph(self, *, version: str, payload: str) -> Graph:
        self.asked += 1
        if self.error is not None:
            raise self.error
        return self.shown


class FakeLocks:
    """A lock server for one node."""

    def __init__(self) -> None:
        self.refusal: Refusal | None = None
        self.is_gone = False
        self.loses_answers = False
        self.asked: list[Api] = []
        self.is_held = False

    def ask(self, api: Api) -> Refusal | None:
        if self.is_gone:
            raise NetworkError("the lock server gives no answer", kind="client_failed_request")
        self.asked.append(api)
        if api is Api.PRE_REBOOT and self.refusal is not None:
            return self.refusal
        self.is_held = api is Api.PRE_REBOOT
        if self.loses_answers:
            raise NetworkError("the answer was lost", kind="client_failed_request")
        return None


class FakePeople:
    def __init__(self) -> None:
        self.names: tuple[str, ...] = ()
        self.told: list[str] = []

    def present(self) -> tuple[str, ...]:
        return self.names

    def tell(self, message: str) -> None:
        self.told.append(message)


class FakeDriver:
    """A node. It stages at once unless ``is_slow``; a restart is asked for, and happens with ``restart_now``."""

    def __init__(self, version: str = "1") -> None:
        self.booted = version
        self.pending = ""
        self.denied: dict[str, str] = {}
        self.boot = 1
        self.restarts = 0
        self.staged: list[str] = []
        self.is_undroppable = False
        self.problem = ""
        self.is_slow = False
        self.is_running = False
        self.is_refusing = False
        self.is_silent = False
        self.boots_badly: set[str] = set()
        self.wanted: Callable[[], Memory] = Memory
        self.outcomes: dict[int, Outcome] = {}

    def look(self) -> NodeStatus:
        return NodeStatus(
            version=self.booted,
            commit=payload(self.booted),
            ref="nestos/x86_64/stable",
            built=START - timedelta(days=30),
            pending_version=self.pending,
            pending_commit=payload(self.pending) if self.pending else "",
            denied=dict(self.denied),
        )

    def begin_staging(self) -> None:
        self.is_running = True
        if not self.is_slow:
            self.finish_staging()

    def finish_staging(self) -> None:
        """The transaction ends."""
        memory = self.wanted()
        assert memory.release is not None
        self.is_running = False
        if self.is_silent:
            return
        if not self.problem:
            self.staged.append(memory.release.version)
            self.pending = memory.release.version
        self.outcomes[memory.attempt] = Outcome(
            attempt=memory.attempt, version=memory.release.version, problem=self.problem
        )

    def outcome(self, attempt: int) -> Outcome | None:
        return self.outcomes.get(attempt)

    def is_staging(self) -> bool:
        return self.is_running

    def drop(self) -> None:
        if self.is_undroppable:
            raise StateError("another transaction runs")
        self.pending = ""

    def restart(self) -> None:
        if self.is_refusing:
            raise StateError("an inhibitor blocks it")
        self.restarts += 1

    def restart_now(self) -> None:
        """The node comes up: in what was staged, unless that is bad."""
        if self.pending in self.boots_badly:
            self.denied[payload(self.pending)] = "it failed here: health check web: exit status 1"
        elif self.pending:
            self.booted = self.pending
        self.pending = ""
        self.boot += 1
        self.is_running = False


def write_text(path: Path, text: str, /) -> None:
    """As the durable one, without waiting for a disk."""
    path.write_text(text)


class Bench:
    """An agent on a node. ``settle`` steps until it waits; ``reboot`` and ``crash`` begin it anew from its memory."""

    def __init__(self, folder: Path, settings: Settings | None = None, *, shown: Graph | None = None) -> None:
        self.folder = folder
        self.settings = replace(settings or Settings(), base_url="http://updates.test/")
        self.clock = FakeClock()
        self.driver = FakeDriver()
        self.updates = FakeUpdates(shown or graph("1", "2"))
        self.locks = FakeLocks()
        self.people = FakePeople()
        self.orders = OrderBook(folder / "orders")
        self.file = MemoryFile(folder, write_text=write_text)
        self.marker: str | None = None
        self.reporter: Reports | None = None
        self.driver.wanted = self._wanted
        self.crash()

    def _wanted(self) -> Memory:
        return self.file.read()

    def crash(self) -> None:
        """The process ends and is started again."""
        self.metrics = Metrics()
        has_lock = Strategy.FLEET_LOCK in self.settings.strategies
        around = Surroundings(
            driver=self.driver,
            updates=self.updates,
            locks=self.locks if has_lock else None,
            reports=self.reporter,
            people=self.people,
            orders=self.orders,
            file=self.file,
            marker=lambda: self.marker,
            clock=self.clock,
            chance=random.Random(1),
            boot_id=f"boot-{self.driver.boot}",
        )
        self.engine = Engine(self.settings, around, metrics=self.metrics)

    def reboot(self) -> None:
        self.driver.restart_now()
        self.clock.sleep(90)
        self.crash()

    def set(self, **changes: object) -> None:
        """Other settings, as after a restart of the agent."""
        self.settings = replace(self.settings, **changes)  # type: ignore[arg-type]
        self.crash()

    def settle(self) -> State:
        """Steps while the agent has something to do at once."""
        for _ in range(30):
            seconds = self.engine.step()
            if seconds > 0 and self.engine.memory.state is not State.STAGING:
                return self.engine.memory.state
        return self.engine.memory.state

    def run(self, seconds: float) -> State:
        """Lives on for that long."""
        end = self.clock.ticks + seconds
        for _ in range(5000):
            pause = self.engine.step()
            if self.clock.ticks + pause > end:
                self.clock.sleep(end - self.clock.ticks)
                return self.engine.memory.state
            self.clock.sleep(pause)
        raise AssertionError("the agent does not rest")

    def is_locked(self) -> bool:
        return self.locks.is_held

    def kinds(self) -> list[str]:
        return [str(wait.kind) for wait in self.engine.waits]

    def history(self) -> list[tuple[str, str]]:
        return [(item["event"], item["version"]) for item in self.file.history()]
