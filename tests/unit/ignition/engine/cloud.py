"""A cloud in this process: web servers whose connections are buffers, with the faults that real ones have."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, cast

from nestos.ignition.engine.machine import Connection, Datagrams
from tests.unit.ignition.engine.bench import FakeClock


@dataclass(frozen=True, kw_only=True)
class Page:
    """An answer. ``cut``: bytes of the body after which the connection ends.

    ``after_seconds``: until the server begins to answer; ``body_after_seconds``: from the head to the body.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    after_seconds: float = 0.0
    body_after_seconds: float = 0.0
    announced: bool = True


def page(body: bytes | str = b"", status: int = 200, **headers: str) -> Page:
    return Page(
        body=body.encode() if isinstance(body, str) else body,
        status=status,
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request that came. ``host``: where the connection went, not what the request said."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    host: str
    secured: tuple[str, ...]
    low_port: bool


class _Handler(BaseHTTPRequestHandler):
    """Answers one request from the pages of a cloud."""

    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _answer(self) -> None:
        wire: _Wire = self.server
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.command == "CONNECT":
            wire.tunnel_to = self.path
            self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            return
        scheme = "https" if wire.secured else "http"
        url = self.path if "://" in self.path else f"{scheme}://{self.headers['Host']}{self.path}"
        wire.cloud.asked.append(
            Asked(
                method=self.command,
                url=url,
                headers=dict(self.headers.items()),
                body=body,
                host=wire.host,
                secured=tuple(wire.secured),
                low_port=wire.low_port,
            )
        )
        answer = wire.cloud.answer(self.command, url)
        wire.after_seconds, wire.body_after_seconds = answer.after_seconds, answer.body_after_seconds
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.announced and "Content-Length" not in answer.headers and answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body[: answer.cut])

    do_GET = do_PUT = do_POST = do_HEAD = do_CONNECT = _answer  # noqa: N815


class _Wire:
    """A connection: what is sent is taken for a request, and answered, when the answer is first asked for."""

    def __init__(self, cloud: Cloud, host: str, *, low_port: bool) -> None:
        self.cloud = cloud
        self.host = host
        self.low_port = low_port
        self.secured: list[str] = []
        self.tunnel_to = ""
        self.after_seconds = self.body_after_seconds = 0.0
        self.closed = False
        self._timeout: float | None = None
        self._sent = b""
        self._received = b""

    def sendall(self, data: bytes, /) -> None:
        self._sent += data

    def makefile(self, *_: Any) -> io.BytesIO:
        return io.BytesIO(self._sent)

    def recv(self, size: int, /) -> bytes:
        if self._sent:
            answers = _Answers(self._sent)
            self._sent = b""
            _Handler(cast(Any, answers), (self.host, 0), cast(Any, self))
            self._received += answers.data
        if self.after_seconds:
            if self._timeout is not None and self.after_seconds > self._timeout:
                self.cloud.clock.sleep(self._timeout)
                raise TimeoutError("timed out")
            self.cloud.clock.sleep(self.after_seconds)
            self.after_seconds = 0.0
        if self.body_after_seconds:
            size = self._received.index(b"\r\n\r\n") + 4
            self.after_seconds, self.body_after_seconds = self.body_after_seconds, 0.0
        data, self._received = self._received[:size], self._received[size:]
        return data

    def settimeout(self, seconds: float | None, /) -> None:
        assert seconds is None or seconds > 0
        self._timeout = seconds

    def close(self) -> None:
        self.closed = True


class _Answers:
    """What ``_Handler`` takes for its socket."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.data = b""

    def makefile(self, *_: Any) -> io.BytesIO:
        return io.BytesIO(self._request)

    def sendall(self, data: bytes) -> None:
        self.data += bytes(data)


class Cloud:
    """All the servers there are. A URL without pages is not found; the last page of a URL stays.

    ``faults``: raised in turn by the first attempts to connect.
    """

    def __init__(
        self, clock: FakeClock, pages: Mapping[str, Page | Sequence[Page] | str | bytes] | None = None
    ) -> None:
        self.clock = clock
        self.asked: list[Asked] = []
        self.faults: list[OSError] = []
        self.silent: set[str] = set()
        self.contexts: list[tuple[int, int]] = []
        self.wires: list[_Wire] = []
        self._pages: dict[str, list[Page]] = {}
        for url, given in (pages or {}).items():
            self.put(url, given)

    def put(self, url: str, given: Page | Sequence[Page] | str | bytes) -> None:
        """Makes these the pages of ``url``, which may begin with a method."""
        pages = [page(given)] if isinstance(given, str | bytes) else [given] if isinstance(given, Page) else list(given)
        self._pages[url if " " in url else f"GET {url}"] = pages

    def answer(self, method: str, url: str) -> Page:
        pages = self._pages.get(f"{method} {url}", [Page(status=404)])
        return pages.pop(0) if len(pages) > 1 else pages[0]

    def connect(self, host: str, port: int, *, timeout_seconds: float | None, low_port: bool) -> Connection:
        if self.faults:
            raise self.faults.pop(0)
        if host in self.silent:
            assert timeout_seconds is not None
            self.clock.sleep(timeout_seconds)
            raise TimeoutError("timed out")
        return self._wire(f"{host}:{port}", low_port=low_port)

    def connect_context(self, context: int, port: int, *, low_port: bool) -> Connection:
        if self.faults:
            raise self.faults.pop(0)
        self.contexts.append((context, port))
        return self._wire(f"context {context}:{port}", low_port=low_port)

    def _wire(self, host: str, *, low_port: bool) -> Connection:
        self.wires.append(_Wire(self, host, low_port=low_port))
        return self.wires[-1]

    def secure(
        self, connection: Connection, *, host: str, bundles: Sequence[Path], authorities: Sequence[str]
    ) -> Connection:
        self.wires[-1].secured.append(" ".join((host, *authorities)))
        return connection

    def datagrams(self, host: str, port: int) -> tuple[Datagrams, Any]:
        raise AssertionError("no datagrams in this cloud")

    @property
    def urls(self) -> list[str]:
        """What was asked, in order, with the methods other than GET."""
        return [asked.url if asked.method == "GET" else f"{asked.method} {asked.url}" for asked in self.asked]
