"""GRUB's BIOS images get the few numbers that grub-install would write, and nothing else changes."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from nestos.base.errors import InputError, InvariantError
from nestos.host.bootloader import grub_images
from tests.unit.host.bootloader.recording import Recorder

BOOT = bytes(range(256)) + bytes(254) + b"\x55\xaa"


def core_of(*, sectors: int, tail: int = 0, segment: int = 0x820, listed: int | None = None) -> bytes:
    """A core image as grub-mkimage leaves it: the block list has a length, but no start worth keeping."""
    core = bytearray(b"\xcc" * (512 * (sectors - 1) + (tail or 512)))
    struct.pack_into("<QHH", core, 500, 2, sectors - 1 if listed is None else listed, segment)
    return bytes(core)


def test_boot_sector_loads_the_core_from_its_place_and_trusts_the_drive_of_the_bios() -> None:
    code = grub_images.bios_boot_sector(boot=BOOT, core_sector=2048)
    assert len(code) == 440
    assert struct.unpack_from("<Q", code, 0x5C) == (2048,)
    assert code[0x64] == 0xFF
    assert code[0x66:0x68] == b"\x90\x90"
    changed = {n for n in range(440) if code[n] != BOOT[n]}
    assert changed <= {*range(0x5C, 0x65), 0x66, 0x67}


def test_a_file_that_is_no_boot_sector_is_refused() -> None:
    with pytest.raises(InputError, match="boot sector"):
        grub_images.bios_boot_sector(boot=bytes(512), core_sector=1)


@pytest.mark.parametrize("tail", [0, 100], ids=["whole sectors", "a part of a sector"])
def test_core_knows_where_its_second_sector_is(tail: int) -> None:
    core = core_of(sectors=4, tail=tail)
    placed = grub_images.bios_placed_core(core, core_sector=2048)
    assert struct.unpack_from("<QHH", placed, 500) == (2049, 3, 0x820)
    assert len(placed) == 4 * 512
    assert placed[:500] == core[:500]
    assert placed[512 : len(core)] == core[512:]


@pytest.mark.parametrize("core", [core_of(sectors=4, listed=2), core_of(sectors=4, segment=0x800)])
def test_a_core_of_another_form_is_refused(core: bytes) -> None:
    with pytest.raises(InvariantError, match="block list"):
        grub_images.bios_placed_core(core, core_sector=2048)


def test_a_core_without_content_is_refused() -> None:
    with pytest.raises(InputError, match="too short"):
        grub_images.bios_placed_core(bytes(512), core_sector=2048)


def test_images_carry_their_modules_and_the_prefix_of_the_own_disk() -> None:
    runner = Recorder()
    grub_images.bios_core(Path("/w/core"), runner=runner)
    grub_images.efi_program(Path("/w/efi"), runner=runner, architecture="aarch64")
    bios, efi = runner.lines
    assert bios[:4] == ["grub-mkimage", "--format=i386-pc", "--prefix=(,gpt3)/grub", "--output=/w/core"]
    assert efi[1] == "--format=arm64-efi"
    assert {"biosdisk", "part_gpt", "ext2", "loadenv", "probe", "linux", "multiboot"} <= set(bios)
    assert "biosdisk" not in efi and "multiboot" not in efi
    assert bios[4:] == sorted(set(bios[4:]))


@pytest.mark.parametrize(("architecture", "name"), [("x86_64", "BOOTX64.EFI"), ("aarch64", "BOOTAA64.EFI")])
def test_firmware_finds_the_program_by_its_fallback_name(architecture: str, name: str) -> None:
    assert str(grub_images.efi_path(architecture)) == f"/EFI/BOOT/{name}"


def test_an_unknown_architecture_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match=r"riscv64; known: aarch64, x86_64"):
        grub_images.efi_path("riscv64")
