"""The config in QEMU's firmware configuration device."""

from __future__ import annotations

import pytest

from tests.unit.ignition.engine.bench import Bench

CONFIG = '{"ignition": {"version": "3.3.0"}, "storage": {"files": [{"path": "/a"}]}}'


def plug(machine: Bench) -> None:
    folder = machine.folder / "fw_cfg/by_name/opt/com.coreos/config"
    folder.mkdir(parents=True)
    (folder / "raw").write_text(CONFIG)


@pytest.mark.parametrize("failing", [set(), {"modprobe"}])
def test_the_entry_is_read_whether_its_driver_is_a_module_or_built_in(failing: set[str], machine: Bench) -> None:
    plug(machine)
    machine.tools.failing = failing

    assert machine.stage("fetch-offline", platform="qemu") == 0

    assert machine.tools.commands == [["modprobe", "qemu_fw_cfg"]]
    assert machine.cached()["storage"]["files"] == [{"path": "/a"}]


@pytest.mark.parametrize("platform", ["qemu", "metal"])
def test_a_machine_without_a_config_gets_an_empty_one(platform: str, machine: Bench) -> None:
    assert machine.stage("fetch-offline", platform=platform) == 0
    assert machine.cached() == {"ignition": {"version": "3.6.0"}}
