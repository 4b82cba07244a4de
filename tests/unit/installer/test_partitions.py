"""Which partitions are meant by the words for them."""

from __future__ import annotations

import pytest

from nestos.base.errors import InputError
from nestos.installer.partitions import kept, parse_filter
from tests.unit.installer.made_up import disk_table


@pytest.mark.parametrize(
    ("labels", "indexes", "names"),
    [
        ([], [], []),
        (["d*"], [], ["data"]),
        (["o?d,more"], [], ["old", "more"]),
        ([], ["2"], ["data"]),
        ([], ["2-9"], ["data", "more"]),
        ([], ["-2"], ["old", "data"]),
        ([], ["3-"], ["more"]),
        ([], ["1,9"], ["old", "more"]),
        (["data"], ["9"], ["data", "more"]),
    ],
    ids=["nothing", "glob", "two globs", "number", "range", "up to", "from", "two numbers", "both"],
)
def test_words_choose_partitions(labels: list[str], indexes: list[str], names: list[str]) -> None:
    found = kept(disk_table(disk_mib=40), parse_filter(labels, indexes))
    assert [partition.name for partition in found] == names


@pytest.mark.parametrize("text", ["", "x", "-", "0", "3-2", "1-2-3", "1.5"])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        parse_filter([], [text])


def test_a_disk_without_a_table_has_nothing_to_keep() -> None:
    assert kept(None, parse_filter(["*"], [])) == ()
