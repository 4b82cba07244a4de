"""The live system that this runs in, as a source of disk images: rebuilt from its own root, kernel and initramfs.

``wire.live`` tells the form. A live system that came from an ISO reads kernel and initramfs from there, one that came
over the network has them in its image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

from nestos.base.errors import StateError
from nestos.installer.found import Found
from nestos.wire import live, live_iso, packed
from nestos.wire.live import Carried
from nestos.wire.packed import Packed, Source

_VOUCHER = "as this live system has it, by its checksum"
_ON_MEDIUM = {live.KERNEL: live_iso.KERNEL, live.INITRAMFS: live_iso.INITRAMFS}


def is_here(folder: Path = live.FOLDER) -> bool:
    """True in a live system."""
    return folder.is_dir()


def find(*, sector_bytes: int, folder: Path = live.FOLDER) -> Found:
    """The disk image for such sectors. Raises ``StateError`` where the live system has none."""
    path = folder / live.IMAGE.name
    if not path.exists():
        raise StateError("this is no live system: there is nothing to install from offline")
    with path.open("rb") as file:
        image = live.opened(file).image(sector_bytes)
    version = live.parse_conf((folder / "conf").read_bytes()).version

    def opened(on_size: Callable[[int], None]) -> Iterator[bytes]:
        on_size(image.size)
        with ExitStack() as stack:
            carried = live.opened(stack.enter_context(path.open("rb")))
            yield from packed.unpack(image, references=_references(carried, image, folder=folder, stack=stack))

    return Found(name=f"NestOS {version} of this live system", open=opened, voucher=_VOUCHER)


def _references(carried: Carried, image: Packed, *, folder: Path, stack: ExitStack) -> dict[str, Source]:
    found: dict[str, Source] = {}
    for name in image.needs:
        if name in carried.contents:
            found[name] = carried.window(name)
            continue
        path = folder / live.MEDIUM.name / _ON_MEDIUM.get(name, name)
        if not path.is_file():
            raise StateError(f"the medium that this live system came from is gone: there is no {path}")
        found[name] = stack.enter_context(path.open("rb"))
    return found
