"""The parts of the benchmark ``updates-graph`` that run no server."""

from __future__ import annotations

import pytest
from benchmarks.updates_graph import Load, metadata, parse_load

from nestos.base.errors import StateError
from nestos.updates import graph

SAID = """\
Running 5s test @ http://127.0.0.1:18080/
  Latency Distribution
     50%    2.00ms
     99%   {tail}
  40807 requests in 5.01s, 33.10MB read
Requests/sec:   8145.91
"""


@pytest.mark.parametrize(("tail", "p99"), [("14.44ms", 14.44), ("850.00us", 0.85), ("1.20s", 1200.0)])
def test_what_wrk_says_is_read(tail: str, p99: float) -> None:
    assert parse_load(SAID.format(tail=tail)) == Load(requests=40807, per_second=8145.91, p99_ms=p99)


@pytest.mark.parametrize("more", ["  Non-2xx or 3xx responses: 7\n", "  Socket errors: connect 0, read 1\n"])
def test_a_run_with_errors_is_no_figure(more: str) -> None:
    with pytest.raises(StateError, match="met errors"):
        parse_load(SAID.format(tail="1.00ms") + more)


@pytest.mark.parametrize("count", [10, 100, 1000])
def test_the_stream_that_is_asked_for_has_so_many_releases_and_two_rollouts(count: int) -> None:
    plan = graph.build(*metadata(count, now=100_000), basearch="x86_64", is_oci=False)

    assert len(plan.graph.nodes) == count
    assert [at for at, _ in plan.rollouts] == [count - 2, count - 1]
