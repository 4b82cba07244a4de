"""Progress for people: stages with elapsed time, and steps within them.

``Progress`` is handed down; it writes to the stream it was given, never to a global. Nothing here exits.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

logger = logging.getLogger("nestos")


class Progress:
    """Prints the start and the end of stages, with seconds; nested stages are indented."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream if stream is not None else sys.stderr
        self._depth = 0
        self._start = time.monotonic()

    def say(self, text: str) -> None:
        """One line, with the time since this progress began."""
        elapsed = time.monotonic() - self._start
        print(f"[{elapsed:7.1f}s] {'  ' * self._depth}{text}", file=self._stream, flush=True)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Announces ``name``, and when the block ends, whether it worked and how long it took."""
        self.say(name)
        began = time.monotonic()
        self._depth += 1
        outcome = "failed"
        try:
            yield
            outcome = "done"
        finally:
            self._depth -= 1
            self.say(f"{name}: {outcome} in {time.monotonic() - began:.1f}s")


def setup(*, verbose: int = 0, stream: TextIO | None = None) -> None:
    """Configures the program's log: warnings by default, commands with 1, everything with 2."""
    level = logging.WARNING if verbose == 0 else logging.INFO if verbose == 1 else logging.DEBUG
    logging.basicConfig(level=level, stream=stream or sys.stderr, format="%(levelname)s %(name)s: %(message)s")
