"""What an installation changes on the boot partition, and for whom to read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nestos.base.errors import StateError
from nestos.host.bootloader import grub
from nestos.installer import bootfiles
from nestos.installer.bootfiles import Changes
from nestos.wire import deployment
from nestos.wire.deployment import Deployment

DEPLOYMENT = Deployment(
    version="1",
    commit="c" * 64,
    root_hash="a" * 64,
    hash_offset=4096,
    image_size=8192,
    kernel_digest="d" * 64,
    ref="nestos/x86_64/test",
    kargs=("console=tty0", "console=ttyS0,115200n8", "quiet"),
)


def fill(boot: Path) -> Path:
    """The boot partition of an image: slot A filled, slot B empty, the first boot to come."""
    for folder in ("grub", "slot-a"):
        (boot / folder).mkdir(parents=True)
    (boot / "grub/grub.cfg").write_text(grub.configuration(grub.Settings(platform="metal")))
    (boot / "ignition.firstboot").touch()
    (boot / "slot-a/deployment.json").write_text(deployment.render(DEPLOYMENT))
    made = DEPLOYMENT
    (boot / "slot-a/slot.cfg").write_text(
        grub.slot_configuration(
            root_hash=made.root_hash, hash_offset=made.hash_offset, version=made.version, kargs=made.kargs
        )
    )
    return boot


@pytest.fixture
def boot(tmp_path: Path) -> Path:
    return fill(tmp_path / "boot")


def kargs(boot: Path) -> tuple[str, ...]:
    return deployment.parse((boot / "slot-a/deployment.json").read_text(), source="test").kargs


def test_the_config_is_for_root_only(boot: Path) -> None:
    bootfiles.apply(boot, Changes(ignition=b"{}"))
    config = boot / "ignition/config.ign"
    assert config.read_bytes() == b"{}"
    assert (config.stat().st_mode & 0o777, config.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_kernel_arguments_are_changed_in_the_record_and_for_grub(boot: Path) -> None:
    bootfiles.apply(boot, Changes(append_kargs=("a=b",), delete_kargs=("quiet",)))
    assert kargs(boot) == ("console=tty0", "console=ttyS0,115200n8", "a=b")
    assert "a=b" in (boot / "slot-a/slot.cfg").read_text()
    assert "quiet" not in (boot / "slot-a/slot.cfg").read_text()


def test_consoles_take_the_place_of_the_images_own_and_grub_follows(boot: Path) -> None:
    bootfiles.apply(boot, Changes(consoles=("ttyS1,9600n8", "tty0")))
    assert kargs(boot) == ("quiet", "console=ttyS1,9600n8", "console=tty0")
    assert "serial --unit=1 --speed=9600" in (boot / "grub/grub.cfg").read_text()


def test_the_platform_is_changed_in_its_one_place(boot: Path) -> None:
    before = (boot / "grub/grub.cfg").read_text()
    bootfiles.apply(boot, Changes(platform="vmware"))
    assert (boot / "grub/grub.cfg").read_text() == before.replace("set platform=metal", "set platform=vmware")


def test_arguments_of_the_first_boot_are_in_its_stamp(boot: Path) -> None:
    bootfiles.apply(boot, Changes(firstboot_args="ip=dhcp rd.neednet=1"))
    assert (boot / "ignition.firstboot").read_text() == "set ignition_network_kcmdline='ip=dhcp rd.neednet=1'\n"


def test_network_files_are_carried_and_links_are_not(boot: Path, tmp_path: Path) -> None:
    folder = tmp_path / "network"
    folder.mkdir()
    (folder / "10-lan.network").write_text("[Match]")
    (folder / "notes.txt").write_text("")
    (folder / "99-default.link").symlink_to("/dev/null")
    files = bootfiles.network_files(folder)
    assert [file.name for file in files] == ["10-lan.network"]
    bootfiles.apply(boot, Changes(network=files))
    copy = boot / "nestos/network/10-lan.network"
    assert (copy.read_text(), copy.stat().st_mode & 0o777) == ("[Match]", 0o600)
    with pytest.raises(StateError, match="no network configuration in"):
        bootfiles.network_files(tmp_path / "none")


def test_a_boot_partition_of_another_system_is_named(boot: Path) -> None:
    (boot / "grub/grub.cfg").write_text("menuentry x {}\n")
    with pytest.raises(StateError, match="names no platform"):
        bootfiles.apply(boot, Changes(platform="vmware"))
    (boot / "grub/grub.cfg").unlink()
    with pytest.raises(StateError, match=r"no usable grub.cfg"):
        bootfiles.apply(boot, replace(Changes(), append_kargs=("a",)))
