"""One question to a web server, with an end: so many seconds altogether, so many bytes at most.

A small client of HTTP/1.1 (RFC 9112), one connection for each question. The standard library's has a time limit for
each step but none for the whole, so that a server that drips its answer holds it for ever; and it costs 3 MB.
"""

from __future__ import annotations

import importlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self
from urllib.parse import urljoin, urlsplit

from nestos import __version__
from nestos.base.clock import Clock
from nestos.base.errors import NetworkError

_TLS = "nestos.agent.tls"
_CHUNK_BYTES = 16 * 1024
_HEAD_BYTES = 64 * 1024
_MOST_REDIRECTS = 5
_REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True, kw_only=True)
class Question:
    """What to ask. ``total_seconds``: from the first step to the last byte. ``most_bytes``: of the answer's body."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    total_seconds: float = 60.0
    most_bytes: int = 2 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back. ``headers``: names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Any 2xx."""
        return 200 <= self.status < 300


class Asker(Protocol):
    """Who carries a question; ``Client`` below is the real one."""

    def __call__(self, question: Question, /) -> Answer:
        """The answer. Raises ``NetworkError``."""


class Stream(Protocol):
    """What is used of a connected socket."""

    def settimeout(self, value: float | None, /) -> None: ...
    def sendall(self, data: bytes, /) -> None: ...
    def recv(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


class Dialer(Protocol):
    """Who connects; tests hand in another than ``connect`` below."""

    def __call__(self, host: str, port: int, /, *, is_secure: bool, timeout_seconds: float) -> Stream: ...


def connect(host: str, port: int, /, *, is_secure: bool, timeout_seconds: float) -> Stream:
    """A connection, with TLS if ``is_secure``. Each of the host's addresses gets its share of the time, so that dead
    ones leave some for the next and all of them end in time. Raises ``OSError``."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    problem: OSError = OSError("the name has no address")
    for family, kind, protocol, _, address in found:
        plain = socket.socket(family, kind, protocol)
        try:
            plain.settimeout(timeout_seconds / len(found))
            plain.connect(address)
            break
        except OSError as error:
            plain.close()
            problem = error
    else:
        raise problem
    if not is_secure:
        return plain
    try:
        secured: Stream = importlib.import_module(_TLS).secured(plain, host=host)
        return secured
    except BaseException:
        plain.close()
        raise


class Client:
    """Asks over the network. Redirects are followed, but never from https to http."""

    def __init__(self, *, clock: Clock, dial: Dialer = connect) -> None:
        self._clock = clock
        self._dial = dial

    def __call__(self, question: Question, /) -> Answer:
        """The answer, of whatever status. Raises ``NetworkError`` where there is none in time."""
        end = self._clock.monotonic() + question.total_seconds
        url = question.url
        for _ in range(_MOST_REDIRECTS + 1):
            answer = self._once(question, url, end=end)
            location = answer.headers.get("location", "")
            if answer.status not in _REDIRECTS or not location or question.method != "GET":
                return answer
            try:
                target = urljoin(url, location)
            except ValueError as error:
                raise NetworkError(f"{url} leads to an address that is none: {error}") from error
            if url.startswith("https:") and not target.startswith("https:"):
                raise NetworkError(f"{url} leads to {target}, which is not secure")
            url = target
        raise NetworkError(f"{question.url} leads on more than {_MOST_REDIRECTS} times")

    def _once(self, question: Question, url: str, *, end: float) -> Answer:
        try:
            parts = urlsplit(url)
        except ValueError as error:
            raise NetworkError(f"{url} is no URL: {error}") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NetworkError(f"{url} is no http or https URL")
        is_secure = parts.scheme == "https"
        try:
            port = parts.port or (443 if is_secure else 80)
            left = _left(end, self._clock)
            stream = self._dial(parts.hostname, port, is_secure=is_secure, timeout_seconds=left)
            with _Exchange(stream, end=end, clock=self._clock) as exchange:
                host = parts.netloc.rpartition("@")[2]
                target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
                exchange.send(_message(question, host=host, target=target))
                return exchange.answer(most_bytes=question.most_bytes)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise NetworkError(f"{parts.scheme}://{parts.hostname}: {reason}") from error


def _message(question: Question, *, host: str, target: str) -> bytes:
    headers = {"Host": host, "User-Agent": f"nestos-agent/{__version__}", "Connection": "close", **question.headers}
    if question.body or question.method != "GET":
        headers["Content-Length"] = str(len(question.body))
    lines = [f"{question.method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + question.body


def _left(end: float, clock: Clock) -> float:
    left = end - clock.monotonic()
    if left <= 0:
        raise TimeoutError("no whole answer in time")
    return left


class _Exchange:
    """One request and its answer on a connection."""

    def __init__(self, stream: Stream, *, end: float, clock: Clock) -> None:
        self._stream = stream
        self._end = end
        self._clock = clock
        self._kept = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()

    def send(self, data: bytes) -> None:
        self._stream.settimeout(_left(self._end, self._clock))
        self._stream.sendall(data)

    def answer(self, *, most_bytes: int) -> Answer:
        status, headers = self._head()
        while status < 200:
            status, headers = self._head()
        if status in (204, 304):
            return Answer(status=status, headers=headers, body=b"")
        if "chunked" in headers.get("transfer-encoding", "").lower():
            body = self._chunked(most_bytes)
        elif length := headers.get("content-length", ""):
            if not length.isascii() or not length.isdigit() or int(length) > most_bytes:
                raise OSError(f"the answer is announced with {length[:20]} bytes, at most {most_bytes} are read")
            body = self._exactly(int(length))
        else:
            body = self._rest(most_bytes)
        return Answer(status=status, headers=headers, body=body)

    def _more(self) -> bool:
        self._stream.settimeout(_left(self._end, self._clock))
        data = self._stream.recv(_CHUNK_BYTES)
        self._kept += data
        return bool(data)

    def _line(self) -> str:
        while b"\n" not in self._kept:
            if len(self._kept) > _HEAD_BYTES:
                raise OSError("the answer is not one of a web server")
            if not self._more():
                raise OSError("the server broke off")
        line, _, self._kept = self._kept.partition(b"\n")
        return line.decode("latin-1").rstrip("\r")

    def _head(self) -> tuple[int, dict[str, str]]:
        version, _, rest = self._line().partition(" ")
        code = rest.partition(" ")[0]
        if not version.startswith("HTTP/1.") or not (code.isascii() and code.isdigit()):
            raise OSError("the answer is not one of a web server")
        headers: dict[str, str] = {}
        room = _HEAD_BYTES
        while line := self._line():
            room -= len(line)
            if room < 0:
                raise OSError("the head of the answer has no end")
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        return int(code), headers

    def _exactly(self, size: int) -> bytes:
        while len(self._kept) < size:
            if not self._more():
                raise OSError(f"the answer broke off after {len(self._kept)} of {size} bytes")
        data, self._kept = self._kept[:size], self._kept[size:]
        return data

    def _chunked(self, most_bytes: int) -> bytes:
        body = bytearray()
        while True:
            size = int(self._line().partition(";")[0].strip(), 16)
            if size < 0 or len(body) + size > most_bytes:
                raise OSError(f"the answer is longer than {most_bytes} bytes")
            if not size:
                while self._line():
                    pass
                return bytes(body)
            body += self._exactly(size)
            self._line()

    def _rest(self, most_bytes: int) -> bytes:
        while self._more():
            if len(self._kept) > most_bytes:
                raise OSError(f"the answer is longer than {most_bytes} bytes")
        return self._kept
