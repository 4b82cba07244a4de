"""The lock server's configuration: a TOML file with one table for each group.

    [server]
    address = "0.0.0.0"
    port = 9095
    database = "/var/lib/nestos-locks/locks.sqlite"

    [group.workers]
    slots = 3
    lease_seconds = 3600

    [group.control-plane]
    after = ["workers"]

A group that no table names is refused, unless there is a table ``[group.default]`` with ``accepts_any = true``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from nestos.base.errors import InputError
from nestos.base.report import Report, nearest
from nestos.wire import fleetlock

DEFAULT_DATABASE = "/var/lib/nestos-locks/locks.sqlite"
DEFAULT_PORT = 9095


class Order(StrEnum):
    """Whose turn it is."""

    ANY = "any"
    ASKED = "asked"


@dataclass(frozen=True, kw_only=True)
class Group:
    """The rules of one group."""

    name: str
    slots: int = 1
    """How many nodes may restart at once; 0 stops them all."""
    lease_seconds: int = 3600
    """How long a slot is lent. Longer than the slowest restart; a node asks again just before it restarts."""
    lost_allowed: int = 1
    """How many nodes may take a slot and not come back within the lease before no more slots are given: the brake that
    keeps a bad release from taking the fleet one lease after another. Freed by the node or by a person."""
    waiting_seconds: int = 900
    """How long after its last question a node keeps its place in the queue. Nodes ask every five minutes."""
    order: Order = Order.ANY
    """Who gets a slot that became free: whoever asks next, or whoever asked first. The second is fair, and leaves the
    slot empty until that node asks again."""
    after: tuple[str, ...] = ()
    """Groups that come first: while one of their nodes holds a slot or waits for one, this group gets none."""
    accepts_any: bool = False
    """Only for ``default``: a group without a table has these rules, with slots of its own."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the server goes by."""

    groups: Mapping[str, Group] = field(default_factory=lambda: {"default": Group(name="default")})
    address: str = "127.0.0.1"
    """An address of this machine; every interface is ``0.0.0.0``."""
    port: int = DEFAULT_PORT
    database: str = DEFAULT_DATABASE
    """The SQLite file; its folder must exist."""

    def group(self, name: str) -> Group | None:
        """The rules of a group; none if it is not known."""
        if name in self.groups:
            return self.groups[name]
        default = self.groups.get("default")
        if default is None or not default.accepts_any:
            return None
        return replace(default, name=name, accepts_any=False)


def parse(text: str, *, source: str) -> tuple[Settings, Report]:
    """The settings and what is to be said of the file. Raises ``InputError`` with every error in it."""
    report = Report()
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{source}: {error}") from error
    _unknown(document, ("server", "group"), report)
    server = _fields(document.get("server", {}), _SERVER, report, "server")
    groups = {name: _group(name, table, report) for name, table in _tables(document.get("group", {}), report).items()}
    for name, group in groups.items():
        for earlier in group.after:
            if earlier not in groups or earlier == name:
                report.error(f'"{earlier}" is no other group', "group", name, "after")
    for name in groups:
        if name in _reached(name, groups):
            report.error("waits for itself by a detour", "group", name, "after")
    if report.is_fatal:
        raise InputError("\n".join(f"{source}: {finding}" for finding in report))
    settings = Settings(**server, groups=groups) if groups else Settings(**server)
    return settings, report


def _group(name: str, table: object, report: Report) -> Group:
    if not fleetlock.is_group(name):
        report.error("a group's name has letters, digits, dots and hyphens", "group", name)
    values = _fields(table, _GROUP, report, "group", name)
    if values.get("accepts_any") and name != "default":
        report.error("only the group default can stand for others", "group", name, "accepts_any")
    return Group(name=name, **values)


def _reached(start: str, groups: Mapping[str, Group]) -> set[str]:
    seen, pending = set[str](), list(groups[start].after)
    while pending:
        name = pending.pop()
        if name not in seen and name in groups:
            seen.add(name)
            pending += groups[name].after
    return seen


def _tables(value: object, report: Report) -> Mapping[str, object]:
    if isinstance(value, dict):
        return value
    report.error("is no table", "group")
    return {}


def _fields(table: object, known: Mapping[str, Callable[[object], Any]], report: Report, *path: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        report.error("is no table", *path)
        return {}
    _unknown(table, known, report, *path)
    values = {}
    for name, read in known.items():
        if name in table:
            try:
                values[name] = read(table[name])
            except InputError as error:
                report.error(str(error), *path, name)
    return values


def _unknown(table: Mapping[str, object], known: Any, report: Report, *path: str) -> None:
    for name in table:
        if name not in known:
            report.warning(f'"{name}" is not known{nearest(name, known)}', *path, name)


def _whole(least: int, most: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise InputError(f"{value!r} is no whole number from {least} to {most}")
        return value

    return read


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise InputError(f"{value!r} is no text")
    return value


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InputError(f"{value!r} is no list")
    return tuple(_text(item) for item in value)


def _order(value: object) -> Order:
    if value not in list(Order):
        raise InputError(f"{value!r} is none of {', '.join(Order)}")
    return Order(str(value))


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{value!r} is neither true nor false")
    return value


_SERVER: Mapping[str, Callable[[object], Any]] = {"address": _text, "port": _whole(0, 65535), "database": _text}
_GROUP: Mapping[str, Callable[[object], Any]] = {
    "slots": _whole(0, 1_000_000),
    "lease_seconds": _whole(1, 366 * 86400),
    "lost_allowed": _whole(0, 1_000_000),
    "waiting_seconds": _whole(1, 366 * 86400),
    "order": _order,
    "after": _texts,
    "accepts_any": _truth,
}
