"""Contents from TFTP servers, against one in this process that loses and doubles packets."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from typing import Any

import pytest

from nestos.base.errors import NetworkError
from nestos.ignition.engine.transport import FetchError, NotFoundError, fetch_bytes
from tests.unit.ignition.engine.bench import Bench

DATA, ACKNOWLEDGE, ERROR, OPTIONS = 3, 4, 5, 6
SERVER, TRANSFER, STRANGER = ("10.0.0.1", 69), ("10.0.0.1", 50001), ("10.0.0.9", 50001)


class TftpServer:
    """A server with one file. ``lose``: which of its packets never arrive; ``double``: which arrive twice."""

    def __init__(self, content: bytes, *, negotiates: bool = True, refuses: bool = False) -> None:
        self.content = content
        self.negotiates = negotiates
        self.refuses = refuses
        self.lose: set[int] = set()
        self.double: set[int] = set()
        self.strange: set[int] = set()
        self.failure: bytes | None = None
        self.faults: list[OSError] = []
        self.requests: list[bytes] = []
        self.got: list[tuple[bytes, Any]] = []
        self.host: tuple[str, int] = ("", 0)
        self.sockets = 0
        self.largest_block = 0
        self._block = 512
        self._current = 0
        self._sent = 0
        self._last = b""
        self._waiting: list[tuple[bytes, Any]] = []

    def datagrams(self, host: str, port: int) -> tuple[Any, Any]:
        if self.faults:
            raise self.faults.pop(0)
        self.host = (host, port)
        self.sockets += 1
        self._waiting.clear()
        return self, SERVER

    def settimeout(self, seconds: float | None) -> None:
        assert seconds

    def close(self) -> None:
        self.sockets -= 1

    def sendto(self, packet: bytes, address: Any) -> int:
        self.got.append((packet, address))
        if address == STRANGER:
            return len(packet)
        kind, number = struct.unpack_from("!HH", packet)
        if address == SERVER:
            assert kind == 1
            self.requests.append(packet)
            self._answer_request(packet.split(b"\0")[3:-1])
        elif kind == ACKNOWLEDGE and number == self._current % 65536:  # one that comes twice is not answered: RFC 1123
            self._current += 1
            self._send_block()
        return len(packet)

    def _answer_request(self, options: list[bytes]) -> None:
        if self.failure is not None:
            self._send(self.failure)
        elif options and self.refuses:
            self._send(struct.pack("!HH", ERROR, 8) + b"no options\0")
        elif options and self.negotiates:
            self._block = self.largest_block or int(options[1])
            self._current = 0
            self._send(struct.pack("!H", OPTIONS) + b"\0".join((options[0], str(self._block).encode(), b"")))
        else:
            self._block = 512
            self._current = 1
            self._send_block()

    def _send_block(self) -> None:
        start = (self._current - 1) * self._block
        if start <= len(self.content):
            data = self.content[start : start + self._block]
            self._send(struct.pack("!HH", DATA, self._current % 65536) + data)

    def _send(self, packet: bytes) -> None:
        self._last = packet
        self._sent += 1
        if self._sent in self.strange:
            self._waiting.append((struct.pack("!HH", DATA, 1) + b"a lie", STRANGER))
        if self._sent in self.lose:
            return
        self._waiting += [(packet, TRANSFER)] * (2 if self._sent in self.double else 1)

    def recvfrom(self, size: int) -> tuple[bytes, Any]:
        if not self._waiting:
            self._send(self._last)  # the server has waited as long
            raise TimeoutError("timed out")
        return self._waiting.pop(0)


Get = Callable[..., bytes]


@pytest.fixture
def get(machine: Bench) -> Get:
    def call(server: TftpServer, source: str = "tftp://server/dir/my%20file", **more: Any) -> bytes:
        machine.network = server  # type: ignore[assignment]
        resource: Any = {"source": source, **more}
        return fetch_bytes(resource, transport=machine.transport(total_seconds=20))

    return call


SIZES = [0, 1, 511, 512, 513, 1228, 1229, 5000]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("negotiates", [True, False])
def test_a_file_of_any_size_arrives_whole(size: int, negotiates: bool, get: Get) -> None:
    content = bytes(range(256)) * 20
    server = TftpServer(content[:size], negotiates=negotiates)

    assert get(server) == content[:size]

    assert server.requests[0].split(b"\0")[1:3] == [b"\x01/dir/my file", b"octet"]
    assert server.host == ("server", 69)
    assert server.sockets == 0


def test_ipv6_and_other_ports_are_reached(get: Get) -> None:
    server = TftpServer(b"x")

    get(server, "tftp://[fe80::1%25eth0]:6969/f")

    assert server.host == ("fe80::1%eth0", 6969)


@pytest.mark.parametrize("lost", [{1}, {2}, {3}, {1, 2, 3, 4}, {2, 4, 6}])
def test_lost_packets_are_asked_for_again(lost: set[int], get: Get) -> None:
    server = TftpServer(b"abc" * 1000)
    server.lose = lost

    assert get(server) == b"abc" * 1000


def test_a_block_that_comes_again_is_written_once_and_acknowledged_again(get: Get) -> None:
    server = TftpServer(b"abc" * 1000, negotiates=False)
    server.double = {1, 2, 3, 4, 5, 6}

    assert get(server) == b"abc" * 1000

    acknowledged = [struct.unpack("!HH", packet)[1] for packet, address in server.got if address == TRANSFER]
    assert acknowledged == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6]


def test_a_block_that_is_late_is_not_acknowledged(get: Get) -> None:
    server = TftpServer(b"abc" * 1000, negotiates=False)
    late = struct.pack("!HH", DATA, 1) + server.content[:512], TRANSFER
    answer = server.sendto

    def send(packet: bytes, address: Any) -> int:
        sent = answer(packet, address)
        if packet == struct.pack("!HH", ACKNOWLEDGE, 3):
            server._waiting.insert(0, late)
        return sent

    server.sendto = send  # type: ignore[method-assign]

    assert get(server) == b"abc" * 1000

    assert [packet[3] for packet, address in server.got if address == TRANSFER] == [1, 2, 3, 4, 5, 6]


def test_block_numbers_begin_again_after_the_last(get: Get) -> None:
    server = TftpServer(b"x" * (8 * 65540 + 7))
    server.largest_block = 8

    assert get(server) == server.content


def test_strangers_are_turned_away(get: Get) -> None:
    server = TftpServer(b"abc" * 1000, negotiates=False)
    server.strange = {2}

    assert get(server) == b"abc" * 1000
    assert (struct.pack("!HH", ERROR, 5) + b"unknown transfer ID\0", STRANGER) in server.got


def test_a_server_that_refuses_to_negotiate_is_asked_plainly(get: Get) -> None:
    server = TftpServer(b"abc" * 1000, refuses=True)

    assert get(server) == b"abc" * 1000
    assert len(server.requests) == 2


@pytest.mark.parametrize(("code", "kind"), [(1, NotFoundError), (2, FetchError)])
def test_what_the_server_refuses_is_not_tried_again(code: int, kind: type[Exception], get: Get, machine: Bench) -> None:
    server = TftpServer(b"")
    server.failure = struct.pack("!HH", ERROR, code) + b"no such thing\0"

    with pytest.raises(kind, match="no such thing"):
        get(server)

    assert machine.clock.slept == []


def test_a_network_that_is_not_up_is_waited_for(get: Get, machine: Bench) -> None:
    server = TftpServer(b"x")
    server.faults = [OSError(101, "Network is unreachable")] * 3

    assert get(server) == b"x"
    assert machine.clock.slept == [0.2, 0.4, 0.8]


def test_a_server_that_does_not_answer_is_given_up_in_time(get: Get) -> None:
    server = TftpServer(b"x")
    server.lose = set(range(1000))

    with pytest.raises(NetworkError, match="unable to fetch resource in time"):
        get(server)


def test_files_are_decompressed_and_verified(get: Get) -> None:
    digest = "9834876dcfb05cb167a5c24953eba58c4ac89b1adf57f28f2f9d09af107ee8f0"  # of aaa

    server = TftpServer(gzip.compress(b"aaa"))
    assert get(server, compression="gzip", verification={"hash": f"sha256-{digest}"}) == b"aaa"
