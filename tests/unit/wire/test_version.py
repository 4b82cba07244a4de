"""Automatic versions and their order."""

from __future__ import annotations

import random
from datetime import date
from itertools import pairwise

import pytest

from nestos.wire.version import expand_date, has_date, next_version, sort_key

TODAY = date(2026, 11, 23)


@pytest.mark.parametrize(
    ("prefix", "previous", "expected"),
    [
        ("22", None, "22"),
        ("22", "22", "22.1"),
        ("22", "22.1", "22.2"),
        ("22", "22.9", "22.10"),
        ("22", "21.5", "22"),
        ("22", "220", "22"),
        ("22", "22-1", "22"),
        ("22.1", "22.1.3", "22.1.4"),
        ("13.<date:%Y%m%d>", None, "13.20261123.0"),
        ("13.<date:%Y%m%d>", "13.20261123.0", "13.20261123.1"),
        ("13.<date:%Y%m%d>", "13.20261123.41", "13.20261123.42"),
        ("13.<date:%Y%m%d>", "13.20261122.7", "13.20261123.0"),
        ("13.<date:%Y%m%d>", "12.20261123.7", "13.20261123.0"),
        ("13.<date:%Y%m%d>", "13.20261123", "13.20261123.1"),
        ("13.<date:%Y>.1", None, "13.2026.1.0"),
        ("13.<date:%Y>.1", "13.2026.1.0", "13.2026.1.1"),
        ("22", "something else", "22"),
        ("22", "22.x", "22"),
        ("22", "", "22"),
    ],
)
def test_the_counter_follows_the_previous_version(prefix: str, previous: str | None, expected: str) -> None:
    assert next_version(prefix, previous=previous, today=TODAY) == expected


def test_another_character_may_stand_before_the_counter() -> None:
    assert next_version("22", previous="22", today=TODAY, suffix="-") == "22-1"
    assert next_version("22", previous="22-1", today=TODAY, suffix="-") == "22-2"
    assert next_version("2<date:%y>", previous=None, today=TODAY, suffix="-") == "226-0"


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("a", "a"),
        ("<date:%Y-%m-%d>", "2026-11-23"),
        ("<date:%y%j>.<date:%V>", "26327.48"),
        ("<date:v%G>", "v2026"),
        ("<date:>", ""),
    ],
)
def test_date_tags_become_the_day(prefix: str, expected: str) -> None:
    assert expand_date(prefix, today=TODAY) == expected
    assert has_date(prefix) is (prefix != "a")


@pytest.mark.parametrize("prefix", ["<date:%H>", "<date:%>", "<date:%s>"])
def test_a_date_code_that_is_not_of_a_day_is_refused(prefix: str) -> None:
    with pytest.raises(ValueError, match="is not known; use %Y"):
        expand_date(prefix, today=TODAY)


def test_versions_are_ordered_by_number_and_not_by_letter() -> None:
    ordered = ["13", "13.rc", "13.1", "13.9", "13.10", "13.20261122.10", "13.20261123.0", "13.20261123.2", "14"]
    shuffled = random.Random(1).sample(ordered, len(ordered))
    assert sorted(shuffled, key=sort_key) == ordered


def test_each_next_version_is_greater_than_the_one_before() -> None:
    versions = ["13.20261122.3"]
    for _ in range(12):
        versions.append(next_version("13.<date:%Y%m%d>", previous=versions[-1], today=TODAY))
    assert all(sort_key(before) < sort_key(after) for before, after in pairwise(versions))
