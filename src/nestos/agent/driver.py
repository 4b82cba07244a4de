"""The node under the agent: what runs, the transaction that writes a slot, the restart.

The agent is not root and writes no slot itself. It starts ``nestos-agent-stage.service``, which runs ``nestos agent
stage`` (``nestos.agent.staging``) as root and leaves its outcome in a file. So a transaction outlives the agent, its
memory goes when it ends, and a crash of either is not one of the other. Polkit lets the agent's user start that unit
and its counterpart ``nestos-agent-drop.service``, and restart the node: nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from nestos.base import durable
from nestos.base.errors import StateError
from nestos.base.paths import Root
from nestos.host.process import Runner

STATUS = "/run/nestos/status.json"
OUTCOME = "/run/nestos/agent-outcome.json"
STAGE_UNIT = "nestos-agent-stage.service"
DROP_UNIT = "nestos-agent-drop.service"
_COMMAND_SECONDS = 60.0
_DROP_SECONDS = 180.0


@dataclass(frozen=True, kw_only=True)
class NodeStatus:
    """What ``nestos status`` last said. ``pending``: version and commit of what boots next, if it is not what runs.

    ``built``: when the running release was made, none where unknown. ``denied``: commit to why it failed here.
    """

    version: str
    commit: str
    ref: str
    built: datetime | None = None
    pending_version: str = ""
    pending_commit: str = ""
    denied: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a transaction ended. ``attempt``: which; ``problem``: empty after a success; ``kind``: of the error."""

    attempt: int
    version: str
    problem: str = ""
    kind: str = ""


class Driver(Protocol):
    """What the engine asks of the node; ``SystemDriver`` is the real one."""

    def look(self) -> NodeStatus:
        """What runs and what boots next. Raises ``StateError`` where that is not known yet."""

    def begin_staging(self) -> None:
        """Starts the transaction for the release in the agent's memory; it goes on by itself."""

    def outcome(self, attempt: int) -> Outcome | None:
        """How the transaction ``attempt`` ended, none while it has not."""

    def is_staging(self) -> bool:
        """True while a transaction of the agent's runs."""

    def drop(self) -> None:
        """Has what runs boot next again, in place of what is staged. Raises ``NestosError``."""

    def restart(self) -> None:
        """Asks for a restart. Raises ``NestosError`` where it is refused."""


class SystemDriver:
    """The node at ``root``, through systemd."""

    def __init__(self, root: Root, *, runner: Runner) -> None:
        self._root = root
        self._runner = runner

    def look(self) -> NodeStatus:
        try:
            return parse_status(json.loads(self._root.join(STATUS).read_bytes()))
        except (OSError, ValueError, KeyError, TypeError) as error:
            hint = "it is written when a boot completes: nestos status"
            raise StateError(f"what runs here is not known yet: {STATUS}: {error}", hint=hint) from error

    def begin_staging(self) -> None:
        self._runner(["systemctl", "start", "--no-block", STAGE_UNIT], timeout_seconds=_COMMAND_SECONDS)

    def outcome(self, attempt: int) -> Outcome | None:
        found = read_outcome(self._root)
        return found if found is not None and found.attempt == attempt else None

    def is_staging(self) -> bool:
        command = ["systemctl", "show", "--property=ActiveState", "--value", STAGE_UNIT]
        state = self._runner(command, timeout_seconds=_COMMAND_SECONDS).stdout.strip()
        return state in ("activating", "active", "reloading", "deactivating")

    def drop(self) -> None:
        self._runner(["systemctl", "start", DROP_UNIT], timeout_seconds=_DROP_SECONDS)

    def restart(self) -> None:
        self._runner(["systemctl", "reboot", "--no-ask-password"], timeout_seconds=_COMMAND_SECONDS)


def parse_status(snapshot: Mapping[str, Any]) -> NodeStatus:
    """Reads the snapshot that root's commands leave (``nestos.deploy.status``). Raises ``KeyError`` and the like."""
    document = snapshot["document"]
    booted = document["slots"][document["booted"]]["deployment"]
    other = document["slots"]["b" if document["booted"] == "a" else "a"]
    is_pending = document["next"] != document["booted"]
    pending: Mapping[str, Any] = (other["deployment"] or {}) if is_pending else {}
    denied = {str(item["commit"]): f"it failed here: {item['reason']}" for item in document["denied"]}
    if not is_pending and other["state"] == "good" and other["deployment"]:
        # Whoever went back from a release would else be taken forward to it again.
        denied.setdefault(str(other["deployment"]["commit"]), "it is in the other slot, and the node went back from it")
    return NodeStatus(
        version=str(booted["version"]),
        commit=str(booted["commit"]),
        ref=str(booted["ref"]),
        built=_moment(booted.get("timestamp")),
        pending_version=str(pending.get("version", "")),
        pending_commit=str(pending.get("commit", "")),
        denied=denied,
    )


def read_outcome(root: Root) -> Outcome | None:
    """What ``write_outcome`` left."""
    try:
        return Outcome(**json.loads(root.join(OUTCOME).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def write_outcome(root: Root, outcome: Outcome) -> None:
    """Tells the agent how its transaction ended."""
    path = Path(root.join(OUTCOME))
    path.parent.mkdir(parents=True, exist_ok=True)
    durable.write_text(path, json.dumps(asdict(outcome)) + "\n")


def _moment(text: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
