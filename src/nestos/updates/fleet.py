"""What nodes reported of releases: one SQLite file, bounded, beside the release folder.

Nothing here is the truth about releases; losing it loses counts, and the secrets by which nodes are known (the next
report brings them again). One connection writes, in the thread that made it; every other reader has its own (WAL).

A commit is in the file when ``take`` returns, so a killed process loses nothing. It is flushed to the disk by
``flush``, which may take long and is called from another thread: a power cut loses the reports of some seconds, never
the file (SQLite, ``PRAGMA synchronous=NORMAL``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from nestos.base.clock import Clock
from nestos.base.errors import StateError
from nestos.updates.guard import Tally
from nestos.wire import report
from nestos.wire.report import Envelope, Outcome, Report

_SCHEMA = """
CREATE TABLE IF NOT EXISTS nodes (
    id TEXT PRIMARY KEY, secret TEXT NOT NULL, stream TEXT NOT NULL, name_group TEXT NOT NULL, basearch TEXT NOT NULL,
    version TEXT NOT NULL, seen INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS nodes_by_stream ON nodes (stream, version, basearch);
CREATE INDEX IF NOT EXISTS nodes_by_group ON nodes (stream, name_group);
CREATE INDEX IF NOT EXISTS nodes_by_age ON nodes (seen);
CREATE TABLE IF NOT EXISTS outcomes (
    stream TEXT NOT NULL, version TEXT NOT NULL, node TEXT NOT NULL, name_group TEXT NOT NULL, outcome TEXT NOT NULL,
    reason TEXT NOT NULL, told TEXT NOT NULL, seen INTEGER NOT NULL, PRIMARY KEY (stream, version, node)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS outcomes_by_node ON outcomes (node, seen);
CREATE INDEX IF NOT EXISTS outcomes_by_outcome ON outcomes (stream, version, outcome, name_group, seen);
"""
_BUSY_SECONDS = 10.0
_OUTCOMES_OF_A_NODE = 5
_DAY = 86_400
MOST_NODES = 2_000_000
"""About 1 KB each with its outcomes."""
_FORGOTTEN_DAYS = 180
_FORGOTTEN_AT_ONCE = 1000


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A node that failed with a release. ``seen``: seconds since 1970, by the server's clock."""

    node: str
    group: str
    version: str
    outcome: str
    reason: str
    seen: int


@dataclass(frozen=True, kw_only=True)
class Refused:
    """Why a report was not taken: HTTP status, kind and sentence."""

    status: int
    kind: str
    sentence: str


class Fleet:
    """The reports in the file ``path``, made if it is not there."""

    def __init__(self, path: Path, *, clock: Clock, most_nodes: int = MOST_NODES) -> None:
        self._path, self._clock, self._most_nodes = path, clock, most_nodes
        self._count: int | None = None
        try:
            path.touch(mode=0o600)
            self._writer = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None)
            self._writer.execute("PRAGMA journal_mode = WAL")
            self._writer.execute("PRAGMA synchronous = NORMAL")
            self._writer.execute("PRAGMA wal_autocheckpoint = 0")
            self._writer.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise StateError(
                f"{path}: {error}", hint="does its folder exist, and may this user write there?"
            ) from error

    def close(self) -> None:
        """Ends the writing connection."""
        self._writer.close()

    def take(self, told: Report, *, envelope: Envelope) -> Refused | None:
        """Keeps the report in ``envelope``; the same one again changes nothing. None, or why it was not taken.

        Raises ``VerificationError`` for one that is not the node's, ``StateError`` where the file cannot be written.
        """
        with self._writing() as database:
            row = database.execute("SELECT secret FROM nodes WHERE id = ?", (told.node,)).fetchone()
            secret = row[0] if row else envelope.secret
            if not secret:
                return Refused(status=401, kind=report.UNKNOWN_NODE, sentence="the node's secret is not known here")
            report.verify(envelope, secret=secret)
            if row is None and not self._has_room(database):
                return Refused(status=503, kind="full", sentence=f"{self._most_nodes} nodes are known, which is all")
            now = int(self._clock.now().timestamp())
            moment = told.time.strftime("%Y-%m-%dT%H:%M:%SZ")
            runs = told.after if told.outcome is Outcome.UPDATED else told.before
            database.execute(
                "INSERT INTO nodes VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET"
                " stream = excluded.stream, name_group = excluded.name_group, basearch = excluded.basearch,"
                " version = excluded.version,"
                " seen = excluded.seen WHERE NOT EXISTS (SELECT 1 FROM outcomes WHERE node = excluded.id AND told > ?)",
                (told.node, secret, told.stream, told.group, told.basearch, runs, now, moment),
            )
            # An older report that comes late, or is played back by a stranger, changes nothing.
            database.execute(
                "INSERT INTO outcomes VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
                " name_group = excluded.name_group, outcome = excluded.outcome, reason = excluded.reason,"
                " told = excluded.told, seen = excluded.seen WHERE excluded.told > told",
                (told.stream, told.after, told.node, told.group, str(told.outcome), told.reason, moment, now),
            )
            database.execute(
                "DELETE FROM outcomes WHERE (stream, version, node) IN (SELECT stream, version, node FROM outcomes"
                " WHERE node = ? ORDER BY told DESC LIMIT -1 OFFSET ?)",
                (told.node, _OUTCOMES_OF_A_NODE),
            )
            if row is None and self._count is not None:
                self._count += 1
        return None

    def forget(self) -> int:
        """Drops nodes that have said nothing for half a year, some at a time; how many."""
        with self._writing() as database:
            limit = int(self._clock.now().timestamp()) - _FORGOTTEN_DAYS * _DAY
            old = database.execute(
                "SELECT id FROM nodes WHERE seen < ? ORDER BY seen LIMIT ?", (limit, _FORGOTTEN_AT_ONCE)
            ).fetchall()
            database.executemany("DELETE FROM outcomes WHERE node = ?", old)
            database.executemany("DELETE FROM nodes WHERE id = ?", old)
            if old:
                self._count = None
            return len(old)

    # Reading, from any thread

    def tally(self, stream: str, version: str, *, canaries: Sequence[str], since: int) -> Tally:
        """What counts for one release; failures since ``since``."""
        good, failed, known = _Count(canaries), _Count(canaries), _Count(canaries)
        with self._reading() as database:
            for outcome, group, count in database.execute(
                "SELECT outcome, name_group, COUNT(*) FROM outcomes WHERE stream = ? AND version = ?"
                " AND (outcome = ? OR seen >= ?) GROUP BY outcome, name_group",
                (stream, version, str(Outcome.UPDATED), since),
            ):
                (good if outcome == Outcome.UPDATED else failed).add(group, count)
            for group, count in database.execute(
                "SELECT name_group, COUNT(*) FROM nodes WHERE stream = ? GROUP BY name_group", (stream,)
            ):
                known.add(group, count)
        return Tally(
            good=good.all,
            failed=failed.all,
            known=known.all,
            good_canaries=good.canaries,
            failed_canaries=failed.canaries,
            known_canaries=known.canaries,
        )

    def versions(self, stream: str) -> dict[str, int]:
        """How many nodes said last that they run a version."""
        with self._reading() as database:
            return dict(
                database.execute("SELECT version, COUNT(*) FROM nodes WHERE stream = ? GROUP BY version", (stream,))
            )

    def outcomes(self, stream: str) -> dict[str, tuple[int, int]]:
        """By version: how many nodes took it and were well, and how many failed."""
        found: dict[str, tuple[int, int]] = {}
        with self._reading() as database:
            for version, good, failed in database.execute(
                "SELECT version, SUM(outcome = ?), SUM(outcome != ?) FROM outcomes WHERE stream = ? GROUP BY version",
                (str(Outcome.UPDATED), str(Outcome.UPDATED), stream),
            ):
                found[version] = (good, failed)
        return found

    def failures(self, stream: str, version: str = "", *, limit: int = 100) -> list[Failure]:
        """Nodes that failed, the newest first; of one version or of all."""
        with self._reading() as database:
            rows = database.execute(
                "SELECT node, name_group, version, outcome, reason, seen FROM outcomes WHERE stream = ?"
                " AND (? = '' OR version = ?) AND outcome != ? ORDER BY seen DESC, node LIMIT ?",
                (stream, version, version, str(Outcome.UPDATED), limit),
            ).fetchall()
        return [
            Failure(node=node, group=group, version=of, outcome=outcome, reason=reason, seen=seen)
            for node, group, of, outcome, reason, seen in rows
        ]

    def flush(self) -> None:
        """Brings what was committed to the disk. Raises ``StateError``."""
        with self._reading() as database:
            database.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def copy(self, target: Path) -> None:
        """A copy of one moment, made while reports go on coming. Raises ``StateError``."""
        with self._reading() as database:
            target.unlink(missing_ok=True)
            database.execute("VACUUM INTO ?", (str(target),))
            target.chmod(0o600)

    def _has_room(self, database: sqlite3.Connection) -> bool:
        if self._count is None:
            self._count = database.execute("SELECT COUNT(*) FROM nodes").fetchone()[0]
        return self._count < self._most_nodes

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.rollback()
                raise
            self._writer.commit()
        except sqlite3.Error as error:
            raise StateError(f"{self._path}: {error}", kind="failed_database") from error

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)) as database:
                yield database
        except sqlite3.Error as error:
            raise StateError(f"{self._path}: {error}", kind="failed_database") from error


class _Count:
    """Of all nodes, and of the canaries among them."""

    def __init__(self, groups: Sequence[str]) -> None:
        self._groups = frozenset(groups)
        self.all = self.canaries = 0

    def add(self, group: str, count: int) -> None:
        self.all += count
        self.canaries += count if group in self._groups else 0
