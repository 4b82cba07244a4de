"""What the operator told the agent: hold, approve, look now. Files in a folder that only root writes.

The command writes them whether the agent runs or not; the agent reads them at each of its steps and never writes there.
A file that is damaged counts for a hold, and for nothing else: what was meant cannot be known, so nothing happens.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nestos.base import durable

FOLDER = "/var/lib/nestos/orders"
_HOLD, _APPROVAL, _CHECK = "hold.json", "approval.json", "check.json"


@dataclass(frozen=True, kw_only=True)
class Hold:
    """No release is taken and the node is not restarted. ``until``: none is until it is ended."""

    who: str
    since: datetime
    reason: str = ""
    until: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Approval:
    """A version may be taken; empty: whatever is next. ``skips_windows``: and the node restarted at once."""

    who: str
    since: datetime
    version: str = ""
    skips_windows: bool = False


@dataclass(frozen=True, kw_only=True)
class Orders:
    """All that the operator told. ``check``: when to ask the server was last told."""

    hold: Hold | None = None
    approval: Approval | None = None
    check: datetime | None = None

    def approves(self, version: str) -> bool:
        """True if ``version`` may be taken."""
        return self.approval is not None and self.approval.version in ("", version)

    def skips_windows(self, version: str) -> bool:
        """True if the node may restart into ``version`` at any time."""
        return self.approval is not None and self.approval.skips_windows and self.approves(version)


class OrderBook:
    """The files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> Orders:
        """What holds now."""
        approval, check = _document(self._folder / _APPROVAL), _document(self._folder / _CHECK)
        return Orders(hold=self._hold(), approval=_approval(approval), check=_moment((check or {}).get("since")))

    def place_hold(self, hold: Hold) -> None:
        """Holds updates, in place of a hold that is there."""
        self._write(_HOLD, who=hold.who, since=_text(hold.since), reason=hold.reason, until=_text(hold.until))

    def end_hold(self) -> bool:
        """Ends the hold; false if there was none."""
        return self._remove(_HOLD)

    def approve(self, approval: Approval) -> None:
        """Approves, in place of an approval that is there."""
        self._write(
            _APPROVAL,
            who=approval.who,
            since=_text(approval.since),
            version=approval.version,
            skips_windows=approval.skips_windows,
        )

    def withdraw_approval(self) -> bool:
        """Takes the approval back; false if there was none."""
        return self._remove(_APPROVAL)

    def ask_to_check(self, moment: datetime) -> None:
        """Has the agent ask the update server now."""
        self._write(_CHECK, since=_text(moment))

    def _hold(self) -> Hold | None:
        path = self._folder / _HOLD
        if not path.exists():
            return None
        document = _document(path) or {}
        since = _moment(document.get("since"))
        if since is None:
            moment = datetime.fromtimestamp(0, UTC)
            return Hold(who="a damaged file", since=moment, reason=f"{path} cannot be read")
        reason, who = str(document.get("reason", "")), str(document.get("who", ""))
        return Hold(who=who, since=since, reason=reason, until=_moment(document.get("until")))

    def _write(self, name: str, **fields: object) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        durable.write_text(self._folder / name, json.dumps(fields, indent=2) + "\n")

    def _remove(self, name: str) -> bool:
        if not (self._folder / name).exists():
            return False
        durable.remove(self._folder / name)
        return True


def _approval(document: dict[str, Any] | None) -> Approval | None:
    since = _moment((document or {}).get("since"))
    if document is None or since is None:
        return None
    return Approval(
        who=str(document.get("who", "")),
        since=since,
        version=str(document.get("version", "")),
        skips_windows=document.get("skips_windows") is True,
    )


def _document(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment is not None and moment.tzinfo is not None else None


def _text(moment: datetime | None) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds") if moment else ""
