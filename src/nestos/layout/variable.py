"""``/var`` leaves the tree empty.

Package databases and the state of maintainer scripts go to ``/usr/lib/sysimage``, where they belong to the release;
folders and links become a tmpfiles.d file that makes them on every node; caches and logs are dropped.
"""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

# What dpkg, debconf and maintainer scripts remember about the packages of this release.
PACKAGE_STATE = {
    f"lib/{name}": f"usr/lib/sysimage/{name.removeprefix('systemd/')}"
    for name in (
        "dpkg",
        "ucf",
        "pam",
        "sgml-base",
        "xml-core",
        "systemd/deb-systemd-helper-enabled",
        "systemd/deb-systemd-user-helper-enabled",
    )
}
"""Folder below ``/var`` that programs know, and its place in a release."""

_DROPPED = ("cache", "log", "tmp", "lib/apt", "lib/dbus", "lib/systemd/random-seed", "lib/systemd/catalog")
# Made by the base system's own tmpfiles or by the initramfs; naming them again would only warn.
_KNOWN = {"lib", "cache", "log", "tmp", "spool", "opt", "lib/systemd", "lib/nestos", "lib/dpkg"}


def settle(tree: Path) -> list[str]:
    """Empties ``/var``; returns the paths of files that were dropped, for the log of the compose."""
    var = tree / "var"
    for name, place in PACKAGE_STATE.items():
        source, target = var / name, tree / place
        if source.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(source, target)
    tidy_database(tree)
    for name in _DROPPED:
        _remove(var / name)
    lines, dropped = describe(var, etc=tree / "etc")
    conf = tree / "usr/lib/tmpfiles.d/nestos-packages.conf"
    conf.parent.mkdir(parents=True, exist_ok=True)
    conf.write_text(
        "# Folders and links that packages ship under /var; made of the packages when the tree was composed.\n"
        + "".join(line + "\n" for line in lines)
    )
    for entry in var.iterdir():
        _remove(entry)
    return dropped


def tidy_database(tree: Path) -> None:
    """Removes back-up copies and locks from dpkg's database in its place in a release."""
    database = tree / "usr/lib/sysimage/dpkg"
    for name in ("status", "available", "diversions", "statoverride"):
        (database / f"{name}-old").unlink(missing_ok=True)
    for name in ("available", "lock", "lock-frontend"):
        (database / name).unlink(missing_ok=True)


def _table(file: Path) -> dict[int, str]:
    return {int(line.split(":")[2]): line.split(":")[0] for line in reversed(file.read_text().splitlines())}


def describe(var: Path, *, etc: Path) -> tuple[list[str], list[str]]:
    """Lines of tmpfiles.d(5) for the folders and links of ``var``, and the paths of its files, which are lost.

    Names of owners are those of the account files in ``etc``.
    """
    users, groups = _table(etc / "passwd"), _table(etc / "group")
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
                owner = users.get(status.st_uid, str(status.st_uid))
                group = groups.get(status.st_gid, str(status.st_gid))
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
