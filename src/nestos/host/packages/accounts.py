"""System accounts put into the account files of a root before packages need them."""

from __future__ import annotations

from pathlib import Path

from nestos.host.packages.backend import AccountFiles


def add(etc: Path, accounts: AccountFiles) -> None:
    """Appends what the files in ``etc`` lack; a name that is there keeps its line.

    The shadow files are touched only where the root has them: their packages make them whole.
    """
    for name, gid in sorted(accounts.groups.items()):
        _append(etc / "group", name, f"x:{gid}:")
        if (etc / "gshadow").exists():
            _append(etc / "gshadow", name, "!::")
    for name, (uid, gid, description, home, shell) in sorted(accounts.users.items()):
        _append(etc / "passwd", name, f"x:{uid}:{gid}:{description}:{home}:{shell}")
        if (etc / "shadow").exists():
            _append(etc / "shadow", name, "!*:::::::")


def _append(file: Path, name: str, rest: str) -> None:
    text = file.read_text() if file.exists() else ""
    if not any(line.startswith(f"{name}:") for line in text.splitlines()):
        file.write_text(f"{text}{name}:{rest}\n")
