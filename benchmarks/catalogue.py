"""Every benchmark there is."""

from __future__ import annotations

from benchmarks import compose, slot_write
from benchmarks.bench import Benchmark

BENCHMARKS: tuple[Benchmark, ...] = (compose.BENCHMARK, slot_write.BENCHMARK)
