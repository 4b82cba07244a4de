"""The accounts of a root, read from its own files; the machine's own accounts mean nothing there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nestos.base.errors import NestosError
from nestos.base.paths import Root

_FOLDERS = ("/etc", "/usr/lib")  # what the image ships may stand behind what the administrator owns, nss-altfiles


class NoSuchAccountError(NestosError):
    """A user or group that the config names does not exist in the root."""

    kind = "no-such-account"


@dataclass(frozen=True, kw_only=True)
class Account:
    """A line of passwd(5), as far as it is needed here."""

    name: str
    uid: int
    gid: int
    home: str


def _lines(root: Root, name: str) -> Iterator[list[str]]:
    for folder in _FOLDERS:
        try:
            text = root.join(f"{folder}/{name}").read_text(errors="replace")
        except FileNotFoundError:
            continue
        yield from (line.split(":") for line in text.splitlines() if line and not line.startswith("#"))


def find_user(root: Root, name: str) -> Account | None:
    """The user of that name, or none."""
    for parts in _lines(root, "passwd"):
        if len(parts) >= 6 and parts[0] == name and parts[2].isdigit() and parts[3].isdigit():
            return Account(name=name, uid=int(parts[2]), gid=int(parts[3]), home=parts[5])
    return None


def user_id(root: Root, name: str) -> int:
    """The number of a user. Raises ``NoSuchAccountError``."""
    found = find_user(root, name)
    if found is None:
        raise NoSuchAccountError(f"no such user in {root.path}: {name}")
    return found.uid


def find_group(root: Root, name: str) -> int | None:
    """The number of a group, or none."""
    for parts in _lines(root, "group"):
        if len(parts) >= 3 and parts[0] == name and parts[2].isdigit():
            return int(parts[2])
    return None


def group_id(root: Root, name: str) -> int:
    """The number of a group. Raises ``NoSuchAccountError``."""
    found = find_group(root, name)
    if found is None:
        raise NoSuchAccountError(f"no such group in {root.path}: {name}")
    return found
