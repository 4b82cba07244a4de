"""Who is logged in on a terminal, and telling them that the node restarts."""

from __future__ import annotations

import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from nestos.base.errors import CommandError
from nestos.host.process import Runner

logger = logging.getLogger(__name__)

_COMMAND_SECONDS = 20.0
_UNKNOWN = "people who could not be listed"


class People(Protocol):
    """Who is there; ``LoggedIn`` is the real one."""

    def present(self) -> tuple[str, ...]:
        """The names of those with a terminal."""

    def tell(self, message: str) -> None:
        """Writes to each of their terminals."""


class LoggedIn:
    """The sessions of logind that have a terminal, below ``devices``."""

    def __init__(self, *, runner: Runner, devices: Path = Path("/dev")) -> None:
        self._runner = runner
        self._devices = devices

    def present(self) -> tuple[str, ...]:
        """The names of those with a terminal. If logind gives no usable answer somebody may be there: so it is said."""
        sessions = self._sessions()
        if sessions is None:
            return (_UNKNOWN,)
        return tuple(sorted({user for user, _ in sessions}))

    def tell(self, message: str) -> None:
        for _, terminal in self._sessions() or ():
            # A terminal that is gone or full must not hold the agent up.
            with suppress(OSError):
                descriptor = os.open(self._devices / terminal, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
                try:
                    os.write(descriptor, f"\r\n\a{message}\r\n".encode())
                finally:
                    os.close(descriptor)

    def _sessions(self) -> list[tuple[str, str]] | None:
        command = ["loginctl", "list-sessions", "--no-pager", "--json=short"]
        try:
            document = json.loads(self._runner(command, timeout_seconds=_COMMAND_SECONDS).stdout)
            found = [(str(item["user"]), item.get("tty")) for item in document]
        except (CommandError, ValueError, TypeError, KeyError, AttributeError) as error:
            logger.warning("who is logged in is not known: %s", error)
            return None
        return [(user, tty) for user, tty in found if isinstance(tty, str) and tty and ".." not in tty]
