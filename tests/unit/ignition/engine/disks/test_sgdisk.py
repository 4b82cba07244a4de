"""The language of sgdisk."""

from __future__ import annotations

import pytest

from nestos.ignition.engine.disks import sgdisk
from nestos.ignition.engine.disks.survey import StorageError
from nestos.ignition.engine.disks.table import Action, Decision, Entry, Wanted
from tests.unit.ignition.engine.disks.blocks import GUID, LINUX, extent

THERE = Entry(number=3, start=2048, size=4096, label="data", guid=f"{GUID}3", type_guid=LINUX)


def test_a_partition_is_created_with_all_that_is_said_about_it() -> None:
    wanted = Wanted(index=0, number=3, start=2048, size=4096, label="", guid=f"{GUID}3", type_guid=LINUX)

    assert sgdisk.creation(wanted) == [
        "--new=3:2048:+4096",
        "--change-name=3:",
        f"--typecode=3:{LINUX}",
        f"--partition-guid=3:{GUID}3",
    ]


def test_what_is_not_said_is_left_to_sgdisk() -> None:
    assert sgdisk.creation(Wanted(index=0)) == ["--new=0:0:+0"]


def test_deletions_come_before_creations() -> None:
    decisions = [
        Decision(action=Action.CREATE, wanted=Wanted(index=0, number=1)),
        Decision(action=Action.KEEP, wanted=Wanted(index=1, number=2)),
        Decision(action=Action.RECREATE, wanted=Wanted(index=2, number=3), entry=THERE),
        Decision(action=Action.DELETE, wanted=Wanted(index=3, number=4), entry=THERE),
    ]

    assert sgdisk.changes(decisions, sector_bytes=512) == ["--delete=3", "--delete=4", "--new=1:0:+0", "--new=3:0:+0"]


def test_a_resized_partition_keeps_its_place_and_all_that_it_is() -> None:
    there = Entry(number=3, start=2048, size=1, label="data", guid=f"{GUID}3", type_guid=LINUX, attributes="4")
    decision = Decision(action=Action.RESIZE, wanted=Wanted(index=0, number=3, size=4096), entry=there)

    assert sgdisk.changes([decision], sector_bytes=512) == [
        "--delete=3",
        "--new=3:2048:+4096",
        "--change-name=3:data",
        f"--typecode=3:{LINUX}",
        f"--partition-guid=3:{GUID}3",
        "--attributes=3:=:0000000000000004",
    ]


@pytest.mark.parametrize(("sector_bytes", "usual"), [(512, 2048), (4096, 256)])
def test_the_start_of_a_resized_partition_is_not_moved_to_the_alignment(sector_bytes: int, usual: int) -> None:
    there = Entry(number=3, start=63, size=1)
    decision = Decision(action=Action.RESIZE, wanted=Wanted(index=0, number=3, size=4096), entry=there)

    options = sgdisk.changes([decision], sector_bytes=sector_bytes)

    assert options[1:3] == ["--set-alignment=1", "--new=3:63:+4096"]
    assert options[-1] == f"--set-alignment={usual}"


def test_a_trial_only_pretends_and_asks() -> None:
    options = sgdisk.trial([3], [Wanted(index=0, number=3, start=0)], asked=[3])

    assert options == ["--pretend", "--delete=3", "--new=3:0:+0", "--info=3"]
    assert sgdisk.trial([], [], asked=[], first=["--clear"]) == ["--pretend", "--clear"]


def test_extents_are_read_in_the_order_asked() -> None:
    assert sgdisk.extents(extent(2048, 4095) + extent(8192, 8192), asked=[5, 2]) == {5: (2048, 2048), 2: (8192, 1)}


@pytest.mark.parametrize("printed", ["", extent(1, 2) * 2, "First sector: 2048 (at 1 MiB)\n"])
def test_output_that_does_not_fit_the_question_is_an_error(printed: str) -> None:
    with pytest.raises(StorageError, match="where 1 were asked for"):
        sgdisk.extents(printed, asked=[1])
