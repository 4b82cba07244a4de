"""Contents from a TFTP server: RFC 1350 in octet mode, with larger blocks (RFC 2347, 2348) where the server knows them.

A packet that gets no answer is sent again. The last block is acknowledged as often as it comes: a server that sends it
again has not got the acknowledgement (RFC 1350, 2; that one doubled packet does not double all that follow is for the
server to see to, RFC 1123, 4.2.3.1). Older blocks are only late and get no answer. Packets of strangers are turned
away.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from nestos.ignition.engine import parts
from nestos.ignition.engine.fetchers.address import plain, take_apart
from nestos.ignition.engine.machine import Datagrams, Network
from nestos.ignition.engine.transport import FetchError, NotFoundError, Sink, Transport, shown
from nestos.ignition.engine.waiting import Patience

_READ, _DATA, _ACKNOWLEDGE, _ERROR, _OPTIONS = 1, 3, 4, 5, 6
_NOT_FOUND, _UNKNOWN_SENDER, _REFUSED_OPTIONS = 1, 5, 8
_PLAIN_BLOCK = 512
_LARGE_BLOCK = 1228  # with all headers it fits the smallest packet that IPv6 has to carry whole
_ANSWER_SECONDS = 5.0
_ATTEMPTS = 5
_LARGEST_PACKET = 1 << 16


class _RefusedOptionsError(Exception):
    """The server does not want to negotiate."""


@dataclass(kw_only=True)
class _Transfer:
    """One file on its way. ``sender``: the server's port for this file, known once it has answered."""

    socket: Datagrams
    address: Any
    sink: Sink
    name: str
    sender: Any = None
    block_size: int = _PLAIN_BLOCK
    sent: bytes = b""

    def send(self, packet: bytes) -> None:
        self.sent = packet
        self.socket.sendto(packet, self.sender or self.address)

    def receive(self) -> tuple[int, bytes]:
        """The next packet of the server as its kind and the rest; what was sent last is sent again if none comes."""
        for attempt in range(_ATTEMPTS):
            if attempt:
                self.socket.sendto(self.sent, self.sender or self.address)
            self.socket.settimeout(_ANSWER_SECONDS)
            try:
                return self._from_server()
            except TimeoutError:
                continue
        raise TimeoutError(f"no answer to {_ATTEMPTS} packets")

    def _from_server(self) -> tuple[int, bytes]:
        while True:
            packet, sender = self.socket.recvfrom(_LARGEST_PACKET)
            if self.sender is not None and sender != self.sender:
                self.socket.sendto(_error(_UNKNOWN_SENDER, "unknown transfer ID"), sender)
            elif len(packet) >= 4:
                self.sender = sender
                return int.from_bytes(packet[:2], "big"), packet[2:]


def _error(code: int, message: str) -> bytes:
    return struct.pack("!HH", _ERROR, code) + message.encode() + b"\0"


def _request(path: str, options: dict[str, str]) -> bytes:
    words = [path, "octet", *(word for pair in options.items() for word in pair)]
    return struct.pack("!H", _READ) + b"".join(word.encode() + b"\0" for word in words)


def fetch(url: str, *, sink: Sink, transport: Transport) -> None:
    """Writes the file that ``url`` names.

    A network that is not up yet, and a server that does not answer, are tried again until the transport's total time
    is over. Raises ``FetchError`` for what the server refuses.
    """
    address = take_apart(url)
    name = shown(url)
    machine = transport.machine
    network: Network = machine.network or parts.load(parts.NETWORK).SystemNetwork()
    patience = Patience(name, clock=machine.clock, log=transport.log, total_seconds=transport.total_seconds)
    options = {"blksize": str(_LARGE_BLOCK)}
    attempt = 0
    while True:
        attempt += 1
        transport.log.info(f"TFTP {name}: attempt #{attempt}")
        try:
            socket, place = network.datagrams(address.host, address.port)
            try:
                _receive(_Transfer(socket=socket, address=place, sink=sink, name=name), plain(address.path), options)
            finally:
                socket.close()
        except _RefusedOptionsError:
            options = {}
        except OSError as error:
            problem = str(error.strerror or error) or type(error).__name__
            transport.log.info(f"TFTP {name}: {problem}")
            patience.again(problem)
        else:
            return
        sink.restart()


def _receive(transfer: _Transfer, path: str, options: dict[str, str]) -> None:
    """Asks for ``path`` and writes its blocks in order."""
    transfer.send(_request(path, options))
    expected = 1
    while True:
        kind, rest = transfer.receive()
        if kind == _ERROR:
            _refused(transfer.name, rest, negotiated=bool(options))
        elif kind == _OPTIONS and expected == 1 and options:
            transfer.block_size = _block_size(rest)
            transfer.send(struct.pack("!HH", _ACKNOWLEDGE, 0))
        elif kind == _DATA:
            number, data = int.from_bytes(rest[:2], "big"), rest[2:]
            if expected > 1 and number == (expected - 1) % 65536:
                transfer.send(transfer.sent)
            if number != expected % 65536:
                continue
            transfer.sink.write(data)
            transfer.send(struct.pack("!HH", _ACKNOWLEDGE, number))
            expected += 1
            if len(data) < transfer.block_size:
                return


def _block_size(rest: bytes) -> int:
    """What the server made of the wish for larger blocks."""
    words = rest.split(b"\0")
    for name, value in zip(words[::2], words[1::2], strict=False):
        if name.lower() == b"blksize" and value.isdigit() and 8 <= int(value) <= _LARGE_BLOCK:
            return int(value)
    return _PLAIN_BLOCK


def _refused(name: str, rest: bytes, *, negotiated: bool) -> None:
    """Raises what an error packet means."""
    code = int.from_bytes(rest[:2], "big")
    message = rest[2:].partition(b"\0")[0].decode("utf-8", "replace")
    if code == _NOT_FOUND:
        raise NotFoundError(f"resource not found: {name}: {message}")
    if negotiated and code in (0, 4, _REFUSED_OPTIONS):
        raise _RefusedOptionsError
    raise FetchError(f"failed to fetch resource: {name}: error {code}: {message}")
