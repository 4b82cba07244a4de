"""A clock that tests move, and a lock server without sockets on a database of its own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from nestos.locks.server import Answer, Service
from nestos.locks.settings import Group, Settings
from nestos.locks.store import Store, Synchronous
from nestos.wire import fleetlock
from nestos.wire.fleetlock import Client, Refusal


class FakeClock:
    """Two clocks: the wall's, which may be set, and the one that only goes forward."""

    def __init__(self) -> None:
        self.wall = datetime(2026, 11, 23, 12, tzinfo=UTC)
        self.ticks = 1000.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.ticks

    def sleep(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.ticks += seconds


class Bench:
    """Groups on a store; ``restart`` opens the file anew, as another boot of the machine if told so."""

    def __init__(self, folder: Path, *groups: Group) -> None:
        self.path = folder / "locks.sqlite"
        self.clock = FakeClock()
        self.settings = Settings(groups={group.name: group for group in groups or (Group(name="default"),)})
        self.restart()

    def restart(self, *, boot_id: str = "one") -> None:
        self.store = Store(
            self.path, settings=self.settings, clock=self.clock, boot_id=boot_id, synchronous=Synchronous.OFF
        )
        self.service = Service(self.store, self.settings)

    def take(self, name: str, group: str = "default") -> Refusal | None:
        return self.store.take(Client(id=name, group=group))

    def give_back(self, name: str, group: str = "default") -> Refusal | None:
        return self.store.give_back(Client(id=name, group=group))

    def takes(self, name: str, group: str = "default") -> bool:
        return self.take(name, group) is None

    def holders(self) -> list[str]:
        return [holder.id for holder in self.store.holders() if not holder.is_lost]

    def post(
        self, path: str, *, name: str = "a", group: str = "default", headers: Mapping[str, str] | None = None
    ) -> Answer:
        return self.service.answer(
            "POST",
            path,
            headers={fleetlock.HEADER: "true"} if headers is None else headers,
            body=fleetlock.render_request(Client(id=name, group=group)),
        )
