"""How far it is, how fast, how long still."""

from __future__ import annotations

import io

from nestos.installer.progress import Meter
from tests.unit.installer.test_fetch import Clock


def test_a_line_tells_share_rate_and_time_left() -> None:
    meter = Meter("writing", total_bytes=400 << 20, stream=io.StringIO(), clock=Clock())
    assert meter.text(100 << 20, now=2.0) == "writing: 100 MiB of 400 (25 %), 50 MiB/s, 0:06 left"


def test_without_a_terminal_there_is_a_line_per_tenth() -> None:
    stream = io.StringIO()
    meter = Meter("writing", total_bytes=1000, stream=stream, clock=Clock())
    for done in range(0, 1001, 10):
        meter(done)
    assert len(stream.getvalue().splitlines()) == 10


def test_an_unknown_size_is_not_made_up() -> None:
    meter = Meter("writing", total_bytes=0, stream=io.StringIO(), clock=Clock())
    assert meter.text(64 << 20, now=1.0) == "writing: 64 MiB, 64 MiB/s"
