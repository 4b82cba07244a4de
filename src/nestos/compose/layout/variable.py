"""``/var`` leaves the tree empty.

Package databases and the state of maintainer scripts go to ``/usr/lib/sysimage``, where they belong to the release;
folders and links become a tmpfiles.d file that makes them on every node; caches and logs are dropped.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

# Below var/lib: what dpkg, debconf and maintainer scripts remember about the packages of this release.
_PACKAGE_STATE = (
    "dpkg",
    "ucf",
    "pam",
    "sgml-base",
    "xml-core",
    "systemd/deb-systemd-helper-enabled",
    "systemd/deb-systemd-user-helper-enabled",
)
_DROPPED = ("cache", "log", "tmp", "lib/apt", "lib/dbus", "lib/systemd/random-seed", "lib/systemd/catalog")
# Made by the base system's own tmpfiles or by the initramfs; naming them again would only warn.
_KNOWN = {"lib", "cache", "log", "tmp", "spool", "opt", "lib/systemd", "lib/nestos", "lib/dpkg"}


def settle(tree: Path) -> list[str]:
    """Empties ``/var``; returns the paths of files that were dropped, for the log of the compose."""
    var = tree / "var"
    sysimage = tree / "usr/lib/sysimage"
    for name in _PACKAGE_STATE:
        source = var / "lib" / name
        if source.exists():
            target = sysimage / name.removeprefix("systemd/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source, target)
    for name in ("status-old", "available", "available-old", "diversions-old", "statoverride-old", "lock"):
        (sysimage / "dpkg" / name).unlink(missing_ok=True)
    (sysimage / "dpkg/lock-frontend").unlink(missing_ok=True)
    for name in _DROPPED:
        _remove(var / name)
    lines, dropped = _describe(var, names=_Names(tree))
    conf = tree / "usr/lib/tmpfiles.d/nestos-packages.conf"
    conf.parent.mkdir(parents=True, exist_ok=True)
    conf.write_text(
        "# Folders and links that packages ship under /var; made of the packages when the tree was composed.\n"
        + "".join(line + "\n" for line in lines)
    )
    for entry in var.iterdir():
        _remove(entry)
    return dropped


class _Names:
    """Names of ids as the tree's own account files have them."""

    def __init__(self, tree: Path) -> None:
        self.users = _table(tree / "etc/passwd")
        self.groups = _table(tree / "etc/group")


def _table(file: Path) -> dict[int, str]:
    return {int(line.split(":")[2]): line.split(":")[0] for line in reversed(file.read_text().splitlines())}


def _describe(var: Path, *, names: _Names) -> tuple[list[str], list[str]]:
    lines: list[str] = []
    dropped: list[str] = []
    for path in sorted(var.rglob("*")):
        relative = str(path.relative_to(var))
        status = path.lstat()
        if path.is_symlink():
            target = os.readlink(path)  # noqa: PTH115 - the text as it is, a Path would lose a trailing slash
            if relative not in ("run", "lock"):
                lines.append(f"L {_quoted(f'/var/{relative}')} - - - - {target.replace('%', '%%')}")
        elif stat.S_ISDIR(status.st_mode):
            if relative not in _KNOWN:
                owner = names.users.get(status.st_uid, str(status.st_uid))
                group = names.groups.get(status.st_gid, str(status.st_gid))
                lines.append(f"d {_quoted(f'/var/{relative}')} {stat.S_IMODE(status.st_mode):04o} {owner} {group} -")
        else:
            dropped.append(f"/var/{relative}")
    return lines, dropped


def _quoted(path: str) -> str:
    """A path as tmpfiles.d(5) takes it: specifiers and quotes mean themselves, spaces do not end it."""
    path = path.replace("%", "%%")
    if not any(character in path for character in " \t'\"\\"):
        return path
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
