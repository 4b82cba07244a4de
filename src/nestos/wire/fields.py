"""Typed access to a JSON document, with every finding at its place. Standard library only.

For readers of published formats: what is missing or of another type is told, all at once; unknown keys are passed over,
because formats of the field grow and an older reader must go on reading.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TypeGuard

from nestos.base.errors import InputError
from nestos.base.report import Finding, Report, Severity

_UNSIGNED_AT_MOST = 2**64 - 1
_SIGNED_AT_MOST = 2**63 - 1


class Fields:
    """The members of one JSON object. A finding goes to the report; the value returned then is an empty one."""

    def __init__(self, members: object, report: Report, *path: str | int) -> None:
        self._report = report
        self._path = path
        self._members: Mapping[str, object] = {}
        if isinstance(members, dict):
            self._members = members
        else:
            report.error("must be an object", *path)

    def has(self, name: str) -> bool:
        """True if the member is there and not null."""
        return self._members.get(name) is not None

    def names(self) -> tuple[str, ...]:
        """The names of the members, in their order."""
        return tuple(self._members)

    def error(self, message: str, *path: str | int) -> None:
        """Adds an error at ``path`` below this object."""
        self._report.error(message, *self._path, *path)

    def text(self, name: str, *, default: str | None = None, is_empty_allowed: bool = True) -> str:
        """A text; a missing one is an error unless there is a ``default``."""
        value = self._value(name, is_needed=default is None)
        if value is None:
            return default or ""
        if not isinstance(value, str):
            self.error("must be a text", name)
            return ""
        if not value and not is_empty_allowed:
            self.error("must not be empty", name)
        return value

    def unsigned(self, name: str) -> int | None:
        """A whole number from 0 to 2^64-1, or none."""
        return self._number(name, least=0, most=_UNSIGNED_AT_MOST)

    def signed(self, name: str) -> int | None:
        """A whole number of 64 bits with a sign, or none."""
        return self._number(name, least=-_SIGNED_AT_MOST - 1, most=_SIGNED_AT_MOST)

    def share(self, name: str) -> float | None:
        """A number from 0 to 1, or none."""
        value = self._members.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            self.error("must be a number from 0.0 to 1.0", name)
            return None
        return float(value)

    def nested(self, name: str) -> Fields:
        """The object ``name``; a missing one is an error."""
        value = self._value(name, is_needed=True)
        return Fields({} if value is None else value, self._report, *self._path, name)

    def optional(self, name: str) -> Fields | None:
        """The object ``name``, or none."""
        return Fields(self._members[name], self._report, *self._path, name) if self.has(name) else None

    def each(self, name: str, *, is_needed: bool = True) -> Iterator[Fields]:
        """The objects of the list ``name``."""
        for index, item in self.items(name, is_needed=is_needed):
            yield Fields(item, self._report, *self._path, name, index)

    def items(self, name: str, *, is_needed: bool = True) -> Iterator[tuple[int, object]]:
        """The items of the list ``name`` as they are, with their index."""
        value = self._value(name, is_needed=is_needed)
        if value is not None and not isinstance(value, list):
            self.error("must be a list", name)
        elif isinstance(value, list):
            yield from enumerate(value)

    def each_text(self, name: str) -> Iterator[str]:
        """The texts of the list ``name``; without it, none."""
        for index, item in self.items(name, is_needed=False):
            if isinstance(item, str):
                yield item
            else:
                self.error("must be a text", name, index)

    def as_is(self) -> dict[str, object]:
        """All members, unread."""
        return dict(self._members)

    def texts(self) -> dict[str, str]:
        """All members, each of them a text."""
        for name in self._members:
            self.text(name)
        return {name: value for name, value in self._members.items() if isinstance(value, str)}

    def _value(self, name: str, *, is_needed: bool) -> object:
        value = self._members.get(name)
        if value is None and is_needed:
            self.error(f'"{name}" is missing')
        return value

    def _number(self, name: str, *, least: int, most: int) -> int | None:
        value = self._members.get(name)
        if value is None:
            return None
        if not _is_whole(value) or not least <= value <= most:
            self.error("must be a whole number" + (" that is not negative" if least == 0 else ""), name)
            return None
        return value


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def document(text: str | bytes, *, source: str) -> tuple[object, Report]:
    """The JSON value of ``text`` and a report for its findings. Raises ``InputError`` where it is not JSON."""
    try:
        return json.loads(text), Report()
    except (ValueError, RecursionError) as error:
        raise InputError(f"{source} is not valid JSON: {error}") from error


def require(report: Report, *, source: str) -> None:
    """Raises ``InputError`` with every finding if one of them is an error."""
    if report.is_fatal:
        placed = [
            Finding(severity=item.severity, message=item.message, path=item.path, source=source)
            for item in report
            if item.severity is Severity.ERROR
        ]
        raise InputError(f"{source} cannot be used:\n{Report(placed)}")


def render(value: object) -> str:
    """A document's text for people and programs: indented, in the order given, with a newline at its end."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
