"""Where files lie in an ISO 9660 image: enough to read and to overwrite them in place, and to cut the image shorter.

Names are Rock Ridge's where there are any, else those of the plain standard, compared without case. Files of one extent
only, which is every file below 4 GiB. Formats: ECMA-119, chapters 8 and 9; IEEE P1282, 4.1.4 (names).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from nestos.base.errors import InputError

SECTOR_BYTES = 2048
_DESCRIPTORS_AT = 16
_MOST_DESCRIPTORS = 32
_PRIMARY, _END = 1, 255
_FOLDER, _MORE_EXTENTS = 0x02, 0x80
_MOST_FOLDER_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file or folder: place and size of its content, and of the directory record that tells them. Bytes."""

    name: str
    is_folder: bool
    offset: int
    size: int
    record_at: int


@dataclass(frozen=True, kw_only=True)
class Volume:
    """The primary volume of an image."""

    file: BinaryIO
    label: str
    size_bytes: int
    descriptor_at: int
    root: Entry

    def listed(self, folder: str = "") -> list[Entry]:
        """What is in a folder."""
        entry = self.find(folder) if folder else self.root
        if not entry.is_folder:
            raise InputError(f"{folder} in the ISO image is a file, not a folder")
        return list(_records(self.file, entry))

    def find(self, path: str) -> Entry:
        """The file or folder at ``path``. Raises ``FileNotFoundError`` where there is none."""
        entry = self.root
        for part in path.strip("/").split("/"):
            found = [one for one in _records(self.file, entry) if one.name.casefold() == part.casefold()]
            if not found:
                raise FileNotFoundError(f"the ISO image has no {path}")
            entry = found[0]
        return entry

    def read(self, path: str, *, limit_bytes: int = 16 << 20) -> bytes:
        """The content of a small file."""
        entry = self.find(path)
        if entry.is_folder or entry.size > limit_bytes:
            raise InputError(f"{path} in the ISO image is not a file of at most {limit_bytes} bytes")
        self.file.seek(entry.offset)
        data = self.file.read(entry.size)
        if len(data) < entry.size:
            raise InputError(f"the ISO image is cut short: {path} is not whole")
        return data


def opened(file: BinaryIO) -> Volume:
    """The volume in ``file``. Raises ``InputError`` where there is none."""
    for number in range(_DESCRIPTORS_AT, _DESCRIPTORS_AT + _MOST_DESCRIPTORS):
        file.seek(number * SECTOR_BYTES)
        raw = file.read(SECTOR_BYTES)
        if len(raw) < SECTOR_BYTES or raw[1:6] != b"CD001" or raw[0] == _END:
            break
        if raw[0] != _PRIMARY:
            continue
        if struct.unpack_from("<H", raw, 128)[0] != SECTOR_BYTES:
            raise InputError("the ISO image has blocks that are not of 2048 bytes")
        return Volume(
            file=file,
            label=raw[40:72].decode("ascii", errors="replace").rstrip(),
            size_bytes=struct.unpack_from("<I", raw, 80)[0] * SECTOR_BYTES,
            descriptor_at=number * SECTOR_BYTES,
            root=_entry(raw[156 : 156 + raw[156]], at=number * SECTOR_BYTES + 156, name=""),
        )
    raise InputError("not an ISO 9660 image")


def set_volume_size(file: BinaryIO, volume: Volume, size_bytes: int) -> None:
    """Writes another size of the whole volume."""
    file.seek(volume.descriptor_at + 80)
    file.write(_both(size_bytes // SECTOR_BYTES))


def set_file_size(file: BinaryIO, entry: Entry, size_bytes: int) -> None:
    """Writes another size of one file, whose content is elsewhere or has gone."""
    file.seek(entry.record_at + 10)
    file.write(_both(size_bytes))


def _both(number: int) -> bytes:
    """A number as the standard has it: first little-endian, then big-endian."""
    return struct.pack("<I", number) + struct.pack(">I", number)


def _records(file: BinaryIO, folder: Entry) -> Iterator[Entry]:
    if folder.size > _MOST_FOLDER_BYTES:
        raise InputError("the ISO image has a folder that is too large to be true")
    file.seek(folder.offset)
    data = file.read(folder.size)
    if len(data) < folder.size:
        raise InputError("the ISO image is cut short: a folder is not whole")
    place = 0
    while place < len(data):
        length = data[place]
        if length == 0:  # records do not cross sectors
            place = (place // SECTOR_BYTES + 1) * SECTOR_BYTES
            continue
        raw = data[place : place + length]
        if length < 34 or len(raw) < length:
            raise InputError("the ISO image has a damaged directory")
        identifier = raw[33 : 33 + raw[32]]
        if identifier not in (b"\0", b"\1"):  # itself and its parent
            yield _entry(raw, at=folder.offset + place, name=_name(raw, identifier))
        place += length


def _entry(raw: bytes, *, at: int, name: str) -> Entry:
    if len(raw) < 34:
        raise InputError("the ISO image has a damaged directory")
    if raw[25] & _MORE_EXTENTS:
        raise InputError(f"{name} in the ISO image lies in several pieces")
    block, size = struct.unpack_from("<I4xI", raw, 2)
    return Entry(name=name, is_folder=bool(raw[25] & _FOLDER), offset=block * SECTOR_BYTES, size=size, record_at=at)


def _name(raw: bytes, identifier: bytes) -> str:
    """Rock Ridge's name (entries ``NM`` behind the identifier), else the identifier without its version."""
    place = 33 + len(identifier) + (len(identifier) + 1) % 2
    parts = []
    while place + 5 <= len(raw) and raw[place + 2] >= 4:
        if raw[place : place + 2] == b"NM":
            parts.append(raw[place + 5 : place + raw[place + 2]])
        place += raw[place + 2]
    return (b"".join(parts) or identifier.partition(b";")[0].rstrip(b".")).decode(errors="replace")
