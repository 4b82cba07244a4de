"""The live image, the ISO that holds it, and the set of files that boots it over the network.

The live root is the slot image itself; disk images are told by it (``wire.packed``), not carried a second time. The
same inputs give the same bytes. What is where on the ISO is in ``wire.live_iso``; xorriso lays it out.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from nestos.base import durable
from nestos.host.bootloader import grub_images, grub_live
from nestos.host.process import Runner
from nestos.wire import cpio, gpt, live, live_iso, packed
from nestos.wire.live import Conf

_MIB = 1 << 20
_BOOT_HYBRID = "/usr/lib/grub/i386-pc/boot_hybrid.img"
_BIOS_IMAGE = "boot/grub/eltorito.img"
_EFI_IMAGE = "boot/efi.img"
NETWORK_INITRAMFS, NETWORK_ROOTFS = "live-initramfs.img", "live-rootfs.img"


@dataclass(frozen=True, kw_only=True)
class LiveSpec:
    """Everything that shapes the live artifacts."""

    slot_image: Path
    kernel: Path
    initramfs: Path
    disks: tuple[Path, ...]
    """Raw disk images that an offline installation is to write, one of each sector size."""
    version: str
    root_hash: str
    hash_offset: int
    kargs: tuple[str, ...]
    """The release's own, its consoles among them."""
    architecture: str = "x86_64"
    grub_modules: Path | None = None
    """As for a disk image: where GRUB's modules for UEFI are, where they are not its own."""
    epoch_seconds: int = 0

    @property
    def conf(self) -> Conf:
        """What ties an initramfs to this root."""
        return Conf(
            version=live_iso.plain(self.version),
            root_hash=self.root_hash,
            hash_offset=self.hash_offset,
            slot_bytes=self.slot_image.stat().st_size,
            label=live_iso.label(self.version),
        )


@dataclass(frozen=True, kw_only=True)
class NetworkSet:
    """The files of a network boot."""

    kernel: Path
    initramfs: Path
    rootfs: Path


def build_image(spec: LiveSpec, *, output: Path) -> None:
    """Writes the live image: the slot, and the packed disk images behind it."""
    with ExitStack() as stack:
        named = {live.SLOT: spec.slot_image, live.KERNEL: spec.kernel, live.INITRAMFS: spec.initramfs}
        references = {name: stack.enter_context(path.open("rb")) for name, path in named.items()}
        parts = []
        for path in spec.disks:
            image = stack.enter_context(path.open("rb"))
            sector = gpt.sector_bytes_of(image.read(_MIB)) or 512
            told = stack.enter_context(tempfile.TemporaryFile(dir=output.parent))
            told.write(packed.render(packed.pack(image, references=references, sector_bytes=sector)))
            parts.append((f"disk{sector}", told))
        with durable.replacing(output) as file:
            slot = references[live.SLOT]
            slot.seek(0)
            shutil.copyfileobj(slot, file, _MIB)
            live.append(file, parts, known={live.SLOT: (0, file.tell())})


def build_iso(spec: LiveSpec, image: Path, *, output: Path, runner: Runner) -> None:
    """Writes the ISO, which boots by BIOS and UEFI, from a disk too; ``runner`` must see the folder of ``output``.

    Until it is whole, ``output`` is what it was. Raises ``CommandError`` when a tool fails.
    """
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as work:
        tree = Path(work, "tree")
        for name, content in small_files(spec).items():
            _put(tree / name, content)
        for name, source in {
            live_iso.KERNEL: spec.kernel,
            live_iso.INITRAMFS: spec.initramfs,
            live_iso.IMAGE: image,
        }.items():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            _link(source, tree / name)
        partial = Path(work, "live.iso")
        _make_esp(spec, tree / _EFI_IMAGE, work=Path(work), runner=runner)
        command: list[str | os.PathLike[str]] = [
            "xorriso",
            "-as",
            "mkisofs",
            "-quiet",
            "-o",
            partial,
            "-r",
            "-V",
            spec.conf.label,
        ]
        # The image is last, so that an ISO without it is this one cut short.
        command += ["--set_all_file_dates", f"={spec.epoch_seconds}"]
        command += ["--sort-weight", "-1", f"/{live_iso.IMAGE}", "-c", "boot/boot.cat"]
        if spec.architecture == "x86_64":
            grub_images.live_bios_image(Path(work, "bios.img"), label=spec.conf.label, runner=runner)
            shutil.copyfile(Path(work, "bios.img"), tree / _BIOS_IMAGE)
            command += ["-b", _BIOS_IMAGE, "-no-emul-boot", "-boot-load-size", "4", "-boot-info-table"]
            command += ["--grub2-boot-info", "--grub2-mbr", _BOOT_HYBRID, "-eltorito-alt-boot"]
        command += ["-e", _EFI_IMAGE, "-no-emul-boot", "-efi-boot-part", "--efi-boot-image"]
        command += ["--protective-msdos-label", tree]
        runner(command, environment=_environment(spec), timeout_seconds=1800)
        partial.replace(output)


def build_network_set(spec: LiveSpec, image: Path, *, folder: Path) -> NetworkSet:
    """Writes kernel, initramfs and root for a network boot into ``folder``."""
    made = NetworkSet(kernel=spec.kernel, initramfs=folder / NETWORK_INITRAMFS, rootfs=folder / NETWORK_ROOTFS)
    with durable.replacing(made.rootfs) as file, image.open("rb") as source:
        shutil.copyfileobj(source, file, _MIB)
        with spec.kernel.open("rb") as kernel, spec.initramfs.open("rb") as initramfs:
            parts = [(live.KERNEL, kernel), (live.INITRAMFS, initramfs)]
            live.append(file, parts, known=live.opened(source).contents)
    with made.rootfs.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    conf = replace(spec.conf, label="", rootfs_bytes=made.rootfs.stat().st_size, rootfs_sha256=digest)
    durable.write(made.initramfs, live_iso.with_conf(spec.initramfs.read_bytes(), conf))
    return made


def small_files(spec: LiveSpec) -> Mapping[str, bytes]:
    """The files of the ISO but for kernel, initramfs, image and boot programs."""
    initrds = (live_iso.INITRAMFS, live_iso.CONF_ARCHIVE, live_iso.IGNITION_AREA)
    kargs = (*spec.kargs, f"nestos.liveiso={spec.conf.label}", "ignition.firstboot", "ignition.platform.id=metal")
    menu = grub_live.menu(kernel=f"/{live_iso.KERNEL}", initrds=[f"/{name}" for name in initrds], kargs=kargs)
    kargs_told = {
        "default": " ".join(kargs),
        "files": [{"path": live_iso.MENU, "offset": menu.area_at, "end": grub_live.END, "pad": grub_live.PAD}],
        "size": grub_live.KARGS_BYTES,
    }
    return {
        live_iso.MENU: menu.text,
        live_iso.CONF_ARCHIVE: cpio.compress(cpio.pack({live.CONF: live.render_conf(spec.conf)}, mode=0o644)),
        live_iso.IGNITION_AREA: bytes(live_iso.AREA_BYTES),
        live_iso.IGNITION_INFO: _json({"file": live_iso.IGNITION_AREA}),
        live_iso.KARGS_INFO: _json(kargs_told),
        live_iso.FEATURES: _json({"installer-config": True, "live-initrd-network": True}),
    }


def _make_esp(spec: LiveSpec, target: Path, *, work: Path, runner: Runner) -> None:
    program = work / "grub.efi"
    grub_images.live_efi_program(
        program, label=spec.conf.label, architecture=spec.architecture, runner=runner, folder=spec.grub_modules
    )
    os.utime(program, (spec.epoch_seconds, spec.epoch_seconds))
    image = work / "efi.img"
    with image.open("wb") as file:
        file.truncate((program.stat().st_size // _MIB + 2) * _MIB)
    place = grub_images.efi_path(spec.architecture)
    folders = [f"::{folder}" for folder in reversed(place.parents[:-1])]
    environment = _environment(spec)
    runner(["mkfs.vfat", "--invariant", "-n", "ESP", image], environment=environment)
    runner(["mmd", "-i", image, *folders], environment=environment)
    runner(["mcopy", "-m", "-i", image, program, f"::{place}"], environment=environment)
    target.parent.mkdir(parents=True, exist_ok=True)
    image.replace(target)


def _environment(spec: LiveSpec) -> dict[str, str]:
    return {"SOURCE_DATE_EPOCH": str(spec.epoch_seconds), "TZ": "UTC"}


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(0o644)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
