"""Time as something that is passed in, so that tests own it."""

from __future__ import annotations

import importlib
import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime


class Clock(Protocol):
    """Wall time for records, monotonic time for deadlines, and sleeping."""

    def now(self) -> datetime:
        """The wall clock in UTC."""

    def monotonic(self) -> float:
        """Seconds from an arbitrary start that never go back."""

    def sleep(self, seconds: float) -> None:
        """Waits."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        module = importlib.import_module("datetime")  # heavy, and most programs of a boot never ask
        now: datetime = module.datetime.now(module.UTC)
        return now

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
