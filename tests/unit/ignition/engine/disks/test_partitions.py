"""Partition tables on a machine: what is asked, refused, written, and told to the kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from nestos.ignition.engine.disks.survey import StorageError
from tests.unit.ignition.engine.disks.blocks import GUID, NO_TABLE, Blocks, extent, pairs

DATA = {"number": 1, "start": 2048, "size": 4096, "label": "data"}


def with_table(
    blocks: Blocks,
    *entries: dict[str, Any],
    after: str | None = None,
    kernel: Callable[[], object] = lambda: None,
) -> dict[str, Any]:
    """A disk with these partitions, of which sgdisk makes ``after`` and the kernel ``kernel``; its config."""
    device = blocks.disk("sda")
    for entry in entries:
        blocks.partition("sda", entry["number"], start=entry["start"], size=entry["size"])
    blocks.runner.on("partx", "--pairs", stdout=pairs(*entries))
    if after is not None:
        blocks.runner.on("sgdisk", does=lambda call: _becomes(blocks, call.line, after, kernel))
    return {"device": device}


def _becomes(blocks: Blocks, line: list[str], after: str, kernel: Callable[[], object]) -> None:
    if "--pretend" not in line:
        kernel()
        blocks.runner.on("partx", "--pairs", stdout=after)


def test_a_disk_as_the_config_says_is_not_written_to(blocks: Blocks) -> None:
    disk = with_table(blocks, DATA)

    blocks.run({"disks": [{**disk, "partitions": [{"number": 1, "label": "data", "sizeMiB": 2}]}]})

    assert blocks.written == []


def test_a_partition_is_created_and_told_to_a_kernel_that_could_not_read_the_table(blocks: Blocks) -> None:
    new = {"number": 2, "start": 8192, "size": 2048, "label": "new"}
    disk = with_table(blocks, DATA, after=pairs(DATA, new))
    blocks.runner.on("--add", does=lambda _: blocks.partition("sda", 2, start=8192, size=2048))

    blocks.run({"disks": [{**disk, "partitions": [{"number": 2, "label": "new", "startMiB": 4, "sizeMiB": 1}]}]})

    assert blocks.written == ["sgdisk --new=2:8192:+2048 --change-name=2:new /dev/sda", "partx --add --nr=2 /dev/sda"]


def test_a_kernel_that_knows_the_table_is_told_nothing(blocks: Blocks) -> None:
    disk = with_table(blocks, DATA, after="", kernel=lambda: blocks.forget("sda1"))

    blocks.run({"disks": [{**disk, "partitions": [{"number": 1, "shouldExist": False, "wipePartitionEntry": True}]}]})

    assert blocks.written == ["sgdisk --delete=1 /dev/sda"]


def test_a_kernel_that_stays_wrong_is_an_error(blocks: Blocks) -> None:
    disk = with_table(blocks, after=pairs(DATA))

    with pytest.raises(StorageError, match="the kernel does not know partition 1 as written"):
        blocks.run({"disks": [{**disk, "partitions": [{"number": 1, "label": "data"}]}]})


def test_a_table_that_is_not_what_was_asked_for_is_an_error(blocks: Blocks) -> None:
    disk = with_table(blocks, after=pairs({**DATA, "label": "odd"}))
    blocks.runner.on("--add", does=lambda _: blocks.partition("sda", 1, start=2048, size=4096))

    with pytest.raises(StorageError, match='partition 1 "data" was created, but its label is "odd"'):
        blocks.run({"disks": [{**disk, "partitions": [{"number": 1, "label": "data"}]}]})


def test_partitions_that_moved_are_told_to_the_kernel_as_gone_and_new_and_grown_ones_as_changed(blocks: Blocks) -> None:
    other = {"number": 2, "start": 8192, "size": 2048}
    moved, grown = {**DATA, "start": 16384}, {**other, "size": 4096}
    disk = with_table(blocks, DATA, other, after=pairs(moved, grown))

    with pytest.raises(StorageError, match="the kernel does not know"):
        blocks.run(
            {
                "disks": [
                    {
                        **disk,
                        "partitions": [
                            {"number": 1, "startMiB": 8, "wipePartitionEntry": True},
                            {"number": 2, "sizeMiB": 2, "resize": True},
                        ],
                    }
                ]
            }
        )

    assert [line for line in blocks.lines if line.startswith("partx --") and "--pairs" not in line] == [
        "partx --delete --nr=1 /dev/sda",
        "partx --update --nr=2 /dev/sda",
        "partx --add --nr=1 /dev/sda",
    ]


def test_open_extents_are_closed_by_a_trial_and_compared(blocks: Blocks) -> None:
    disk = with_table(blocks, DATA)
    blocks.runner.on("--pretend", stdout=extent(2048, 6143))

    blocks.run({"disks": [{**disk, "partitions": [{"number": 1, "startMiB": 0, "sizeMiB": 0}]}]})

    assert "sgdisk --pretend --delete=1 --new=1:0:+0 --info=1 /dev/sda" in blocks.lines
    assert blocks.written == []


def test_partitions_that_do_not_fit_are_found_before_anything_is_written(blocks: Blocks) -> None:
    disk = with_table(blocks)
    blocks.runner.on("--pretend", returncode=4, stderr="Could not create partition 1 from 2048 to 99999")

    with pytest.raises(StorageError, match=r"\$.storage.disks.0.partitions .*do not fit: Could not create partition 1"):
        blocks.run({"disks": [{**disk, "partitions": [{"number": 1, "sizeMiB": 99999}]}]})

    assert blocks.written == []


def test_a_wiped_table_counts_as_empty(blocks: Blocks) -> None:
    disk = with_table(blocks, DATA)

    assert blocks.plan({"disks": [{**disk, "wipeTable": True, "partitions": [{"number": 1, "sizeMiB": 5}]}]}) == [
        "the partition table of /dev/sda is wiped",
        "partition 1 of /dev/sda is created, in the largest free room, 10240 sectors",
    ]
    assert [line for line in blocks.lines if "partx" in line] == []


def test_wiping_is_tried_twice_because_it_fails_on_a_damaged_table(blocks: Blocks) -> None:
    disk = with_table(blocks)
    blocks.runner.on("partx", "--pairs", returncode=1, stderr=NO_TABLE)
    blocks.runner.on("--zap-all", returncode=2, does=lambda _: blocks.runner.on("--zap-all"))

    blocks.run({"disks": [{**disk, "wipeTable": True}]})

    assert blocks.written == ["sgdisk --zap-all /dev/sda"] * 2


def test_a_table_too_damaged_for_a_trial_can_still_be_wiped(blocks: Blocks) -> None:
    disk = with_table(blocks)
    blocks.runner.on("--pretend", returncode=2, stderr="Problem reading the table")

    assert blocks.plan({"disks": [{**disk, "wipeTable": True, "partitions": [{"number": 1}]}]})[1].startswith(
        "partition 1 of /dev/sda is created"
    )


def test_every_partition_that_may_not_be_changed_is_told_at_once(blocks: Blocks) -> None:
    disk = with_table(blocks, DATA, {"number": 2, "start": 8192, "size": 2048})

    with pytest.raises(StorageError) as caught:
        blocks.run(
            {
                "disks": [
                    {
                        **disk,
                        "partitions": [{"number": 1, "label": "x", "sizeMiB": 9}, {"number": 2, "shouldExist": False}],
                    }
                ]
            }
        )

    text = str(caught.value).replace(str(blocks.top), "")
    assert text.splitlines() == [
        '$.storage.disks.0.partitions.0 (/dev/sda, partition 1 "x"): its label is "data", not "x", it has 4096 '
        "sectors, not 18432; set wipePartitionEntry to have it deleted and made anew, or write what it is into the "
        "config",
        "$.storage.disks.0.partitions.1 (/dev/sda, partition 2): it exists; set wipePartitionEntry to have it deleted",
    ]
    assert caught.value.hint == "nothing was written to any disk"
    assert blocks.written == []


def test_a_disk_in_use_itself_is_refused(blocks: Blocks) -> None:
    disk = with_table(blocks)
    blocks.mount(disk["device"], "/mnt")

    with pytest.raises(StorageError, match=r"\$.storage.disks.0.device .*the disk is mounted at /mnt"):
        blocks.run({"disks": [{**disk, "partitions": [{"number": 1}]}]})


def test_the_table_of_a_disk_with_a_partition_in_use_is_not_wiped(blocks: Blocks) -> None:
    disk = with_table(blocks, DATA)
    blocks.hold("sda1", "dm-0")

    with pytest.raises(StorageError, match=r"\$.storage.disks.0.wipeTable .*partition 1 is held by dm-0"):
        blocks.run({"disks": [{**disk, "wipeTable": True}]})


def test_a_partition_in_use_is_not_changed_but_others_are(blocks: Blocks) -> None:
    new = {"number": 2, "start": 8192, "size": 2048}
    disk = with_table(blocks, DATA, after=pairs(DATA, new))
    blocks.mount(blocks.device("sda1"), "/var")
    blocks.runner.on("--add", does=lambda _: blocks.partition("sda", 2, start=8192, size=2048))

    with pytest.raises(StorageError, match="it is mounted at /var, and is to be deleted and created anew because"):
        blocks.run({"disks": [{**disk, "partitions": [{"number": 1, "sizeMiB": 9, "wipePartitionEntry": True}]}]})
    blocks.run({"disks": [{**disk, "partitions": [{"number": 1}, {"number": 2, "startMiB": 4, "sizeMiB": 1}]}]})

    assert blocks.written == ["sgdisk --new=2:8192:+2048 /dev/sda", "partx --add --nr=2 /dev/sda"]


def test_sectors_of_4096_bytes_are_counted_as_such(blocks: Blocks) -> None:
    device = blocks.disk("sda", sector_bytes=4096)
    blocks.runner.on("partx", "--pairs", returncode=1, stderr=NO_TABLE)

    assert blocks.plan({"disks": [{"device": device, "partitions": [{"number": 1, "startMiB": 1, "sizeMiB": 1}]}]}) == [
        "partition 1 of /dev/sda is created, from sector 256, 256 sectors"
    ]


def test_a_second_entry_for_one_disk_is_worked_out_when_the_first_is_done(blocks: Blocks) -> None:
    disk = with_table(blocks, after=pairs(DATA))
    blocks.runner.on("--add", does=lambda _: blocks.partition("sda", 1, start=2048, size=4096))
    alias = blocks.top / "dev/disk/by-id/x"
    alias.parent.mkdir(parents=True)
    alias.symlink_to(disk["device"])
    same = {"number": 1, "label": "data"}

    blocks.run({"disks": [{**disk, "partitions": [same]}, {"device": str(alias), "partitions": [same]}]})

    assert [line for line in blocks.written if line.startswith("sgdisk")] == [
        "sgdisk --new=1:0:+0 --change-name=1:data /dev/sda"
    ]


def test_a_disk_that_is_not_there_is_named_with_its_key(blocks: Blocks) -> None:
    disk = with_table(blocks)

    with pytest.raises(
        StorageError, match=r"\$.storage.disks.1.device \(.*/dev/sdz\): there is no such device, after 90"
    ):
        blocks.run({"disks": [disk, {"device": blocks.device("sdz")}]})

    assert blocks.bench.clock.monotonic() >= 90


def test_a_disk_that_appears_late_is_waited_for(blocks: Blocks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks.bench.clock, "sleep", lambda _: with_table(blocks, DATA))

    blocks.run({"disks": [{"device": blocks.device("sda"), "partitions": [{"number": 1}]}]})

    assert blocks.written == []


def test_with_udev_devices_are_waited_for_and_settled_by_it(blocks: Blocks) -> None:
    disk = with_table(blocks, DATA, after="", kernel=lambda: blocks.forget("sda1"))
    blocks.start_udev()

    blocks.run({"disks": [{**disk, "partitions": [{"number": 1, "shouldExist": False, "wipePartitionEntry": True}]}]})

    assert [line for line in blocks.lines if line.startswith("udevadm")] == [
        "udevadm wait --timeout=90 --settle /dev/sda",
        "udevadm trigger --settle /dev/sda",
        "udevadm trigger --settle /dev/sda",
    ]


def test_a_table_that_cannot_be_read_is_an_error(blocks: Blocks) -> None:
    disk = with_table(blocks)
    blocks.runner.on("partx", "--pairs", returncode=1, stderr="partx: /dev/sda: failed to open")

    with pytest.raises(StorageError, match=r"the partition table of .* cannot be read: .*failed to open"):
        blocks.run({"disks": [{**disk, "partitions": [{"number": 1}]}]})


def test_a_failure_of_sgdisk_ends_the_stage_and_says_that_disks_may_have_changed(blocks: Blocks) -> None:
    disk = with_table(blocks)
    blocks.runner.on("--new=1:0:+0", returncode=4)
    blocks.runner.on("--pretend")

    with pytest.raises(
        StorageError, match=r"this failed: partition 1 of .*/dev/sda is created, .*: exit status 4"
    ) as caught:
        blocks.run({"disks": [{**disk, "partitions": [{"number": 1}]}]})

    assert caught.value.hint.startswith("the steps before it were carried out")


def test_later_stages_find_the_devices_by_their_aliases(blocks: Blocks) -> None:
    disk = with_table(blocks, DATA)

    blocks.run({"disks": [{**disk, "partitions": [{"number": 1, "guid": f"{GUID}1"}]}]})

    alias = blocks.top / "run/ignition/dev_aliases" / disk["device"].lstrip("/")
    assert alias.resolve() == blocks.top / "dev/sda"


def test_the_table_of_a_disk_that_has_grown_may_use_all_of_it(blocks: Blocks) -> None:
    disk = with_table(blocks, DATA)
    header = b"EFI PART" + bytes(24) + (131071).to_bytes(8, "little")
    blocks.top.joinpath("dev/sda").write_bytes(bytes(512) + header)
    size = blocks.top / "sys/class/block/sda/size"
    storage = {"disks": [{**disk, "partitions": [{"number": 2, "sizeMiB": 900}]}]}

    for sectors in ("131072", "4194304"):
        size.write_text(f"{sectors}\n")
        blocks.plan(storage)

    assert [line for line in blocks.lines if line.startswith("sgdisk")] == [
        "sgdisk --pretend --new=2:0:+1843200 /dev/sda",
        "sgdisk --pretend --move-second-header --new=2:0:+1843200 /dev/sda",
    ]
