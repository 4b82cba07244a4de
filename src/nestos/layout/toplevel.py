"""The folders at the top: what a person may write leads into ``/var``, the rest is empty and read-only."""

from __future__ import annotations

import shutil
from pathlib import Path

from nestos.base.errors import InputError

LINKS = {
    "home": "var/home",
    "root": "var/roothome",
    "opt": "var/opt",
    "srv": "var/srv",
    "mnt": "var/mnt",
    "media": "run/media",
    "usr/local": "../var/usrlocal",
    # zincati looks at the time of /ostree/deploy to see whether the deployments changed; nestos keeps it up to date.
    "ostree": "run/nestos/ostree",
}
_EMPTY = ("boot", "dev", "proc", "run", "sys", "tmp", "var", "sysroot")


# What the base system itself puts there.
_SKELETON = ("root/.bashrc", "root/.profile", "usr/local/man")


def settle(tree: Path) -> None:
    """Replaces folders by links and empties mount points.

    Files in the folders that become links would be lost, so they are an ``InputError`` that names each.
    """
    lost = [name for link in LINKS for name in _content(tree, link) if name not in _SKELETON]
    if lost:
        raise InputError(
            "a release cannot carry files where a node's own data is:\n" + "\n".join(f"  /{name}" for name in lost),
            hint="leave out the package, or move them below /usr in a postprocess script, or name them in remove-files",
        )
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


def _content(tree: Path, folder: str) -> list[str]:
    """Files and links below ``folder``, unless it is a link itself."""
    place = tree / folder
    if place.is_symlink() or not place.is_dir():
        return []
    found = sorted(path for path in place.rglob("*") if path.is_symlink() or not path.is_dir())
    return [str(path.relative_to(tree)) for path in found]


def move_etc(tree: Path) -> None:
    """``/etc`` becomes ``/usr/etc``, the release's defaults; an empty mount point stays for the overlay."""
    (tree / "etc").rename(tree / "usr/etc")
    (tree / "etc").mkdir()
