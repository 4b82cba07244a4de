"""The live image: a slot image, and behind it what an offline installation adds to it to rebuild a disk image.

The live system runs from its beginning through dm-verity; the rest is behind. Its last 4096 bytes hold the word
``NESTOSLV`` and the place of a table of contents (JSON: name to offset and size): ``slot``, and a packed disk image
(``wire.packed``) for each sector size, ``disk512`` and ``disk4096``. On an ISO kernel and initramfs are files of their
own, which the firmware's boot loader reads; over the network nobody has them any more once they run, so that image is
the ISO's with ``kernel`` and ``initramfs`` put behind it, and a second table of contents.

``Conf`` is what the initramfs of a live system knows of its root; only a live system has it.
"""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import BinaryIO

from nestos.base.errors import InputError, StateError
from nestos.wire import packed
from nestos.wire.packed import Packed, Source

FOLDER = Path("/run/nestos-live")
"""What a live system keeps of where it came from; no other system has the folder."""
IMAGE = FOLDER / "live.img"
"""The live image that the system runs from, or a link to it."""
MEDIUM = FOLDER / "medium"
"""The ISO's file system, where the system came from one."""

KERNEL, INITRAMFS, SLOT = "kernel", "initramfs", "slot"
CONF = "etc/nestos-live.conf"
"""Where the initramfs has its ``Conf``."""
FOOTER_BYTES = 4096
_MAGIC = b"NESTOSLV"
_FOOTER = "<8sQQ"
_WORD = re.compile(r"[A-Za-z0-9._+~-]*")


@dataclass(frozen=True, kw_only=True)
class Conf:
    """What ties an initramfs to its root. Empty texts and zeros: does not apply."""

    version: str
    root_hash: str
    hash_offset: int
    slot_bytes: int
    label: str = ""
    """The volume id of the ISO."""
    rootfs_bytes: int = 0
    rootfs_sha256: str = ""
    """Of the image that is fetched over the network."""


def render_conf(conf: Conf) -> bytes:
    """Lines that a shell can read: ``name=value``, values of plain characters only."""
    lines = []
    for name, value in asdict(conf).items():
        if not _WORD.fullmatch(str(value)):
            raise InputError(f"{name} of a live image is {value!r}: letters, digits, dots, dashes only")
        lines.append(f"{name}={value}\n")
    return "".join(lines).encode()


def parse_conf(data: bytes) -> Conf:
    """Reads ``render_conf``. Raises ``StateError`` where something is missing."""
    given = dict(line.partition("=")[::2] for line in data.decode(errors="replace").splitlines())
    try:
        known = {item.name: given[item.name] for item in fields(Conf)}
        numbers = {name: int(known[name]) for name in ("hash_offset", "slot_bytes", "rootfs_bytes")}
    except (KeyError, ValueError) as error:
        raise StateError(f"not the configuration of a live image: {error}") from error
    return Conf(
        version=known["version"],
        root_hash=known["root_hash"],
        label=known["label"],
        rootfs_sha256=known["rootfs_sha256"],
        **numbers,
    )


class Window:
    """A stretch of a file that reads like a file of its own."""

    def __init__(self, file: BinaryIO, *, start: int, size: int) -> None:
        self._file, self._start, self._size = file, start, size
        self._place = 0

    def seek(self, offset: int, /) -> int:
        """Goes to a place, counted from its beginning."""
        self._place = offset
        return offset

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes; fewer at its end, all where ``size`` is negative."""
        left = max(0, self._size - self._place)
        self._file.seek(self._start + self._place)
        data = self._file.read(left if size < 0 else min(size, left))
        self._place += len(data)
        return data


@dataclass(frozen=True, kw_only=True)
class Carried:
    """An open live image, from byte ``start`` of ``file`` on."""

    file: BinaryIO
    contents: Mapping[str, tuple[int, int]]
    start: int = 0

    def part(self, name: str) -> bytes:
        """One of its parts. Raises ``StateError`` where it has no such one."""
        if name not in self.contents:
            raise StateError(f"the live image carries no {name}")
        offset, size = self.contents[name]
        self.file.seek(self.start + offset)
        return self.file.read(size)

    def window(self, name: str) -> Window:
        """One of its parts, to be read at any place; the file is used by one at a time."""
        if name not in self.contents:
            raise StateError(f"the live image carries no {name}")
        offset, size = self.contents[name]
        return Window(self.file, start=self.start + offset, size=size)

    def image(self, sector_bytes: int) -> Packed:
        """The packed disk image for such sectors."""
        return packed.parse(self.part(f"disk{sector_bytes}"))


def opened(file: BinaryIO, *, start: int = 0, size: int = -1) -> Carried:
    """The live image in ``file``; ``size`` -1: up to its end. Raises ``StateError`` where there is none."""
    end = start + size if size >= 0 else file.seek(0, 2)
    try:
        if end - start < FOOTER_BYTES:
            raise ValueError("too short")
        file.seek(end - FOOTER_BYTES)
        magic, offset, length = struct.unpack_from(_FOOTER, file.read(FOOTER_BYTES))
        if magic != _MAGIC:
            raise ValueError("no mark at its end")
        file.seek(start + offset)
        document = json.loads(file.read(length))
        contents = {str(name): (int(a), int(b)) for name, (a, b) in document.items()}
    except (ValueError, AttributeError, struct.error) as error:
        raise StateError(f"not a live image: {error}") from error
    return Carried(file=file, contents=contents, start=start)


def append(file: BinaryIO, parts: Sequence[tuple[str, Source]], *, known: Mapping[str, tuple[int, int]]) -> None:
    """Puts ``parts`` behind what ``file`` has, and a table of contents with them and ``known`` at its end."""
    contents = dict(known)
    for name, source in parts:
        offset = _aligned(file)
        source.seek(0)
        size = 0
        while piece := source.read(1 << 20):
            file.write(piece)
            size += len(piece)
        contents[name] = (offset, size)
    offset = _aligned(file)
    table = json.dumps(contents, sort_keys=True).encode()
    file.write(table)
    _aligned(file)
    file.write(struct.pack(_FOOTER, _MAGIC, offset, len(table)).ljust(FOOTER_BYTES, b"\0"))


def _aligned(file: BinaryIO) -> int:
    """Fills up to a whole block, and says where the file is then."""
    place = file.seek(0, 2)
    file.write(bytes(-place % packed.BLOCK_BYTES))
    return file.tell()
