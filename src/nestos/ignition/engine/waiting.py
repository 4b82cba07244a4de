"""Trying again until something works, and saying meanwhile what is being waited for.

A first boot waits for networks that are not up yet, servers that are being restarted and devices that are still to
appear. Whoever looks at the console then should read what is missing, since when, and for how long yet.
"""

from __future__ import annotations

from nestos.base.clock import Clock
from nestos.base.errors import NetworkError
from nestos.ignition.engine.log import Log

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0
SAID_EVERY_SECONDS = 10.0


class Patience:
    """Waits between attempts and says, every ten seconds, what is waited for.

    ``what``: completes the sentence "waiting for". ``total_seconds``: for all attempts together, 0 is unlimited.
    """

    def __init__(self, what: str, *, clock: Clock, log: Log, total_seconds: float = 0.0) -> None:
        self._what = what
        self._clock = clock
        self._log = log
        self._total = total_seconds
        self._start = clock.monotonic()
        self._said = 0
        self._wait = FIRST_WAIT_SECONDS

    @property
    def passed_seconds(self) -> float:
        """How long it has been."""
        return self._clock.monotonic() - self._start

    @property
    def left_seconds(self) -> float | None:
        """How long it may still be; none is unlimited."""
        return max(0.0, self._total - self.passed_seconds) if self._total else None

    @property
    def is_over(self) -> bool:
        """True once nothing is left."""
        return self.left_seconds == 0.0

    def again(self, problem: str) -> None:
        """Waits before the next attempt: 200 ms, doubled each time up to 5 s.

        Raises ``NetworkError`` if the time would be over before it.
        """
        left = self.left_seconds
        if left is not None and self._wait >= left:
            sentence = f"unable to fetch resource in time: {self._what} within {self._total:g} s: {problem}"
            raise NetworkError(sentence, hint="httpTotal in the config, or --fetch-timeout, say how long is waited")
        self.pause(self._wait, problem=problem)
        self._wait = min(self._wait * 2, LONGEST_WAIT_SECONDS)

    def pause(self, seconds: float, *, problem: str = "") -> None:
        """Waits that long."""
        self._clock.sleep(seconds)
        due = int(self.passed_seconds // SAID_EVERY_SECONDS)
        if due == self._said:
            return
        self._said = due
        left = self.left_seconds
        limit = "" if left is None else f", {left:.0f} s left"
        reason = f": {problem}" if problem else ""
        self._log.warning(f"waiting for {self._what} since {self.passed_seconds:.0f} s{limit}{reason}")
