"""HTTP/1.1 for small answers: keep-alive, pipelining, bounds on everything.

Not a web framework. A request is refused and its connection closed when it is larger than a page, carries a body where
none is taken, or is not understood; a connection is closed when it is idle, and none is taken beyond a limit. An answer
is ready at once, or is made elsewhere while other connections go on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

logger = logging.getLogger(__name__)

HEAD_AT_MOST = 16 << 10
_AHEAD_AT_MOST = 64 << 10
"""Of what a client sends behind a request that is being answered."""
_REASONS = {
    200: "OK",
    303: "See Other",
    304: "Not Modified",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Content Too Large",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(frozen=True, slots=True)
class Request:
    """A request."""

    method: str
    path: str
    query: str
    takes_gzip: bool
    body: bytes = b""
    head: bytes = b""
    """All header lines as they came."""

    def field(self, name: str) -> str:
        """The value of a header field; empty if it is not there. ``name`` in small letters."""
        for line in self.head.split(b"\r\n"):
            key, separator, value = line.partition(b":")
            if separator and key.strip().lower() == name.encode():
                return value.strip().decode("latin-1")
        return ""


Handler = Callable[[Request], bytes | Awaitable[bytes]]
"""From a request to a whole response, as ``response`` makes it. Must not block; what would, is awaited."""


def no_body(path: str) -> int:  # noqa: ARG001 - one of the shape that a Listener asks
    """For addresses where nothing is posted."""
    return 0


def response(status: int, body: bytes, *, content_type: str = "application/json", more: str = "") -> bytes:
    """A whole response. ``more`` are further header lines, each with its end of line."""
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n{more}\r\n"
    )
    return head.encode("latin-1") + body


class Listener:
    """What all connections of one address share."""

    def __init__(
        self,
        handler: Handler,
        *,
        refuse: Callable[[int, str], bytes],
        most_connections: int = 8192,
        most_body: Callable[[str], int] = no_body,
    ) -> None:
        self.handler = handler
        self.most_body = most_body
        """From a path to the bytes that may be posted to it; 0: it takes no POST."""
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
        self._answering: asyncio.Task[None] | None = None
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
        if self._answering is not None and len(self._buffer) > _AHEAD_AT_MOST:
            self.abort()
        self._answer_all()
        if not self._buffer or self._is_full or self._answering is not None:
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
        while (
            self._transport is not None
            and not self._is_full
            and self._answering is None
            and not self._transport.is_closing()
        ):
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0 or end > HEAD_AT_MOST:
                if len(self._buffer) > HEAD_AT_MOST:
                    self._refuse(431, "the request is too large")
                return
            head = self._buffer[:end]
            line, _, rest = head.partition(b"\r\n")
            words, fields = line.split(b" "), b"\r\n" + rest.lower()
            length = self._length(words, fields)
            if length is None or len(self._buffer) < end + 4 + length:
                return
            body, self._buffer = self._buffer[end + 4 : end + 4 + length], self._buffer[end + 4 + length :]
            self.begun_seconds = None
            self._answer(words, fields, head=rest, body=body)

    def _length(self, words: list[bytes], fields: bytes) -> int | None:
        """Of the body; None where the request was refused."""
        if len(words) != 3 or words[2] not in (b"HTTP/1.1", b"HTTP/1.0") or not words[1].startswith(b"/"):
            self._refuse(400, "this is no request of HTTP/1.1")
            return None
        if b"\r\ntransfer-encoding:" in fields:
            self._refuse(400, "a body of unknown length is not taken")
            return None
        said = _value(fields, b"content-length")
        if words[0] in (b"GET", b"HEAD"):
            if said not in (b"", b"0"):
                self._refuse(400, "a request with a body is not taken")
                return None
            return 0
        most = self._listener.most_body(words[1].partition(b"?")[0].decode("latin-1")) if words[0] == b"POST" else 0
        if not most:
            self._refuse(405, "only GET and HEAD are answered")
            return None
        if fields.count(b"\r\ncontent-length:") != 1 or not said.isdigit() or len(said) > 10 or int(said) > most:
            self._refuse(413, f"a body of a known length of at most {most} bytes is taken")
            return None
        return int(said)

    def _answer(self, words: list[bytes], fields: bytes, *, head: bytes, body: bytes) -> None:
        method = words[0].decode("latin-1")
        path, _, query = words[1].decode("latin-1").partition("?")
        request = Request(method=method, path=path, query=query, takes_gzip=_takes_gzip(fields), body=body, head=head)
        is_kept = _value(fields, b"connection") != b"close" and words[2] == b"HTTP/1.1"
        made = self._listener.handler(request)
        if isinstance(made, bytes):
            self._send(made, is_head=method == "HEAD", is_kept=is_kept)
        else:
            self._answering = self._loop.create_task(
                self._answer_later(made, is_head=method == "HEAD", is_kept=is_kept)
            )

    async def _answer_later(self, made: Awaitable[bytes], *, is_head: bool, is_kept: bool) -> None:
        try:
            answer = await made
        except Exception:  # a request's rim: whoever asked is told, others go on
            logger.exception("a request could not be answered")
            answer, is_kept = self._listener.refuse(500, "this could not be answered; see the server's log"), False
        self._answering = None
        self.last_seconds = self._loop.time()
        self._send(answer, is_head=is_head, is_kept=is_kept)
        self._answer_all()

    def _send(self, answer: bytes, *, is_head: bool, is_kept: bool) -> None:
        if self._transport is None:
            return
        self._transport.write(answer[: answer.index(b"\r\n\r\n") + 4] if is_head else answer)
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


def _takes_gzip(fields: bytes) -> bool:
    accepted = _value(fields, b"accept-encoding")
    if b"gzip" not in accepted:
        return False
    for offer in accepted.split(b","):
        coding, _, quality = offer.replace(b" ", b"").partition(b";")
        if coding == b"gzip":
            return quality not in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000")
    return False
