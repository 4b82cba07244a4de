"""Partition tables as values: every row of the operator notes' matrix, and what a match is."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nestos.ignition.engine.disks.survey import StorageError
from nestos.ignition.engine.disks.table import (
    Action,
    Entry,
    Wanted,
    decide,
    differences,
    layout_to_try,
    parse,
    wanted_of,
    with_extents,
)
from tests.unit.ignition.engine.disks.blocks import GUID, LINUX, pairs

THERE = Entry(number=1, start=2048, size=4096, label="data", guid=f"{GUID}1", type_guid=LINUX)
SAME = Wanted(index=0, number=1, start=2048, size=4096, label="data", guid=f"{GUID}1", type_guid=LINUX)
OTHER = replace(SAME, label="other")


@pytest.mark.parametrize(
    ("present", "should_exist", "wipe", "wanted", "action"),
    [
        (None, False, False, SAME, Action.KEEP),
        (None, False, True, SAME, Action.KEEP),
        (None, True, False, SAME, Action.CREATE),
        (None, True, True, SAME, Action.CREATE),
        (THERE, False, False, SAME, Action.REFUSE),
        (THERE, False, True, SAME, Action.DELETE),
        (THERE, True, False, SAME, Action.KEEP),
        (THERE, True, False, OTHER, Action.REFUSE),
        (THERE, True, True, SAME, Action.KEEP),
        (THERE, True, True, OTHER, Action.RECREATE),
    ],
)
def test_what_becomes_of_a_partition_follows_the_matrix(
    present: Entry | None, should_exist: bool, wipe: bool, wanted: Wanted, action: Action
) -> None:
    assert decide(present, replace(wanted, should_exist=should_exist, wipe=wipe)).action is action


@pytest.mark.parametrize(
    ("change", "action"),
    [
        ({"size": 8192}, Action.RESIZE),
        ({"size": 1024}, Action.RESIZE),
        ({}, Action.KEEP),
        ({"size": 8192, "label": "other"}, Action.REFUSE),
        ({"size": 8192, "start": 4096}, Action.REFUSE),
        ({"size": 8192, "wipe": True}, Action.RECREATE),
    ],
)
def test_only_a_partition_that_differs_in_size_alone_is_resized(change: dict[str, object], action: Action) -> None:
    wanted = replace(SAME, resize=True, **change)  # type: ignore[arg-type]

    assert decide(THERE, wanted).action is action


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"start": 4096}, "it starts at sector 2048, not 4096"),
        ({"start": None}, ""),
        ({"guid": f"{GUID}2"}, f"its GUID is {GUID}1, not {GUID}2"),
        ({"guid": ""}, ""),
        ({"guid": f"{GUID}1".lower()}, ""),
        ({"type_guid": f"{GUID}3"}, f"its type is {LINUX}, not {GUID}3"),
        ({"type_guid": LINUX.lower()}, ""),
        ({"type_guid": ""}, ""),
        ({"label": "DATA"}, 'its label is "data", not "DATA"'),
        ({"label": ""}, 'its label is "data", not ""'),
        ({"label": None}, ""),
    ],
)
def test_a_difference_is_told_with_what_is_there_and_what_is_wanted(change: dict[str, object], found: str) -> None:
    assert ", ".join(differences(THERE, replace(SAME, **change))) == found  # type: ignore[arg-type]


def test_a_size_that_is_left_open_matches_any() -> None:
    assert decide(THERE, replace(SAME, size=None)).action is Action.KEEP


def test_partitions_of_the_next_free_number_come_last_and_the_others_keep_their_order() -> None:
    listed = wanted_of([{"label": "a"}, {"number": 3}, {"number": 0, "label": "b"}, {"number": 1}], sector_bytes=512)

    assert [(wanted.number, wanted.index) for wanted in listed] == [(3, 1), (1, 3), (0, 0), (0, 2)]


@pytest.mark.parametrize(("sector_bytes", "sectors"), [(512, 2048), (4096, 256)])
def test_mebibytes_become_sectors_of_the_disk(sector_bytes: int, sectors: int) -> None:
    (wanted,) = wanted_of([{"number": 1, "startMiB": 1, "sizeMiB": 0}], sector_bytes=sector_bytes)

    assert (wanted.start, wanted.size) == (sectors, 0)


@pytest.mark.parametrize("sector_bytes", [512, 4096])
def test_a_printed_table_is_read_in_sectors_of_the_disk(sector_bytes: int) -> None:
    printed = pairs({"number": 2, "start": 512, "size": 256}, sector_bytes=sector_bytes)

    entry = parse(printed, device="/dev/sda", sector_bytes=sector_bytes)[2]

    assert (entry.start, entry.size) == (512, 256)


def test_labels_are_read_as_they_are_on_the_disk() -> None:
    printed = pairs({"number": 1, "start": 1, "size": 1, "label": r"a \x22b\x22 \x24c \x60\xc3\xa9\x5cd"})

    assert parse(printed, device="/dev/sda", sector_bytes=512)[1].label == 'a "b" $c `é\\d'


def test_a_table_that_is_no_gpt_is_refused_with_what_to_do() -> None:
    printed = pairs({"number": 1, "start": 1, "size": 1, "scheme": "dos", "type": "0x83"})

    with pytest.raises(StorageError, match=r"/dev/sda has a partition table of the kind dos.*set wipeTable"):
        parse(printed, device="/dev/sda", sector_bytes=512)


def test_in_pretence_all_that_is_named_is_made_anew_and_what_is_open_stays_unless_it_may_be_wiped() -> None:
    entries = {1: THERE, 2: replace(THERE, number=2, start=8192, size=100)}
    listed = [
        Wanted(index=0, number=1),
        Wanted(index=1, number=2, wipe=True),
        Wanted(index=2, number=3, label="odd\nlabel", size=7),
        Wanted(index=3, number=4, should_exist=False),
    ]

    deleted, created = layout_to_try(entries, listed)

    assert deleted == [1, 2]
    assert [(item.number, item.start, item.size) for item in created] == [
        (1, 2048, 4096),
        (2, None, None),
        (3, None, 7),
    ]
    assert {item.label for item in created} == {None}


def test_the_room_there_is_closes_what_is_zero_and_leaves_what_is_not_said() -> None:
    listed = [Wanted(index=0, number=1, start=0, size=None), Wanted(index=1, number=2, start=None, size=0)]

    closed = with_extents(listed, {1: (2048, 100), 2: (4096, 200)})

    assert [(item.start, item.size) for item in closed] == [(2048, None), (None, 200)]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(index=0, number=1, start=0), True),
        (Wanted(index=0, number=1, size=0), True),
        (Wanted(index=0, number=1, start=2048, size=1), False),
        (Wanted(index=0, number=1), False),
        (Wanted(index=0, number=0, size=0), False),
    ],
)
def test_only_a_numbered_partition_with_a_zero_has_an_open_extent(wanted: Wanted, expected: bool) -> None:
    assert wanted.has_open_extent is expected
