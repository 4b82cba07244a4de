"""TLS for the agent's questions; loaded only for https, because it costs memory that http need not spend."""

from __future__ import annotations

import functools
import socket
import ssl


@functools.cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()


def secured(connection: socket.socket, *, host: str) -> socket.socket:
    """``connection`` with TLS to ``host``, whose certificate was checked. Raises ``OSError``."""
    return _context().wrap_socket(connection, server_hostname=host)
