"""Machines that are running now, known by name across programs.

Each machine's folder below ``machines/`` of the cache holds ``machine.json`` while it runs. A record whose process is
gone, or whose process id now belongs to another, counts as nothing and is removed by the next look.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import BusyError, StateError
from nestos.lab.machine import Machine
from nestos.lab.qmp import Qmp, QmpError

_FILE = "machine.json"
_QUIT_SECONDS = 20.0
_START_TIME = 19  # field 22 of /proc/<pid>/stat, counted behind the name in brackets; proc(5)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A running machine: its process group, its sockets, and the host ports that lead into it, by guest port."""

    name: str
    pid: int
    started: str
    image: str
    qmp: str
    console: str
    serial_log: str
    ports: dict[str, int]

    @property
    def ssh_port(self) -> int:
        """The port of 127.0.0.1 that leads to SSH, 0 if there is none."""
        return self.ports.get("22", 0)

    @property
    def is_alive(self) -> bool:
        """True while the very process that was recorded lives."""
        return _started(self.pid) == self.started != ""


def record(machine: Machine) -> Running:
    """Writes down ``machine``, which must be running, in its folder."""
    if machine.places is None:
        raise StateError(f"the machine {machine.spec.name} is not running")
    running = Running(
        name=machine.spec.name,
        pid=machine.pid,
        started=_started(machine.pid),
        image=str(machine.spec.image or machine.spec.kernel),
        qmp=str(machine.places.qmp),
        console=str(machine.places.console),
        serial_log=str(machine.serial_log),
        ports={str(guest): host for guest, host in machine.ports().items()},
    )
    durable.write_text(machine.folder / _FILE, json.dumps(asdict(running), indent=1) + "\n")
    return running


def forget(folder: Path) -> None:
    """Removes the record of the machine in ``folder``."""
    (folder / _FILE).unlink(missing_ok=True)


def load(folder: Path) -> Running | None:
    """The machine running in ``folder``, or none."""
    try:
        running = Running(**json.loads((folder / _FILE).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None
    if running.is_alive:
        return running
    _clean(folder, running)
    return None


def every(machines: Path) -> Iterator[Running]:
    """The running machines, by name."""
    for folder in sorted(machines.iterdir()) if machines.is_dir() else ():
        if (running := load(folder)) is not None:
            yield running


def find(machines: Path, name: str) -> Running:
    """The running machine ``name``. Raises ``StateError`` naming those that do run."""
    running = load(machines / name)
    if running is None:
        others = ", ".join(item.name for item in every(machines))
        raise StateError(f"no machine {name} is running", hint=f"running: {others}" if others else "none is running")
    return running


def claim(machines: Path, name: str) -> Path:
    """The folder for a machine ``name`` that is about to start. Raises ``BusyError`` if it runs already."""
    running = load(machines / name)
    if running is not None:
        raise BusyError(
            f"a machine {name} is running already (process {running.pid})",
            hint=f"end it with nestos run --stop={name}, or give this one a --name",
        )
    folder = machines / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def stop(running: Running, *, folder: Path) -> None:
    """Ends a machine as pulling its plug would, but with its disks closed in order."""
    with suppress(QmpError), Qmp.connect(Path(running.qmp), timeout_seconds=5) as qmp:
        qmp.quit()
    deadline = time.monotonic() + _QUIT_SECONDS
    while running.is_alive and time.monotonic() < deadline:
        time.sleep(0.1)
    if running.is_alive:
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
    _clean(folder, running)


def _clean(folder: Path, running: Running) -> None:
    """Removes what a machine that ended without us has left."""
    sockets = Path(running.qmp).parent
    for socket in (Path(running.qmp), Path(running.console)):
        socket.unlink(missing_ok=True)
    with suppress(OSError):
        sockets.rmdir()
    forget(folder)


def _started(pid: int) -> str:
    """When the process began, in clock ticks since boot; with the id it names one process. Empty if it is gone."""
    try:
        behind_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if behind_name[0] in ("Z", "X") else behind_name[_START_TIME]
