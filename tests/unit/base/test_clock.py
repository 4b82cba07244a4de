from __future__ import annotations

from datetime import UTC

from nestos.base.clock import SystemClock


def test_wall_time_is_in_utc_and_deadlines_never_go_back() -> None:
    clock = SystemClock()
    assert clock.now().tzinfo is UTC
    assert clock.monotonic() <= clock.monotonic()
