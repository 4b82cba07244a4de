"""One transaction at a time: a lock that says who holds it.

The lock is flock(2) on a file in /run, so it ends with its holder, however that ends. The file's content names the
holder for the message to whoever comes second.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from nestos.base.clock import Clock, SystemClock
from nestos.base.errors import BusyError

_POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Holder:
    """Who holds the lock: the command, its process, and since when (RFC 3339)."""

    command: str
    pid: int
    since: str

    def __str__(self) -> str:
        return f"{self.command} (pid {self.pid}, since {self.since})"


@contextmanager
def exclusive(lock: Path, *, command: str, wait_seconds: float = 0.0, clock: Clock | None = None) -> Iterator[None]:
    """Holds the lock ``lock`` in the name of ``command`` while the block runs.

    Raises ``BusyError`` naming the holder when it is not free within ``wait_seconds``.
    """
    clock = clock or SystemClock()
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+b") as file:
        _acquire(file, clock=clock, wait_seconds=wait_seconds)
        holder = Holder(command=command, pid=os.getpid(), since=clock.now().isoformat(timespec="seconds"))
        file.truncate(0)
        file.write(json.dumps(asdict(holder)).encode())
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def holder(lock: Path) -> Holder | None:
    """Who holds the lock now, or none."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return None
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return _read(lock)


def _acquire(file: BinaryIO, *, clock: Clock, wait_seconds: float) -> None:
    deadline = clock.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if clock.monotonic() >= deadline:
                held = _read(Path(str(file.name)))
                raise BusyError(
                    f"another transaction is running: {held}", hint="wait for its end, or look at nestos status"
                ) from error
            clock.sleep(_POLL_SECONDS)
        else:
            return


def _read(lock: Path) -> Holder:
    # Between taking the lock and writing the name there is a moment without one.
    try:
        return Holder(**json.loads(lock.read_bytes()))
    except (OSError, ValueError, TypeError):
        return Holder(command="unknown", pid=0, since="now")
