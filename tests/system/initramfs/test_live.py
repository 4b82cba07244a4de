"""The script that makes the root of a live system, as it is: a folder stands for the initramfs, and the programs that
would mount, map and fetch write down what they were asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestos.host.process import Completed, run
from nestos.wire import live

SCRIPT = Path(__file__).parents[3] / "src/nestos/dist/dracut/37nestos-live/nestos-live"
CONF = live.Conf(
    version="13.1",
    root_hash="ab" * 32,
    hash_offset=4096,
    slot_bytes=8192,
    label="nestos-13.1",
    rootfs_bytes=9000,
    rootfs_sha256="cd" * 32,
)


class Machine:
    """``top`` is the initramfs's root. ``mount`` leaves what a file system of its kind would show there."""

    def __init__(self, folder: Path) -> None:
        self.top, self.calls = folder / "top", folder / "calls"
        for name in ("proc", "etc", "run", "sysroot/var", "sysroot/etc", "usr/libexec", "usr/lib/systemd"):
            (self.top / name).mkdir(parents=True)
        self.boot("ignition.firstboot")
        (self.top / live.CONF).write_bytes(live.render_conf(CONF))
        self.programs = folder / "programs"
        self.programs.mkdir()
        log = f'echo "${{0##*/}} $*" >>{self.calls}\n'
        for name in ("udevadm", "umount", "modprobe", "systemctl"):
            self.program(self.programs / name, log)
        self.program(self.programs / "umount", log + 'rm -r "$1"/*')
        self.program(self.programs / "losetup", log + "echo /dev/loop7")
        self.program(
            self.programs / "mount",
            log
            + 'for at; do :; done\ncase "$2" in iso9660) mkdir -p "$at/images"; echo it >"$at/images/live.img" ;; esac',
        )
        for name in ("usr/libexec/nestos-sysroot", "usr/lib/systemd/systemd-veritysetup"):
            self.program(self.top / name, log)
        self.program(self.top / "usr/libexec/nestos-live-fetch", log + f"echo it >{self.top}/run/nestos-live/live.img")

    def boot(self, text: str) -> None:
        (self.top / "proc/cmdline").write_text(text + "\n")

    def program(self, path: Path, text: str) -> None:
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def __call__(self, word: str, *, accepted: tuple[int, ...] = (0,)) -> Completed:
        environment = {"NESTOS_ROOT": str(self.top), "PATH": f"{self.programs}:/usr/bin:/bin"}
        return run(["sh", SCRIPT, word], environment=environment, accepted=accepted, timeout_seconds=60)

    def asked(self, program: str) -> list[str]:
        lines = self.calls.read_text().splitlines()
        return [line.partition(" ")[2].replace(str(self.top), "") for line in lines if line.split()[0] == program]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_medium_is_found_by_its_label_and_its_slot_is_verified(machine: Machine) -> None:
    machine("attach")
    assert machine.asked("udevadm")[0] == "wait --timeout=240 /dev/disk/by-label/nestos-13.1"
    assert machine.asked("losetup") == ["--find --show --read-only --sizelimit 8192 /run/nestos-live/live.img"]
    (verity,) = machine.asked("systemd-veritysetup")
    assert verity == f"attach root /dev/loop7 /dev/loop7 {'ab' * 32} superblock=true,hash-offset=4096"
    assert (machine.top / "run/nestos-live/live.img").read_text() == "it\n"


def test_only_the_medium_and_memory_are_mounted(machine: Machine) -> None:
    machine("attach")
    kinds = [line.split()[1] for line in machine.asked("mount")]
    assert kinds == ["tmpfs", "iso9660", "erofs", "tmpfs", "overlay"]
    assert all("ro" in line.split()[3].split(",") for line in machine.asked("mount") if line.split()[1] == "iso9660")
    overlay = machine.asked("mount")[-1]
    assert "upperdir=/run/nestos-live/etc/upper" in overlay


def test_another_label_can_be_given(machine: Machine) -> None:
    machine.boot("nestos.liveiso=other")
    machine("attach")
    assert machine.asked("udevadm")[0].endswith("/by-label/other")


def test_the_medium_is_let_go_when_it_was_copied(machine: Machine) -> None:
    machine.boot("coreos.liveiso=x nestos.liveiso.fromram")
    machine("attach")
    assert machine.asked("umount") == ["/run/nestos-live/medium"]
    assert (machine.top / "run/nestos-live/live.img").read_text() == "it\n"


@pytest.mark.parametrize("name", ["nestos", "coreos"])
def test_over_the_network_the_root_is_the_one_that_belongs_to_the_initramfs(machine: Machine, name: str) -> None:
    machine.boot(f"{name}.live.rootfs_url=http://e/rootfs.img")
    machine("attach")
    assert machine.asked("systemctl") == ["start nestos-initrd-network.service"]
    (fetch,) = machine.asked("nestos-live-fetch")
    wanted = f"http://e/rootfs.img --output=/run/nestos-live/live.img --bytes=9000 --sha256={'cd' * 32}"
    assert fetch == wanted
    assert "iso9660" not in [line.split()[1] for line in machine.asked("mount")]


def test_a_root_that_cannot_be_fetched_ends_the_boot(machine: Machine) -> None:
    machine.boot("nestos.live.rootfs_url=http://e/rootfs.img")
    machine.program(machine.top / "usr/libexec/nestos-live-fetch", "exit 1")
    assert machine("attach", accepted=(1,)).returncode == 1
    assert "erofs" not in machine.calls.read_text()


def test_without_an_address_and_a_label_it_says_what_is_missing(machine: Machine) -> None:
    conf = live.Conf(version="1", root_hash="a", hash_offset=0, slot_bytes=1)
    (machine.top / live.CONF).write_bytes(live.render_conf(conf))
    assert "nestos.live.rootfs_url=" in machine("attach", accepted=(1,)).stderr


def test_what_is_embedded_is_where_it_is_looked_for(machine: Machine) -> None:
    (machine.top / "config.ign").write_text("{}")
    (machine.top / "etc/nestos-live-network").mkdir()
    (machine.top / "etc/nestos-live-network/a.network").write_text("[Match]\n")
    machine("config")
    assert (machine.top / "run/ignition/user.ign").read_text() == "{}"
    assert (machine.top / "run/ignition/user.ign").stat().st_mode & 0o777 == 0o600
    for folder in ("run/systemd/network", "run/nestos-network"):
        assert (machine.top / folder / "a.network").read_text() == "[Match]\n"


@pytest.mark.parametrize("has_config", [True, False])
def test_who_is_at_the_console_logs_in_unless_a_config_says_who(machine: Machine, has_config: bool) -> None:
    if has_config:
        (machine.top / "config.ign").write_text("{}")
    machine("attach")
    drop_in = machine.top / "run/systemd/system/serial-getty@.service.d/50-nestos-live.conf"
    assert drop_in.exists() is not has_config
    if not has_config:
        assert (
            "--autologin nest --noclear --noreset --keep-baud 115200,57600,38400,9600 - ${TERM}" in drop_in.read_text()
        )
