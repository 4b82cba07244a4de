"""Files of a node's /etc in its initramfs, as an archive behind the image (``rpm-ostree initramfs-etc``).

The kernel unpacks archives that follow each other, each beginning at a multiple of four bytes
(Documentation/driver-api/early-userspace/buffer-format.rst). The format is cpio's "newc"; no dracut runs.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import InputError
from nestos.base.paths import Root

_MAGIC = b"070701"
_TRAILER = "TRAILER!!!"


def append(image: Path, files: Iterable[str], *, root: Root) -> None:
    """Puts ``files`` (absolute paths below /etc of ``root``; folders with all in them) behind ``image``.

    The image is replaced, not written to: it may be a hard link. Raises ``InputError`` for a path that is missing.
    """
    whole = image.read_bytes()
    whole += b"\0" * (-len(whole) % 4) + archive(files, root=root)
    durable.write(image, whole, mode=0o600)


def archive(files: Iterable[str], *, root: Root) -> bytes:
    """The archive of ``files`` and the folders above them."""
    found: dict[str, Path] = {}
    for name in files:
        place = root.join(name, follow_last=False)
        if not place.is_symlink() and not place.exists():
            raise InputError(f"{name} is not there to be put into the initramfs")
        for above in reversed(Path(name).parents):
            found.setdefault(str(above), root.join(str(above)))
        found[name] = place
        if place.is_dir() and not place.is_symlink():
            found |= {f"{name}/{below.relative_to(place)}": below for below in sorted(place.rglob("*"))}
    found.pop("/", None)
    entries = [_entry(name.lstrip("/"), path, number) for number, (name, path) in enumerate(found.items(), start=1)]
    return b"".join([*entries, _record(_TRAILER, mode=0, number=0, data=b"")])


def _entry(name: str, path: Path, number: int) -> bytes:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        data = str(path.readlink()).encode()
    elif stat.S_ISREG(mode):
        data = path.read_bytes()
    elif stat.S_ISDIR(mode):
        data = b""
    else:
        raise InputError(f"/{name} is neither file, folder nor link")
    return _record(name, mode=mode, number=number, data=data)


def _record(name: str, *, mode: int, number: int, data: bytes) -> bytes:
    text = name.encode() + b"\0"
    # inode, mode, uid, gid, links, mtime, size, device (2), special device (2), size of the name, checksum
    values = (number, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(text), 0)
    header = _MAGIC + b"".join(f"{value:08x}".encode() for value in values)
    return b"".join(_padded((header + text, data)))


def _padded(parts: Iterable[bytes]) -> Iterator[bytes]:
    for part in parts:
        yield part + b"\0" * (-len(part) % 4)
