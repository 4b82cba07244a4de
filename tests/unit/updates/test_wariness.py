from __future__ import annotations

import pytest

from nestos.updates import wariness as module
from nestos.updates.wariness import digest, siphash13, wariness

VECTORS = [
    pytest.param("", 0x30406EA523C53DEF, 0.188483157461, id="no id"),
    pytest.param("e0f3745b108f471cbd4883c6fbed8cdd", 0xA74033CCFDCEC67C, 0.653323400065, id="e0f3"),
    pytest.param("c988d2509fdf5cdcbed39037c56406fb", 0x3F0CE2176F171753, 0.246290331575, id="c988"),
    pytest.param("27e3ac02af3946af995c9940e18b0cce", 0xAB15A4B145CA285D, 0.668299001007, id="27e3"),
]


@pytest.mark.parametrize(("node_id", "expected", "share"), VECTORS)
def test_a_node_that_says_nothing_has_the_wariness_the_original_gives_it(
    node_id: str, expected: int, share: float
) -> None:
    assert digest(node_id) == siphash13(node_id.encode() + b"\xff") == expected
    assert wariness(None, node_id=node_id) == pytest.approx(share, abs=1e-12)


def test_ids_of_no_sensible_length_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "IS_NATIVE", False)
    module._kept_digest.cache_clear()

    assert digest("x" * 8000) == siphash13(b"x" * 8000 + b"\xff")
    assert module._kept_digest.cache_info().currsize == 0
    digest("e0f3745b108f471cbd4883c6fbed8cdd")
    assert module._kept_digest.cache_info().currsize == 1


def test_a_request_without_id_has_the_wariness_seen_in_the_originals_metrics() -> None:
    assert wariness(None, node_id="") == 0.18848315746051456


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("0", 0.0),
        ("-0.0", 0.0),
        ("0.000000", 0.0),
        ("1", 1.0),
        ("0.500000", 0.5),
        ("5e-1", 0.5),
        (".5", 0.5),
        ("5.", 1.0),
        ("+0.25", 0.25),
        ("-3", 0.0),
        ("17", 1.0),
        ("inf", 1.0),
        ("-Infinity", 0.0),
        ("1e999", 1.0),
    ],
)
def test_what_a_node_says_counts_between_0_and_1(said: str, expected: float) -> None:
    assert wariness(said, node_id="e0f3745b108f471cbd4883c6fbed8cdd") == expected


@pytest.mark.parametrize("said", ["", " 0.5", "0.5 ", "0_1", "٠", "half", "0x1", ".", "e5", "1e", "nan", "-NaN"])
def test_what_is_no_number_counts_as_nothing_said(said: str) -> None:
    assert wariness(said, node_id="") == wariness(None, node_id="")


def test_the_wariness_of_many_nodes_is_spread_evenly() -> None:
    counts = [0] * 10
    for number in range(2000):
        counts[int(wariness(None, node_id=f"{number:032x}") * 10)] += 1

    assert min(counts) > 150
    assert max(counts) < 250
