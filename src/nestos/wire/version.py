"""Versions of releases: the automatic version of a compose, and their order. Standard library only.

The rules of the automatic version are rpm-ostree's (its treefile reference, ``automatic-version-prefix``).
"""

from __future__ import annotations

import re
from datetime import date

_DATE = re.compile(r"<date:([^>]*)>")
_DATE_CODES = {
    "Y": "%Y",
    "y": "%y",
    "m": "%m",
    "d": "%d",
    "j": "%j",
    "G": "%G",
    "V": "%V",
    "u": "%u",
}
_PARTS = re.compile(r"[0-9]+|[A-Za-z]+")


def has_date(prefix: str) -> bool:
    """True if the prefix holds a ``<date:...>`` tag."""
    return _DATE.search(prefix) is not None


def expand_date(prefix: str, *, today: date) -> str:
    """The prefix with its date tags replaced. Raises ``ValueError`` for an unknown code.

    >>> expand_date("13.<date:%Y%m%d>", today=date(2026, 11, 23))
    '13.20261123'
    """
    return _DATE.sub(lambda match: _format(match.group(1), today=today), prefix)


def _format(pattern: str, *, today: date) -> str:
    def replacement(match: re.Match[str]) -> str:
        code = match.group(1)
        if code not in _DATE_CODES:
            known = ", ".join(f"%{name}" for name in _DATE_CODES)
            raise ValueError(f'"%{code}" in <date:{pattern}> is not known; use {known}')
        # strftime leaves a year before 1000 unpadded on Linux; a release has none.
        return today.strftime(_DATE_CODES[code])

    return re.sub(r"%(.?)", replacement, pattern)


def next_version(prefix: str, *, previous: str | None, today: date, suffix: str = ".") -> str:
    """The version of the next commit on a branch whose last one was ``previous`` (None for an empty branch).

    Without a date tag: ``22``, ``22.1``, ``22.2``; with one: ``22.2026.0``, ``22.2026.1``, and from 0 again when
    the prefix, hence the date, changed.
    """
    start = expand_date(prefix, today=today)
    first = f"{start}{suffix}0" if has_date(prefix) else start
    if previous is None:
        return first
    if previous == start:
        return f"{start}{suffix}1"
    counter = re.match(rf"{re.escape(start + suffix)}([0-9]+)", previous)
    return f"{start}{suffix}{int(counter.group(1)) + 1}" if counter else first


def sort_key(version: str) -> tuple[tuple[int, int, str], ...]:
    """A key that orders versions part by part: numbers by value, words by letters, a word before a number.

    >>> sorted(["13.20261123.10", "13.20261123.9", "13.rc"], key=sort_key)
    ['13.rc', '13.20261123.9', '13.20261123.10']
    """
    parts = _PARTS.findall(version)
    return tuple((1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts)
