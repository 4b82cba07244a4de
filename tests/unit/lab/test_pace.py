from __future__ import annotations

import pytest

from nestos.base.clock import SystemClock
from nestos.lab import pace


class Machine(SystemClock):
    """Its rounds take these seconds, in turn."""

    def __init__(self, *rounds: float) -> None:
        self.rounds = list(rounds)
        self.seconds = 0.0
        self.works = False

    def monotonic(self) -> float:
        if self.works:
            self.seconds += self.rounds.pop(0)
        self.works = not self.works
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_a_machine_that_takes_four_times_as_long_has_the_pace_four() -> None:
    assert pace.measure(Machine(*[0.24] * 9)) == pytest.approx(4)


def test_one_slow_round_is_no_slow_machine() -> None:
    assert pace.measure(Machine(*[0.06] * 4, 5.0, *[0.06] * 4)) == pytest.approx(1)


def test_a_machine_that_is_slow_every_now_and_then_is_slow() -> None:
    assert pace.measure(Machine(*[0.06] * 6, 1.5, 1.5, 1.5)) > pace.SLOWEST
