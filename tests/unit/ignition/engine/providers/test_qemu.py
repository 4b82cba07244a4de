"""The config in QEMU's firmware configuration device, or on a block device where there is none."""

from __future__ import annotations

import pytest

from nestos.ignition.engine.acquire import empty
from tests.unit.ignition.engine.bench import Bench

CONFIG = '{"ignition": {"version": "3.3.0"}, "storage": {"files": [{"path": "/a"}]}}'


def plug(machine: Bench, *, size: int = len(CONFIG)) -> None:
    folder = machine.folder / "fw_cfg/by_name/opt/com.coreos/config"
    folder.mkdir(parents=True)
    (folder / "raw").write_text(CONFIG)
    (folder / "size").write_text(f"{size}\n")


def test_the_entry_is_read(machine: Bench) -> None:
    plug(machine)

    assert machine.stage("fetch-offline", platform="qemu") == 0

    assert machine.tools.commands == []
    assert machine.cached()["storage"]["files"] == [{"path": "/a"}]


def test_an_entry_that_is_shorter_than_it_says_is_no_config(machine: Bench) -> None:
    plug(machine, size=len(CONFIG) + 1)

    assert machine.stage("fetch-offline", platform="qemu") == 1
    assert f"ends after {len(CONFIG)} of {len(CONFIG) + 1} bytes" in machine.said


@pytest.mark.parametrize("failing", [set(), {"modprobe"}])
def test_the_driver_is_loaded_where_it_is_missing(failing: set[str], machine: Bench) -> None:
    machine.tools.failing = failing

    assert machine.stage("fetch-offline", platform="qemu") == 0

    assert machine.tools.commands == [["modprobe", "qemu_fw_cfg"]]
    assert machine.cached() == empty()


def test_without_the_device_the_config_is_on_a_disk_of_that_serial(machine: Bench) -> None:
    machine.architecture = "s390x"
    disk = machine.folder / "top/dev/disk/by-id/virtio-ignition"
    disk.parent.mkdir(parents=True)
    disk.write_bytes(CONFIG.encode().ljust(512, b"\0"))

    assert machine.stage("fetch-offline", platform="qemu") == 0, machine.said

    assert machine.tools.commands == [["modprobe", "virtio_blk"]]
    assert machine.cached()["storage"]["files"] == [{"path": "/a"}]


def test_the_disk_is_waited_for_five_minutes(machine: Bench) -> None:
    machine.architecture = "ppc64le"

    assert machine.stage("fetch-offline", platform="qemu") == 1

    assert machine.clock.monotonic() == 300
    assert "timed out after 300 s waiting for block device" in machine.said
    assert "waiting for the block device" in machine.said


def test_bare_metal_has_no_config_of_its_own(machine: Bench) -> None:
    assert machine.stage("fetch-offline", platform="metal") == 0
    assert machine.cached() == empty()
