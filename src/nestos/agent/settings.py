"""What the agent goes by, made from its merged configuration: keys of zincati's, and ours beside them.

Everything that is wrong is found at once, each with its file. An unknown key is a warning that names the nearest known
one (the original says nothing); a wrong value is an error, and with one the agent does not start.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from nestos.agent import calendar, config
from nestos.agent.calendar import Blackout, Calendar, Window
from nestos.agent.config import Key, Value
from nestos.base.errors import InputError
from nestos.base.paths import Root
from nestos.base.report import Finding, Severity, nearest

MARKER_FILE = "/var/lib/nestos/orders/allowfinalize.json"
_DAY_SECONDS = 86400
_LONG_AGO, _FOR_EVER = datetime(1970, 1, 2), datetime(9000, 1, 1)
"""Between them a local time can be reckoned with; 9999-12-31 and the like are meant for ever."""


class Strategy(StrEnum):
    """What has to allow a restart."""

    IMMEDIATE = "immediate"
    PERIODIC = "periodic"
    FLEET_LOCK = "fleet_lock"
    MARKER_FILE = "marker_file"
    MANUAL = "manual"


class Restart(StrEnum):
    """Who restarts a node into a release that is in its slot."""

    NOW = "now"
    NEXT = "next"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The agent's settings."""

    enabled: bool = True
    """If not, the agent stays and does nothing."""
    base_url: str = ""
    """Of the update server, before its variables are filled in; empty: there is none, and the agent rests."""
    strategies: tuple[Strategy, ...] = (Strategy.IMMEDIATE,)
    """All of them have to allow a restart; the lock is asked last."""
    fleet_lock_url: str = ""
    """Of the lock server, before its variables are filled in."""
    calendar: Calendar = field(default_factory=Calendar)
    """Windows count with ``periodic``, black-outs always."""
    marker_file: str = MARKER_FILE
    """Allows restarts while it exists."""
    steady_interval_seconds: int = 300
    """Between two questions to the update server."""
    group: str = "default"
    """Told to both servers; the lock server's slots are counted by it."""
    node_uuid: str = ""
    """32 hexadecimal digits; empty: made from the machine id."""
    rollout_wariness: float | None = None
    """0 takes a release among the first, 1 among the last; none: the server's choice."""
    allow_downgrade: bool = False
    """Whether a release may be taken that is older than what runs."""
    pin: str = ""
    """The version beyond which this node does not go; empty: no such version."""
    soak_seconds: int = 0
    """How long after this node first saw a release it is taken."""
    deny: tuple[str, ...] = ()
    """Versions and payloads that are not taken."""
    restart: Restart = Restart.NOW
    """``next``: a release is put into its slot, and the operator restarts."""
    postponements: int = 10
    """How often a restart waits for people who are logged in."""
    postponement_seconds: int = 60
    """How long it waits each time."""
    is_reporting: bool = False
    """Whether the update server is told what became of each release."""
    trust_url: str = ""
    """Of signed release metadata, before its variables are filled in; needed where a root of trust is installed."""


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Settings and what is to be said of the files; with an error among it, the settings are not to be used."""

    settings: Settings
    findings: tuple[Finding, ...] = ()

    @property
    def is_usable(self) -> bool:
        """True without an error."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)


def load(root: Root) -> Settings:
    """The settings of the node at ``root``. Raises ``InputError`` with everything that is wrong."""
    found = examine(root)
    if not found.is_usable:
        text = "\n".join(str(item) for item in found.findings)
        raise InputError(text, hint="mend the file named; the agent starts again by itself")
    return found.settings


def examine(root: Root) -> Loaded:
    """As ``load``, with the findings beside. Raises ``InputError`` for files that cannot be read at all."""
    return settle(config.merge(config.read(root), leaves=KEYS), root=root)


def settle(merged: Mapping[Key, Value], *, root: Root) -> Loaded:
    """The settings that merged values make."""
    findings: list[Finding] = []
    chosen: dict[Key, Any] = {}
    for key, value in merged.items():
        reader = KEYS.get(key)
        if reader is None:
            findings.append(_finding(Severity.WARNING, _unknown(key), key, value.source))
            continue
        try:
            chosen[key] = reader(value.content)
        except InputError as error:
            findings.append(_finding(Severity.ERROR, str(error), key, value.source))
    settings = _made(chosen)
    sources = {key: value.source for key, value in merged.items()}
    try:
        zone = _zone(str(chosen.get(_ZONE, "")), root)
        settings = replace(settings, calendar=replace(settings.calendar, zone=zone))
    except InputError as error:
        findings.append(_finding(Severity.ERROR, str(error), _ZONE, sources[_ZONE]))
    for key, sentence in _contradictions(settings):
        findings.append(_finding(Severity.ERROR, sentence, key, sources.get(key, "")))
    return Loaded(settings=settings, findings=tuple(findings))


def _made(chosen: Mapping[Key, Any]) -> Settings:
    blank = Settings()
    values = {name: chosen[key] for name, key in _FIELDS.items() if key in chosen}
    windows = tuple(window for group in chosen.get(_WINDOW, ()) for window in group)
    found = Calendar(zone=UTC, windows=windows, blackouts=tuple(chosen.get(_BLACKOUT, ())))
    return replace(blank, **values, calendar=found)


def _contradictions(settings: Settings) -> list[tuple[Key, str]]:
    found: list[tuple[Key, str]] = []
    if Strategy.FLEET_LOCK in settings.strategies and not settings.fleet_lock_url:
        found.append((("updates", "fleet_lock", "base_url"), "the strategy fleet_lock needs a base_url"))
    if Strategy.PERIODIC in settings.strategies and not settings.calendar.windows:
        found.append((_WINDOW, "the strategy periodic needs a window"))
    return found


def _unknown(key: Key) -> str:
    siblings = {known[len(key) - 1] for known in KEYS if len(known) >= len(key) and known[: len(key) - 1] == key[:-1]}
    if not siblings:
        parent = key[:-1]
        return _unknown(parent) if parent else "is not known"
    return f'"{".".join(key)}" is not known{nearest(key[-1], siblings)}'


def _finding(severity: Severity, message: str, key: Key, source: str) -> Finding:
    return Finding(severity=severity, message=message, path=key, source=source)


# Values


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"{value!r} is neither true nor false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise InputError(f"{value!r} is no text")
    return value


def _texts(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise InputError(f"{value!r} is no list")
    return tuple(_text(item) for item in value)


def _whole(least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise InputError(f"{value!r} is no whole number from {least} to {most}")
        return value

    return read


def _days(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 3650:
        raise InputError(f"{value!r} is no number of days from 0 to 3650")
    return round(value * _DAY_SECONDS)


def _wariness(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or math.isnan(value) or not 0 <= value <= 1:
        raise InputError(f"{value!r} is no number from 0 to 1")
    return float(value)


def _group(value: Any) -> str:
    if not re.fullmatch(r"[a-zA-Z0-9.-]+", _text(value)):
        raise InputError(f"{value!r} holds more than letters, digits, dots and hyphens")
    return str(value)


def _uuid(value: Any) -> str:
    digits = _text(value).replace("-", "").lower()
    if digits and not re.fullmatch(r"[0-9a-f]{32}", digits):
        raise InputError(f"{value!r} is no 32 hexadecimal digits")
    return digits


def _url(value: Any) -> str:
    parts = urlsplit(_text(value))
    if value and (parts.scheme not in {"http", "https"} or not parts.netloc):
        raise InputError(f"{value!r} is no http or https URL")
    return str(value)


def _strategies(value: Any) -> tuple[Strategy, ...]:
    names = _texts(value) if isinstance(value, list) else (_text(value),)
    found: list[Strategy] = []
    for name in names:
        if name and name not in list(Strategy):
            raise InputError(f"there is no strategy {name!r}{nearest(name, Strategy)}")
        strategy = Strategy(name) if name else Strategy.IMMEDIATE
        if strategy not in found:
            found.append(strategy)
    return tuple(found) or (Strategy.IMMEDIATE,)


def _restart(value: Any) -> Restart:
    if value not in list(Restart):
        raise InputError(f"{value!r} is none of {', '.join(Restart)}")
    return Restart(value)


def _windows(value: Any) -> tuple[tuple[Window, ...], ...]:
    return tuple(_window(item) for item in _tables(value))


def _window(table: Mapping[str, Any]) -> tuple[Window, ...]:
    _require_keys(table, needed=("days", "start_time", "length_minutes"))
    start = _clock_time(table["start_time"])
    length = _whole(1, calendar.WEEK_MINUTES)(table["length_minutes"])
    days = []
    for name in _texts(table["days"]):
        day = calendar.weekday(name)
        if day is None:
            raise InputError(f"{name!r} is no day of the week{nearest(name.lower(), calendar.DAYS)}")
        days.append(day)
    if not days:
        raise InputError("a window needs a day")
    return tuple(Window(day=day, start=start, length_minutes=length) for day in sorted(set(days)))


def _clock_time(value: Any) -> time:
    match = re.fullmatch(r"(\d{1,2}):(\d{1,2})", _text(value))
    if not match or int(match[1]) > 23 or int(match[2]) > 59:
        raise InputError(f"{value!r} is no time from 0:00 to 23:59")
    return time(int(match[1]), int(match[2]))


def _blackouts(value: Any) -> tuple[Blackout, ...]:
    return tuple(_blackout(item) for item in _tables(value))


def _blackout(table: Mapping[str, Any]) -> Blackout:
    _require_keys(table, needed=("from", "to"), allowed=("reason",))
    start, end = _moment(table["from"]), _moment(table["to"])
    if not isinstance(table["to"], datetime) and end < _FOR_EVER:
        end += timedelta(days=1)  # a date means the whole day, the last one too
    start, end = max(start, _LONG_AGO), min(end, _FOR_EVER)
    if end <= start:
        raise InputError(f"the black-out ends before it begins: {table['from']} to {table['to']}")
    return Blackout(start=start, end=end, reason=_text(table.get("reason", "")))


def _moment(value: Any) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value) if len(value) > len("2026-11-23") else date.fromisoformat(value)
        except ValueError as error:
            raise InputError(f"{value!r} is no date") from error
    if isinstance(value, datetime):
        if value.tzinfo is not None:
            raise InputError(f"{value} has a zone; black-outs go by updates.periodic.time_zone")
        return value
    if isinstance(value, date):
        return datetime.combine(value, time())
    raise InputError(f"{value!r} is no date")


def _tables(value: Any) -> list[Mapping[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise InputError(f"{value!r} is no list of tables")
    return value


def _require_keys(table: Mapping[str, Any], *, needed: tuple[str, ...], allowed: tuple[str, ...] = ()) -> None:
    for name in needed:
        if name not in table:
            raise InputError(f'"{name}" is missing')
    for name in table:
        if name not in (*needed, *allowed):
            raise InputError(f'"{name}" is not known{nearest(name, (*needed, *allowed))}')


def _zone(name: str, root: Root) -> tzinfo:
    """The time zone, as the original names them: an IANA name, or ``localtime`` for the node's own."""
    if name == "localtime":
        link = Path(root.path, "etc/localtime")
        target = str(link.readlink()) if link.is_symlink() else ""
        name = target.partition("zoneinfo/")[2] if target else "UTC"
        if not name:
            raise InputError(f"/etc/localtime leads to {target}, which is no time zone")
    if name in ("", "UTC"):
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise InputError(f"there is no time zone {name!r} on this system") from error


_WINDOW: Key = ("updates", "periodic", "window")
_ZONE: Key = ("updates", "periodic", "time_zone")
_BLACKOUT: Key = ("updates", "blackout")

_FIELDS: Mapping[str, Key] = {
    "enabled": ("updates", "enabled"),
    "base_url": ("cincinnati", "base_url"),
    "strategies": ("updates", "strategy"),
    "fleet_lock_url": ("updates", "fleet_lock", "base_url"),
    "marker_file": ("updates", "marker_file", "path"),
    "steady_interval_seconds": ("agent", "timing", "steady_interval_secs"),
    "group": ("identity", "group"),
    "node_uuid": ("identity", "node_uuid"),
    "rollout_wariness": ("identity", "rollout_wariness"),
    "allow_downgrade": ("updates", "allow_downgrade"),
    "pin": ("updates", "pin"),
    "soak_seconds": ("updates", "soak_days"),
    "deny": ("updates", "deny"),
    "restart": ("updates", "restart"),
    "postponements": ("updates", "users", "postponements"),
    "postponement_seconds": ("updates", "users", "postponement_secs"),
    "is_reporting": ("updates", "report", "enabled"),
    "trust_url": ("updates", "trust", "base_url"),
}

KEYS: Mapping[Key, Callable[[Any], Any]] = {
    ("agent", "timing", "steady_interval_secs"): _whole(1, 31 * _DAY_SECONDS),
    ("cincinnati", "base_url"): _url,
    ("identity", "group"): _group,
    ("identity", "node_uuid"): _uuid,
    ("identity", "rollout_wariness"): _wariness,
    ("updates", "enabled"): _truth,
    ("updates", "allow_downgrade"): _truth,
    ("updates", "strategy"): _strategies,
    ("updates", "fleet_lock", "base_url"): _url,
    ("updates", "marker_file", "path"): _text,
    ("updates", "pin"): _text,
    ("updates", "soak_days"): _days,
    ("updates", "deny"): _texts,
    ("updates", "restart"): _restart,
    ("updates", "users", "postponements"): _whole(0, 1000),
    ("updates", "users", "postponement_secs"): _whole(1, 3600),
    ("updates", "report", "enabled"): _truth,
    ("updates", "trust", "base_url"): _url,
    _ZONE: _text,
    _WINDOW: _windows,
    _BLACKOUT: _blackouts,
}
"""Every key with what reads it."""
