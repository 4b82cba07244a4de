"""File systems: the matrix of reuse, the commands, and what happens when several are made."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from nestos.ignition.engine.disks import filesystems
from nestos.ignition.engine.disks.filesystems import Action, canonical_uuid, command, decide
from nestos.ignition.engine.disks.signatures import Signature, signature_of
from nestos.ignition.engine.disks.survey import StorageError
from nestos.ignition.spec.model import Filesystem
from tests.unit.ignition.engine.disks.blocks import Blocks, pairs

UUID = "0000000a-0000-4000-8000-000000000001"
EXT4 = Signature(kind="ext4", label="data", uuid=UUID)
NOTHING = Signature()


def wanted(**fields: Any) -> Filesystem:
    return cast(Filesystem, {"device": "/dev/sda", **fields})


@pytest.mark.parametrize(
    ("found", "fields", "action"),
    [
        (NOTHING, {"format": "ext4"}, Action.MAKE),
        (NOTHING, {"format": "ext4", "label": "data"}, Action.MAKE),
        (NOTHING, {"format": "none"}, Action.KEEP),
        (EXT4, {"format": "ext4"}, Action.KEEP),
        (EXT4, {"format": "ext4", "label": "data"}, Action.KEEP),
        (EXT4, {"format": "ext4", "uuid": UUID.upper()}, Action.KEEP),
        (EXT4, {"format": "ext4", "label": "data", "uuid": UUID}, Action.KEEP),
        (EXT4, {"format": "ext4", "label": "other"}, Action.REFUSE),
        (EXT4, {"format": "ext4", "label": ""}, Action.REFUSE),
        (EXT4, {"format": "ext4", "uuid": "0" + UUID[1:-1] + "9"}, Action.REFUSE),
        (EXT4, {"format": "xfs"}, Action.REFUSE),
        (EXT4, {"format": "none"}, Action.REFUSE),
        (EXT4, {"format": "ext4", "wipeFilesystem": True}, Action.MAKE),
        (EXT4, {"format": "none", "wipeFilesystem": True}, Action.MAKE),
        (EXT4, {"format": "ext4", "wipeFilesystem": False, "label": "other"}, Action.REFUSE),
        (Signature(kind="vfat", uuid="A1B2-C3D4"), {"format": "vfat", "uuid": "a1b2c3d4"}, Action.KEEP),
        (Signature(kind="vfat", uuid="A1B2-C3D4"), {"format": "vfat", "uuid": "A1B2-C3D5"}, Action.REFUSE),
        (Signature(kind="crypto_LUKS", uuid=UUID), {"format": "ext4"}, Action.REFUSE),
        (Signature(kind="swap", uuid=UUID), {"format": "swap"}, Action.KEEP),
    ],
)
def test_what_is_there_is_kept_replaced_or_refused(found: Signature, fields: dict[str, Any], action: Action) -> None:
    assert decide(found, wanted(**fields)) is action


@pytest.mark.parametrize(
    ("fields", "line"),
    [
        ({"format": "ext4"}, "mkfs.ext4 -F /dev/x"),
        ({"format": "ext4", "label": "l", "uuid": "AB"}, "mkfs.ext4 -F -U ab -L l /dev/x"),
        ({"format": "ext4", "options": ["-b", "1024"]}, "mkfs.ext4 -b 1024 -F /dev/x"),
        ({"format": "btrfs", "label": "l", "uuid": "AB"}, "mkfs.btrfs --force -U ab -L l /dev/x"),
        ({"format": "xfs", "label": "l", "uuid": "AB"}, "mkfs.xfs -f -m uuid=ab -L l /dev/x"),
        ({"format": "swap", "label": "l", "uuid": "AB"}, "mkswap -f -U ab -L l /dev/x"),
        ({"format": "vfat", "label": "L", "uuid": "A1B2-C3D4"}, "mkfs.fat -i a1b2c3d4 -n L /dev/x"),
        ({"format": "none"}, ""),
    ],
)
def test_each_format_has_its_command(fields: dict[str, Any], line: str) -> None:
    words = command(wanted(**fields), Path("/dev/x"))

    assert " ".join(str(word) for word in words or []) == line


@pytest.mark.parametrize(
    ("kind", "uuid", "same"),
    [
        ("vfat", "A1B2-C3D4", "a1b2c3d4"),
        ("vfat", "a1b2c3d4", "a1b2c3d4"),
        ("vfat", "A-1", "a-1"),
        ("xfs", "A-1", "a-1"),
    ],
)
def test_equal_uuids_have_one_form(kind: str, uuid: str, same: str) -> None:
    assert canonical_uuid(kind, uuid) == same


def holds(blocks: Blocks, name: str, kind: str = "", label: str = "") -> str:
    """A device, and what blkid says about it."""
    device = blocks.disk(name)
    facts = f"ID_FS_TYPE={kind}\nID_FS_UUID_ENC={UUID}\nID_FS_LABEL_ENC={label}\n" if kind else ""
    blocks.runner.on("blkid", device, stdout=facts, returncode=0 if kind else 2)
    return device


def test_a_device_with_nothing_on_it_gets_its_file_system(blocks: Blocks) -> None:
    device = holds(blocks, "sda")

    blocks.run({"filesystems": [{"device": device, "format": "ext4", "label": "data"}]})

    assert blocks.written == ["wipefs --all /dev/sda", "mkfs.ext4 -F -L data /dev/sda"]


def test_a_file_system_that_will_do_is_not_written_to(blocks: Blocks) -> None:
    device = holds(blocks, "sda", "ext4", "data")

    blocks.run({"filesystems": [{"device": device, "format": "ext4", "label": "data"}]})

    assert blocks.written == []


def test_a_device_without_a_format_is_not_even_looked_at(blocks: Blocks) -> None:
    blocks.run({"filesystems": [{"device": blocks.device("absent")}]}, programs=())

    assert blocks.lines == []


def test_of_a_shared_folder_the_device_is_no_device(blocks: Blocks) -> None:
    blocks.run({"filesystems": [{"device": "/tag", "format": "virtiofs", "path": "/x"}]}, programs=())

    assert blocks.lines == []


def test_erasing_is_all_that_the_format_none_asks_for(blocks: Blocks) -> None:
    device = holds(blocks, "sda", "xfs")

    blocks.run({"filesystems": [{"device": device, "format": "none", "wipeFilesystem": True}]})

    assert blocks.written == ["wipefs --all /dev/sda"]


def test_file_systems_in_the_way_are_all_told_before_anything_is_written(blocks: Blocks) -> None:
    first, second, third = holds(blocks, "sda", "xfs"), holds(blocks, "sdb", "ext4", "x"), holds(blocks, "sdc")
    storage = {
        "filesystems": [
            {"device": first, "format": "ext4"},
            {"device": second, "format": "ext4", "label": "y"},
            {"device": third, "format": "ext4"},
        ]
    }

    with pytest.raises(StorageError) as caught:
        blocks.run(storage)

    text = str(caught.value).replace(str(blocks.top), "")
    hint = "set wipeFilesystem to have it erased, which loses its contents, or write what it is into the config"
    assert text.splitlines() == [
        "2 problems:",
        f"- $.storage.filesystems.0 (/dev/sda): it holds xfs without a label, UUID {UUID}, not ext4; {hint}",
        f'- $.storage.filesystems.1 (/dev/sdb): it holds ext4 labelled "x", UUID {UUID}, not ext4 labelled "y"; {hint}',
    ]
    assert blocks.written == []


def test_a_mounted_device_is_not_erased_but_may_be_kept(blocks: Blocks) -> None:
    device = holds(blocks, "sda", "ext4")
    blocks.mount(device, "/mnt")

    blocks.run({"filesystems": [{"device": device, "format": "ext4"}]})
    with pytest.raises(StorageError, match="it is mounted at /mnt, and is to be erased"):
        blocks.run({"filesystems": [{"device": device, "format": "ext4", "wipeFilesystem": True}]})

    assert blocks.written == []


def test_of_several_failures_every_one_is_told(blocks: Blocks) -> None:
    devices = [holds(blocks, name) for name in ("sda", "sdb", "sdc")]
    for device in devices[::2]:
        blocks.runner.on("mkfs.ext4", device, returncode=1)

    with pytest.raises(StorageError) as caught:
        blocks.run({"filesystems": [{"device": device, "format": "ext4"} for device in devices]})

    assert [line.split(" (")[0] for line in str(caught.value).splitlines()] == [
        "$.storage.filesystems.0",
        "$.storage.filesystems.2",
    ]
    assert "mkfs.ext4 -F /dev/sdb" in blocks.written


def test_an_error_of_an_unexpected_kind_in_one_of_several_is_a_failure_too(
    blocks: Blocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices = [holds(blocks, name) for name in ("sda", "sdb")]
    monkeypatch.setattr(filesystems, "command", lambda wanted, device: 1 / 0)

    with pytest.raises(StorageError, match=r"filesystems\.1 .*division by zero"):
        blocks.run({"filesystems": [{"device": device, "format": "ext4"} for device in devices]})


def test_a_partition_table_is_something(blocks: Blocks) -> None:
    device = Path(blocks.disk("sda"))
    blocks.runner.on("blkid", stdout="ID_PART_TABLE_TYPE=gpt\n")

    found = signature_of(blocks.job({}), device)
    assert str(found) == "a partition table (gpt)"
    assert decide(found, {"device": str(device), "format": "ext4"}) is Action.REFUSE


def test_two_file_systems_for_one_device_are_refused(blocks: Blocks) -> None:
    device = holds(blocks, "sda")
    link = blocks.top / "dev/link"
    link.symlink_to(device)
    blocks.runner.on("blkid", returncode=2)

    with pytest.raises(StorageError, match=r"filesystems.1 .* it is the same device"):
        blocks.run({"filesystems": [{"device": name, "format": "ext4"} for name in (device, str(link))]})

    assert blocks.written == []


def test_a_file_system_on_a_partition_that_is_made_is_decided_when_it_is_there(blocks: Blocks) -> None:
    disk = blocks.disk("sda")
    new = {"number": 1, "start": 2048, "size": 4096}

    def partitioned(_: object) -> None:
        blocks.partition("sda", 1, start=2048, size=4096)
        blocks.runner.on("partx", "--pairs", stdout=pairs(new))

    blocks.runner.on("sgdisk", "--new=1:0:+0", does=partitioned)
    blocks.runner.on("sgdisk", "--pretend")
    blocks.runner.on("blkid", returncode=2)
    storage = {
        "disks": [{"device": disk, "partitions": [{"number": 1}]}],
        "filesystems": [{"device": blocks.device("sda1"), "format": "xfs"}],
    }

    assert blocks.plan(storage)[-1] == "a file system of the format xfs is made on /dev/sda1, unless it is there"
    blocks.run(storage)

    assert blocks.written == ["sgdisk --new=1:0:+0 /dev/sda", "wipefs --all /dev/sda1", "mkfs.xfs -f /dev/sda1"]


def test_missing_programs_are_named_with_their_packages_before_anything_is_written(blocks: Blocks) -> None:
    device = holds(blocks, "sda")

    with pytest.raises(StorageError) as caught:
        blocks.run({"filesystems": [{"device": device, "format": "btrfs"}]}, programs=("blkid", "wipefs"))

    assert str(caught.value) == (
        "$.storage.filesystems.0.format: the program mkfs.btrfs is missing from this system; "
        "it is in Debian's package btrfs-progs"
    )


def test_labels_are_read_as_they_are_on_the_device(blocks: Blocks) -> None:
    device = holds(blocks, "sda", "ext4", r"x\x20\x22y\x5c\xc3\xa9")

    assert signature_of(blocks.job({}), Path(device)).label == 'x "y\\é'


def test_of_several_signatures_the_first_counts_with_a_warning(blocks: Blocks) -> None:
    device = Path(blocks.disk("sda"))
    blocks.runner.on("blkid", returncode=8, stdout="ID_FS_AMBIVALENT=filesystem:ext4:1.0 other:zfs_member:5\n")
    blocks.runner.on("--match-types=ext4", stdout=f"ID_FS_TYPE=ext4\nID_FS_UUID_ENC={UUID}\n")

    assert signature_of(blocks.job({}), device) == Signature(kind="ext4", uuid=UUID)
    assert "several kinds (ext4, zfs_member); it is taken for ext4" in blocks.bench.said


def test_a_device_that_cannot_be_read_is_not_taken_for_empty(blocks: Blocks) -> None:
    device = Path(blocks.disk("sda"))
    blocks.runner.on("blkid", returncode=2, stderr="blkid: error: /dev/sda: Input/output error")

    with pytest.raises(StorageError, match=r"cannot be found out: .*Input/output error"):
        signature_of(blocks.job({}), device)


def test_what_an_earlier_problem_keeps_from_being_made_is_not_waited_for_and_other_problems_are_told(
    blocks: Blocks,
) -> None:
    disk, other = blocks.disk("sda"), holds(blocks, "sdb", "xfs")
    storage = {
        "disks": [{"device": disk, "partitions": [{"number": 1}]}],
        "raid": [{"name": "x", "level": "raid1", "devices": [blocks.device("sda1")]}],
        "luks": [{"name": "x", "device": blocks.device("sda1")}],
        "filesystems": [{"device": blocks.device("sda1"), "format": "ext4"}, {"device": other, "format": "ext4"}],
    }
    programs = ("partx", "blkid", "wipefs", "mkfs.ext4", "mdadm", "cryptsetup")

    with pytest.raises(StorageError) as caught:
        blocks.run(storage, programs=programs)

    assert [line.split(" (")[0] for line in str(caught.value).splitlines()] == [
        "2 problems:",
        "- $.storage.disks.0: the program sgdisk is missing from this system; it is in Debian's package gdisk",
        "- $.storage.filesystems.1",
    ]
    assert blocks.bench.clock.monotonic() == 0


def test_a_file_system_is_ready_only_when_udev_has_seen_it(blocks: Blocks) -> None:
    device = holds(blocks, "sda")
    blocks.start_udev()

    blocks.run({"filesystems": [{"device": device, "format": "ext4"}]})

    assert blocks.written[-2:] == ["mkfs.ext4 -F /dev/sda", "udevadm trigger --settle /dev/sda"]
