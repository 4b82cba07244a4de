"""GRUB's own programs for a disk: boot sector and core image for a BIOS, one EFI program for UEFI.

They carry every module they need, so that nothing is loaded from disk, and the prefix ``(,gpt3)/grub``: a device
that starts with a comma means "on the disk I was loaded from" to GRUB (grub-core/kern/main.c,
grub_set_prefix_and_root). One set of images therefore fits every disk with this partition layout.

``grub-install`` is not used: it wants a mounted file system and real block devices. What it would do to the BIOS
images is a few numbers at documented places, written here. Offsets: include/grub/i386/pc/boot.h; the same steps in C:
util/setup.c.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from nestos.base.errors import InputError, InvariantError
from nestos.host.process import Runner

PREFIX = "(,gpt3)/grub"
MODULES = (
    "boot",
    "cat",
    "configfile",
    "echo",
    "eval",
    "ext2",
    "gcry_sha512",
    "halt",
    "help",
    "linux",
    "loadenv",
    "ls",
    "minicmd",
    "normal",
    "part_gpt",
    "password_pbkdf2",
    "probe",
    "reboot",
    "regexp",
    "sleep",
    "test",
    "true",
)
# A live medium is found by its volume id: what the program was loaded from may be a picture of an EFI partition in it.
_LIVE_PREFIX = "/boot/grub"
_LIVE_MODULES = (
    "boot",
    "cat",
    "configfile",
    "echo",
    "halt",
    "help",
    "iso9660",
    "linux",
    "ls",
    "minicmd",
    "normal",
    "part_gpt",
    "part_msdos",
    "reboot",
    "search_label",
    "sleep",
    "test",
    "true",
)
_BIOS_MODULES = ("biosdisk", "multiboot", "serial", "terminal")
_EFI_MODULES = ("all_video", "fat")
_TARGETS = {"x86_64": ("x86_64-efi", "BOOTX64.EFI"), "aarch64": ("arm64-efi", "BOOTAA64.EFI")}

_SECTOR = 512
_BOOT_CODE_BYTES = 440  # behind it the disk signature and the partition entries begin
_KERNEL_SECTOR = 0x5C  # boot.img: u64, where the core image starts on the disk
_BOOT_DRIVE = 0x64  # boot.img: u8, 0xff means "the drive the BIOS named"
_DRIVE_CHECK = 0x66  # boot.img: a jump over the distrust of that name
_BLOCK_LIST = _SECTOR - 12  # first sector of the core image: u64 start, u16 sectors, u16 segment


def bios_core(output: Path, *, runner: Runner, modules: Sequence[str] = ()) -> None:
    """Makes the core image for i386-pc in the file ``output``; ``bios_install`` still has to place it."""
    _mkimage("i386-pc", output, modules=(*MODULES, *_BIOS_MODULES, *modules), runner=runner)


def efi_program(
    output: Path,
    *,
    architecture: str = "x86_64",
    runner: Runner,
    modules: Sequence[str] = (),
    folder: Path | None = None,
) -> None:
    """Makes the EFI program in the file ``output``, of the modules in ``folder``: by default where GRUB has its own."""
    target, _ = _target(architecture)
    _mkimage(target, output, modules=(*MODULES, *_EFI_MODULES, *modules), runner=runner, folder=folder)


def modules_folder(architecture: str) -> str:
    """Where GRUB has its modules for the architecture's UEFI, below the root of a system."""
    return f"usr/lib/grub/{_target(architecture)[0]}"


def live_bios_image(output: Path, *, label: str, runner: Runner) -> None:
    """Makes the BIOS image of a live medium in the file ``output``: for El Torito, and for the medium as a disk."""
    _mkimage("i386-pc-eltorito", output, modules=(*_LIVE_MODULES, *_BIOS_MODULES), runner=runner, label=label)


def live_efi_program(
    output: Path, *, label: str, architecture: str = "x86_64", runner: Runner, folder: Path | None = None
) -> None:
    """Makes the EFI program of a live medium in the file ``output``; ``folder`` as for ``efi_program``."""
    target, _ = _target(architecture)
    _mkimage(target, output, modules=(*_LIVE_MODULES, *_EFI_MODULES), runner=runner, folder=folder, label=label)


def efi_path(architecture: str) -> PurePosixPath:
    """Where firmware looks for the program on the EFI system partition of a disk it has no entry for."""
    return PurePosixPath("/EFI/BOOT", _target(architecture)[1])


def bios_boot_sector(*, boot: bytes, core_sector: int) -> bytes:
    """The boot code for the disk's first sector, from GRUB's ``boot.img``: 440 bytes that load ``core_sector``."""
    if len(boot) != _SECTOR or boot[-2:] != b"\x55\xaa":
        raise InputError("GRUB's boot.img is not a boot sector")
    code = bytearray(boot)
    struct.pack_into("<Q", code, _KERNEL_SECTOR, core_sector)
    code[_BOOT_DRIVE] = 0xFF
    # Some BIOSes name a wrong drive; boot.img then assumes the first hard disk. Two no-ops take its jump over that out,
    # as grub-install does for hard disks.
    code[_DRIVE_CHECK : _DRIVE_CHECK + 2] = b"\x90\x90"
    return bytes(code[:_BOOT_CODE_BYTES])


def bios_placed_core(core: bytes, *, core_sector: int) -> bytes:
    """The core image as it must lie at ``core_sector``: its first sector knows where the others are."""
    if len(core) <= _SECTOR:
        raise InputError("the GRUB core image is too short")
    placed = bytearray(core)
    start, sectors, segment = struct.unpack_from("<QHH", placed, _BLOCK_LIST)
    wanted = -(-len(core) // _SECTOR) - 1
    if (sectors, segment) != (wanted, 0x820):
        raise InvariantError(
            f"unknown block list in GRUB's core image: start {start}, {sectors} sectors, segment {segment:#x};"
            f" {wanted} sectors at 0x820 expected"
        )
    struct.pack_into("<Q", placed, _BLOCK_LIST, core_sector + 1)
    return bytes(placed).ljust((wanted + 1) * _SECTOR, b"\0")


def _mkimage(
    target: str,
    output: Path,
    *,
    modules: Sequence[str],
    runner: Runner,
    folder: Path | None = None,
    label: str = "",
) -> None:
    options = [f"--directory={folder}"] if folder else []
    if label:
        # What the image does first; the language here has words only, so the label must be one.
        first = output.with_name(f"{output.name}.cfg")
        first.write_text(f"search.fs_label {label} root\nset prefix=($root){_LIVE_PREFIX}\n")
        options += [f"--prefix={_LIVE_PREFIX}", f"--config={first}"]
    else:
        options.append(f"--prefix={PREFIX}")
    runner(
        ["grub-mkimage", f"--format={target}", *options, f"--output={output}", *sorted(set(modules))],
        timeout_seconds=120,
    )


def _target(architecture: str) -> tuple[str, str]:
    try:
        return _TARGETS[architecture]
    except KeyError:
        known = ", ".join(sorted(_TARGETS))
        raise InputError(f"no GRUB image for the architecture {architecture}; known: {known}") from None
