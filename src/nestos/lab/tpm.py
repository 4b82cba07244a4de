"""The TPM 2 of a virtual machine: swtpm beside QEMU. What it remembers lies in a folder and outlives both."""

from __future__ import annotations

from pathlib import Path
from typing import IO

from nestos.base.clock import Clock
from nestos.base.errors import CommandError, StateError
from nestos.host import process
from nestos.host.toolbox import Toolbox

_PATIENCE_SECONDS = 60
_POLL_SECONDS = 0.1


def start(folder: Path, *, socket: Path, tools: Toolbox, log: IO[bytes], clock: Clock) -> process.Started:
    """Starts swtpm with the memory in ``folder``, made if it is missing, and returns when QEMU can connect.

    It ends with the connection. Raises ``CommandError`` if it ends before, ``StateError`` if it never listens.
    """
    folder.mkdir(parents=True, exist_ok=True)
    command = ["swtpm", "socket", "--tpm2", f"--tpmstate=dir={folder}", f"--ctrl=type=unixio,path={socket}"]
    visible = tools.with_binds(folder, socket.parent)
    started = process.start(visible.wrap([*command, "--terminate"]), output=log)
    deadline = clock.monotonic() + _PATIENCE_SECONDS
    while not socket.exists():
        if (status := started.poll()) is not None:
            raise CommandError(f"swtpm ended with status {status}; see {log.name}", returncode=status, output="")
        if clock.monotonic() >= deadline:
            started.kill()
            started.wait()
            raise StateError(f"swtpm does not listen after {_PATIENCE_SECONDS} s")
        clock.sleep(_POLL_SECONDS)
    return started
