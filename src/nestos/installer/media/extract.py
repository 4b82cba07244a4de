"""What is taken out of a live ISO: the files of a network boot, and a small ISO that fetches its root.

The files are byte for byte those that a compose makes. The small ISO is the large one up to its root, which is last.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from nestos.base import durable
from nestos.base.errors import InputError, StateError
from nestos.host.bootloader import grub_live
from nestos.installer.media import editing
from nestos.installer.media.editing import LiveIso
from nestos.wire import cpio, gpt, iso9660, live, live_iso
from nestos.wire.gpt import Table
from nestos.wire.live import Conf, Window

_PIECE_BYTES = 1 << 20
_SECTOR = 512
_BACKUP_BYTES = 64 << 10
"""Kept behind the content for the backup of the partition table."""
_ESP = "EFI boot partition"


def network_set(iso: LiveIso, *, folder: Path, prefix: str) -> list[Path]:
    """Writes kernel, initramfs and root for a network boot into ``folder``; returns their paths."""
    kernel, initramfs, root = (folder / f"{prefix}-{name}" for name in ("vmlinuz", "initrd.img", "rootfs.img"))
    for path in (kernel, initramfs, root):
        editing.refuse_existing(path)
    conf = write_rootfs(iso, root)
    with durable.replacing(kernel) as file:
        _copy(_window(iso, live_iso.KERNEL), file)
    durable.write(initramfs, live_iso.with_conf(_window(iso, live_iso.INITRAMFS).read(), conf))
    return [kernel, initramfs, root]


def write_rootfs(iso: LiveIso, output: Path) -> Conf:
    """Writes the root for the network, and returns what an initramfs must know of it."""
    entry = iso.volume.find(live_iso.IMAGE)
    if not entry.size:
        raise StateError("this ISO is a minimal one: it has no root to take out")
    carried = live.opened(iso.file, start=entry.offset, size=entry.size)
    with durable.replacing(output) as file:
        _copy(_window(iso, live_iso.IMAGE), file)
        boot = [
            (live.KERNEL, _window(iso, live_iso.KERNEL)),
            (live.INITRAMFS, _window(iso, live_iso.INITRAMFS)),
        ]
        live.append(file, boot, known=carried.contents)
    with output.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    conf = live.parse_conf(cpio.unpack(iso.volume.read(live_iso.CONF_ARCHIVE))[live.CONF])
    return replace(conf, label="", rootfs_bytes=output.stat().st_size, rootfs_sha256=digest)


def minimal(iso: LiveIso, *, output: Path, rootfs: Path | None, url: str) -> None:
    """Writes an ISO without a root, which fetches it from ``url`` (empty: an argument names it later).

    ``rootfs`` is where the root itself goes; none: nowhere, it is the one of ``extract pxe``.
    """
    if rootfs is not None:
        editing.refuse_existing(rootfs)
    editing.refuse_existing(output)
    with _somewhere(rootfs, beside=output) as root:
        conf = write_rootfs(iso, root)
    cut = iso.volume.find(live_iso.IMAGE).offset
    size = -(-(cut + _BACKUP_BYTES) // iso9660.SECTOR_BYTES) * iso9660.SECTOR_BYTES
    with durable.replacing(output) as written:
        _copy(Window(iso.file, start=0, size=cut), written)
        written.truncate(size)
        written.flush()
        with open(written.fileno(), "r+b", closefd=False) as file:
            _shorten(LiveIso(volume=iso9660.opened(file)), size=size, conf=conf, url=url)


def _shorten(iso: LiveIso, *, size: int, conf: Conf, url: str) -> None:
    """Makes the content of an ISO that was cut fit its size."""
    iso9660.set_file_size(iso.file, iso.volume.find(live_iso.IMAGE), 0)
    iso9660.set_volume_size(iso.file, iso.volume, size)
    _rewrite(iso, live_iso.CONF_ARCHIVE, cpio.compress(cpio.pack({live.CONF: live.render_conf(conf)}, mode=0o644)))
    if url:
        argument = f"nestos.live.rootfs_url={url}"
        info = json.loads(iso.volume.read(live_iso.KARGS_INFO))
        grub_live.karg_area([argument])
        info["default"] = f"{info['default']} {argument}"
        _rewrite(iso, live_iso.KARGS_INFO, json.dumps(info, sort_keys=True, indent=1).encode() + b"\n")
        iso.set_kargs([*iso.kargs(), argument])
    iso.file.seek(0)
    head = iso.file.read(gpt.ALIGNMENT_BYTES)
    table = gpt.parse(head, sector_bytes=_SECTOR, size_bytes=size)
    if table is None:
        raise InputError("not a live ISO of this system: it has no partition table")
    kept = tuple(one for one in table.partitions if one.name == _ESP)
    shorter = Table(guid=table.guid, sector_bytes=_SECTOR, size_bytes=size, partitions=kept)
    for offset, data in gpt.blocks(shorter, boot_code=head[:440]).items():
        iso.file.seek(offset)
        iso.file.write(data)


def _rewrite(iso: LiveIso, path: str, data: bytes) -> None:
    """Other content for a small file, in the sectors that it has."""
    entry = iso.volume.find(path)
    room = -(-max(entry.size, 1) // iso9660.SECTOR_BYTES) * iso9660.SECTOR_BYTES
    if len(data) > room:
        raise InputError(f"{path} would have {len(data)} bytes, the ISO has room for {room}")
    iso.file.seek(entry.offset)
    iso.file.write(data.ljust(room, b"\0"))
    iso9660.set_file_size(iso.file, entry, len(data))


def _window(iso: LiveIso, path: str) -> Window:
    entry = iso.volume.find(path)
    return Window(iso.file, start=entry.offset, size=entry.size)


def _copy(source: Window, target: BinaryIO) -> None:
    source.seek(0)
    shutil.copyfileobj(source, target, _PIECE_BYTES)


@contextmanager
def _somewhere(path: Path | None, *, beside: Path) -> Iterator[Path]:
    """``path``, or a file beside another that is gone afterwards."""
    if path is not None:
        yield path
        return
    temporary = beside.with_name(f".{beside.name}.rootfs")
    try:
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
