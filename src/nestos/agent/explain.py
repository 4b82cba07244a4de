"""What the agent is doing and why, for people and for programs.

The agent writes the document after each step, readable by everyone; ``nestos agent status`` and ``explain`` print it.
It is an interface: ``schema`` is 1, keys are only ever added within it. Moments are RFC 3339 in UTC.

- ``state``, ``doing``, ``since``: where the agent stands (``nestos.agent.machine``).
- ``booted``, ``release``: ``version`` and ``commit`` of what runs and of what is under way (else null).
- ``waits``: all that has to change before it goes on: ``kind``, ``what``, ``since``, ``until`` (null: nobody knows),
  ``holders``, ``remedy``.
- ``next_step``: when the agent moves by itself at the latest; ``written``: when this was written.
- ``last_check``, ``verdict``, ``ignored`` (version to reason), ``deadend``: what the update server said.
- ``problem``, ``failures``: the last failure, and how many there were in a row.
- ``abandoned``: releases that are left alone: ``version``, ``reason``, ``until``.
- ``strategies``, ``group``, ``node_uuid``, ``warnings`` (of the configuration).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nestos.agent.driver import NodeStatus
from nestos.agent.identity import Identity
from nestos.agent.machine import ACTIVITIES
from nestos.agent.memory import Memory
from nestos.agent.settings import Settings
from nestos.agent.waiting import Kind, Wait

SCHEMA = 1
STATUS = "/run/nestos-agent/status.json"
_LATE_SECONDS = 900


@dataclass(frozen=True, kw_only=True)
class Account:
    """All that an answer is made of. ``next_seconds``: until the next step."""

    settings: Settings
    memory: Memory
    waits: Sequence[Wait]
    node: NodeStatus | None
    who: Identity
    ignored: Mapping[str, str]
    warnings: Sequence[str]
    now: datetime
    next_seconds: float


def document(account: Account) -> dict[str, Any]:
    """The JSON form."""
    memory, node, now = account.memory, account.node, account.now.timestamp()
    waits = [*account.waits]
    if memory.next_try > now and memory.problem:
        waits.append(_retry(memory))
    release = memory.release
    return {
        "schema": SCHEMA,
        "state": str(memory.state),
        "doing": str(ACTIVITIES[memory.state]),
        "since": _moment(memory.since),
        "booted": {"version": node.version, "commit": node.commit} if node else None,
        "release": {"version": release.version, "commit": release.payload} if release else None,
        "waits": [_wait(wait, since=memory.waiting.get(str(wait.kind), now)) for wait in waits],
        "next_step": _moment(now + account.next_seconds),
        "written": _moment(now),
        "last_check": _moment(memory.last_check),
        "verdict": memory.verdict,
        "ignored": dict(account.ignored),
        "deadend": memory.deadend,
        "problem": memory.problem,
        "failures": max(memory.failures, memory.stage_failures),
        "abandoned": [
            {"version": item.version, "reason": item.reason, "until": _moment(item.until)}
            for item in memory.abandoned.values()
        ],
        "strategies": [str(strategy) for strategy in account.settings.strategies],
        "group": account.who.group,
        "node_uuid": account.who.node_uuid,
        "warnings": list(account.warnings),
    }


def one_line(found: Mapping[str, Any]) -> str:
    """For systemd's status and for ``nestos agent status``."""
    release = f" ({found['release']['version']})" if found["release"] else ""
    line = f"{found['state']}{release}: {found['doing']}"
    if found["waits"]:
        line += f"; waits: {found['waits'][0]['what']}"
    return line


def status_text(found: Mapping[str, Any], *, now: datetime) -> str:
    """For people, short."""
    lines = [f"Agent: {one_line(found)}"]
    if late := lateness(found, now=now):
        lines.append(f"Problem: {late}")
    if found["booted"]:
        lines.append(f"Runs: {found['booted']['version']}")
    if found["release"]:
        lines.append(f"Next: {found['release']['version']}")
    checked = found["last_check"] or "never"
    lines.append(f"Update server: last answer {checked}{': ' + found['verdict'] if found['verdict'] else ''}")
    lines.append(f"Strategy: {' and '.join(found['strategies'])}, group {found['group']}")
    if found["problem"]:
        lines.append(f"Last failure: {found['problem']}")
    return "\n".join(lines)


def text(found: Mapping[str, Any], *, now: datetime) -> str:
    """For people, whole: why is this node not updating?"""
    lines = [f"The agent is {found['doing']} (state {found['state']}, since {found['since'] or 'its start'})."]
    if late := lateness(found, now=now):
        lines.append(f"But {late}")
    if found["release"] and found["booted"]:
        lines.append(f"{found['booted']['version']} runs, {found['release']['version']} is to follow.")
    if not found["waits"]:
        lines.append(f"It waits for nothing; the next step is at {found['next_step']}.")
    for wait in found["waits"]:
        lines += ["", f"It waits: {wait['what']}"]
        lines.append(f"  since     {wait['since']}")
        lines.append(f"  until     {wait['until'] or 'nobody knows; asked again at ' + str(found['next_step'])}")
        if wait["holders"]:
            lines.append(f"  held by   {', '.join(wait['holders'])}")
        lines.append(f"  you can   {wait['remedy']}")
    if not found["release"]:
        lines += [
            "",
            f"The update server, {found['last_check'] or 'not asked yet'}: {found['verdict'] or 'no answer yet'}",
        ]
    for version, reason in found["ignored"].items():
        lines.append(f"  left out  {version}: {reason}")
    for item in found["abandoned"]:
        lines.append(f"Left alone until {item['until']}: {item['version']}: {item['reason']}")
    if found["deadend"]:
        lines.append(f"What runs is a dead end, and no update will lead on from it: {found['deadend']}")
    lines += [f"Configuration: {warning}" for warning in found["warnings"]]
    return "\n".join(lines)


def lateness(found: Mapping[str, Any], *, now: datetime) -> str:
    """Why the document is not to be believed: the agent is past its time; else the empty string."""
    due = datetime.fromisoformat(found["next_step"])
    if (now - due).total_seconds() < _LATE_SECONDS:
        return ""
    return f"the agent should have moved at {found['next_step']}: does it run? systemctl status nestos-agent"


def _retry(memory: Memory) -> Wait:
    return Wait(
        kind=Kind.RETRY,
        what=f"after {max(memory.failures, memory.stage_failures)} failures it is tried again: {memory.problem}",
        until=datetime.fromtimestamp(memory.next_try, UTC),
        remedy="mend that, then have it tried now: nestos agent check",
    )


def _wait(wait: Wait, *, since: float) -> dict[str, Any]:
    return {
        "kind": str(wait.kind),
        "what": wait.what,
        "since": _moment(since),
        "until": _moment(wait.until.timestamp()) if wait.until else None,
        "holders": list(wait.holders),
        "remedy": wait.remedy,
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds else ""
