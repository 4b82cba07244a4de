"""Files of a node's /etc in its initramfs, as an archive behind the image (``rpm-ostree initramfs-etc``).

The kernel unpacks archives that follow each other, each beginning at a multiple of four bytes
(Documentation/driver-api/early-userspace/buffer-format.rst); no dracut runs.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import InputError
from nestos.base.paths import Root
from nestos.wire import cpio
from nestos.wire.cpio import Entry


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
    return cpio.archive(_entry(name.lstrip("/"), path) for name, path in found.items())


def _entry(name: str, path: Path) -> Entry:
    mode = path.lstat().st_mode
    if stat.S_ISLNK(mode):
        return Entry(name=name, mode=mode, content=str(path.readlink()).encode())
    if stat.S_ISREG(mode):
        return Entry(name=name, mode=mode, content=path.read_bytes())
    if stat.S_ISDIR(mode):
        return Entry(name=name, mode=mode)
    raise InputError(f"/{name} is neither file, folder nor link")
