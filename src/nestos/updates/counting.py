"""What the server counts: requests, distinct nodes, wariness. Prometheus text (exposition format 0.0.4)."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping

_BITS = 14
_REGISTERS = 1 << _BITS
_REST_BITS = 64 - _BITS

Series = tuple[str, str, str, Iterable[tuple[Mapping[str, str], float]]]
"""Name, type, help, and labels with values."""


class DistinctCounter:
    """About how many different texts were seen: HyperLogLog (Flajolet and others, 2007), 16 KiB, error about 0.8 %."""

    def __init__(self) -> None:
        self._registers = bytearray(_REGISTERS)

    def add(self, text: str) -> None:
        """One more text."""
        hashed = int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=8).digest())
        register, rest = hashed >> _REST_BITS, hashed & ((1 << _REST_BITS) - 1)
        rank = _REST_BITS - rest.bit_length() + 1
        self._registers[register] = max(self._registers[register], rank)

    def estimate(self) -> int:
        """How many."""
        factor = 0.7213 / (1 + 1.079 / _REGISTERS)
        raw = factor * _REGISTERS**2 / sum(2.0**-rank for rank in self._registers)
        empty = self._registers.count(0)
        if raw <= 2.5 * _REGISTERS and empty:
            return round(_REGISTERS * math.log(_REGISTERS / empty))
        return round(raw)


class Requests:
    """Counts of graph requests since the start."""

    def __init__(self) -> None:
        self.by_status: Counter[int] = Counter()
        self.nodes = DistinctCounter()
        self._wariness = [0] * 11
        self._wariness_sum = 0.0

    def count(self, status: int, *, node_id: str = "", wariness: float | None = None) -> None:
        """One more request; wariness where it was judged by it."""
        self.by_status[status] += 1
        if node_id:
            self.nodes.add(node_id)
        if wariness is not None:
            self._wariness[math.ceil(wariness * 10)] += 1
            self._wariness_sum += wariness

    def series(self) -> Iterable[Series]:
        """The original's series, and ours by status."""
        total = sum(self.by_status.values())
        yield (
            "fcos_cincinnati_pe_v1_graph_incoming_requests_total",
            "counter",
            "Graph requests.",
            [({}, total)],
        )
        yield (
            "fcos_cincinnati_pe_v1_graph_unique_uuids_total",
            "counter",
            "Distinct nodes that asked, about.",
            [({}, self.nodes.estimate())],
        )
        yield (
            "nestos_updates_graph_responses_total",
            "counter",
            "Graph requests by HTTP status.",
            [({"code": str(status)}, count) for status, count in sorted(self.by_status.items())],
        )

    def histogram(self) -> str:
        """Of the wariness of those who asked."""
        name, below = "fcos_cincinnati_pe_v1_graph_rollout_wariness", 0
        lines = [f"# HELP {name} Wariness of nodes.", f"# TYPE {name} histogram"]
        for tenth, count in enumerate(self._wariness):
            below += count
            lines.append(f'{name}_bucket{{le="{tenth / 10:g}"}} {below}')
        lines += [f'{name}_bucket{{le="+Inf"}} {below}', f"{name}_sum {self._wariness_sum!r}", f"{name}_count {below}"]
        return "\n".join(lines) + "\n"


def render(series: Iterable[Series]) -> str:
    """The text of series."""
    lines = []
    for name, kind, description, values in series:
        lines += [f"# HELP {name} {description}", f"# TYPE {name} {kind}"]
        for labels, value in values:
            inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
            lines.append(f"{name}{{{inner}}} {value:.17g}" if inner else f"{name} {value:.17g}")
    return "\n".join(lines) + "\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
