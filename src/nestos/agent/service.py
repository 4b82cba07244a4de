"""The agent as a service: its steps in time, its sockets, what it tells systemd and everyone.

Two sockets in /run/nestos-agent: ``public/metrics.promsock`` answers whoever connects with the metrics and closes, as
zincati's does; a datagram to ``wake`` (root's) has the next step taken at once. Between steps nothing runs; the
watchdog is fed by the same loop, so that an agent that hangs in a step is started anew.
"""

from __future__ import annotations

import json
import logging
import select
import socket
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from nestos.agent import explain
from nestos.agent.engine import Engine
from nestos.agent.explain import Account
from nestos.agent.identity import Identity
from nestos.base import durable
from nestos.base.clock import Clock
from nestos.base.errors import StateError
from nestos.base.notify import Notifier
from nestos.base.paths import Root

logger = logging.getLogger(__name__)

METRICS_SOCKET = "/run/nestos-agent/public/metrics.promsock"
WAKE_SOCKET = "/run/nestos-agent/wake"
_LONGEST_SLEEP_SECONDS = 3600.0
_SEND_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Service:
    """An engine and all that shows it. ``warnings``: of the configuration, for ``explain``."""

    engine: Engine
    who: Identity
    root: Root
    clock: Clock
    notifier: Notifier
    warnings: tuple[str, ...] = ()

    def step(self) -> float:
        """Takes a step and publishes where it led. Returns the seconds until the next."""
        seconds = self.engine.step()
        found = explain.document(
            Account(
                settings=self.engine.settings,
                memory=self.engine.memory,
                waits=self.engine.waits,
                node=self.engine.node,
                who=self.who,
                ignored=self.engine.ignored,
                warnings=self.warnings,
                now=self.clock.now(),
                next_seconds=seconds,
            )
        )
        path = self.root.join(explain.STATUS)
        # A full or missing /run costs the view, not the agent.
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            durable.write_text(path, json.dumps(found) + "\n")
        self.notifier.tell("WATCHDOG=1", f"STATUS={explain.one_line(found)}")
        return seconds

    def run(self, *, is_ended: Callable[[], bool] = lambda: False) -> None:
        """Steps for ever, or until ``is_ended`` says so after one. Raises ``StateError`` without its sockets."""
        with ExitStack() as stack:
            metrics = stack.enter_context(listening(self.root.join(METRICS_SOCKET), kind=socket.SOCK_STREAM))
            metrics.listen(8)
            wake = stack.enter_context(listening(self.root.join(WAKE_SOCKET), kind=socket.SOCK_DGRAM))
            self.notifier.tell("READY=1")
            due = self.clock.monotonic()
            while True:
                if self.clock.monotonic() >= due:
                    due = self.clock.monotonic() + self.step()
                    if is_ended():
                        return
                if self._serve(metrics, wake, seconds=max(0.0, due - self.clock.monotonic())):
                    due = self.clock.monotonic()

    def _serve(self, metrics: socket.socket, wake: socket.socket, *, seconds: float) -> bool:
        """Waits at most so long, answering who connects; true if the next step is to be taken at once."""
        feeding = (self.notifier.watchdog_seconds or _LONGEST_SLEEP_SECONDS) / 2
        readable, _, _ = select.select([metrics, wake], [], [], min(seconds, feeding, _LONGEST_SLEEP_SECONDS))
        self.notifier.tell("WATCHDOG=1")
        if metrics in readable:
            with suppress(OSError):
                connection, _ = metrics.accept()
                with connection:
                    connection.settimeout(_SEND_SECONDS)
                    connection.sendall(self.engine.metrics.text().encode())
        if wake in readable:
            with suppress(OSError):
                wake.recv(64)
            return True
        return False


def listening(path: Path, *, kind: socket.SocketKind) -> socket.socket:
    """A socket bound to ``path``, in place of one that an earlier run left. Raises ``StateError``."""
    server = socket.socket(socket.AF_UNIX, kind)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        server.bind(str(path))
        server.setblocking(False)
        if kind is socket.SOCK_STREAM:
            path.chmod(0o666)
    except OSError as error:
        server.close()
        raise StateError(f"cannot listen on {path}: {error.strerror}") from error
    return server


def wake(root: Root) -> bool:
    """Has a running agent take its next step at once; false if none runs."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        try:
            sender.sendto(b"1", str(root.join(WAKE_SOCKET)))
        except OSError:
            return False
    return True
