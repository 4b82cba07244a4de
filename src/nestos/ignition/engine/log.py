"""The engine's log: one line for each operation when it starts, finishes or fails, in the original's form.

Passwords, keys and the query parts of URLs never come here: callers log names and ``shown`` URLs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_PRIORITIES = {"CRITICAL": 2, "ERROR": 3, "WARNING": 4, "NOTICE": 5, "INFO": 6, "DEBUG": 7}


class Log:
    """Writes lines to a stream, each behind the operations it belongs to.

    With ``priorities``, a line begins with its priority as the journal reads it from a service's output
    (sd-daemon(3)).
    """

    def __init__(self, stream: TextIO, *, priorities: bool = False) -> None:
        self._stream = stream
        self._priorities = priorities
        self._prefixes: list[str] = []
        self._operations = 0

    def _write(self, level: str, message: str) -> None:
        start = f"<{_PRIORITIES[level]}>" if self._priorities else ""
        prefix = "".join(f"{part}: " for part in self._prefixes)
        for line in message.splitlines() or [""]:
            print(f"{start}{level:<9}: {prefix}{line}", file=self._stream)
        self._stream.flush()

    def debug(self, message: str) -> None:
        """Of use only to someone who looks for a fault."""
        self._write("DEBUG", message)

    def info(self, message: str) -> None:
        """What goes on."""
        self._write("INFO", message)

    def warning(self, message: str) -> None:
        """Something that the writer of the config should look at."""
        self._write("WARNING", message)

    def error(self, message: str) -> None:
        """Something that failed."""
        self._write("ERROR", message)

    def critical(self, message: str) -> None:
        """Why the stage failed."""
        self._write("CRITICAL", message)

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """Lines of the block are put behind ``name``."""
        self._prefixes.append(name)
        try:
            yield
        finally:
            self._prefixes.pop()

    @contextmanager
    def operation(self, what: str) -> Iterator[None]:
        """Logs that ``what`` started, and how it ended."""
        self._operations += 1
        with self.within(f"op({self._operations:x})"):
            self.info(f"[started]  {what}")
            try:
                yield
            except BaseException as error:
                self._write("CRITICAL", f"[failed]   {what}: {error}")
                raise
            self.info(f"[finished] {what}")
