"""A GUID partition table as bytes: protective MBR, primary header and entries, backup entries and header.

Pure: takes a description, returns the blocks and where they go, and reads a table from the first bytes of a disk; the
image's builder and the installer do the input and output. A new table is a function of the description (the GUIDs come
from a seed), so that the same inputs give the same bytes. Format: UEFI Specification 2.10, chapter 5.
"""

from __future__ import annotations

import struct
import uuid
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

from nestos.base.errors import InputError

ALIGNMENT_BYTES = 1024 * 1024
MOST_PARTITIONS = 128
"""Entries of a table: the least it may have room for, and what every tool expects."""

_ENTRY_BYTES = 128
_HEADER_BYTES = 92
_HEADER = "<8sIIIIQQQQ16sQIII"
_ENTRY = "<16s16sQQQ72s"
_LONGEST_NAME = 36  # UTF-16 units in an entry
_NAMESPACE = uuid.UUID("9d5d7a0e-6c5f-5f8e-8f6c-1f7f4b1f0c52")  # of this project, for uuid5; any fixed value would do

BIOS_BOOT = uuid.UUID("21686148-6449-6e6f-744e-656564454649")
EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
EXTENDED_BOOT = uuid.UUID("bc13c2ff-59e6-4262-a352-b275fd6f7172")
ROOT_X86_64 = uuid.UUID("4f68bce3-e8cd-4db1-96e7-fbcaf984b709")
ROOT_ARM64 = uuid.UUID("b921b045-1df0-41c3-af44-4c6f280d3fae")
VAR = uuid.UUID("4d21b016-b534-45c2-a9fb-5c16e091fd2d")


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A partition as asked for. ``name`` is its label in the table; the size is rounded up to the alignment."""

    name: str
    kind: uuid.UUID
    size_bytes: int


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A partition with its place: number from 1, GUID, offset and size in bytes on the disk."""

    number: int
    name: str
    kind: uuid.UUID
    guid: uuid.UUID
    offset_bytes: int
    size_bytes: int
    attributes: int = 0

    @property
    def end_bytes(self) -> int:
        """The first byte behind it."""
        return self.offset_bytes + self.size_bytes


@dataclass(frozen=True, kw_only=True)
class Table:
    """A laid-out disk. ``size_bytes`` is the whole disk, the backup table at its end included."""

    guid: uuid.UUID
    sector_bytes: int
    size_bytes: int
    partitions: tuple[Partition, ...]

    def __getitem__(self, name: str) -> Partition:
        """The partition labelled ``name``."""
        for partition in self.partitions:
            if partition.name == name:
                return partition
        raise KeyError(name)


def identity(seed: str, name: str) -> uuid.UUID:
    """The GUID of the thing ``name`` on the disk grown from ``seed``; the same two words give the same GUID."""
    return uuid.uuid5(uuid.uuid5(_NAMESPACE, seed), name)


def lay_out(wanted: Sequence[Wanted], *, seed: str, sector_bytes: int = 512) -> Table:
    """Places the partitions one behind the other, each on a multiple of 1 MiB.

    Raises ``InputError`` for an empty, a double or a too long name, or a size that is not positive.
    """
    if sector_bytes not in (512, 4096):
        raise InputError(f"a disk has sectors of 512 or 4096 bytes, not {sector_bytes}")
    _check(wanted)
    offset = ALIGNMENT_BYTES
    partitions = []
    for number, item in enumerate(wanted, start=1):
        size = _aligned(item.size_bytes)
        partitions.append(
            Partition(
                number=number,
                name=item.name,
                kind=item.kind,
                guid=identity(seed, item.name),
                offset_bytes=offset,
                size_bytes=size,
            )
        )
        offset += size
    return Table(
        guid=identity(seed, "disk"),
        sector_bytes=sector_bytes,
        size_bytes=offset + ALIGNMENT_BYTES,  # the backup table needs 17 KiB (512) or 20 KiB (4096) of it
        partitions=tuple(partitions),
    )


def blocks(table: Table, *, boot_code: bytes = b"") -> dict[int, bytes]:
    """The bytes of the table by their offset on the disk: everything in front of the first partition, and the end.

    ``boot_code`` (at most 440 bytes) is what a BIOS runs from the first sector.
    """
    sector = table.sector_bytes
    last = table.size_bytes // sector - 1
    entries = _entries(table)
    entry_sectors = len(entries) // sector
    primary = _header(table, own=1, other=last, entries_at=2, entries=entries)
    backup = _header(table, own=last, other=1, entries_at=last - entry_sectors, entries=entries)
    return {
        0: protective_mbr(table, boot_code=boot_code) + primary + entries,
        (last - entry_sectors) * sector: entries + backup,
    }


def parse(head: bytes, *, sector_bytes: int, size_bytes: int) -> Table | None:
    """The table that begins in ``head``, the first bytes of a disk of ``size_bytes``; none where there is no GPT.

    ``head`` must reach over the entries (1 MiB always does). Raises ``InputError`` for a table whose checksums do not
    hold, and for one with entries of another size than everybody's.
    """
    raw = head[sector_bytes : sector_bytes + _HEADER_BYTES]
    if len(raw) < _HEADER_BYTES or raw[:8] != b"EFI PART":
        return None
    fields = struct.unpack(_HEADER, raw)
    checksum, entries_at, count, entry_bytes, entries_checksum = fields[3], *fields[10:14]
    if zlib.crc32(raw[:16] + bytes(4) + raw[20:]) != checksum:
        raise InputError("the partition table's header is damaged: its checksum does not hold")
    if entry_bytes != _ENTRY_BYTES:
        raise InputError(f"the partition table has entries of {entry_bytes} bytes, not {_ENTRY_BYTES}")
    entries = head[entries_at * sector_bytes :][: count * _ENTRY_BYTES]
    if zlib.crc32(entries) != entries_checksum:
        raise InputError("the partition table's entries are damaged: their checksum does not hold")
    read = (_entry(entries, place, sector_bytes=sector_bytes) for place in range(count))
    return Table(
        guid=uuid.UUID(bytes_le=fields[9]),
        sector_bytes=sector_bytes,
        size_bytes=size_bytes,
        partitions=tuple(partition for partition in read if partition is not None),
    )


def sector_bytes_of(head: bytes) -> int | None:
    """The sector size that a disk image with these first bytes was made for; none where it has no GPT."""
    for sector in (512, 4096):
        if head[sector : sector + 8] == b"EFI PART":
            return sector
    return None


def _entry(entries: bytes, place: int, *, sector_bytes: int) -> Partition | None:
    kind, guid, first, last, attributes, name = struct.unpack_from(_ENTRY, entries, place * _ENTRY_BYTES)
    if kind == bytes(16):
        return None
    return Partition(
        number=place + 1,
        name=name.decode("utf-16-le", errors="replace").rstrip("\0"),
        kind=uuid.UUID(bytes_le=kind),
        guid=uuid.UUID(bytes_le=guid),
        offset_bytes=first * sector_bytes,
        size_bytes=(last - first + 1) * sector_bytes,
        attributes=attributes,
    )


def protective_mbr(table: Table, *, boot_code: bytes = b"") -> bytes:
    """The first sector: boot code, and one partition of type 0xEE over the whole disk (UEFI 2.10, 5.2.3)."""
    if len(boot_code) > 440:
        raise InputError(f"boot code has {len(boot_code)} bytes, the first sector has room for 440")
    sectors = min(table.size_bytes // table.sector_bytes - 1, 0xFFFFFFFF)
    entry = struct.pack("<B3sB3sII", 0, b"\x00\x02\x00", 0xEE, b"\xff\xff\xff", 1, sectors)
    record = boot_code.ljust(446, b"\0") + entry.ljust(64, b"\0") + b"\x55\xaa"
    return record.ljust(table.sector_bytes, b"\0")


def _entries(table: Table) -> bytes:
    sector = table.sector_bytes
    packed = bytearray(MOST_PARTITIONS * _ENTRY_BYTES)
    for item in table.partitions:
        struct.pack_into(
            _ENTRY,
            packed,
            (item.number - 1) * _ENTRY_BYTES,
            item.kind.bytes_le,
            item.guid.bytes_le,
            item.offset_bytes // sector,
            item.end_bytes // sector - 1,
            item.attributes,
            item.name.encode("utf-16-le"),
        )
    return bytes(packed)


def _header(table: Table, *, own: int, other: int, entries_at: int, entries: bytes) -> bytes:
    sector = table.sector_bytes
    entry_sectors = len(entries) // sector
    last = table.size_bytes // sector - 1

    def packed(checksum: int) -> bytes:
        return struct.pack(
            _HEADER,
            b"EFI PART",
            0x00010000,
            _HEADER_BYTES,
            checksum,
            0,
            own,
            other,
            2 + entry_sectors,
            last - entry_sectors - 1,
            table.guid.bytes_le,
            entries_at,
            MOST_PARTITIONS,
            _ENTRY_BYTES,
            zlib.crc32(entries),
        )

    return packed(zlib.crc32(packed(0))).ljust(sector, b"\0")


def _aligned(size_bytes: int) -> int:
    return -(-size_bytes // ALIGNMENT_BYTES) * ALIGNMENT_BYTES


def _check(wanted: Sequence[Wanted]) -> None:
    seen: set[str] = set()
    if len(wanted) > MOST_PARTITIONS:
        raise InputError(f"{len(wanted)} partitions, a table has room for {MOST_PARTITIONS}")
    for item in wanted:
        if not item.name or len(item.name.encode("utf-16-le")) > 2 * _LONGEST_NAME:
            raise InputError(f"a partition label has 1 to {_LONGEST_NAME} characters: {item.name!r}")
        if item.name in seen:
            raise InputError(f"two partitions are labelled {item.name}")
        if item.size_bytes <= 0:
            raise InputError(f"partition {item.name} has no size: {item.size_bytes} bytes")
        seen.add(item.name)
