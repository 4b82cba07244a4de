"""Texts of strangers, made fit for a terminal, a log and a metric's label. Pure."""

from __future__ import annotations

import re

MOST_CHARACTERS = 500
_WORD = re.compile(r"[a-zA-Z0-9_.-]{1,64}")


def shown(text: str) -> str:
    """``text`` on one line, without control characters, at most ``MOST_CHARACTERS`` long."""
    cut = text[:MOST_CHARACTERS]
    return "".join(letter if letter.isprintable() else " " for letter in cut) + ("…" if len(text) > len(cut) else "")


def word(text: str) -> str:
    """``text`` if it is a short word for programs, else ``unknown``."""
    return text if _WORD.fullmatch(text) else "unknown"
