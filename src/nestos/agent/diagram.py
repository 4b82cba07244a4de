"""Draws the table of ``nestos.agent.machine``, for docs/agent.md; a test compares the two."""

from __future__ import annotations

from nestos.agent.machine import ACTIVITIES, TABLE, Action, State


def mermaid() -> str:
    """States and events as a Mermaid state diagram; an action stands behind a slash."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.START}"]
    for rule in TABLE:
        action = f" / {rule.action}" if rule.action is not Action.NONE else ""
        lines.append(f"    {rule.state} --> {rule.next}: {rule.event}{action}")
    return "\n".join(lines) + "\n"


def table() -> str:
    """What the agent does in each state, in Markdown."""
    lines = ["| state | the agent is |", "|---|---|"]
    lines += [f"| `{state}` | {ACTIVITIES[state]} |" for state in State]
    return "\n".join(lines) + "\n"
