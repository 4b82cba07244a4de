"""A machine's serial console: waiting for text in its log, and attaching a person's terminal.

QEMU writes the log itself, so it is complete even if nobody ever attaches. The log grows over restarts of the
machine; a ``mark`` remembers a place in it, so that the text of an earlier boot cannot satisfy a later wait.
"""

from __future__ import annotations

import os
import re
import select
import socket
import termios
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from nestos.base.clock import Clock, SystemClock
from nestos.base.errors import NestosError, StateError

DETACH = b"\x1d"
"""Ctrl-], as in telnet and virsh: leaves the console, the machine goes on."""

_ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][A-Z0-9]|[=>78cM])")
_POLL_SECONDS = 0.5


class ConsoleTimeoutError(NestosError):
    """The text did not come in time. ``tail`` holds the last lines that did."""

    kind = "console-timeout"

    def __init__(self, sentence: str, *, tail: str) -> None:
        super().__init__(sentence)
        self.tail = tail


class MachineGoneError(StateError):
    """The machine ended while something was still expected of it."""

    kind = "machine-gone"


class Console:
    """The log of a serial console. ``gone`` says why the machine is no longer there, or the empty string."""

    def __init__(self, log: Path, *, gone: Callable[[], str] = lambda: "", clock: Clock | None = None) -> None:
        self.log = log
        self._gone = gone
        self._clock = clock or SystemClock()

    def mark(self) -> int:
        """The place where the log ends now, in bytes."""
        return self.log.stat().st_size if self.log.exists() else 0

    def text(self, *, since: int = 0) -> str:
        """What was printed from ``since`` on, without escape sequences and carriage returns."""
        return plain(self._bytes(since))

    def _bytes(self, since: int) -> bytes:
        if not self.log.exists():
            return b""
        with self.log.open("rb") as file:
            file.seek(since)
            return file.read()

    def tail(self, *, lines: int = 40) -> str:
        """The last lines."""
        return "\n".join(self.text().splitlines()[-lines:])

    def wait(self, pattern: str, *, timeout_seconds: float, since: int = 0, failing: str = "") -> re.Match[str]:
        """Waits until ``pattern``, a regular expression, matches in a line of what was printed from ``since`` on.

        Raises ``ConsoleTimeoutError`` when it does not come in time, ``MachineGoneError`` when the machine ended
        without it, and ``StateError`` at once when ``failing`` matches first.
        """
        wanted = re.compile(pattern, re.MULTILINE)
        unwanted = re.compile(failing, re.MULTILINE) if failing else None
        deadline = self._clock.monotonic() + timeout_seconds
        place, seen = since, -1
        while True:
            gone = self._gone()  # before reading, so that what it printed last is seen
            data = self._bytes(place)
            # A guest that is emulated needs the time that reading its whole log again and again would take.
            text = plain(data) if len(data) != seen else ""
            if found := wanted.search(text):
                return found
            if unwanted is not None and (bad := unwanted.search(text)):
                raise StateError(f"the console shows {bad.group(0)!r} while {pattern!r} was expected")
            if gone:
                raise MachineGoneError(f"{gone} before its console showed {pattern!r}")
            if self._clock.monotonic() >= deadline:
                raise ConsoleTimeoutError(f"no {pattern!r} on the console in {timeout_seconds:.0f} s", tail=self.tail())
            whole = data.rfind(b"\n") + 1
            place, seen = place + whole, len(data) - whole
            self._clock.sleep(_POLL_SECONDS)


def plain(data: bytes) -> str:
    """Console bytes as text: UTF-8 with bad bytes replaced, no escape sequences, plain line ends."""
    return _ESCAPES.sub("", data.decode(errors="replace")).replace("\r\n", "\n").replace("\r", "")


def attach(console: Path, *, terminal_in: int = 0, terminal_out: int = 1) -> None:
    """Joins the terminal to the console socket until Ctrl-] is pressed or the machine ends.

    Input that is no terminal (a pipe) is passed on as it is and its end is ignored. Raises ``StateError`` when the
    console does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(str(console))
        except OSError as error:
            raise StateError(f"no console at {console}: {error}", hint="is the machine still running?") from error
        before = termios.tcgetattr(terminal_in) if os.isatty(terminal_in) else None
        try:
            if before is not None:
                tty.setraw(terminal_in)
            _pump(connection, terminal_in, terminal_out)
        finally:
            if before is not None:
                termios.tcsetattr(terminal_in, termios.TCSADRAIN, before)


def _pump(connection: socket.socket, terminal_in: int, terminal_out: int) -> None:
    sources: list[int] = [connection.fileno(), terminal_in]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if connection.fileno() in ready:
            data = b""
            with suppress(ConnectionResetError):
                data = connection.recv(65536)
            if not data:
                return
            os.write(terminal_out, data)
        if terminal_in in ready:
            data = os.read(terminal_in, 4096)
            if not data:
                sources.remove(terminal_in)
                continue
            typed, detach, _ = data.partition(DETACH)
            connection.sendall(typed)
            if detach:
                return
