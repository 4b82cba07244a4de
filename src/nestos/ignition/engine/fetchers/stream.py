"""What comes over a connection: answers of web servers (RFC 9112), within the time that they are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nestos.base.clock import Clock
from nestos.ignition.engine.machine import Connection, Network
from nestos.ignition.engine.transport import Transport

_CHUNK_BYTES = 1 << 16
_LONGEST_HEAD_BYTES = 1 << 20
_WITHOUT_BODY = (204, 304)


class BrokenOffError(OSError):
    """The other side ended too early, or does not speak HTTP."""


@dataclass(frozen=True, kw_only=True)
class Head:
    """The head of an answer. ``headers``: names in lower case."""

    status: int
    reason: str
    headers: dict[str, str]


class TimedConnection:
    """A connection on which everything has to happen before a moment that ``allow`` sets."""

    def __init__(self, connection: Connection, *, clock: Clock, left_seconds: Callable[[], float | None]) -> None:
        self._raw = self._top = connection
        self._clock = clock
        self._left = left_seconds
        self._end: float | None = None

    def allow(self, seconds: float | None) -> None:
        """From now on there are that many seconds, but never more than are left altogether; none is unlimited."""
        limits = [limit for limit in (seconds, self._left()) if limit is not None]
        self._end = self._clock.monotonic() + min(limits) if limits else None

    def secure(self, network: Network, transport: Transport, *, host: str) -> None:
        """Continues with TLS to ``host``."""
        bundles = transport.machine.authority_bundles
        # What is secured may itself be secured: TLS to a server within TLS to a proxy.
        below = _Limited(self._top, self._limit)
        self._top = network.secure(below, host=host, bundles=bundles, authorities=transport.authorities)

    def _limit(self) -> None:
        if self._end is None:
            self._raw.settimeout(None)
            return
        left = self._end - self._clock.monotonic()
        if left <= 0:
            raise TimeoutError("no answer in time")
        self._raw.settimeout(left)

    def sendall(self, data: bytes, /) -> None:
        self._limit()
        self._top.sendall(data)

    def recv(self, size: int, /) -> bytes:
        self._limit()
        return self._top.recv(size)

    def close(self) -> None:
        self._top.close()


class _Limited:
    """A connection that asks for its time limit before each step."""

    def __init__(self, connection: Connection, limit: Callable[[], None]) -> None:
        self._connection = connection
        self._limit = limit

    def sendall(self, data: bytes, /) -> None:
        self._limit()
        self._connection.sendall(data)

    def recv(self, size: int, /) -> bytes:
        self._limit()
        return self._connection.recv(size)

    def settimeout(self, seconds: float | None, /) -> None:
        self._connection.settimeout(seconds)

    def close(self) -> None:
        self._connection.close()


class Reader:
    """Reads answers. ``ahead``: whether it may read more than it was asked for yet."""

    def __init__(self, connection: TimedConnection, *, ahead: bool = True) -> None:
        self._connection = connection
        self._size = _CHUNK_BYTES if ahead else 1
        self._kept = b""

    def _more(self) -> bool:
        data = self._connection.recv(self._size)
        self._kept += data
        return bool(data)

    def _line(self, room: int = _LONGEST_HEAD_BYTES) -> str:
        while b"\n" not in self._kept:
            if len(self._kept) > room:
                raise BrokenOffError("the answer begins with more than a head may hold")
            if not self._more():
                raise BrokenOffError("the server ended the connection before the end of its answer")
        line, _, self._kept = self._kept.partition(b"\n")
        return line.decode("latin-1").rstrip("\r")

    def head(self) -> Head:
        """The next head that is not merely a promise of one. Raises ``OSError``."""
        while True:
            version, _, rest = self._line().partition(" ")
            code, _, reason = rest.partition(" ")
            if not version.startswith("HTTP/1.") or not code.isdigit():
                raise BrokenOffError("the answer is not one of a web server")
            headers: dict[str, str] = {}
            room = _LONGEST_HEAD_BYTES
            while line := self._line():
                room -= len(line)
                if room < 0:
                    raise BrokenOffError("the answer has a head without an end")
                name, _, value = line.partition(":")
                headers[name.strip().lower()] = value.strip()
            if int(code) >= 200:
                return Head(status=int(code), reason=reason.strip(), headers=headers)

    def body(self, head: Head, *, method: str) -> Iterator[bytes]:
        """The body that belongs to ``head``. Raises ``OSError`` where it ends too early."""
        if method == "HEAD" or head.status in _WITHOUT_BODY:
            return
        if "chunked" in head.headers.get("transfer-encoding", "").lower():
            yield from self._chunks()
            return
        announced = head.headers.get("content-length", "")
        if announced.isdigit():
            yield from self._exactly(int(announced))
            return
        if announced:
            raise BrokenOffError(f"the length of the answer cannot be read: {announced}")
        while self._kept or self._more():
            data, self._kept = self._kept, b""
            yield data

    def _exactly(self, size: int) -> Iterator[bytes]:
        left = size
        while left:
            if not self._kept and not self._more():
                raise BrokenOffError(f"the answer broke off after {size - left} of {size} bytes")
            data, self._kept = self._kept[:left], self._kept[left:]
            left -= len(data)
            yield data

    def _chunks(self) -> Iterator[bytes]:
        while True:
            text = self._line().partition(";")[0].strip()
            try:
                size = int(text, 16)
            except ValueError as error:
                raise BrokenOffError("the answer has a chunk without a size") from error
            if not size:
                while self._line():
                    pass
                return
            yield from self._exactly(size)
            self._line()
