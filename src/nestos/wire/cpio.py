"""Small initramfs archives (cpio's "newc" form), written and read without a program. All files belong to root.

Format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel. An archive is compressed by xz with a
CRC32, the only check that the kernel's decompressor knows (Documentation/staging/xz.rst).
"""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from nestos.base.errors import InputError

_MAGIC = (b"070701", b"070702")
_HEADER_BYTES = 110
_TRAILER = "TRAILER!!!"
_FOLDER, _FILE, _KIND = 0o040000, 0o100000, 0o170000
_MOST_BYTES = 64 << 20
_XZ = b"\xfd7zXZ\0"


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A file, folder or link: its name without leading slash, type and permissions, and a link's target as content."""

    name: str
    mode: int
    content: bytes = b""


def archive(entries: Iterable[Entry]) -> bytes:
    """An archive of ``entries``, folders before what is in them, not compressed."""
    written = [_record(entry, inode=number) for number, entry in enumerate(entries, start=1)]
    return b"".join([*written, _record(Entry(name=_TRAILER, mode=0), inode=0)])


def pack(files: Mapping[str, bytes], *, mode: int = 0o600) -> bytes:
    """An archive of ``files`` (path without leading slash, content), not compressed. Folders are 0755."""
    folders = {str(parent) for name in files for parent in PurePosixPath(name).parents} - {"."}
    return archive(
        Entry(name=name, mode=_FOLDER | 0o755 if name in folders else _FILE | mode, content=files.get(name, b""))
        for name in sorted([*folders, *files])
    )


def compress(archive: bytes) -> bytes:
    """As the kernel unpacks it, filled up to a multiple of four: what the next archive must begin at."""
    packed = lzma.compress(archive, check=lzma.CHECK_CRC32, preset=6)
    return packed + bytes(-len(packed) % 4)


def unpack(data: bytes) -> dict[str, bytes]:
    """The regular files in all archives of ``data``, one behind the other, compressed by xz or not; zeros between.

    Raises ``InputError`` for anything else, and for a name that leads out of the archive.
    """
    found: dict[str, bytes] = {}
    while data := data.lstrip(b"\0"):
        if data.startswith(_XZ):
            decompressor = lzma.LZMADecompressor()
            try:
                plain = decompressor.decompress(data, max_length=_MOST_BYTES)
            except lzma.LZMAError as error:
                raise InputError(f"the archive is damaged: {error}") from error
            if not decompressor.eof:
                raise InputError("the archive is cut short or larger than an initramfs part may be")
            data = decompressor.unused_data
            while plain := plain.lstrip(b"\0"):
                plain = _read(plain, found)
        elif data[:6] in _MAGIC:
            data = _read(data, found)
        else:
            raise InputError("not an initramfs archive that this program made")
    return found


def _record(entry: Entry, *, inode: int) -> bytes:
    raw, content = entry.name.encode() + b"\0", entry.content
    # inode, mode, uid, gid, links, mtime, size, device (2), special device (2), size of the name, checksum
    numbers = (inode, entry.mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % number for number in numbers) + raw
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)


def _read(data: bytes, found: dict[str, bytes]) -> bytes:
    """Reads one archive into ``found``; returns what is behind it."""
    place = 0
    while True:
        head = data[place : place + _HEADER_BYTES]
        try:
            if head[:6] not in _MAGIC or len(head) < _HEADER_BYTES:
                raise ValueError("no header")
            mode, size, name_bytes = (int(head[at : at + 8], 16) for at in (14, 54, 94))
        except ValueError as error:
            raise InputError(f"the archive is damaged at byte {place}: {error}") from error
        start = place + _HEADER_BYTES
        name = data[start : start + name_bytes - 1].decode(errors="replace")
        begin = start + name_bytes + -(_HEADER_BYTES + name_bytes) % 4
        content = data[begin : begin + size]
        if len(content) < size:
            raise InputError("the archive is cut short")
        place = begin + size + -size % 4
        if name == _TRAILER:
            return data[place:]
        if mode & _KIND == _FILE:
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts:
                raise InputError(f"the archive holds {name}, which leads out of it")
            found[str(path)] = content
