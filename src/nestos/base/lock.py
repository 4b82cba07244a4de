"""One at a time, over processes: flock(2) on a file whose content says who holds it.

The lock ends with its holder, however that ends; the file stays and means nothing by itself.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from nestos.base.clock import Clock, SystemClock
from nestos.base.errors import BusyError

_POLL_SECONDS = 0.2


@contextmanager
def held(
    path: Path, *, what: str, command: str = "", wait_seconds: float = 0.0, clock: Clock | None = None
) -> Iterator[None]:
    """Holds the lock ``path``; the folder must exist. ``command`` is this program's own line if it is not given.

    Raises ``BusyError`` naming ``what`` and its holder when it is not free within ``wait_seconds``.
    """
    with path.open("a+b") as file:
        _acquire(file, what=what, wait_seconds=wait_seconds, clock=clock or SystemClock())
        file.truncate(0)
        file.write(f"{os.getpid()} {command or _own_command()}\n".encode())
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def _own_command() -> str:
    program = Path(sys.argv[0])
    name = program.parent.name if program.name == "__main__.py" else program.name
    return shlex.join([name, *sys.argv[1:]])


def _acquire(file: BinaryIO, *, what: str, wait_seconds: float, clock: Clock) -> None:
    deadline = clock.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if clock.monotonic() >= deadline:
                raise BusyError(f"{what} is in use by {_holder(file)}", hint="wait for its end, or end it") from error
            clock.sleep(_POLL_SECONDS)
        else:
            return


def _holder(file: BinaryIO) -> str:
    file.seek(0)
    pid, _, command = file.read().decode(errors="replace").strip().partition(" ")
    # Between taking the lock and writing the name there is a moment without one.
    return f"process {pid} ({command})" if pid else "another process"
