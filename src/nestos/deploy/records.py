"""What a node remembers besides its slots: history, releases that failed, why the last boot failed.

All of it lives in /var/lib/nestos and survives every update and rollback. A file that is damaged (a torn line, no
JSON) reads as if the damaged part were not there: no memory may keep a node from booting or updating.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from nestos.base import durable

_HISTORY_KEPT = 1000  # lines; one line per update, rollback, fallback


class Event(StrEnum):
    """What a line of the history tells."""

    STAGED = "staged"
    LOCKED = "locked"
    FINALIZED = "finalized"
    ROLLBACK = "rollback"
    DROPPED = "dropped"
    GOOD = "good"
    FAILED = "failed"


class Cause(StrEnum):
    """Why a boot did not complete, as far as the node knows."""

    HEALTH = "health"
    DEADLINE = "deadline"
    DAMAGE = "damage"
    UNIT = "unit"
    SILENT = "silent"


@dataclass(frozen=True, kw_only=True)
class Record:
    """One line of the history. ``time`` is RFC 3339 in UTC."""

    time: str
    event: Event
    slot: str
    version: str
    commit: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Denial:
    """A release that failed on this node and is not tried again."""

    version: str
    commit: str
    reason: str
    time: str


@dataclass(frozen=True, kw_only=True)
class BootFailure:
    """Why a boot of ``slot`` failed, left behind for the boot after it. ``boot_id`` is the kernel's."""

    slot: str
    version: str
    boot_id: str
    cause: Cause
    reason: str
    time: str


@dataclass(frozen=True, kw_only=True)
class Running:
    """The mark of a boot that completed and has not ended in order: an ordered shutdown removes it."""

    slot: str
    commit: str
    boot_id: str


class Records:
    """The files in ``folder``; each write is durable when it returns."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._history = folder / "history.jsonl"
        self._denied = folder / "denied.json"
        self._failure = folder / "boot-failure.json"
        self._running = folder / "unclean"

    def history(self) -> list[Record]:
        """Oldest first."""
        found = []
        for line in _text(self._history).splitlines():
            try:
                fields = json.loads(line)
                found.append(Record(**(fields | {"event": Event(fields["event"])})))
            except (ValueError, TypeError, KeyError, AttributeError):
                continue
        return found

    def remember(self, record: Record) -> None:
        """Adds a line to the history unless it only repeats the last one (a step that was cut and ran again)."""
        known = self.history()
        if known and _without_time(known[-1]) == _without_time(record):
            return
        lines = [json.dumps(asdict(item)) for item in [*known, record][-_HISTORY_KEPT:]]
        self._write(self._history, "\n".join(lines) + "\n")

    def denied(self) -> dict[str, Denial]:
        """Commit to denial."""
        found = {}
        entries = _document(self._denied).get("denied")
        for entry in entries if isinstance(entries, list) else []:
            try:
                denial = Denial(**entry)
            except TypeError:
                continue
            found[denial.commit] = denial
        return found

    def deny(self, denial: Denial) -> None:
        """Remembers that a release failed; the newest reason of a commit stays."""
        self._write_denied(self.denied() | {denial.commit: denial})

    def pardon(self, commit: str) -> None:
        """Forgets that a release failed."""
        known = self.denied()
        if known.pop(commit, None):
            self._write_denied(known)

    def boot_failures(self) -> dict[str, BootFailure]:
        """Slot to the reason that its last failed boot left behind, until that is accounted for."""
        found = {}
        for slot, fields in _document(self._failure).items():
            try:
                found[slot] = BootFailure(**(fields | {"cause": Cause(fields["cause"])}))
            except (TypeError, KeyError, ValueError):
                continue
        return found

    def leave_boot_failure(self, failure: BootFailure) -> None:
        """Leaves the reason for the next boot, unless this boot left one already: the first cause counts."""
        known = self.boot_failures()
        earlier = known.get(failure.slot)
        if earlier is None or earlier.boot_id != failure.boot_id:
            known[failure.slot] = failure
            self._write(self._failure, _json({slot: asdict(item) for slot, item in known.items()}))

    def clear_boot_failures(self) -> None:
        """They have been accounted for."""
        if self._failure.exists():
            durable.remove(self._failure)

    def running(self) -> Running | None:
        """The mark of a completed boot whose orderly end was not seen."""
        try:
            return Running(**_document(self._running))
        except TypeError:
            return None

    def begin_running(self, running: Running) -> None:
        """This boot completed; from here on a missing farewell means that it ended badly."""
        self._write(self._running, _json(asdict(running)))

    def end_running(self) -> None:
        """An orderly end."""
        if self._running.exists():
            durable.remove(self._running)

    def reason_of(self, *, slot: str, commit: str) -> str:
        """Why the release in a slot was judged bad; the empty string where nothing is known."""
        for record in reversed(self.history()):
            if record.event is Event.FAILED and (record.slot, record.commit) == (slot, commit):
                return record.detail
        return ""

    def _write_denied(self, denials: Mapping[str, Denial]) -> None:
        self._write(self._denied, _json({"denied": [asdict(denial) for denial in denials.values()]}))

    def _write(self, path: Path, text: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        durable.write_text(path, text)


def boot_id(proc: Path = Path("/proc")) -> str:
    """The kernel's identity of this boot."""
    return (proc / "sys/kernel/random/boot_id").read_text().strip()


def _without_time(record: Record) -> dict[str, Any]:
    return asdict(record) | {"time": ""}


def _json(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, indent=2) + "\n"


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(_text(path) or "{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
