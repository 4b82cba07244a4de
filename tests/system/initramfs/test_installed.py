"""The script that hands over what nestos-installer left, as it is: a folder stands for the boot partition, and the
programs that would mount it make a link to it."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestos.host.process import Completed, run

SCRIPT = Path(__file__).parents[3] / "src/nestos/dist/dracut/36nestos-install/nestos-installed"
CONFIG = '{"ignition": {"version": "3.4.0"}}'


class Machine:
    """``boot`` is the boot partition, ``top`` the initramfs's root."""

    def __init__(self, folder: Path) -> None:
        self.top, self.boot, self.calls = folder / "top", folder / "boot", folder / "calls"
        devices = self.top / "dev/disk/by-partuuid"
        for path in (self.boot, devices, self.top / "proc", self.top / "run", self.top / "sysroot/etc"):
            path.mkdir(parents=True)
        (devices / "b00t").symlink_to(self.boot)
        (self.top / "proc/cmdline").write_text("quiet nestos.boot=b00t ignition.firstboot\n")
        self.programs = folder / "programs"
        self.programs.mkdir()
        log = f'echo "${{0##*/}} $*" >>{self.calls}\n'
        self.program("udevadm", log)
        self.program("mount", log + 'while [ $# -gt 2 ]; do shift; done; rmdir "$2" && ln -s "$1" "$2"')
        self.program("umount", log + 'rm "$1"')

    def program(self, name: str, text: str) -> None:
        (self.programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (self.programs / name).chmod(0o755)

    def leave(self, name: str, text: str) -> None:
        """Puts a file on the boot partition, as the installer does."""
        path = self.boot / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def __call__(self, word: str, *, accepted: tuple[int, ...] = (0,)) -> Completed:
        environment = {"NESTOS_ROOT": str(self.top), "PATH": f"{self.programs}:/usr/bin:/bin"}
        return run(["sh", SCRIPT, word], environment=environment, accepted=accepted, timeout_seconds=60)

    def text(self, name: str) -> str:
        return (self.top / name).read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_config_is_where_the_engine_looks_and_for_root_only(machine: Machine) -> None:
    machine.leave("ignition/config.ign", CONFIG)
    machine("fetch")
    assert machine.text("run/ignition/user.ign") == CONFIG
    assert (machine.top / "run/ignition/user.ign").stat().st_mode & 0o777 == 0o600
    calls = machine.calls.read_text().splitlines()
    assert [call.split()[0] for call in calls] == ["udevadm", "mount", "umount"]
    assert "-o ro" in calls[1]


def test_an_image_that_nobody_installed_has_nothing_to_hand_over(machine: Machine) -> None:
    machine("fetch")
    machine("network")
    machine("done")
    assert not (machine.top / "run/ignition").exists()
    assert list((machine.top / "sysroot/etc").iterdir()) == []


def test_network_files_serve_the_initramfs_and_the_system_and_ignitions_win(machine: Machine) -> None:
    machine.leave("nestos/network/10-wired.network", "[Match]\nName=eth0\n")
    machine.leave("nestos/network/20-other.network", "[Match]\nName=eth1\n")
    machine("fetch")
    assert machine.text("run/systemd/network/10-wired.network") == "[Match]\nName=eth0\n"
    written = machine.top / "sysroot/etc/systemd/network/20-other.network"
    written.parent.mkdir(parents=True)
    written.write_text("of Ignition\n")
    machine("network")
    assert machine.text("sysroot/etc/systemd/network/10-wired.network") == "[Match]\nName=eth0\n"
    assert written.read_text() == "of Ignition\n"


def test_a_provisioned_node_keeps_no_config_and_everything_else(machine: Machine) -> None:
    machine.leave("ignition/config.ign", CONFIG)
    machine.leave("nestos/network/10-wired.network", "x")
    machine.leave("grub/grubenv", "state")
    machine("done")
    assert not (machine.boot / "ignition").exists()
    assert not (machine.boot / "nestos/network").exists()
    assert (machine.boot / "grub/grubenv").read_text() == "state"
    assert "-o rw" in machine.calls.read_text()


def test_the_partition_is_unmounted_when_a_copy_fails(machine: Machine) -> None:
    machine.leave("ignition/config.ign", CONFIG)
    machine.program("cp", "exit 1")
    assert machine("fetch", accepted=(1,)).returncode == 1
    assert machine.calls.read_text().splitlines()[-1].startswith("umount ")
