from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import StateError
from nestos.host.toolbox import Toolbox
from nestos.lab.machine import Machine, forwarded_ports
from nestos.lab.spec import Accelerator, Cache, MachineSpec

TABLE = (
    "Hub -1 (net0):\r\n"
    "  Protocol[State]    FD  Source Address  Port   Dest. Address  Port RecvQ SendQ\r\n"
    "  TCP[ESTABLISHED]   14       127.0.0.1 51000       10.0.2.15    22     0     0\r\n"
    "  TCP[HOST_FORWARD]  12       127.0.0.1  8080       10.0.2.15    80     0     0\r\n"
    "  TCP[HOST_FORWARD]  11       127.0.0.1 37931       10.0.2.15    22     0     0\r\n"
    "  UDP[236 sec]       15       10.0.2.15 35342        10.0.2.3    53     0     0\r\n"
)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    spec = MachineSpec(name="one", image=Path("/images/node.qcow2"), cache=Cache.UNSAFE)
    accelerator = Accelerator(name="tcg", argument="tcg", cpu="max")
    return Machine(spec, tools=Toolbox(tmp_path / "tools"), folder=tmp_path / "run", accelerator=accelerator)


def test_only_forwarded_ports_are_read_from_qemus_table() -> None:
    assert forwarded_ports(TABLE) == {80: 8080, 22: 37931}


def test_a_machine_that_was_not_started_says_so(machine: Machine) -> None:
    assert not machine.is_running
    with pytest.raises(StateError, match="one was not started"):
        _ = machine.exit_status
    with pytest.raises(StateError, match="one is not running"):
        _ = machine.qmp


def test_the_power_of_a_disk_without_flushes_is_not_cut(machine: Machine) -> None:
    with pytest.raises(StateError, match=r"cache=unsafe proves nothing: node\.qcow2"):
        machine.kill()


def test_closing_what_never_ran_is_no_error(machine: Machine) -> None:
    machine.close()
    machine.cut_off()
