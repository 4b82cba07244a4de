"""What systemd is told of a service, and how often it wants to hear: sd_notify(3), sd_watchdog_enabled(3)."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress

_LONGEST_LINE = 1000


class Notifier:
    """The socket that ``environment`` names; without one nothing is told."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        # A leading @ stands for the zero byte of an abstract address.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        microseconds = environment.get("WATCHDOG_USEC", "")
        self.watchdog_seconds = int(microseconds) / 1_000_000 if microseconds.isdigit() else None

    def tell(self, *lines: str) -> None:
        """Sends ``READY=1``, ``WATCHDOG=1``, ``STATUS=...``; that nobody listens is no failure of the service."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.sendto("\n".join(line.replace("\n", " ")[:_LONGEST_LINE] for line in lines).encode(), self._address)
