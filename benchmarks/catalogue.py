"""Every benchmark there is."""

from __future__ import annotations

from benchmarks import boot, compose, ignition, layers, slot_write, update_bytes, updates_graph
from benchmarks.bench import Benchmark

BENCHMARKS: tuple[Benchmark, ...] = (
    boot.BENCHMARK,
    compose.BENCHMARK,
    ignition.BENCHMARK,
    layers.BENCHMARK,
    slot_write.BENCHMARK,
    update_bytes.BENCHMARK,
    updates_graph.BENCHMARK,
)
