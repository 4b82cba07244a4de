"""Looks at a finished tree once more, as ``bootc container lint`` does: what a release must and must not hold.

The layout modules make it so; packages, ``add-files`` and postprocess scripts may undo it. Each rule is a function
from the tree to findings; a finding's path is the path in the tree. Nothing here changes the tree.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from nestos.base.report import Report
from nestos.layout.toplevel import LINKS

_EMPTY = ("boot", "dev", "etc", "proc", "run", "sys", "sysroot", "tmp", "var")
_MERGED = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib"}
_MAY_BE_MERGED = {name: f"usr/{name}" for name in ("lib32", "lib64", "libx32")}
_MACHINE_IDS = ("", "uninitialized")
_LEFTOVERS = (
    ".rpmnew",
    ".rpmorig",
    ".rpmsave",
    ".dpkg-old",
    ".dpkg-new",
    ".dpkg-dist",
    ".dpkg-tmp",
    ".ucf-old",
    ".ucf-dist",
    ".bak",
    ".orig",
    "~",
)
_ACCOUNT_FILES = ("passwd", "group", "shadow", "gshadow", "subuid", "subgid")
_DATABASES = ("usr/lib/sysimage/dpkg/status", "usr/lib/sysimage/rpm/rpmdb.sqlite")
_FIRST_PERSON, _NOBODY = 1000, 65534
_TMPFILES = "usr/lib/tmpfiles.d"

# Programs that have to be more than their caller, in Debian's base system and what a container host adds.
PRIVILEGED = frozenset(
    {
        "usr/bin/chage",
        "usr/bin/chfn",
        "usr/bin/chsh",
        "usr/bin/expiry",
        "usr/bin/fusermount3",
        "usr/bin/gpasswd",
        "usr/bin/mount",
        "usr/bin/newgidmap",
        "usr/bin/newgrp",
        "usr/bin/newuidmap",
        "usr/bin/passwd",
        "usr/bin/pkexec",
        "usr/bin/ssh-agent",
        "usr/bin/su",
        "usr/bin/sudo",
        "usr/bin/umount",
        "usr/lib/dbus-1.0/dbus-daemon-launch-helper",
        "usr/lib/openssh/ssh-keysign",
        "usr/lib/polkit-1/polkit-agent-helper-1",
        "usr/sbin/unix_chkpwd",
    }
)


def check(tree: Path) -> Report:
    """Every finding of every rule. Errors make the tree unfit for a release."""
    report = Report()
    for rule in _RULES:
        rule(tree, report)
    return report


def _check_kernel(tree: Path, report: Report) -> None:
    folder = tree / "usr/lib/modules"
    kernels = _names(folder)
    if len(kernels) != 1:
        report.error(f"a release has exactly one kernel; here are: {', '.join(kernels) or 'none'}", "usr/lib/modules")
    for kernel in kernels:
        for name in ("vmlinuz", "initramfs.img"):
            if not _is_file(folder / kernel / name):
                report.error("is missing, and a node boots from it", f"usr/lib/modules/{kernel}/{name}")


def _check_empty(tree: Path, report: Report) -> None:
    for name in _EMPTY:
        place = tree / name
        if place.is_symlink() or not place.is_dir():
            report.error("must be an empty folder, it is a mount point", name)
        elif found := _names(place):
            report.error(f"must be empty; it holds {_some(found)}", name)


def _check_top_level(tree: Path, report: Report) -> None:
    links = LINKS | _MERGED
    for name, target in links.items():
        place = tree / name
        actual = os.fspath(place.readlink()) if place.is_symlink() else "no link"
        if actual != target:
            report.error(f"must be a link to {target}; it is {actual}", name)
    allowed = {*_EMPTY, *links, "usr"}
    for name in _names(tree):
        place = tree / name
        if name in _MAY_BE_MERGED:
            if not place.is_symlink() or os.fspath(place.readlink()) != _MAY_BE_MERGED[name]:
                report.error(f"must be a link to {_MAY_BE_MERGED[name]}", name)
        elif name not in allowed:
            report.error("is outside the layout: a release has nothing at the top but /usr and its links", name)


def _check_identity(tree: Path, report: Report) -> None:
    etc = tree / "usr/etc"
    identity = etc / "machine-id"
    if not _is_file(identity):
        report.error("is missing; systemd could not make one on a read-only root", "usr/etc/machine-id")
    elif identity.read_text(errors="replace").strip() not in _MACHINE_IDS:
        report.error("every node would have this same machine id", "usr/etc/machine-id")
    for key in sorted(etc.glob("ssh/ssh_host_*_key*")):
        report.error("every node would have this same host key", _inside(tree, key))
    for place in ("usr/lib/sysimage/random-seed", "usr/etc/ssl/private/ssl-cert-snakeoil.key"):
        if _is_file(tree / place):
            report.error("every node would have this same secret", place)


def _check_leftovers(tree: Path, report: Report) -> None:
    etc = tree / "usr/etc"
    for path in _below(etc):
        if path.name.endswith(_LEFTOVERS):
            report.error("is a back-up copy, left by a package or an editor", _inside(tree, path))
    for name in (*(f"{file}-" for file in _ACCOUNT_FILES), ".pwd.lock", ".updated"):
        if _is_file(etc / name):
            report.error("is left over from the making of the tree", f"usr/etc/{name}")


def _check_database(tree: Path, report: Report) -> None:
    if not any(_is_file(tree / name) for name in _DATABASES):
        report.error("holds no package database: it belongs to the release", "usr/lib/sysimage")


def _check_names(tree: Path, report: Report) -> None:
    for path in _below(tree):
        relative = _inside(tree, path)
        try:
            relative.encode()
        except UnicodeEncodeError:
            report.error("the name is not UTF-8", relative.encode(errors="surrogateescape").decode(errors="replace"))


def _check_kinds(tree: Path, report: Report) -> None:
    for path in _below(tree):
        mode = path.lstat().st_mode
        relative = _inside(tree, path)
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)):
            report.error("is neither file, folder nor link; a commit cannot hold it", relative)
        elif stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID) and relative not in PRIVILEGED:
            report.warning(
                f"runs with the rights of its owner or group ({stat.filemode(mode)}); is that wanted?", relative
            )
        elif not stat.S_ISLNK(mode) and mode & stat.S_IWOTH and relative != "tmp":
            report.error(f"can be written by everyone ({stat.filemode(mode)})", relative)


def _check_accounts(tree: Path, report: Report) -> None:
    """passwd, group and the sysusers.d files agree, so that systemd-sysusers adds nothing on a node."""
    etc = tree / "usr/etc"
    users, groups = _ids(etc / "passwd", report), _ids(etc / "group", report)
    for name, number in users.items():
        if _FIRST_PERSON <= number < _NOBODY:
            report.error(f"the user {name} has the ordinary id {number}; people are made on the node", "usr/etc/passwd")
    for line in _lines(etc / "passwd"):
        name, _, _, group, *_ = [*line.split(":"), "", "", ""]
        if group not in map(str, groups.values()):
            report.error(f"the user {name} has the group {group or 'none'}, which does not exist", "usr/etc/passwd")
    for file in sorted((tree / "usr/lib/sysusers.d").glob("*.conf")):
        for kind, name, wanted in _sysusers(file):
            table = users if kind == "u" else groups
            if name not in table:
                report.error(f'has "{kind} {name}", which no account file has', _inside(tree, file))
            elif wanted.isdigit() and int(wanted) != table[name]:
                report.error(f"gives {name} the id {wanted}; the account files say {table[name]}", _inside(tree, file))


def _check_tmpfiles(tree: Path, report: Report) -> None:
    """Where the links of the read-only root lead has to be made on every node."""
    made = {
        line.split()[1] for file in (tree / _TMPFILES).glob("*.conf") for line in _lines(file) if len(line.split()) > 1
    }
    for name, target in LINKS.items():
        place = "/" + target.removeprefix("../")
        if place not in made:
            report.error(f"nothing makes {place}, where /{name} leads", _TMPFILES)


_RULES: tuple[Callable[[Path, Report], None], ...] = (
    _check_kernel,
    _check_empty,
    _check_top_level,
    _check_identity,
    _check_leftovers,
    _check_database,
    _check_names,
    _check_kinds,
    _check_accounts,
    _check_tmpfiles,
)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _inside(tree: Path, path: Path) -> str:
    return str(path.relative_to(tree))


def _below(folder: Path) -> Iterator[Path]:
    """Everything below ``folder``, in the order of names; links are not followed."""
    for place, folders, files in os.walk(folder):
        folders.sort()
        yield from (Path(place, name) for name in sorted([*folders, *files]))


def _lines(file: Path) -> list[str]:
    text = file.read_text(errors="replace") if file.is_file() else ""
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _ids(file: Path, report: Report) -> Mapping[str, int]:
    """The numeric id of each name of an account file."""
    found = {}
    for line in _lines(file):
        name, _, number, *_ = [*line.split(":"), "", ""]
        if number.isdigit():
            found[name] = int(number)
        else:
            report.error(f"has a line that names no account: {line!r}", f"usr/etc/{file.name}")
    if not found:
        report.error("is missing or empty", f"usr/etc/{file.name}")
    return found


def _sysusers(file: Path) -> Iterator[tuple[str, str, str]]:
    """Kind (u or g), name, and number or the empty string, of each account that a sysusers.d file asks for."""
    for line in _lines(file):
        kind, name, number, *_ = [*line.split(), "", ""]
        if kind.rstrip("!") in ("u", "g"):
            yield kind[0], name, number.partition(":")[0]


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
