"""A client for QEMU's control protocol, QMP (docs/interop/qmp-spec.rst of QEMU).

Synchronous, one command at a time, standard library only. Events that arrive between answers are kept in
``events`` for whoever asks; nothing is called back.
"""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from nestos.base.errors import StateError

_RETRY_SECONDS = 0.05
_SAVE_SECONDS = 900.0  # QEMU answers only when a gigabyte of memory is in the file


class QmpError(StateError):
    """QEMU refused a command, or its control socket broke off."""

    kind = "qmp"


class Qmp:
    """A connection to a running QEMU, past the greeting and the negotiation."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = b""
        self.events: list[dict[str, Any]] = []
        self._receive()
        self.execute("qmp_capabilities")

    @classmethod
    def connect(cls, path: Path, *, timeout_seconds: float = 30) -> Qmp:
        """Connects to the socket at ``path``, which QEMU may still be about to make. Raises ``QmpError``."""
        deadline = time.monotonic() + timeout_seconds
        while True:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.settimeout(timeout_seconds)
            try:
                connection.connect(str(path))
                return cls(connection)
            except OSError as error:
                connection.close()
                if time.monotonic() >= deadline:
                    raise QmpError(f"no control socket of QEMU at {path}: {error}") from error
                time.sleep(_RETRY_SECONDS)

    def execute(self, command: str, /, **arguments: Any) -> Any:
        """Runs a QMP command and returns its answer. Underscores in argument names stand for dashes."""
        message: dict[str, Any] = {"execute": command}
        if arguments:
            message["arguments"] = {name.replace("_", "-"): value for name, value in arguments.items()}
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError as error:
            raise QmpError(f"QEMU did not take the command {command}: {error}") from error
        while True:
            answer = self._receive()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise QmpError(f"QEMU refused {command}: {answer['error'].get('desc', answer['error'])}")
            else:
                return answer.get("return")

    def human(self, command: str) -> str:
        """Runs a command of the human monitor, for the few things that have no QMP command."""
        return str(self.execute("human-monitor-command", command_line=command))

    def status(self) -> str:
        """QEMU's run state: ``running``, ``paused``, ``shutdown``, ``internal-error`` and so on."""
        return str(self.execute("query-status")["status"])

    def quit(self) -> None:
        """Ends QEMU in order: its disks are closed and their caches written."""
        try:
            self.execute("quit")
        except QmpError:
            return  # it may be gone before it answers

    def reset(self) -> None:
        """The reset button."""
        self.execute("system_reset")

    def press_power_button(self) -> None:
        """Asks the guest to shut down, by ACPI."""
        self.execute("system_powerdown")

    def save_state(self, tag: str) -> None:
        """Keeps memory, devices and disks as the internal snapshot ``tag``; every writable disk must be qcow2."""
        usual = self._socket.gettimeout()
        self._socket.settimeout(_SAVE_SECONDS)
        try:
            answer = self.human(f"savevm {tag}").strip()
        finally:
            self._socket.settimeout(usual)
        if answer:
            raise QmpError(f"QEMU did not save the state {tag!r}: {answer}")

    def poll_events(self) -> list[str]:
        """The names of all events so far, oldest first, such as ``RESET`` and ``WATCHDOG``."""
        self.status()  # its answer comes behind every event that QEMU has sent
        return [str(event["event"]) for event in self.events]

    def close(self) -> None:
        """Closes the connection; QEMU goes on."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _receive(self) -> dict[str, Any]:
        while b"\n" not in self._buffer:
            try:
                data = self._socket.recv(65536)
            except OSError as error:
                raise QmpError(f"QEMU's control socket broke off: {error}") from error
            if not data:
                raise QmpError("QEMU closed its control socket")
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        message = json.loads(line)
        if not isinstance(message, dict):
            raise QmpError(f"QEMU sent something that is no message: {line[:80]!r}")
        return message
