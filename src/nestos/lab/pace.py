"""How fast this machine is today: what tests declare in minutes holds for a machine of pace 1.

A guest has limits of its own, in its own time (a device must appear, a boot must complete, a watchdog must be fed), and
emulated on a machine that is much too slow it fails on them, whatever the host's patience. The host may be slow for
an hour only: a virtual machine whose own host is busy shows that in no load figure, only in the time that work takes.
"""

from __future__ import annotations

import mmap
import statistics

from nestos.base.clock import Clock, SystemClock

SLOWEST = 3.0
"""Behind it, emulated guests fail on limits of their own: at six the initramfs gave up waiting for its disk."""

_ROUNDS = 9
_STEPS = 1_000_000
_MEMORY_BYTES = 16 << 20
_USUAL_SECONDS = 0.06  # a round, on the machines of two cores that the scenarios were timed on


def measure(clock: Clock | None = None) -> float:
    """How many times as long as usual this machine takes for a fixed piece of work: the mean of nine rounds.

    It takes a second where all is well. The rounds have pauses between them, because a machine of which little is left
    gets it in slices; the slowest counts for nothing, because any machine hesitates once.
    """
    clock = clock or SystemClock()
    rounds = sorted(_round(clock) for _ in range(_ROUNDS))
    return statistics.fmean(rounds[:-1]) / _USUAL_SECONDS


def _round(clock: Clock) -> float:
    """Computes, and takes fresh memory: a virtual machine may be quick at the one and wait at the other."""
    clock.sleep(_USUAL_SECONDS)
    began = clock.monotonic()
    total = 0
    for number in range(_STEPS):
        total += number
    with mmap.mmap(-1, _MEMORY_BYTES) as memory:
        for place in range(0, _MEMORY_BYTES, mmap.PAGESIZE):
            memory[place] = 1
    return clock.monotonic() - began
