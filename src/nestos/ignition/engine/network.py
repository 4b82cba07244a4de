"""The machine's own network: TCP, UDP and vsock connections, secured where asked.

A host with several addresses is reached by the first that answers: the next is tried after 300 ms, so that a broken
IPv6 does not cost the time limit of a connection (RFC 8305, "happy eyeballs").
"""

from __future__ import annotations

import errno
import os
import select
import socket
import time
from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

from nestos.ignition.engine import parts
from nestos.ignition.engine.machine import Connection, Datagrams
from nestos.ignition.engine.transport import FetchError

_NEXT_ADDRESS_SECONDS = 0.3
_LOW_PORTS = 1022
_NO_LOW_PORT = 64  # ports tried before it is given up

Address = tuple[int, Any]
"""An address family, and an address in it."""


class SystemNetwork:
    """The real thing; see ``nestos.ignition.engine.machine.Network``."""

    def connect(self, host: str, port: int, *, timeout_seconds: float | None, low_port: bool) -> Connection:
        addresses = _alternating(_found(host, port, socket.SOCK_STREAM))
        connected = _first_to_answer(addresses, timeout_seconds, low_port=low_port)
        connected.setblocking(True)
        return connected

    def connect_context(self, context: int, port: int, *, low_port: bool) -> Connection:
        connected = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
        try:
            if low_port:
                _bind_low(connected, lambda number: (socket.VMADDR_CID_ANY, number))
            connected.connect((context, port))
        except OSError:
            connected.close()
            raise
        return connected

    def secure(
        self, connection: Connection, *, host: str, bundles: Sequence[Path], authorities: Sequence[str]
    ) -> Connection:
        secured: Connection = parts.load(parts.TLS).secured(
            connection, host=host, bundles=tuple(bundles), authorities=tuple(authorities)
        )
        return secured

    def datagrams(self, host: str, port: int) -> tuple[Datagrams, Any]:
        family, address = _found(host, port, socket.SOCK_DGRAM)[0]
        return socket.socket(family, socket.SOCK_DGRAM), address


def _found(host: str, port: int, kind: socket.SocketKind) -> list[Address]:
    """The addresses of ``host``. A zone behind ``%`` is put in here: the resolver knows it for some addresses only.

    Raises ``OSError``, and ``FetchError`` for a name that no host can have.
    """
    name, _, zone = host.partition("%")
    try:
        entries = socket.getaddrinfo(name, port, type=kind)
    except UnicodeError as error:
        raise FetchError(f"{name} is not the name of a host: {error}") from error
    if not zone:
        return [(int(entry[0]), entry[4]) for entry in entries]
    scope = int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
    return [(int(entry[0]), (entry[4][0], port, 0, scope)) for entry in entries if entry[0] == socket.AF_INET6]


def _alternating(addresses: Sequence[Address]) -> list[Address]:
    """``addresses`` with the two families taking turns, that of the first one leading."""
    first = [address for address in addresses if address[0] == addresses[0][0]]
    other = [address for address in addresses if address[0] != addresses[0][0]]
    return [address for address in chain(*zip_longest(first, other)) if address is not None]


def _first_to_answer(addresses: Sequence[Address], timeout_seconds: float | None, *, low_port: bool) -> socket.socket:
    """A socket connected to the first of ``addresses`` that answers. Raises ``OSError`` of the last that failed."""
    end = None if timeout_seconds is None else time.monotonic() + timeout_seconds
    waiting = list(addresses)
    under_way: dict[int, socket.socket] = {}
    problem: OSError = TimeoutError(errno.ETIMEDOUT, "Connection timed out")
    poll = select.poll()
    try:
        while waiting or under_way:
            if waiting:
                try:
                    begun = _begun(*waiting.pop(0), low_port=low_port)
                except OSError as error:
                    problem = error
                    continue
                under_way[begun.fileno()] = begun
                poll.register(begun, select.POLLOUT)
            left = None if end is None else end - time.monotonic()
            if left is not None and left <= 0:
                raise TimeoutError(errno.ETIMEDOUT, "Connection timed out")
            patience = min(_NEXT_ADDRESS_SECONDS, left or _NEXT_ADDRESS_SECONDS) if waiting else left
            for number, _ in poll.poll(None if patience is None else patience * 1000):
                poll.unregister(number)
                answered = under_way.pop(number)
                code = answered.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if not code:
                    return answered
                answered.close()
                problem = OSError(code, os.strerror(code))
        raise problem
    finally:
        for left_over in under_way.values():
            left_over.close()


def _begun(family: int, address: Any, *, low_port: bool) -> socket.socket:
    """A socket that is connecting to ``address``."""
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if low_port:
            _bind_low(made, lambda number: ("", number))
        code = made.connect_ex(address)
        if code not in (0, errno.EINPROGRESS):
            raise OSError(code, os.strerror(code))
    except OSError:
        made.close()
        raise
    return made


def _bind_low(bound: socket.socket, place: Any) -> None:
    """Binds a socket to a port below 1024 that nobody has; any of them, so that a second attempt takes another."""
    for _ in range(_NO_LOW_PORT):
        number = int.from_bytes(os.urandom(2), "big") % _LOW_PORTS + 1
        try:
            bound.bind(place(number))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        else:
            return
    raise OSError(errno.EADDRINUSE, "no port below 1024 is free")
