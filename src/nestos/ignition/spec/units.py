"""The text of systemd units, read as far as validation needs it (systemd.syntax(7)), as the original reads it."""

from __future__ import annotations

import re

SUFFIXES = (
    ".service", ".socket", ".device", ".mount", ".automount", ".swap", ".target", ".path", ".timer", ".snapshot",
    ".slice", ".scope",
)  # fmt: skip

_LONGEST_LINE = 2048
_WINDOW = 4096
_SECTION_START = re.compile(rb"[\[#;]")
_LINE_END = re.compile(rb"[\r\n]")
_NAME_END = re.compile(rb"[\r\n=]")
_BLANK = re.compile(rb"[ \t\r\n\v\f]*")


class UnitError(ValueError):
    """The text is not a unit."""


class _Text:
    """A text that is read through a window of 4096 bytes: the original notices an overlong line only in there."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0
        self._seen = 0

    def look(self) -> None:
        """Moves the window where nothing of it is left. Raises ``UnitError`` for an overlong line in it."""
        if self._seen - self.at >= _LONGEST_LINE and not _LINE_END.search(self.data, self.at, self.at + _LONGEST_LINE):
            raise UnitError(f"line too long (max {_LONGEST_LINE} bytes)")
        if self.at >= self._seen:
            self._seen = min(len(self.data), self.at + _WINDOW)

    def advance(self, to: int) -> None:
        """Goes on to ``to``; the window is moved as far as reading up to there moves it."""
        while to > self._seen:
            full = self._seen - self.at >= _WINDOW
            self.at = self._seen if full else self.at
            self._seen = min(len(self.data), self.at + _WINDOW)
        self.at = to

    def line(self) -> bytes:
        """The rest of the line, without its end."""
        end = self.data.find(b"\n", self.at)
        stop = len(self.data) if end < 0 else end + 1
        line = self.data[self.at : stop]
        self.advance(stop)
        return line.removesuffix(b"\r").removesuffix(b"\n")

    @property
    def is_at_end(self) -> bool:
        return self.at >= len(self.data)


def sections(text: str) -> list[str]:
    """The names of the sections of all options in ``text``, in order. Raises ``UnitError``.

    Everything in front of the first section is passed over.
    """
    found: list[str] = []
    section: str | None = None
    rest = _Text(text.encode())
    while True:
        rest.look()
        start = _SECTION_START.search(rest.data, rest.at) if section is None else _BLANK.match(rest.data, rest.at)
        if start is None:
            return found
        rest.advance(start.start() if section is None else start.end())
        if rest.is_at_end:
            return found
        rest.look()
        letter = rest.data[rest.at : rest.at + 1]
        if letter == b"[":
            section = _section(rest)
        elif letter in b"#;":
            _pass_comment(rest)
        else:
            _pass_option(rest)
            found.append(section or "")


def _section(rest: _Text) -> str:
    end = rest.data.find(b"]", rest.at)
    if end < 0:
        raise UnitError("unable to find end of section")
    name = rest.data[rest.at + 1 : end].decode("utf-8", "replace")
    rest.advance(end + 1)
    garbage = rest.line().strip()
    if garbage:
        # The name was never filled in by the original's reader, so its message has none.
        quoted = garbage.decode("utf-8", "replace").replace("\\", "\\\\").replace('"', '\\"')
        raise UnitError(f'found garbage after section name : "{quoted}"')
    return name


def _pass_comment(rest: _Text) -> None:
    while rest.line().removesuffix(b" ").endswith(b"\\"):
        pass


def _pass_option(rest: _Text) -> None:
    end = _NAME_END.search(rest.data, rest.at)
    if end is None:
        raise UnitError("EOF")
    if end[0] != b"=":
        raise UnitError("unexpected newline encountered while parsing option name")
    rest.advance(end.end())
    while True:
        line = rest.line()
        if not line.strip() or not line.endswith(b"\\"):
            return
        rest.look()
