"""Every benchmark there is."""

from __future__ import annotations

from benchmarks import boot, compose, ignition, slot_write, update_bytes
from benchmarks.bench import Benchmark

BENCHMARKS: tuple[Benchmark, ...] = (
    boot.BENCHMARK,
    compose.BENCHMARK,
    ignition.BENCHMARK,
    slot_write.BENCHMARK,
    update_bytes.BENCHMARK,
)
