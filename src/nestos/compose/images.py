"""Disk images of a release, kept beside it and made again only when their shape changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from nestos.base.errors import InputError
from nestos.base.log import Progress
from nestos.compose import foreign, product
from nestos.compose.artifacts import archive, compressed, disk, ovf, platforms, qemu_img
from nestos.compose.artifacts.platforms import Platform
from nestos.compose.release import Release
from nestos.host import space
from nestos.host.process import Runner

_BESIDES_BYTES = 256 << 20  # the file is sparse: contents of the boot and var partitions, their journals


def ensure_disk(
    release: Release,
    folder: Path,
    *,
    platform: str,
    home: Path,
    var: Path | None = None,
    runner: Runner,
    progress: Progress,
) -> Path:
    """The raw disk image of ``release`` for ``platform`` in ``folder``, with ``var`` as the content of ``/var``.

    ``home`` is the cache with the tools trees, all of which ``runner`` sees.
    """
    wanted = platforms.find(platform)
    modules = foreign.grub_modules(release.architecture, home=home, progress=progress)
    spec = _spec(release, wanted, var=var, grub_modules=modules)
    shape = hashlib.sha256(f"{spec}\0{product.code_digest('compose/artifacts', 'host/bootloader')}".encode())
    output = folder / f"{platform}-{shape.hexdigest()[:12]}.raw"
    if not output.exists():
        for old in folder.glob(f"{platform}-*"):
            old.unlink()
        with progress.stage(f"disk image for {platform}"), space.watched(folder):
            space.require(folder, need_bytes=release.image_size + _BESIDES_BYTES, what="the disk image")
            disk.build(spec, output=output, runner=runner, progress=progress)
    return output


def ensure_format(
    raw: Path, *, form: str, platform: str = "qemu", version: str = "", runner: Runner, progress: Progress
) -> Path:
    """The disk image ``raw`` in the format ``form``, beside it. Raises ``InputError`` for a format nobody knows."""
    base, compression = platforms.split(form)
    made = raw
    if base != "raw":
        made = raw.with_suffix(f".{base}")
        _once(made, lambda: _convert(raw, made, form=base, platform=platform, version=version, runner=runner), progress)
    if not compression:
        return made
    output = made.with_name(f"{made.name}.{compression}")
    _once(output, lambda: compressed.compress(made, output=output, by=compression, runner=runner), progress)
    return output


def _once(output: Path, make: Callable[[], None], progress: Progress) -> None:
    if not output.exists():
        with progress.stage(output.name.partition(".")[2] + " of the disk image"), space.watched(output.parent):
            make()


def _convert(raw: Path, output: Path, *, form: str, platform: str, version: str, runner: Runner) -> None:
    if form in qemu_img.FORMATS:
        qemu_img.convert(raw, output=output, form=form, runner=runner)
    elif form == "ova":
        _ova(raw, output, platform=platform, version=version, runner=runner)
    elif form == "tar.gz":
        plain = output.with_suffix("")
        try:
            archive.gcp_tar(raw, output=plain)
            compressed.compress(plain, output=output, by="gz", runner=runner)
        finally:
            plain.unlink(missing_ok=True)
    else:
        raise InputError(f"no disk image has the format {form!r}")


def _ova(raw: Path, output: Path, *, platform: str, version: str, runner: Runner) -> None:
    disk_file = output.with_suffix(".ova-vmdk")
    try:
        qemu_img.convert(raw, output=disk_file, form="vmdk", runner=runner)
        machine = ovf.Machine(
            name=f"nestos-{version}",
            version=version,
            flavour=ovf.FLAVOURS[platform],
            disk_bytes=raw.stat().st_size,
        )
        archive.ova(disk_file, output=output, machine=machine)
    finally:
        disk_file.unlink(missing_ok=True)


def _spec(release: Release, platform: Platform, *, var: Path | None, grub_modules: Path | None) -> disk.DiskSpec:
    return disk.DiskSpec(
        slot_image=Path(release.image),
        kernel=Path(release.vmlinuz),
        initramfs=Path(release.initramfs),
        deployment=disk.Deployment(
            version=release.version,
            commit=release.commit,
            ref=release.ref,
            root_hash=release.root_hash,
            hash_offset=release.hash_offset,
            image_size=release.image_size,
            kernel_digest=release.kernel_digest,
            timestamp=datetime.fromtimestamp(release.timestamp, UTC).isoformat(),
            kargs=platforms.with_consoles(release.kargs, platform.consoles),
        ),
        var=var,
        platform=platform.ignition_platform,
        architecture=release.architecture,
        grub_modules=grub_modules,
        sizes=disk.Sizes(slot=release.slot_size),
        sector_bytes=platform.sector_bytes,
        size_unit_bytes=platform.size_unit_bytes,
        epoch_seconds=release.timestamp,
    )
