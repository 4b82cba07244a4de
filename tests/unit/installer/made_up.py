"""Small disk images that look like ours from outside, and a disk in memory that can be made to fail at any write."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field

from nestos.wire import gpt
from nestos.wire.gpt import Partition, Table

MIB = 1 << 20
IMAGE_MIB = 12
"""Where the image's last partition ends."""


def table(*, sector_bytes: int = 512, seed: str = "image") -> Table:
    return gpt.lay_out(
        [
            gpt.Wanted(name="bios", kind=gpt.BIOS_BOOT, size_bytes=MIB),
            gpt.Wanted(name="boot", kind=gpt.EXTENDED_BOOT, size_bytes=8 * MIB),
            gpt.Wanted(name="root-a", kind=gpt.ROOT_X86_64, size_bytes=MIB),
            gpt.Wanted(name="var", kind=gpt.VAR, size_bytes=MIB),
        ],
        seed=seed,
        sector_bytes=sector_bytes,
    )


def noise(seed: str, size: int) -> bytes:
    """Bytes that do not repeat and do not compress; the same for the same seed."""
    return hashlib.shake_256(seed.encode()).digest(size)


def image(*, sector_bytes: int = 512, boot: bytes = b"") -> bytes:
    """A disk image; ``boot`` is the content of its boot partition."""
    laid = table(sector_bytes=sector_bytes)
    whole = bytearray(laid.size_bytes)
    for offset, data in gpt.blocks(laid, boot_code=b"BOOTCODE").items():
        whole[offset : offset + len(data)] = data
    for name, data in (
        ("bios", noise("bios", 5000)),
        ("boot", boot or noise("boot", 3 * MIB)),
        ("root-a", noise("a", MIB)),
    ):
        offset = laid[name].offset_bytes
        whole[offset : offset + len(data)] = data
    return bytes(whole)


def disk_table(*, disk_mib: int, sector_bytes: int = 512) -> Table:
    """A table of a used disk: ``old`` where the image goes, ``data`` and ``more`` behind it, numbers 1, 2 and 9."""
    places = ((1, "old", 1, 2), (2, "data", 20, 4), (9, "more", 26, 2))
    partitions = tuple(
        Partition(
            number=number,
            name=name,
            kind=gpt.VAR,
            guid=gpt.identity("used", name),
            offset_bytes=start * MIB,
            size_bytes=size * MIB,
            attributes=number,
        )
        for number, name, start, size in places
    )
    return Table(
        guid=gpt.identity("used", "disk"), sector_bytes=sector_bytes, size_bytes=disk_mib * MIB, partitions=partitions
    )


class PowerCut(BaseException):
    """The machine went off."""


@dataclass
class MemoryDisk:
    """A disk in memory. ``fails_at`` counts writes: that one and all behind it raise and change nothing."""

    size_bytes: int
    sector_bytes: int = 512
    fails_at: int = -1
    failure: Callable[[], BaseException] = PowerCut
    content: bytearray = field(init=False)
    writes: int = 0
    on_write: Callable[[], None] = lambda: None
    spoiled: int = -1
    """Offset of a byte that the disk returns wrongly; -1: none."""

    def __post_init__(self) -> None:
        self.content = bytearray(self.size_bytes)

    def read(self, offset: int, size: int) -> bytes:
        data = bytearray(self.content[offset : offset + size])
        if offset <= self.spoiled < offset + len(data):
            data[self.spoiled - offset] ^= 1
        return bytes(data)

    def write(self, offset: int, data: bytes) -> None:
        assert offset % self.sector_bytes == 0 and len(data) % self.sector_bytes == 0, "whole sectors"
        assert offset + len(data) <= self.size_bytes, "behind the end of the disk"
        if self.writes == self.fails_at:
            raise self.failure()
        self.writes += 1
        self.content[offset : offset + len(data)] = data
        self.on_write()

    def zero(self, offset: int, size: int) -> None:
        self.write(offset, bytes(size))

    def settle(self) -> None:
        pass

    def reread_table(self) -> None:
        pass

    def put(self, laid: Table) -> None:
        for offset, data in gpt.blocks(laid).items():
            self.content[offset : offset + len(data)] = data

    def table(self) -> Table | None:
        """What is in the primary table. Raises ``InputError`` where it is torn."""
        return gpt.parse(bytes(self.content[:MIB]), sector_bytes=self.sector_bytes, size_bytes=self.size_bytes)
