"""System accounts: ids that never move.

dpkg's scripts hand out ids in the order in which packages are configured; files of a release carry them. So the
manifest holds a table, accounts are made from it before any package is configured, and a tree whose ids differ
from the table is refused (rpm-ostree's ``check-passwd``).
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import InputError

_FIRST_DYNAMIC = 100
_FIRST_PERSON = 1000
_NOBODY = 65534


def check(tree: Path, *, users: Mapping[str, int], groups: Mapping[str, int]) -> None:
    """Raises ``InputError`` naming every system account that the table lacks or has with another id.

    Ids below 100 are Debian's own fixed ones and need no entry.
    """
    wrong = [
        *_differences(tree / "etc/passwd", users, kind="user"),
        *_differences(tree / "etc/group", groups, kind="group"),
    ]
    if wrong:
        raise InputError(
            "system accounts that the manifest's table does not fix:\n" + "\n".join(wrong),
            hint="add them under nestos: accounts: in the manifest, with the ids shown",
        )


def normalise(etc: Path) -> None:
    """Takes out what differs between two runs: the day of the last password change, back-up copies, locks."""
    shadow = etc / "shadow"
    if shadow.exists():
        lines = []
        for line in filter(None, shadow.read_text().splitlines()):
            fields = line.split(":")
            fields[2] = ""
            lines.append(":".join(fields))
        durable.write_text(shadow, "\n".join(lines) + "\n", mode=stat.S_IMODE(shadow.stat().st_mode))
    for name in ("passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-", ".pwd.lock"):
        (etc / name).unlink(missing_ok=True)


def seed(etc: Path, *, running: Path) -> None:
    """Gives the account files in ``etc`` the system accounts that ``running``, a node's own /etc, has besides.

    Packages that make their accounts again, on another base or in another order, so get the ids that files in /var
    carry already. An account whose name or id is taken stays out. Passwords are not copied.
    """
    for name, kind in (("group", "gid"), ("passwd", "uid")):
        file = etc / name
        lines = _accounts(file)
        names, ids = {line[0] for line in lines}, {line[2] for line in lines}
        missing = [
            line
            for line in _accounts(running / name)
            if line[0] not in names and line[2] not in ids and _FIRST_DYNAMIC <= int(line[2]) < _FIRST_PERSON
        ]
        if not missing:
            continue
        _append(file, [":".join([line[0], "x", *line[2:]]) for line in missing])
        shadow = etc / ("gshadow" if kind == "gid" else "shadow")
        if shadow.exists():
            rest = "!::" if kind == "gid" else "!*:::::::"
            _append(shadow, [f"{line[0]}:{rest}" for line in missing])


def _accounts(file: Path) -> list[list[str]]:
    lines = [line.split(":") for line in file.read_text().splitlines()] if file.exists() else []
    return [line for line in lines if len(line) > 3 and line[0] and line[2].isdigit()]


def _append(file: Path, lines: list[str]) -> None:
    """Replaces the file by a longer one: it may be a hard link to an object of a repository."""
    durable.write_text(
        file, file.read_text() + "".join(f"{line}\n" for line in lines), mode=stat.S_IMODE(file.stat().st_mode)
    )


def _differences(file: Path, table: Mapping[str, int], *, kind: str) -> list[str]:
    found = []
    for line in filter(None, file.read_text().splitlines()):
        name, _, number, *_ = line.split(":")
        value = int(number)
        if value < 100 or value >= _FIRST_PERSON or value == _NOBODY:
            if _NOBODY > value >= _FIRST_PERSON:
                found.append(f"  {kind} {name}: {value} (an ordinary id; a release creates system accounts only)")
            continue
        if name not in table:
            found.append(f"  {kind} {name}: {value} (not in the table)")
        elif table[name] != value:
            found.append(f"  {kind} {name}: {value} (the table says {table[name]})")
    return found
