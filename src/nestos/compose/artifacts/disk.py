"""The disk image: a raw, sparse file with the partitions of a node and a boot loader for BIOS and UEFI.

No loop device, no mount and no root: every file system is made inside its place of the one file by the tools' own
options for that. The same inputs give the same bytes: identifiers grow from a seed, times are ``epoch_seconds``.
What is in the slot, the kernel and the ``var`` tree is the caller's; the layout is ``docs/design/disk-image.md``.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from nestos.base.errors import InputError
from nestos.base.log import Progress
from nestos.host.bootloader import grub, grub_images
from nestos.host.process import Runner
from nestos.slots import bootstate
from nestos.wire import gpt
from nestos.wire.deployment import Deployment, render

__all__ = ["MIB", "Deployment", "DiskSpec", "Sizes", "build", "layout"]

MIB = 1024 * 1024
_BOOT_IMG = "/usr/lib/grub/i386-pc/boot.img"
_ROOTS = {"x86_64": gpt.ROOT_X86_64, "aarch64": gpt.ROOT_ARM64}
_JOURNAL_MIB = {"boot": 16, "var": 64}
_LEAST_FAT32_CLUSTERS = 65525  # with fewer, firmware takes the file system for FAT16


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Bytes of each partition; rounded up to 1 MiB."""

    bios: int = 1 * MIB
    """GRUB's core image for a BIOS: 0.2 MiB today, and nothing else ever."""

    esp: int = 64 * MIB
    """One EFI program. FAT32 with sectors of 512 bytes needs 33 MiB at the least."""

    boot: int = 1024 * MIB
    """Kernel and initramfs of two slots while a third is being written; 384 MiB proved too small elsewhere."""

    slot: int = 1024 * MIB
    """Each of the two root partitions: the slot image and room for it to grow over the years."""

    var: int = 512 * MIB
    """The least; more when the ``var`` tree needs it. Grows to the end of the disk on first boot."""


@dataclass(frozen=True, kw_only=True)
class DiskSpec:
    """Everything that shapes a disk image."""

    slot_image: Path
    """EROFS with its hash tree behind it; goes into ``root-a``."""

    kernel: Path
    initramfs: Path
    deployment: Deployment
    var: Path | None = None
    """Tree that becomes the ``var`` file system, with the owners it has; none: an empty one."""

    platform: str = "qemu"
    """Ignition's platform word."""

    architecture: str = "x86_64"
    grub_modules: Path | None = None
    """Folder of GRUB's modules for the architecture; none: where the tools have those of their own."""

    sizes: Sizes = Sizes()
    sector_bytes: int = 512
    """Logical sector. Disks with 4096 are booted by UEFI only: no BIOS can."""

    size_unit_bytes: int = MIB
    """The size of the whole disk is a multiple of this: some clouds take whole GiB only."""

    seed: str = ""
    """Where GUIDs and UUIDs grow from; empty: the commit. Two disks in one machine need two seeds."""

    epoch_seconds: int = 0
    """Time of everything in the image, seconds since 1970."""

    first_boot: bool = True
    """Whether the next boot is the one that Ignition provisions."""

    @property
    def identity_seed(self) -> str:
        """The seed in force."""
        return self.seed or self.deployment.commit


def layout(spec: DiskSpec) -> gpt.Table:
    """The partitions of the image. Raises ``InputError`` when the slot image does not fit its partition."""
    sizes = spec.sizes
    slot_bytes = spec.slot_image.stat().st_size
    if slot_bytes > sizes.slot:
        raise InputError(
            f"the slot image {spec.slot_image} has {slot_bytes} bytes, a slot has {sizes.slot}",
            hint="make the slots larger, or ship fewer packages",
        )
    boot_bytes = spec.kernel.stat().st_size + spec.initramfs.stat().st_size
    if boot_bytes * 3 + 32 * MIB > sizes.boot:
        raise InputError(
            f"kernel and initramfs have {boot_bytes} bytes, three pairs do not fit a boot partition of {sizes.boot}"
        )
    root = _ROOTS.get(spec.architecture)
    if root is None:
        raise InputError(f"no disk layout for the architecture {spec.architecture}")
    table = gpt.lay_out(
        [
            gpt.Wanted(name="bios", kind=gpt.BIOS_BOOT, size_bytes=sizes.bios),
            gpt.Wanted(name="esp", kind=gpt.EFI_SYSTEM, size_bytes=sizes.esp),
            gpt.Wanted(name="boot", kind=gpt.EXTENDED_BOOT, size_bytes=sizes.boot),
            gpt.Wanted(name="root-a", kind=root, size_bytes=sizes.slot),
            gpt.Wanted(name="root-b", kind=root, size_bytes=sizes.slot),
            gpt.Wanted(name="var", kind=gpt.VAR, size_bytes=max(sizes.var, _room_for(spec.var))),
        ],
        seed=spec.identity_seed,
        sector_bytes=spec.sector_bytes,
    )
    return replace(table, size_bytes=-(-table.size_bytes // spec.size_unit_bytes) * spec.size_unit_bytes)


def build(spec: DiskSpec, *, output: Path, runner: Runner, progress: Progress | None = None) -> gpt.Table:
    """Builds the raw image ``output`` and returns its layout; until it is whole, ``output`` is what it was.

    ``runner`` must see the folder of ``output`` (writable) and the ``var`` tree under their own paths.
    Raises ``InputError`` for inputs that do not fit, ``CommandError`` when a tool fails.
    """
    table = layout(spec)
    tell = progress.say if progress else lambda _: None
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent)))
        image = _Image(path=work / "disk.raw", table=table, spec=spec, runner=runner)
        with image.path.open("wb") as file:
            file.truncate(table.size_bytes)
        tell("EFI system partition")
        _make_esp(image, work=work)
        tell("boot partition")
        _make_ext4(image, name="boot", tree=_boot_tree(spec, folder=work / "boot"))
        tell("var partition")
        empty = work / "empty"
        empty.mkdir()
        _make_ext4(image, name="var", tree=spec.var or empty)
        tell("slot A")
        _copy_into(spec.slot_image, image.path, offset=table["root-a"].offset_bytes)
        tell("partition table")
        _write_blocks(image.path, gpt.blocks(table, boot_code=_make_bios(image, work=work)))
        image.path.replace(output)
    return table


@dataclass(frozen=True, kw_only=True)
class _Image:
    path: Path
    table: gpt.Table
    spec: DiskSpec
    runner: Runner

    def run(self, command: Sequence[str | os.PathLike[str]]) -> None:
        self.runner(command, environment={"SOURCE_DATE_EPOCH": str(self.spec.epoch_seconds), "TZ": "UTC"})


def _make_esp(image: _Image, *, work: Path) -> None:
    partition = image.table["esp"]
    sector = image.spec.sector_bytes
    program = work / "grub.efi"
    spec = image.spec
    grub_images.efi_program(program, architecture=spec.architecture, runner=image.runner, folder=spec.grub_modules)
    _set_times(program, image.spec.epoch_seconds)
    fat32 = partition.size_bytes // sector > _LEAST_FAT32_CLUSTERS + 4096
    image.run(
        [
            "mkfs.vfat",
            "--invariant",
            f"--offset={partition.offset_bytes // sector}",
            "-F",
            "32" if fat32 else "16",
            "-s",
            "1",
            "-S",
            str(sector),
            "-n",
            "ESP",
            image.path,
            str(partition.size_bytes // 1024),
        ]
    )
    inside = f"{image.path}@@{partition.offset_bytes}"
    target = grub_images.efi_path(image.spec.architecture)
    image.run(["mmd", "-i", inside, *(f"::{folder}" for folder in reversed(target.parents[:-1]))])
    image.run(["mcopy", "-m", "-i", inside, program, f"::{target}"])


def _make_ext4(image: _Image, *, name: str, tree: Path) -> None:
    partition = image.table[name]
    seed = image.spec.identity_seed
    extended = [
        f"offset={partition.offset_bytes}",
        f"hash_seed={gpt.identity(seed, name + ' hash seed')}",
        "root_owner=0:0",
        "nodiscard",
        # The file was just made and reads as zeros: nothing to write, nothing left for the kernel to initialise.
        "assume_storage_prezeroed=1",
    ]
    image.run(
        [
            "mke2fs",
            "-q",
            "-F",
            "-t",
            "ext4",
            "-b",
            "4096",
            "-I",
            "256",
            "-m",
            "1",
            "-J",
            f"size={_JOURNAL_MIB[name]}",
            "-L",
            name,
            "-U",
            str(gpt.identity(seed, name + " file system")),
            # Nothing here needs the two, GRUB before 2.12 refuses the seed, and e2fsprogs before 1.47 the orphan file.
            "-O",
            "^orphan_file,^metadata_csum_seed",
            "-E",
            ",".join(extended),
            "-d",
            tree,
            image.path,
            f"{partition.size_bytes // 1024}k",
        ]
    )


def _boot_tree(spec: DiskSpec, *, folder: Path) -> Path:
    deployment = spec.deployment
    (folder / "grub").mkdir(parents=True)
    (folder / "slot-a").mkdir()
    (folder / "grub" / "grub.cfg").write_text(grub.configuration(grub.Settings(platform=spec.platform)))
    (folder / "grub" / "grubenv").write_bytes(bootstate.render(bootstate.fresh()))
    shutil.copyfile(spec.kernel, folder / "slot-a" / "vmlinuz")
    shutil.copyfile(spec.initramfs, folder / "slot-a" / "initramfs.img")
    (folder / "slot-a" / "slot.cfg").write_text(
        grub.slot_configuration(
            root_hash=deployment.root_hash,
            hash_offset=deployment.hash_offset,
            version=deployment.version,
            kargs=deployment.kargs,
        )
    )
    (folder / "slot-a" / "deployment.json").write_text(render(deployment))
    if spec.first_boot:
        (folder / "ignition.firstboot").touch()
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        _set_times(path, spec.epoch_seconds)
    return folder


def _make_bios(image: _Image, *, work: Path) -> bytes:
    """Writes GRUB's core image into the ``bios`` partition; returns the boot code that loads it (none: no BIOS)."""
    if image.spec.architecture != "x86_64" or image.spec.sector_bytes != 512:
        return b""
    partition = image.table["bios"]
    first = partition.offset_bytes // 512
    core, boot = work / "core.img", work / "boot.img"
    grub_images.bios_core(core, runner=image.runner)
    image.run(["cp", _BOOT_IMG, boot])
    placed = grub_images.bios_placed_core(core.read_bytes(), core_sector=first)
    if len(placed) > partition.size_bytes:
        raise InputError(f"GRUB's core image has {len(placed)} bytes, the bios partition {partition.size_bytes}")
    _write_blocks(image.path, {partition.offset_bytes: placed})
    return grub_images.bios_boot_sector(boot=boot.read_bytes(), core_sector=first)


def _room_for(tree: Path | None) -> int:
    """Bytes of a file system that holds ``tree`` with as much again free, for what the first boot writes."""
    if tree is None:
        return 0
    used = 0
    for folder, _, names in os.walk(tree):
        used += 4096 + sum(_blocks_of(Path(folder, name)) for name in names)
    return 2 * used + 128 * MIB


def _blocks_of(path: Path) -> int:
    status = path.lstat()
    return -(-status.st_size // 4096) * 4096 + 256


def _set_times(path: Path, epoch_seconds: int) -> None:
    os.utime(path, (epoch_seconds, epoch_seconds))


def _write_blocks(path: Path, blocks: Mapping[int, bytes]) -> None:
    with path.open("r+b") as file:
        for offset, data in blocks.items():
            file.seek(offset)
            file.write(data)


def _copy_into(source: Path, target: Path, *, offset: int) -> None:
    """Copies the file ``source`` to ``offset`` of ``target``; runs of zeros stay holes."""
    zeros = bytes(MIB)
    with source.open("rb") as reader, target.open("r+b") as writer:
        writer.seek(offset)
        while piece := reader.read(MIB):
            if piece == zeros:
                writer.seek(MIB, os.SEEK_CUR)
            else:
                writer.write(piece)
