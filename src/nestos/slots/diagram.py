"""Draws the table of ``nestos.slots.bootstate``, for docs/design/crash-safety.md; a test compares the two."""

from __future__ import annotations

from nestos.slots.bootstate import TABLE, SlotState


def mermaid() -> str:
    """The states and events of a slot as a Mermaid state diagram; what GRUB does is marked."""
    lines = ["stateDiagram-v2", f"    [*] --> {SlotState.EMPTY}"]
    for rule in TABLE:
        for origin in rule.origins:
            actor = " (GRUB)" if rule.actor == "GRUB" else ""
            lines.append(f"    {origin} --> {rule.result or origin}: {rule.event}{actor}")
    return "\n".join(lines) + "\n"


def table() -> str:
    """The same table in Markdown, with what the diagram cannot show: conditions, tries and the boot pointer."""
    lines = ["| event | by | from | to | tries | boot pointer | only if |", "|---|---|---|---|---|---|---|"]
    for rule in TABLE:
        cells = (
            rule.event,
            rule.actor,
            ", ".join(rule.origins),
            rule.result or "unchanged",
            rule.tries,
            rule.pointer,
            " and ".join(rule.guards) or "always",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"
