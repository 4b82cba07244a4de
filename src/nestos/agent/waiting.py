"""What the agent waits for, decided from values: before a release is taken, and before the node restarts. Pure.

A ``Wait`` is one thing that has to change: what it is, until when at the latest, who holds it, what the operator can
do. ``nestos agent explain`` prints them; the engine goes on when there is none.
"""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from nestos.agent.choice import Release
from nestos.agent.orders import Orders
from nestos.agent.settings import Restart, Settings, Strategy

JITTER = 0.1
"""Each delay is longer by up to this part of it, so that a fleet does not ask all at once."""


class Kind(StrEnum):
    """What is waited for."""

    HOLD = "hold"
    SOAK = "soak"
    APPROVAL = "approval"
    BLACKOUT = "blackout"
    WINDOW = "window"
    CLOCK = "clock"
    MARKER = "marker-file"
    OPERATOR = "operator"
    LOCK = "lock"
    PEOPLE = "people"
    RETRY = "retry"
    SERVER = "server"
    TRANSACTION = "transaction"
    SHUTDOWN = "shutdown"


@dataclass(frozen=True, kw_only=True)
class Wait:
    """One thing that is waited for. ``until``: none where nobody knows. ``holders``: who has it."""

    kind: Kind
    what: str
    remedy: str
    until: datetime | None = None
    holders: tuple[str, ...] = ()


def before_staging(
    settings: Settings, orders: Orders, *, release: Release, seen: datetime, now: datetime
) -> tuple[Wait, ...]:
    """Why ``release``, first seen at ``seen``, is not taken yet.

    A release in its slot boots with the next restart, whoever causes it: what must not boot yet is not put there.
    """
    found = [*_hold(orders, now)]
    if not orders.skips_windows(release.version):
        found += _blackout(settings, now)
    is_approved = orders.approves(release.version)
    if Strategy.MANUAL in settings.strategies and not is_approved:
        found.append(
            Wait(
                kind=Kind.APPROVAL,
                what=f"{release.version} waits for approval",
                remedy=f"approve it: nestos agent apply {release.version}",
            )
        )
    # A clock that was set back would make a release soak for ever.
    age_seconds = (now - min(seen, now)).total_seconds()
    if age_seconds < settings.soak_seconds and not is_approved:
        until = now.fromtimestamp(now.timestamp() + settings.soak_seconds - age_seconds, tz=now.tzinfo)
        found.append(
            Wait(
                kind=Kind.SOAK,
                what=f"{release.version} was first seen less than {settings.soak_seconds / 86400:g} days ago",
                until=until,
                remedy=f"take it now: nestos agent apply {release.version}",
            )
        )
    return tuple(found)


def before_restart(
    settings: Settings, orders: Orders, *, release: Release, marker: str | None, now: datetime, built: datetime | None
) -> tuple[Wait, ...]:
    """Why the node does not restart into ``release`` yet, as far as the node itself can tell: the lock is asked last.

    ``marker`` is the text of the marker file, none where it is missing or not to be trusted. ``built`` is when the
    running release was made: a clock that is before that is wrong, and so is every window that goes by it.
    """
    if orders.skips_windows(release.version):
        return tuple(_hold(orders, now))
    found = [*_hold(orders, now), *_blackout(settings, now)]
    if settings.restart is Restart.NEXT:
        found.append(
            Wait(
                kind=Kind.OPERATOR,
                what=f"{release.version} is in its slot and waits for a restart (updates.restart = next)",
                remedy="restart the node: systemctl reboot",
            )
        )
    if Strategy.PERIODIC in settings.strategies:
        found += _window(settings, now, built=built)
    if Strategy.MARKER_FILE in settings.strategies:
        found += _marker(settings, marker, now)
    return tuple(found)


def _hold(orders: Orders, now: datetime) -> list[Wait]:
    hold = orders.hold
    if hold is None or (hold.until is not None and hold.until <= now):
        return []
    because = f": {hold.reason}" if hold.reason else ""
    return [
        Wait(
            kind=Kind.HOLD,
            what=f"updates are held by {hold.who}{because}",
            until=hold.until,
            holders=(hold.who,),
            remedy="end it: nestos agent release",
        )
    ]


def _blackout(settings: Settings, now: datetime) -> list[Wait]:
    blackout = settings.calendar.blackout(now)
    if blackout is None:
        return []
    because = f": {blackout.reason}" if blackout.reason else ""
    return [
        Wait(
            kind=Kind.BLACKOUT,
            what=f"a black-out from {blackout.start} to {blackout.end}{because}",
            until=settings.calendar.instant(blackout.end),
            remedy="take the black-out out of updates.blackout, or pass over it: nestos agent apply --now",
        )
    ]


def _window(settings: Settings, now: datetime, *, built: datetime | None) -> list[Wait]:
    if built is not None and now < built:
        return [
            Wait(
                kind=Kind.CLOCK,
                what=f"the clock says {now:%Y-%m-%d %H:%M}, which is before the running release was made",
                remedy="set the clock, or see why it is not synchronised: timedatectl",
            )
        ]
    if settings.calendar.is_open(now):
        return []
    return [
        Wait(
            kind=Kind.WINDOW,
            what="no window of updates.periodic is open",
            until=settings.calendar.next_opening(now),
            remedy="restart outside of the windows: nestos agent apply --now",
        )
    ]


def _marker(settings: Settings, text: str | None, now: datetime) -> list[Wait]:
    problem = marker_problem(text, now)
    if not problem:
        return []
    return [
        Wait(
            kind=Kind.MARKER,
            what=f"{settings.marker_file} {problem}",
            remedy=f"allow it: echo '{{}}' > {settings.marker_file}",
        )
    ]


def marker_problem(text: str | None, now: datetime) -> str:
    """Why a marker file does not allow a restart; empty if it does. ``allowUntil``: a Unix time, without it no end."""
    if text is None:
        return "is not there (a file that everyone may write does not count)"
    try:
        document: Any = json.loads(text)
    except (ValueError, RecursionError):
        return "is no JSON"
    if not isinstance(document, Mapping):
        return "is no JSON object"
    until = document.get("allowUntil")
    if until is None:
        return ""
    if not isinstance(until, int) or isinstance(until, bool):
        return "has an allowUntil that is no whole number"
    return "" if now.timestamp() < until else "allowed it until a time that is over"


def backoff_seconds(failures: int, *, first_seconds: float, most_seconds: float) -> float:
    """How long to wait after that many failures in a row: doubled each time, up to ``most_seconds``."""
    return min(most_seconds, first_seconds * 2.0 ** min(max(failures - 1, 0), 30))


def jittered(seconds: float, chance: random.Random) -> float:
    """``seconds`` and up to a tenth of them more."""
    return seconds * (1 + JITTER * chance.random())
