"""Disk images of a release, kept beside it and made again only when their shape changes."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path

from nestos.base.log import Progress
from nestos.compose import product
from nestos.compose.artifacts import disk, qcow2
from nestos.compose.release import Release
from nestos.host import space
from nestos.host.process import Runner

FORMATS = ("raw", "qcow2")
"""What a disk image can be made as."""

_BESIDES_BYTES = 256 << 20  # the file is sparse: contents of the boot and var partitions, their journals


def ensure_disk(
    release: Release, folder: Path, *, platform: str, var: Path | None = None, runner: Runner, progress: Progress
) -> Path:
    """The raw disk image of ``release`` for ``platform`` in ``folder``, with ``var`` as the content of ``/var``."""
    spec = disk.DiskSpec(
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
            kargs=tuple(release.kargs),
        ),
        var=var,
        platform=platform,
        sizes=disk.Sizes(slot=release.slot_size),
        epoch_seconds=release.timestamp,
    )
    shape = hashlib.sha256(f"{spec}\0{product.code_digest('compose/artifacts', 'host/bootloader')}".encode())
    output = folder / f"{platform}-{shape.hexdigest()[:12]}.raw"
    if not output.exists():
        for old in folder.glob(f"{platform}-*"):
            old.unlink()
        with progress.stage(f"disk image for {platform}"), space.watched(folder):
            space.require(folder, need_bytes=release.image_size + _BESIDES_BYTES, what="the disk image")
            disk.build(spec, output=output, runner=runner, progress=progress)
    return output


def ensure_format(raw: Path, *, form: str, runner: Runner, progress: Progress) -> Path:
    """The disk image ``raw`` in the format ``form``, beside it."""
    if form == "raw":
        return raw
    output = raw.with_suffix(f".{form}")
    if not output.exists():
        with progress.stage(f"{form} of the disk image"), space.watched(raw.parent):
            qcow2.convert(raw, output=output, runner=runner)
    return output
