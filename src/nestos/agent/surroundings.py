"""All that the engine touches, and what it asks of the clock: the time, delays with their jitter, the history."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from nestos.agent import waiting
from nestos.agent.choice import Release
from nestos.agent.driver import Driver
from nestos.agent.memory import Memory, MemoryFile
from nestos.agent.orders import OrderBook, Orders
from nestos.agent.people import People
from nestos.agent.reporting import Reports
from nestos.agent.servers import Locks, Updates
from nestos.base.clock import Clock

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """``locks``, ``reports``: none where they are not used. ``marker``: the marker file's text, none where it does not
    count."""

    driver: Driver
    updates: Updates
    locks: Locks | None
    reports: Reports | None = None
    people: People
    orders: OrderBook
    file: MemoryFile
    marker: Callable[[], str | None]
    clock: Clock
    chance: random.Random
    boot_id: str

    def now(self) -> float:
        """The Unix time."""
        return self.clock.now().timestamp()

    def jittered(self, seconds: float) -> float:
        """``seconds`` and up to a tenth of them more."""
        return waiting.jittered(seconds, self.chance)

    def backoff(self, failures: int, *, first_seconds: float, most_seconds: float) -> float:
        """How long to wait after that many failures in a row, with jitter."""
        return self.jittered(waiting.backoff_seconds(failures, first_seconds=first_seconds, most_seconds=most_seconds))

    def orders_for(self, memory: Memory) -> Orders:
        """The operator's orders; an approval that an update has used up no longer counts."""
        orders = self.orders.read()
        approval = orders.approval
        if approval is not None and approval.since.timestamp() <= memory.spent <= self.now():
            return replace(orders, approval=None)
        return orders

    def note(self, event: str, release: Release | None, detail: str) -> None:
        """Adds a line to the history and the log. Raises ``OSError``."""
        time = self.clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        version = release.version if release else ""
        self.file.note(time=time, event=event, version=version, detail=detail)
        logger.info("%s %s %s", event, version, detail)


def moment(seconds: float) -> datetime:
    """A Unix time as a moment in UTC."""
    return datetime.fromtimestamp(seconds, UTC)
