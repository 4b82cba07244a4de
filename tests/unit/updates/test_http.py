"""Connections over a transport that only records: no socket is opened."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from nestos.updates.http import HEAD_AT_MOST, Connection, Listener, Request, response


class FakeTransport:
    """Remembers what was written and how it ended."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = self.is_aborted = self.is_reading_paused = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def is_closing(self) -> bool:
        return self.is_closed

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.is_closed = self.is_aborted = True

    def pause_reading(self) -> None:
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        self.is_reading_paused = False


def listener(*, most: int = 10) -> Listener:
    def handler(request: Request) -> bytes:
        text = f"{request.method} {request.path} {request.query} {request.takes_gzip}"
        return response(200, text.encode())

    def refuse(status: int, sentence: str) -> bytes:
        return response(status, sentence.encode())

    return Listener(handler, refuse=refuse, most_connections=most)


def connected(shared: Listener) -> tuple[Connection, FakeTransport]:
    connection, transport = shared.protocol(), FakeTransport()
    connection.connection_made(cast(asyncio.Transport, transport))
    return connection, transport


def talk(*pieces: bytes) -> FakeTransport:
    """What a client gets that sends these pieces."""

    async def conversation() -> FakeTransport:
        connection, transport = connected(listener())
        for piece in pieces:
            if not transport.is_closed:
                connection.data_received(piece)
        return transport

    return asyncio.run(conversation())


def within(act: Callable[[], None]) -> None:
    async def run() -> None:
        act()

    asyncio.run(run())


def bodies(transport: FakeTransport) -> list[bytes]:
    return [data.partition(b"\r\n\r\n")[2] for data in transport.written]


def test_a_request_is_answered_and_the_connection_kept() -> None:
    transport = talk(b"GET /v1/graph?stream=a HTTP/1.1\r\nHost: x\r\n\r\n")

    assert transport.written == [
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 28\r\n\r\nGET /v1/graph stream=a False"
    ]
    assert not transport.is_closed


def test_a_request_in_single_bytes_is_one_request() -> None:
    request = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"

    assert bodies(talk(*(bytes([byte]) for byte in request))) == [b"GET /a  False"]


def test_requests_sent_together_are_answered_in_their_order() -> None:
    transport = talk(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\nGET /c HT", b"TP/1.1\r\n\r\n")

    assert bodies(transport) == [b"GET /a  False", b"GET /b  False", b"GET /c  False"]


def test_head_has_the_length_and_no_body() -> None:
    (data,) = talk(b"HEAD /a HTTP/1.1\r\n\r\n").written

    assert data.endswith(b"Content-Length: 14\r\n\r\n")


@pytest.mark.parametrize("request_head", [b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", b"GET / HTTP/1.0\r\n\r\n"])
def test_a_connection_that_is_to_end_ends_behind_its_answer(request_head: bytes) -> None:
    transport = talk(request_head, b"GET /more HTTP/1.1\r\n\r\n")

    assert len(transport.written) == 1
    assert transport.is_closed


@pytest.mark.parametrize(
    ("field", "is_taken"),
    [
        (b"Accept-Encoding: gzip", True),
        (b"accept-encoding: deflate, gzip;q=0.5", True),
        (b"Accept-Encoding: gzip;q=0", False),
        (b"Accept-Encoding: br", False),
        (b"X-Accept-Encoding: gzip", False),
        (b"Accept: gzip", False),
    ],
)
def test_compression_is_used_where_it_is_asked_for(field: bytes, is_taken: bool) -> None:
    assert bodies(talk(b"GET / HTTP/1.1\r\n" + field + b"\r\n\r\n")) == [f"GET /  {is_taken}".encode()]


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        pytest.param(b"POST /v1/graph HTTP/1.1\r\n\r\n", 405, id="another method"),
        pytest.param(b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nGET /", 400, id="a body"),
        pytest.param(b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, id="a body in pieces"),
        pytest.param(b"GET http://a/ HTTP/1.1\r\n\r\n", 400, id="for a proxy"),
        pytest.param(b"GET /\r\n\r\n", 400, id="HTTP/0.9"),
        pytest.param(b"GET / a HTTP/1.1\r\n\r\n", 400, id="four words"),
        pytest.param(b"GET / HTTP/2.0\r\n\r\n", 400, id="a later version"),
        pytest.param(b"\x16\x03\x01\x02\x00\r\n\r\n", 400, id="TLS"),
        pytest.param(b"\r\n\r\n", 400, id="nothing"),
        pytest.param(b"GET /" + b"a" * HEAD_AT_MOST + b" HTTP/1.1\r\n\r\n", 431, id="too large"),
        pytest.param(b"a" * (HEAD_AT_MOST + 1), 431, id="no end"),
    ],
)
def test_what_is_not_understood_is_refused_and_the_connection_closed(request_head: bytes, status: int) -> None:
    transport = talk(request_head)

    assert transport.written[0].startswith(f"HTTP/1.1 {status} ".encode())
    assert len(transport.written) == 1
    assert transport.is_closed


def test_a_client_that_does_not_read_is_not_listened_to() -> None:
    def act() -> None:
        connection, transport = connected(listener())
        connection.pause_writing()
        connection.data_received(b"GET /a HTTP/1.1\r\n\r\n" * 3)
        assert (transport.is_reading_paused, len(transport.written)) == (True, 0)

        connection.resume_writing()
        assert (transport.is_reading_paused, len(transport.written)) == (False, 3)

    within(act)


def test_beyond_the_limit_connections_are_refused() -> None:
    def act() -> None:
        shared = listener(most=2)
        kept = [connected(shared) for _ in range(2)]
        _, refused = connected(shared)

        assert refused.written[0].startswith(b"HTTP/1.1 503 ")
        assert refused.is_closed
        kept[0][0].connection_lost(None)
        assert not connected(shared)[1].is_closed

    within(act)


def test_silent_connections_are_closed() -> None:
    def act() -> None:
        shared = listener()
        silent, busy = connected(shared), connected(shared)
        busy[0].last_seconds += 100

        assert shared.close_idle(now=silent[0].last_seconds + 90, after_seconds=75) == 1
        assert silent[1].is_aborted
        assert not busy[1].is_closed

    within(act)


def test_a_request_that_trickles_in_is_not_waited_for() -> None:
    """Each byte breaks the silence; the request as a whole has its own time."""

    def act() -> None:
        shared = listener()
        connection, transport = connected(shared)
        connection.data_received(b"GET /a HT")
        begun = connection.last_seconds
        connection.data_received(b"T")
        connection.last_seconds = begun + 14

        assert shared.close_idle(now=begun + 14, after_seconds=75) == 0
        assert shared.close_idle(now=begun + 16, after_seconds=75) == 1
        assert transport.is_aborted

    within(act)


def test_a_connection_between_requests_is_not_taken_for_one_that_trickles() -> None:
    def act() -> None:
        shared = listener()
        connection, _ = connected(shared)
        connection.data_received(b"GET /a HT")
        connection.data_received(b"TP/1.1\r\n\r\n")

        assert shared.close_idle(now=connection.last_seconds + 60, after_seconds=75) == 0

    within(act)


def test_each_request_has_its_own_time_on_a_connection_that_never_pauses() -> None:
    def act() -> None:
        shared = listener()
        connection, _ = connected(shared)
        connection.data_received(b"GET /a HT")
        begun = connection.last_seconds
        connection.begun_seconds = begun - 14
        connection.data_received(b"TP/1.1\r\n\r\nGET /b HT")

        assert shared.close_idle(now=begun + 10, after_seconds=75) == 0

    within(act)
