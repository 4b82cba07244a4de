"""HTTP/1.1 for small answers that are ready: requests without a body, keep-alive, pipelining, bounds on everything.

Not a web framework. A request is refused and its connection closed when it is larger than a page, carries a body, or is
not understood; a connection is closed when it is idle, and none is taken beyond a limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

HEAD_AT_MOST = 16 << 10
_REASONS = {
    200: "OK",
    304: "Not Modified",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request without a body."""

    method: str
    path: str
    query: str
    takes_gzip: bool


Handler = Callable[[Request], bytes]
"""From a request to a whole response, as ``response`` makes it. Must not block."""


def response(status: int, body: bytes, *, content_type: str = "application/json", more: str = "") -> bytes:
    """A whole response. ``more`` are further header lines, each with its end of line."""
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode("latin-1") + body


class Listener:
    """What all connections of one address share."""

    def __init__(self, handler: Handler, *, refuse: Callable[[int, str], bytes], most_connections: int = 8192) -> None:
        self.handler = handler
        self.refuse = refuse
        """From a status and a sentence to a response."""
        self.most_connections = most_connections
        self.connections: set[Connection] = set()

    def protocol(self) -> Connection:
        """For ``loop.create_server``."""
        return Connection(self)

    def close_idle(self, *, now: float, after_seconds: float, head_seconds: float = 15.0) -> int:
        """Closes connections that were silent for so long, or whose request takes too long to arrive; how many."""
        idle = [
            one
            for one in self.connections
            if now - one.last_seconds > after_seconds
            or (one.begun_seconds is not None and now - one.begun_seconds > head_seconds)
        ]
        for one in idle:
            one.abort()
        return len(idle)

    def close(self) -> None:
        """Ends every connection when what it waits for is sent."""
        for one in list(self.connections):
            one.close()


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._is_full = False
        self._loop = asyncio.get_running_loop()
        self.last_seconds = self._loop.time()
        self.begun_seconds: float | None = None
        """When the request began that is not here in whole; none: there is no such request."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client came."""
        self._transport = cast(asyncio.Transport, transport)
        if len(self._listener.connections) >= self._listener.most_connections:
            self._refuse(503, "too many connections")
            return
        self._listener.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        """A client went."""
        self._transport = None
        self._listener.connections.discard(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came: none, one or several requests."""
        self.last_seconds = self._loop.time()
        self._buffer = self._buffer + data if self._buffer else data
        self._answer_all()
        if not self._buffer or self._is_full:
            self.begun_seconds = None
        elif self.begun_seconds is None:
            self.begun_seconds = self.last_seconds

    def pause_writing(self) -> None:
        """The client does not read what it asked for: it is not listened to until it does."""
        self._is_full = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        """The client reads again."""
        self._is_full = False
        if self._transport is not None:
            self._transport.resume_reading()
            self._answer_all()

    def close(self) -> None:
        """Ends the connection behind what was written."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Ends the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _answer_all(self) -> None:
        while self._transport is not None and not self._is_full and not self._transport.is_closing():
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0 or end > HEAD_AT_MOST:
                if len(self._buffer) > HEAD_AT_MOST:
                    self._refuse(431, "the request is too large")
                return
            head, self._buffer = self._buffer[:end], self._buffer[end + 4 :]
            self.begun_seconds = None
            self._answer(head)

    def _answer(self, head: bytes) -> None:
        line, _, rest = head.partition(b"\r\n")
        fields = b"\r\n" + rest.lower()
        words = line.split(b" ")
        if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0") or not words[1].startswith(b"/"):
            self._refuse(400, "this is no request of HTTP/1.1")
            return
        if b"\r\ntransfer-encoding:" in fields or _has_body(fields):
            self._refuse(400, "a request with a body is not taken")
            return
        method = words[0].decode("latin-1")
        if method not in ("GET", "HEAD"):
            self._refuse(405, "only GET and HEAD are answered")
            return
        path, _, query = words[1].decode("latin-1").partition("?")
        made = self._listener.handler(Request(method=method, path=path, query=query, takes_gzip=_takes_gzip(fields)))
        if method == "HEAD":
            made = made[: made.index(b"\r\n\r\n") + 4]
        if self._transport is None:
            return
        self._transport.write(made)
        is_kept = _value(fields, b"connection") != b"close" and words[2] == b"HTTP/1.1"
        if not is_kept:
            self._transport.close()

    def _refuse(self, status: int, sentence: str) -> None:
        if self._transport is not None:
            self._transport.write(self._listener.refuse(status, sentence))
            self._transport.close()


def _value(fields: bytes, name: bytes) -> bytes:
    """The value of a field, in small letters; empty if it is not there."""
    start = fields.find(b"\r\n" + name + b":")
    if start < 0:
        return b""
    end = fields.find(b"\r\n", start + 2)
    return fields[start + len(name) + 3 : end if end >= 0 else None].strip()


def _has_body(fields: bytes) -> bool:
    return _value(fields, b"content-length") not in (b"", b"0")


def _takes_gzip(fields: bytes) -> bool:
    accepted = _value(fields, b"accept-encoding")
    if b"gzip" not in accepted:
        return False
    for offer in accepted.split(b","):
        coding, _, quality = offer.replace(b" ", b"").partition(b";")
        if coding == b"gzip":
            return quality not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False
