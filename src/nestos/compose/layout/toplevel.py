"""The folders at the top: what a person may write leads into ``/var``, the rest is empty and read-only."""

from __future__ import annotations

import shutil
from pathlib import Path

LINKS = {
    "home": "var/home",
    "root": "var/roothome",
    "opt": "var/opt",
    "srv": "var/srv",
    "mnt": "var/mnt",
    "media": "run/media",
    "usr/local": "../var/usrlocal",
}
_EMPTY = ("boot", "dev", "proc", "run", "sys", "tmp", "var", "sysroot")


def settle(tree: Path) -> None:
    """Replaces folders by links and empties mount points. Package content in them would be lost, so it is refused."""
    for name in _EMPTY:
        folder = tree / name
        if folder.exists():
            for entry in folder.iterdir():
                if entry.is_dir() and not entry.is_symlink():
                    shutil.rmtree(entry)
                else:
                    entry.unlink()
        folder.mkdir(exist_ok=True)
        folder.chmod(0o1777 if name == "tmp" else 0o755)
    for name, target in LINKS.items():
        place = tree / name
        if place.is_symlink():
            place.unlink()
        elif place.exists():
            shutil.rmtree(place)
        place.symlink_to(target)


def move_etc(tree: Path) -> None:
    """``/etc`` becomes ``/usr/etc``, the release's defaults; an empty mount point stays for the overlay."""
    (tree / "etc").rename(tree / "usr/etc")
    (tree / "etc").mkdir()
