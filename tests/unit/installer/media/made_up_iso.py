"""A live ISO as small as it can be: the files and the partition table of a real one, and nothing that boots."""

from __future__ import annotations

import io
import struct
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

from nestos.compose.artifacts import live as compose_live
from nestos.wire import gpt, live, live_iso
from tests.unit.installer.made_up import MIB, noise

SECTOR = 2048
FIRST = 32  # behind the system area and the descriptors


def both(number: int, size: int = 4) -> bytes:
    return number.to_bytes(size, "little") + number.to_bytes(size, "big")


def record(name: str, *, block: int, size: int, is_folder: bool, rock_ridge: bool = True) -> bytes:
    plain = name.encode() if name in ("\0", "\1") else name.upper().encode()[:8] + (b"" if is_folder else b";1")
    extra = b"NM" + bytes([5 + len(name), 1, 0]) + name.encode() if rock_ridge and len(name) > 1 else b""
    head = bytes(1) + both(block) + both(size) + bytes(7) + bytes([2 if is_folder else 0, 0, 0]) + both(1, 2)
    body = head + bytes([len(plain)]) + plain + bytes((len(plain) + 1) % 2) + extra
    whole = body + bytes((len(body) + 1) % 2)
    return bytes([len(whole) + 1]) + whole


def make(files: Mapping[str, bytes], *, label: str = "nestos-13.1", rock_ridge: bool = True) -> bytes:
    """An ISO 9660 image of ``files`` in their order."""
    folders = [
        PurePosixPath(),
        *sorted({parent for name in files for parent in list(PurePosixPath(name).parents)[:-1]}),
    ]
    places = {folder: FIRST + number for number, folder in enumerate(folders)}
    block = FIRST + len(folders)
    at = {}
    for name, data in files.items():
        at[PurePosixPath(name)] = (block, len(data))
        block += -(-len(data) // SECTOR)
    image = bytearray((block + 32) * SECTOR)
    for folder in folders:
        raw = record("\0", block=places[folder], size=SECTOR, is_folder=True)
        raw += record("\1", block=places[folder.parent], size=SECTOR, is_folder=True)
        for child in folders:
            if child != folder and child.parent == folder:
                raw += record(child.name, block=places[child], size=SECTOR, is_folder=True, rock_ridge=rock_ridge)
        for path, (where, size) in at.items():
            if path.parent == folder:
                raw += record(path.name, block=where, size=size, is_folder=False, rock_ridge=rock_ridge)
        assert len(raw) <= SECTOR
        image[places[folder] * SECTOR : places[folder] * SECTOR + len(raw)] = raw
    for name, data in files.items():
        start = at[PurePosixPath(name)][0] * SECTOR
        image[start : start + len(data)] = data
    descriptor = bytearray(SECTOR)
    descriptor[:8] = b"\1CD001\1\0"
    descriptor[40:72] = label.encode().ljust(32)
    descriptor[80:88] = both(len(image) // SECTOR)
    struct.pack_into("<H", descriptor, 128, SECTOR)
    root = record("\0", block=places[folders[0]], size=SECTOR, is_folder=True)
    descriptor[156 : 156 + len(root)] = root
    image[16 * SECTOR : 17 * SECTOR] = descriptor
    image[17 * SECTOR : 17 * SECTOR + 7] = b"\xffCD001\1"
    wanted = [gpt.Wanted(name="EFI boot partition", kind=gpt.EFI_SYSTEM, size_bytes=MIB)]
    table = replace(gpt.lay_out(wanted, seed="iso"), size_bytes=len(image))
    for offset, data in gpt.blocks(table, boot_code=b"BOOT").items():
        image[offset : offset + len(data)] = data
    return bytes(image)


SLOT, KERNEL, INITRAMFS = noise("slot", 3 * MIB), noise("kernel", 50_000), noise("initramfs", 70_001)


def spec(folder: Path) -> compose_live.LiveSpec:
    """Made-up pieces of a release in ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in (("slot", SLOT), ("vmlinuz", KERNEL), ("initramfs", INITRAMFS)):
        (folder / name).write_bytes(data)
    return compose_live.LiveSpec(
        slot_image=folder / "slot",
        kernel=folder / "vmlinuz",
        initramfs=folder / "initramfs",
        disks=(),
        version="13.1",
        root_hash="ab" * 32,
        hash_offset=MIB,
        kargs=("console=ttyS0", "quiet"),
    )


def live_image() -> bytes:
    """A live image with something where a packed disk is."""
    file = io.BytesIO(SLOT)
    live.append(file, [("disk512", io.BytesIO(b"packed"))], known={live.SLOT: (0, len(SLOT))})
    return file.getvalue()


def write(path: Path) -> Path:
    """A live ISO at ``path``, with its files as a compose makes them."""
    small = compose_live.small_files(spec(path.parent / "pieces"))
    boot = {live_iso.KERNEL: KERNEL, live_iso.INITRAMFS: INITRAMFS, live_iso.IMAGE: live_image()}
    path.write_bytes(make({**small, **boot}))
    return path
