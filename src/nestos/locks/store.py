"""Who holds which slot: one SQLite file, one transaction for each question.

Leases are counted by a clock that only goes forward (``Clock.monotonic``); the wall clock is recorded for people alone,
so that setting it neither frees a slot nor holds one for ever. Such a clock begins anew when the machine does: then
every lease begins anew too, which is at worst too long.

A node whose lease ended keeps its row and is *lost*: its slot is free, and the group's rules say how many such nodes
stop the group.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from nestos.base.clock import Clock
from nestos.base.errors import StateError
from nestos.locks.settings import Group, Order, Settings
from nestos.wire.fleetlock import Client, Refusal

_SCHEMA = """
CREATE TABLE IF NOT EXISTS holders (
    name_group TEXT NOT NULL, id TEXT NOT NULL, granted TEXT NOT NULL, renewed TEXT NOT NULL, ticks REAL NOT NULL,
    PRIMARY KEY (name_group, id)
);
CREATE TABLE IF NOT EXISTS waiters (
    name_group TEXT NOT NULL, id TEXT NOT NULL, asked TEXT NOT NULL, place INTEGER NOT NULL, ticks REAL NOT NULL,
    PRIMARY KEY (name_group, id)
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS events (
    number INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT NOT NULL, event TEXT NOT NULL, name_group TEXT NOT NULL,
    id TEXT NOT NULL, detail TEXT NOT NULL
);
"""
_EVENTS_KEPT = 10_000
_BUSY_SECONDS = 10.0
_RETRY_SECONDS = 60


class Synchronous(StrEnum):
    """Whether a slot is on the disk before its answer leaves. If it were not, a power cut would lend it twice."""

    FULL = "FULL"
    OFF = "OFF"


class Kind(StrEnum):
    """The kinds of refusal."""

    LOCKED = "failed_lock"
    QUEUED = "queued"
    ORDER = "group_order"
    LOST = "too_many_lost"
    UNKNOWN = "unknown_group"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A slot that is taken. ``granted``, ``renewed``: RFC 3339. ``left_seconds``: of the lease; none: it ended."""

    group: str
    id: str
    granted: str
    renewed: str
    left_seconds: int | None

    @property
    def is_lost(self) -> bool:
        """True if the node did not come back in time."""
        return self.left_seconds is None


@dataclass(frozen=True, kw_only=True)
class Waiter:
    """A node that asked and was refused, in the order in which they will be served."""

    group: str
    id: str
    asked: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """One line of what happened."""

    time: str
    event: str
    group: str
    id: str
    detail: str


class Store:
    """The locks of ``settings`` in the file ``path``. ``boot_id`` names this run of the machine's forward clock."""

    def __init__(
        self, path: Path, *, settings: Settings, clock: Clock, boot_id: str, synchronous: Synchronous = Synchronous.FULL
    ) -> None:
        self._synchronous = synchronous
        self._path = path
        self._settings = settings
        self._clock = clock
        self._boot_id = boot_id
        try:
            with self._transaction() as database:
                for statement in _SCHEMA.split(";"):
                    database.execute(statement)
                self._follow_boot(database)
        except sqlite3.Error as error:
            raise StateError(
                f"{path}: {error}", hint="does its folder exist, and may this user write there?"
            ) from error

    # The two questions

    def take(self, client: Client) -> Refusal | None:
        """Lends a slot, or lends it longer to who has it; else why not. Raises ``StateError`` if it cannot tell."""
        with self._guarded() as database:
            group = self._settings.group(client.group)
            if group is None:
                return Refusal(kind=Kind.UNKNOWN, value=f'there is no group "{client.group}"')
            now, ticks = self._now(), self._clock.monotonic()
            held = {holder.id: holder for holder in self._holders(database, group)}
            mine = held.pop(client.id, None)
            refusal = None if mine and not mine.is_lost else self._judge(database, group, client, list(held.values()))
            if refusal is not None:
                self._queue(database, client, now=now, ticks=ticks)
                return refusal
            granted = mine.granted if mine and not mine.is_lost else now
            database.execute("DELETE FROM waiters WHERE name_group = ? AND id = ?", (client.group, client.id))
            database.execute(
                "INSERT OR REPLACE INTO holders VALUES (?, ?, ?, ?, ?)", (client.group, client.id, granted, now, ticks)
            )
            if mine is None or mine.is_lost:
                self._note(database, "taken", client)
            return None

    def give_back(self, client: Client) -> Refusal | None:
        """Takes the slot back; who has none is told yes as well, so that no answer that got lost matters."""
        with self._guarded() as database:
            if self._settings.group(client.group) is None:
                return Refusal(kind=Kind.UNKNOWN, value=f'there is no group "{client.group}"')
            key = (client.group, client.id)
            gone = database.execute("DELETE FROM holders WHERE name_group = ? AND id = ?", key).rowcount
            database.execute("DELETE FROM waiters WHERE name_group = ? AND id = ?", key)
            if gone:
                self._note(database, "given back", client)
            return None

    # For operators

    def holders(self) -> list[Holder]:
        """All of all groups, those of one group together, the oldest first."""
        with self._guarded() as database:
            names = [row[0] for row in database.execute("SELECT DISTINCT name_group FROM holders ORDER BY name_group")]
            return [holder for name in names for holder in self._holders(database, self._rules(name))]

    def waiters(self) -> list[Waiter]:
        """All that are still asking, in their order."""
        with self._guarded() as database:
            names = [row[0] for row in database.execute("SELECT DISTINCT name_group FROM waiters ORDER BY name_group")]
            return [waiter for name in names for waiter in self._waiters(database, self._rules(name))]

    def force(self, client: Client, *, who: str, reason: str) -> None:
        """Frees a slot in the name of a person. Raises ``StateError`` where the node has none."""
        with self._guarded() as database:
            key = (client.group, client.id)
            if not database.execute("DELETE FROM holders WHERE name_group = ? AND id = ?", key).rowcount:
                raise StateError(
                    f"{client.id} holds no slot of {client.group}", hint="who does: nestos locks list", kind="not_held"
                )
            self._note(database, "forced", client, detail=f"by {who}: {reason}" if reason else f"by {who}")

    def history(self, *, limit: int = 100) -> list[Record]:
        """What happened, the newest last."""
        with self._guarded() as database:
            rows = database.execute(
                "SELECT time, event, name_group, id, detail FROM events ORDER BY number DESC LIMIT ?", (limit,)
            ).fetchall()
            return [
                Record(time=time, event=event, group=group, id=name, detail=detail)
                for time, event, group, name, detail in reversed(rows)
            ]

    # Judging

    def _judge(
        self, database: sqlite3.Connection, group: Group, client: Client, others: Sequence[Holder]
    ) -> Refusal | None:
        lost = [holder for holder in others if holder.is_lost]
        active = [holder for holder in others if not holder.is_lost]
        names = tuple(holder.id for holder in active)
        if len(lost) > group.lost_allowed:
            return Refusal(
                kind=Kind.LOST,
                value=f"{len(lost)} nodes took a slot of {group.name} and did not come back, {group.lost_allowed} may:"
                f" {', '.join(holder.id for holder in lost)}",
                holders=tuple(holder.id for holder in lost),
            )
        for earlier in group.after:
            if busy := self._busy(database, self._rules(earlier)):
                return Refusal(
                    kind=Kind.ORDER,
                    value=f"the group {earlier} comes first, and {busy} of it has not finished",
                    retry_after_seconds=_RETRY_SECONDS,
                )
        if len(active) >= group.slots:
            return Refusal(
                kind=Kind.LOCKED,
                value=f"all {group.slots} slots of {group.name} are taken: {', '.join(names)}"
                if names
                else f"the group {group.name} has no slots",
                holders=names,
                retry_after_seconds=_RETRY_SECONDS,
            )
        if group.order is Order.ANY:
            return None
        queue = [waiter.id for waiter in self._waiters(database, group)]
        ahead = queue.index(client.id) if client.id in queue else len(queue)
        if ahead >= group.slots - len(active):
            return Refusal(
                kind=Kind.QUEUED,
                value=f"{ahead} nodes asked before: {', '.join(queue[:ahead])}",
                holders=names,
                retry_after_seconds=_RETRY_SECONDS,
            )
        return None

    def _busy(self, database: sqlite3.Connection, group: Group) -> str:
        """A node of the group that restarts or wants to; empty if there is none."""
        for holder in self._holders(database, group):
            if not holder.is_lost:
                return holder.id
        for waiter in self._waiters(database, group):
            return waiter.id
        return ""

    # Rows

    def _holders(self, database: sqlite3.Connection, group: Group) -> list[Holder]:
        ticks = self._clock.monotonic()
        found = []
        for name, granted, renewed, then in database.execute(
            "SELECT id, granted, renewed, ticks FROM holders WHERE name_group = ? ORDER BY granted, id", (group.name,)
        ):
            left = group.lease_seconds - (ticks - then)
            holder = Holder(group=group.name, id=name, granted=granted, renewed=renewed, left_seconds=None)
            found.append(replace(holder, left_seconds=int(left)) if left > 0 else holder)
        return found

    def _waiters(self, database: sqlite3.Connection, group: Group) -> list[Waiter]:
        seen_since = self._clock.monotonic() - group.waiting_seconds
        return [
            Waiter(group=group.name, id=name, asked=asked)
            for name, asked in database.execute(
                "SELECT id, asked FROM waiters WHERE name_group = ? AND ticks > ? ORDER BY place",
                (group.name, seen_since),
            )
        ]

    def _queue(self, database: sqlite3.Connection, client: Client, *, now: str, ticks: float) -> None:
        """Gives the node a place, or has it keep the one that it has: who stopped asking goes to the end."""
        rules = self._rules(client.group)
        key = (client.group, client.id)
        alive = {waiter.id for waiter in self._waiters(database, rules)}
        if client.id in alive:
            database.execute("UPDATE waiters SET ticks = ? WHERE name_group = ? AND id = ?", (ticks, *key))
            return
        # Who stopped asking would else be kept for ever, and stand in the queue again when the machine restarts.
        database.execute(
            "DELETE FROM waiters WHERE name_group = ? AND ticks <= ?", (client.group, ticks - rules.waiting_seconds)
        )
        database.execute(
            "INSERT OR REPLACE INTO waiters SELECT ?, ?, ?, COALESCE(MAX(place), 0) + 1, ? FROM waiters",
            (*key, now, ticks),
        )

    def _rules(self, name: str) -> Group:
        """The group's rules; of one that was taken out of the configuration, none but its name."""
        return self._settings.group(name) or Group(name=name, slots=0)

    def _note(self, database: sqlite3.Connection, event: str, client: Client, *, detail: str = "") -> None:
        row = (self._now(), event, client.group, client.id, detail)
        added = database.execute(
            "INSERT INTO events (time, event, name_group, id, detail) VALUES (?, ?, ?, ?, ?)", row
        ).lastrowid
        database.execute("DELETE FROM events WHERE number <= ?", ((added or 0) - _EVENTS_KEPT,))

    def _follow_boot(self, database: sqlite3.Connection) -> None:
        """After a restart of the machine its forward clock counts from elsewhere: leases and places begin anew."""
        known = database.execute("SELECT value FROM facts WHERE name = 'boot_id'").fetchone()
        if known is None or known[0] != self._boot_id:
            ticks = self._clock.monotonic()
            database.execute("UPDATE holders SET ticks = ?", (ticks,))
            database.execute("UPDATE waiters SET ticks = ?", (ticks,))
            database.execute("INSERT OR REPLACE INTO facts VALUES ('boot_id', ?)", (self._boot_id,))

    def _now(self) -> str:
        return self._clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    @contextmanager
    def _guarded(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._transaction() as database:
                yield database
        except sqlite3.Error as error:
            raise StateError(f"{self._path}: {error}", kind="failed_database") from error

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """A connection for each question: threads share none, and another process may free a slot meanwhile."""
        with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)) as database:
            database.execute(f"PRAGMA synchronous = {self._synchronous}")
            database.execute("BEGIN IMMEDIATE")
            try:
                yield database
            except BaseException:
                database.rollback()
                raise
            database.commit()


def age_seconds(moment: str, now: datetime) -> int:
    """How long ago an RFC 3339 moment was; never negative."""
    return max(0, int((now - datetime.fromisoformat(moment)).total_seconds()))
