"""Devices that an unfinished first boot made: noted, known again, and erased before the next try."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nestos.ignition.engine.disks.leftovers import identity
from nestos.ignition.engine.disks.survey import StorageError
from tests.unit.ignition.engine.disks.blocks import Blocks

BOOT = "0a"


@pytest.fixture
def disk(blocks: Blocks) -> str:
    """A partition on a disk with a serial number, on the machine's first boot."""
    with (blocks.bench.folder / "cmdline").open("a") as file:
        file.write(f"nestos.boot={BOOT}\n")
    blocks.disk(f"disk/by-partuuid/{BOOT}")
    blocks.disk("sda")
    (blocks.top / "sys/class/block/sda/serial").write_text("S1\n")
    (blocks.top / "run/ignition/boot").mkdir(parents=True)
    stamp(blocks).touch()
    return blocks.partition("sda", 1, start=2048, size=4096)


def stamp(blocks: Blocks) -> Path:
    return blocks.top / "run/ignition/boot/ignition.firstboot"


def noted(blocks: Blocks) -> list[str]:
    lines = stamp(blocks).read_text().splitlines()
    return [json.loads(line.partition(": ")[2])["device"] for line in lines if line]


def hold(blocks: Blocks, *, kind: str) -> None:
    """Makes every device hold something until it is erased."""
    blocks.runner.on("blkid", stdout=f"ID_FS_TYPE={kind}\n")
    blocks.runner.on("isLuks", returncode=1)
    blocks.runner.on("wipefs", does=lambda _call: blocks.runner.on("blkid", returncode=2))


def test_what_was_made_is_noted_before_it_is_made(blocks: Blocks, disk: str) -> None:
    seen: list[list[str]] = []
    blocks.runner.on("blkid", returncode=2)
    blocks.runner.on("isLuks", returncode=1)
    blocks.runner.on("luksFormat", does=lambda _call: seen.append(noted(blocks)))
    blocks.runner.on("mkfs.ext4", does=lambda _call: seen.append(noted(blocks)))
    whole = blocks.disk("sdb")
    (blocks.top / "sys/class/block/sdb/size").write_text("9999\n")

    blocks.run(
        {
            "luks": [{"name": "a", "device": disk, "keyFile": {"source": "data:,k"}}],
            "filesystems": [{"device": whole, "format": "ext4"}],
        }
    )

    assert seen[0] == ["S1+2048+4096"]
    assert seen[1][1].endswith("/sdb+0+9999")


@pytest.mark.parametrize("kind", ["crypto_LUKS", "ext4"])
def test_what_an_unfinished_boot_left_is_erased_and_made_again(blocks: Blocks, disk: str, kind: str) -> None:
    stamp(blocks).write_text(f'# unfinished: {{"device": "S1+2048+4096", "name": "{disk}"}}\n')
    hold(blocks, kind=kind)

    blocks.run({"luks": [{"name": "a", "device": disk}]})

    words = [line[0:2] for line in blocks.runner.lines]
    assert words.index(["wipefs", "--all"]) < words.index(["cryptsetup", "luksFormat"])


@pytest.mark.parametrize("note", ['{"device": "S2+2048+4096", "name": "x"}', '{"path": "/a", "filesystem": 1}', "torn"])
def test_what_somebody_else_left_is_refused_as_ever(blocks: Blocks, disk: str, note: str) -> None:
    stamp(blocks).write_text(f"# unfinished: {note}\n")
    hold(blocks, kind="ext4")

    with pytest.raises(StorageError, match="it holds ext4"):
        blocks.run({"luks": [{"name": "a", "device": disk}]})

    assert not any(line[0] == "wipefs" for line in blocks.runner.lines)


def test_an_array_that_udev_made_of_leftovers_is_stopped_first(blocks: Blocks, disk: str) -> None:
    stamp(blocks).write_text(f'# unfinished: {{"device": "S1+2048+4096", "name": "{disk}"}}\n')
    blocks.hold("sda1", "md127")
    holder = blocks.top / "sys/class/block/sda1/holders/md127"
    blocks.runner.on("--stop", does=lambda _call: holder.unlink())
    blocks.runner.on("blkid", returncode=2)

    blocks.run({"filesystems": [{"device": disk, "format": "ext4"}]})

    lines = [line for line in blocks.written if line.startswith(("mdadm", "wipefs", "mkfs"))]
    assert [line.split()[0] for line in lines] == ["mdadm", "wipefs", "wipefs", "mkfs.ext4"]
    assert lines[0] == "mdadm --stop /dev/md127"


def test_a_device_on_others_is_told_by_them(blocks: Blocks, disk: str) -> None:
    facts = blocks.top / "sys/class/block"
    (facts / "dm-3/slaves").mkdir(parents=True)
    (facts / "dm-3/slaves/sda1").symlink_to("../../sda1")

    assert identity(facts / "dm-3") == "dm(S1+2048+4096)"
