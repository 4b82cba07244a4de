"""The live artifacts of a release, kept beside it and made again only when their shape changes."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from nestos.base.log import Progress
from nestos.compose import foreign, images, product
from nestos.compose.artifacts import live
from nestos.compose.artifacts.live import LiveSpec, NetworkSet
from nestos.compose.release import Release
from nestos.host import space
from nestos.host.process import Runner

INSTALLED = ("metal", "metal4k")
"""The platforms whose disk images an offline installation writes: one for each sector size."""

_COPIES = 3  # live image, ISO, root for the network


@dataclass(frozen=True, kw_only=True)
class LiveMedia:
    """The ISO, and the files of a network boot."""

    iso: Path
    network: NetworkSet


def ensure(release: Release, folder: Path, *, home: Path, runner: Runner, progress: Progress) -> LiveMedia:
    """The live artifacts of ``release`` in a folder of their own below ``folder``; ``home`` as for a disk image."""
    disks = tuple(
        images.ensure_disk(release, folder, platform=name, home=home, runner=runner, progress=progress)
        for name in INSTALLED
    )
    spec = LiveSpec(
        slot_image=Path(release.image),
        kernel=Path(release.vmlinuz),
        initramfs=Path(release.initramfs),
        disks=disks,
        version=release.version,
        root_hash=release.root_hash,
        hash_offset=release.hash_offset,
        kargs=tuple(release.kargs),
        architecture=release.architecture,
        grub_modules=foreign.grub_modules(release.architecture, home=home, progress=progress),
        epoch_seconds=release.timestamp,
    )
    code = product.code_digest("compose/artifacts", "host/bootloader", "wire")
    shape = hashlib.sha256(f"{spec}\0{code}".encode()).hexdigest()
    place = folder / f"live-{shape[:12]}"
    if not place.exists():
        for old in folder.glob("live-*"):
            shutil.rmtree(old)
        with progress.stage("live ISO and network boot"), space.watched(folder):
            need = _COPIES * (release.image_size + spec.kernel.stat().st_size + spec.initramfs.stat().st_size)
            space.require(folder, need_bytes=need, what="the live media")
            _make(spec, place.with_name(f".{place.name}.part"), runner=runner, progress=progress).rename(place)
    return LiveMedia(
        iso=place / "live.iso",
        network=NetworkSet(
            kernel=spec.kernel, initramfs=place / live.NETWORK_INITRAMFS, rootfs=place / live.NETWORK_ROOTFS
        ),
    )


def _make(spec: LiveSpec, work: Path, *, runner: Runner, progress: Progress) -> Path:
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    image = work / "live.img"
    progress.say("disk images, told by the slot image")
    live.build_image(spec, output=image)
    progress.say("ISO")
    live.build_iso(spec, image, output=work / "live.iso", runner=runner)
    progress.say("files for the network")
    live.build_network_set(spec, image, folder=work)
    image.unlink()
    return work
