"""What uses a disk, from what the kernel tells."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestos.installer.device import in_use
from tests.unit.compose.trees import plant


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """``sda`` with three partitions."""
    block = "sys/class/block"
    files: dict[str, str | None] = {
        f"{block}/sda/dev": "8:0",
        "proc/self/mountinfo": "",
        "proc/swaps": "Filename Type\n",
    }
    for number in (1, 2, 3):
        files[f"{block}/sda/sda{number}/partition"] = str(number)
        files[f"{block}/sda/sda{number}/dev"] = f"8:{number}"
        files[f"{block}/sda/sda{number}/holders"] = None
    return plant(tmp_path, files)


def used(machine: Path) -> list[str]:
    return in_use(Path("/dev/sda"), sys=machine / "sys", proc=machine / "proc")


def test_an_idle_disk_is_free(machine: Path) -> None:
    assert used(machine) == []


@pytest.mark.parametrize(("number", "name"), [("8:2", "sda2"), ("8:0", "sda")], ids=["a partition", "the disk"])
def test_mounts_are_named_with_their_places(machine: Path, number: str, name: str) -> None:
    (machine / "proc/self/mountinfo").write_text(
        f"36 35 {number} / /data rw - ext4 x rw\n37 35 9:9 / / rw - ext4 y rw\n"
    )
    assert used(machine) == [f"{name} is mounted at /data"]


def test_swap_counts(machine: Path) -> None:
    (machine / "proc/swaps").write_text("Filename Type Size Used Priority\n/dev/sda3 partition 1 0 -2\n")
    assert used(machine) == ["sda3 is swap"]


def test_the_running_system_counts(machine: Path) -> None:
    plant(machine, {"sys/class/block/sda/sda1/holders/dm-0/dm/name": "root"})
    assert used(machine) == ["sda1 carries dm-0 (the running system)"]
