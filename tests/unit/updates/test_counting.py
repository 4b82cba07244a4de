from __future__ import annotations

import pytest

from nestos.updates.counting import DistinctCounter, Requests, render


@pytest.mark.parametrize("count", [0, 1, 10, 1000, 60_000])
def test_distinct_nodes_are_counted_within_three_hundredths(count: int) -> None:
    counter = DistinctCounter()
    for number in range(count):
        counter.add(f"{number:032x}")
    for number in range(min(count, 500)):
        counter.add(f"{number:032x}")

    assert counter.estimate() == pytest.approx(count, rel=0.03)


def test_requests_are_counted_by_status_and_wariness() -> None:
    requests = Requests()
    requests.count(200, node_id="a", wariness=0.0)
    requests.count(200, node_id="a", wariness=0.15)
    requests.count(200, node_id="b", wariness=1.0)
    requests.count(400)

    text = render(requests.series()) + requests.histogram()

    assert "fcos_cincinnati_pe_v1_graph_incoming_requests_total 4\n" in text
    assert "fcos_cincinnati_pe_v1_graph_unique_uuids_total 2\n" in text
    assert 'nestos_updates_graph_responses_total{code="200"} 3\n' in text
    assert 'rollout_wariness_bucket{le="0"} 1\n' in text
    assert 'rollout_wariness_bucket{le="0.1"} 1\n' in text
    assert 'rollout_wariness_bucket{le="0.2"} 2\n' in text
    assert 'rollout_wariness_bucket{le="1"} 3\n' in text
    assert "rollout_wariness_sum 1.15\n" in text


def test_labels_cannot_break_the_text() -> None:
    assert render([("a", "gauge", "b", [({"name": 'x"\\\n'}, 1)])]).endswith('a{name="x\\"\\\\\\n"} 1\n')
