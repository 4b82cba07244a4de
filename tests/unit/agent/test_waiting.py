from __future__ import annotations

import random

import pytest

from nestos.agent import waiting
from tests.unit.agent.fakes import START

NOW = int(START.timestamp())


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param(None, "is not there", id="missing"),
        pytest.param("{}", "", id="allowed for ever"),
        pytest.param(f'{{"allowUntil": {NOW + 1}}}', "", id="allowed still"),
        pytest.param(f'{{"allowUntil": {NOW}}}', "is over", id="over at that second"),
        pytest.param('{"allowUntil": "x"}', "no whole number", id="no number"),
        pytest.param('{"allowUntil": true}', "no whole number", id="a truth"),
        pytest.param("[]", "no JSON object", id="a list"),
        pytest.param("yes", "no JSON", id="no JSON"),
    ],
)
def test_a_marker_file_allows_or_says_why_not(text: str | None, problem: str) -> None:
    found = waiting.marker_problem(text, START)
    assert problem in found
    assert bool(problem) == bool(found)


def test_a_back_off_doubles_up_to_its_most() -> None:
    found = [waiting.backoff_seconds(count, first_seconds=60, most_seconds=600) for count in (1, 2, 3, 4, 5, 1000)]
    assert found == [60, 120, 240, 480, 600, 600]


def test_jitter_is_a_tenth_at_most() -> None:
    chance = random.Random(0)
    found = [waiting.jittered(100, chance) for _ in range(200)]
    assert min(found) >= 100
    assert 108 < max(found) <= 110
