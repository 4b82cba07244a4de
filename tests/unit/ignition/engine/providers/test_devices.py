"""Platforms with devices of their own: drives of Azure, the FIFO of BlueField, the card reader of z/VM."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nestos.ignition.engine.acquire import empty
from tests.unit.ignition.engine.bench import Bench
from tests.unit.ignition.engine.cloud import Cloud
from tests.unit.ignition.engine.providers.drives import DriveTools, use_drives
from tests.unit.ignition.engine.providers.test_metadata import CONFIG, SERVICES, files

DISC_OK, NO_DISC = 4, 1


def azure_drive(machine: Bench, tools: DriveTools, name: str, content: dict[str, str], *, kind: str = "udf") -> Path:
    """A drive that blkid finds."""
    device = machine.folder / "top/dev" / name
    device.mkdir(parents=True)
    for file, text in content.items():
        (device / file).write_text(text)
    start = f"blkid --cache-file=/dev/null --output=device --match-token=TYPE={kind}"
    tools.outputs[start] = tools.outputs.get(start, "") + f"/dev/{name}\n"
    return device


def discs(state: Callable[[str], int]) -> Callable[[int, int, Any], int]:
    """The status of a CD-ROM drive by the name of its device."""

    def control(file: int, request: int, argument: Any) -> int:
        assert request == 0x5326
        return state(Path(f"/proc/self/fd/{file}").readlink().name)

    return control


@pytest.mark.parametrize("kind", ["udf", "iso9660"])
def test_azure_stack_keeps_the_custom_data_on_a_disc(kind: str, machine: Bench) -> None:
    tools = use_drives(machine)
    azure_drive(machine, tools, "sr0", {"ovf-env.xml": "<x/>", "CustomData.bin": CONFIG}, kind=kind)
    machine.control = discs(lambda name: DISC_OK)

    assert machine.stage("fetch-offline", platform="azurestack") == 0, machine.said

    assert files(machine) == ["/a"]
    assert ["mount", "-o", "ro", "-t", kind, "/dev/sr0"] in [command[:6] for command in tools.commands]


def test_a_disc_without_custom_data_means_that_there_is_none(machine: Bench) -> None:
    azure_drive(machine, use_drives(machine), "sr0", {"ovf-env.xml": "<x/>"})
    machine.control = discs(lambda name: DISC_OK)

    assert machine.stage("fetch-offline", platform="azurestack") == 0
    assert machine.cached() == empty()


def test_only_the_right_disc_in_a_drive_is_read(machine: Bench) -> None:
    tools = use_drives(machine)
    azure_drive(machine, tools, "sda1", {"ovf-env.xml": "<x/>", "CustomData.bin": "a disk of the user"})
    azure_drive(machine, tools, "sr0", {"CustomData.bin": "another disc"})
    azure_drive(machine, tools, "sr1", {"ovf-env.xml": "<x/>", "CustomData.bin": CONFIG})
    turns = iter([NO_DISC, NO_DISC, DISC_OK])

    def state(name: str) -> int:
        if name == "sda1":
            raise OSError(25, "Inappropriate ioctl for device")
        return DISC_OK if name == "sr0" else next(turns)

    machine.control = discs(state)

    assert machine.stage("fetch-offline", platform="azurestack") == 0, machine.said

    assert files(machine) == ["/a"]
    assert tools.mounted == ["/dev/sr0", "/dev/sr1"]
    assert machine.clock.slept == [1.0, 1.0]


def test_azure_without_user_data_has_custom_data(machine: Bench) -> None:
    azure_drive(machine, use_drives(machine), "sr0", {"ovf-env.xml": "<x/>", "CustomData.bin": CONFIG})
    machine.control = discs(lambda name: DISC_OK)
    machine.network = Cloud(machine.clock, {SERVICES["azure"][0]: ""})

    assert machine.stage("fetch", platform="azure") == 0, machine.said
    assert files(machine) == ["/a"]


def bootfifo(machine: Bench, content: bytes) -> None:
    path = machine.folder / "top/sys/bus/platform/devices/MLNXBF04:00/bootfifo"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)


def test_bluefield_has_the_config_in_its_fifo(machine: Bench) -> None:
    bootfifo(machine, CONFIG.encode() + b"\0\0\0")

    assert machine.stage("fetch-offline", platform="nvidiabluefield") == 0

    assert machine.tools.commands == [["modprobe", "mlxbf_bootctl"]]
    assert files(machine) == ["/a"]


@pytest.mark.parametrize("there", [True, False])
def test_bluefield_may_have_none(there: bool, machine: Bench) -> None:
    if there:
        bootfifo(machine, b"")

    assert machine.stage("fetch-offline", platform="nvidiabluefield") == 0
    assert machine.cached() == empty()


@pytest.mark.parametrize("platform", ["nvidiabluefield", "hyperv", "applehv", "zvm"])
def test_a_driver_that_is_missing_is_an_error(platform: str, machine: Bench) -> None:
    machine.tools.failing = {"modprobe"}

    assert machine.stage("fetch-offline", platform=platform) == 1
    assert "couldn't load the kernel module" in machine.said


HEADER = "ORIGINID FILE CLASS RECORDS  CPY HOLD DATE  TIME      NAME      TYPE     DIST\n"


class Reader(DriveTools):
    """The tools of z/VM: receiving a file puts it into the folder of the command."""

    def __call__(self, command, /, **more):  # type: ignore[no-untyped-def]
        if list(command[:2]) == ["vmur", "re"]:
            (more["cwd"] / command[-1]).write_bytes(CONFIG.encode().ljust(160, b"\0"))
        return super().__call__(command, **more)


def test_the_first_file_for_ignition_in_the_card_reader_is_the_config(machine: Bench) -> None:
    machine.tools = tools = Reader(machine)
    tools.outputs["vmur li"] = (
        HEADER
        + "MAINT    0007 A PUN 00000001  001 NONE 06-11 08:23:11  OTHER   txt  SYSPROG\n"
        + "MAINT    0008 A PUN 00000005  001 NONE 06-11 08:23:11  CONFIG  ign  SYSPROG\n"
    )

    assert machine.stage("fetch-offline", platform="zvm") == 0, machine.said

    assert files(machine) == ["/a"]
    assert tools.commands == [
        ["modprobe", "vmur"],
        ["chccwdev", "-e", "000c"],
        ["udevadm", "settle"],
        ["vmur", "li"],
        ["vmur", "re", "-f", "0008", "CONFIG.ign"],
    ]


def test_a_card_reader_without_files_for_ignition_means_none(machine: Bench) -> None:
    machine.tools = tools = Reader(machine)
    tools.outputs["vmur li"] = HEADER

    assert machine.stage("fetch-offline", platform="zvm") == 0
    assert machine.cached() == empty()


def test_a_card_reader_that_stays_off_line_is_uncovered_and_then_an_error(machine: Bench) -> None:
    machine.tools = tools = Reader(machine)
    tools.failing = {"chccwdev"}

    assert machine.stage("fetch-offline", platform="zvm") == 1

    assert ["cio_ignore", "-r", "000c"] in tools.commands
    assert "couldn't online reader device" in machine.said


def test_there_are_no_descriptors_left_open(machine: Bench) -> None:
    azure_drive(machine, use_drives(machine), "sr0", {"ovf-env.xml": "<x/>", "CustomData.bin": CONFIG})
    machine.control = discs(lambda name: DISC_OK)
    before = os.listdir("/proc/self/fd")  # noqa: PTH208

    machine.stage("fetch-offline", platform="azurestack")

    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208
