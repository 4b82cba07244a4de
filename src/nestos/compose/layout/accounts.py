"""System accounts: ids that never move.

dpkg's scripts hand out ids in the order in which packages are configured; files of a release carry them. So the
manifest holds a table, accounts are made from it before any package is configured, and a tree whose ids differ
from the table is refused (rpm-ostree's ``check-passwd``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from nestos.base.errors import InputError

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


def normalise(tree: Path) -> None:
    """Takes out what differs between two runs: the day of the last password change, back-up copies, locks."""
    shadow = tree / "etc/shadow"
    if shadow.exists():
        lines = []
        for line in filter(None, shadow.read_text().splitlines()):
            fields = line.split(":")
            fields[2] = ""
            lines.append(":".join(fields))
        shadow.write_text("\n".join(lines) + "\n")
    for name in ("passwd-", "group-", "shadow-", "gshadow-", "subuid-", "subgid-", ".pwd.lock"):
        (tree / "etc" / name).unlink(missing_ok=True)


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
