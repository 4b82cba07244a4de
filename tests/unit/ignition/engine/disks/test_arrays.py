"""RAID arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from nestos.ignition.engine.disks.arrays import command, device_of
from nestos.ignition.engine.disks.survey import StorageError
from nestos.ignition.spec.model import Raid
from tests.unit.ignition.engine.disks.blocks import Blocks


def array(**fields: Any) -> Raid:
    return cast(Raid, {"name": "data", "level": "raid1", **fields})


def test_an_array_is_made_by_one_command() -> None:
    made = command(array(spares=1, options=["--metadata=1.0"]), [Path("/dev/a"), Path("/dev/b"), Path("/dev/c")])

    assert " ".join(str(word) for word in made) == (
        "mdadm --create data --force --run --homehost any --level raid1 --raid-devices 2 --spare-devices 1 "
        "--metadata=1.0 /dev/a /dev/b /dev/c"
    )


@pytest.mark.parametrize(("name", "device"), [("data", "/dev/md/data"), ("/dev/md0", "/dev/md0")])
def test_an_array_appears_under_its_name(name: str, device: str) -> None:
    assert device_of(array(name=name)) == device


def test_the_array_is_made_of_the_devices_and_waited_for(blocks: Blocks) -> None:
    members = [blocks.disk(name) for name in ("sda", "sdb")]
    target = blocks.top / "dev/md0"
    blocks.runner.on("mdadm", does=lambda _: target.touch())

    blocks.run({"raid": [{"name": str(target), "level": "raid1", "devices": members}]})

    assert blocks.written == [
        "mdadm --create /dev/md0 --force --run --homehost any --level raid1 --raid-devices 2 /dev/sda /dev/sdb"
    ]


def test_an_array_that_does_not_appear_is_an_error(blocks: Blocks) -> None:
    members = [blocks.disk(name) for name in ("sda", "sdb")]

    with pytest.raises(StorageError, match=r"\$.storage.raid.0.name \(/dev/md/absent\): there is no such device"):
        blocks.run({"raid": [{"name": "absent", "level": "raid1", "devices": members}]})


@pytest.mark.parametrize(
    ("level", "spares", "text"),
    [
        ("raid6", 0, "2 devices less 0 spares are too few for raid6, which needs 4"),
        ("raid5", 1, "2 devices less 1 spares are too few for raid5, which needs 2"),
        ("raid1", 2, "2 devices less 2 spares are too few for raid1, which needs 1"),
    ],
)
def test_too_few_devices_are_told_before_anything_is_written(
    blocks: Blocks, level: str, spares: int, text: str
) -> None:
    members = [blocks.disk(name) for name in ("sda", "sdb")]

    with pytest.raises(StorageError, match=text):
        blocks.run({"raid": [{"name": "x", "level": level, "spares": spares, "devices": members}]})

    assert blocks.written == []


def test_a_device_in_use_is_told_before_anything_is_written(blocks: Blocks) -> None:
    members = [blocks.disk(name) for name in ("sda", "sdb")]
    blocks.hold("sdb", "md5")

    with pytest.raises(StorageError, match=r"\$.storage.raid.0.devices \(.*/dev/sdb\): it is held by md5"):
        blocks.run({"raid": [{"name": "x", "level": "raid1", "devices": members}]})
