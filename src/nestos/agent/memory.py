"""What the agent remembers over crashes and restarts: one small file, and a history beside it.

Each write is durable and whole when it returns. The file says what is *intended* before it is done, so that wherever
the agent is cut off, it goes on from the last write. A file that is damaged reads as if the agent began anew: it then
reports, asks and stages again, none of which does harm.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nestos.agent.choice import Release
from nestos.agent.machine import State
from nestos.base import durable, reading
from nestos.wire.report import Envelope

FOLDER = "/var/lib/nestos-agent"
SCHEMA = 1
_HISTORY_KEPT = 500
_MOST_ABANDONED = 50
_MOST_BYTES = 1024 * 1024
_MOST_HISTORY_BYTES = 4 * 1024 * 1024
_MOST_DETAIL = 1000

ABANDONED_SECONDS = 86400.0
"""For how long a release is left alone."""


@dataclass(frozen=True, kw_only=True)
class Abandoned:
    """A release that failed too often to be staged, or that a person undid; ``until`` it is left alone."""

    version: str
    reason: str
    until: float


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Moments are Unix times; 0 is none."""

    state: State = State.START
    since: float = 0.0
    """When this state began."""
    boot_id: str = ""
    """The boot in which a restart was asked for."""
    release: Release | None = None
    """What is available, staged, or was restarted into."""
    seen: Mapping[str, float] = field(default_factory=dict)
    """Payload to when it was first offered: from there a release soaks."""
    failures: int = 0
    """In a row, of questions to servers and of restarts."""
    stage_failures: int = 0
    """In a row, of staging ``failed``."""
    failed: str = ""
    """The payload that ``stage_failures`` counts for."""
    problem: str = ""
    """The last failure, in a sentence; empty after a success."""
    attempt: int = 0
    """Number of the last transaction that was begun; its outcome carries it."""
    next_try: float = 0.0
    """Not before this moment, after failures."""
    holds_lock: bool = False
    """Whether this node may have a slot: set before the server is asked, cleared when it has taken the slot back."""
    spent: float = 0.0
    """Approvals up to this moment have been used."""
    waiting: Mapping[str, float] = field(default_factory=dict)
    """What is waited for, and since when."""
    restarts: int = 0
    """How often this release was restarted into."""
    postponed: int = 0
    """How often people who are logged in have put the restart off."""
    abandoned: Mapping[str, Abandoned] = field(default_factory=dict)
    """Payload to why."""
    last_check: float = 0.0
    """When the update server answered last."""
    verdict: str = ""
    """What it said, in a sentence."""
    deadend: str = ""
    """Why no update leads on from what runs."""
    left: str = ""
    """The version that ran when the release was staged."""
    reports: tuple[Envelope, ...] = ()
    """For the update server, the oldest first."""


class WriteText(Protocol):
    """Replaces a file, whole or not at all; the default survives power loss."""

    def __call__(self, path: Path, text: str, /) -> None: ...


class MemoryFile:
    """The file and the history, in ``folder``."""

    def __init__(self, folder: Path, *, write_text: WriteText = durable.write_text) -> None:
        self._folder = folder
        self._write_text = write_text
        self._path = folder / "state.json"
        self._history = folder / "history.jsonl"

    def read(self) -> Memory:
        """What was written last. Root reads it too, though the agent's user may put anything there."""
        try:
            return _parsed(json.loads(reading.regular(self._path, most_bytes=_MOST_BYTES)))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return Memory()

    def write(self, memory: Memory) -> None:
        """Replaces it. Raises ``OSError`` when the disk is full."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._write_text(self._path, json.dumps({"schema": SCHEMA, **asdict(memory)}, indent=1) + "\n")

    def history(self) -> list[dict[str, Any]]:
        """``time``, ``event``, ``version``, ``detail``; oldest first. Torn lines are left out."""
        try:
            lines = reading.regular(self._history, most_bytes=_MOST_HISTORY_BYTES).decode(errors="replace").splitlines()
        except OSError:
            return []
        found = []
        for line in lines:
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict) and {"time", "event", "version", "detail"} <= entry.keys():
                found.append(entry)
        return found

    def note(self, *, time: str, event: str, version: str, detail: str) -> None:
        """Adds a line, unless it repeats the last one (a step that was cut and ran again)."""
        entry = {"time": time, "event": event, "version": version, "detail": detail[:_MOST_DETAIL]}
        known = self.history()
        if known and known[-1] | {"time": ""} == entry | {"time": ""}:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(item) for item in [*known, entry][-_HISTORY_KEPT:]]
        self._write_text(self._history, "\n".join(lines) + "\n")


def _parsed(document: dict[str, Any]) -> Memory:
    if document.pop("schema") != SCHEMA:
        return Memory()
    release = document.pop("release")
    abandoned = document.pop("abandoned")
    reports = document.pop("reports", ())
    if release and not (isinstance(release["version"], str) and isinstance(release["payload"], str)):
        return Memory()
    newest = sorted(abandoned.items(), key=lambda item: float(item[1]["until"]))[-_MOST_ABANDONED:]
    known = {name: value for name, value in document.items() if name in Memory.__dataclass_fields__}
    return Memory(
        **(known | {"state": State(known["state"])}),
        release=Release(**release) if release else None,
        abandoned={payload: Abandoned(**fields) for payload, fields in newest},
        reports=tuple(Envelope(**item) for item in reports),
    )
