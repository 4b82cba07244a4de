"""A small web server for guests, with faults on demand.

It serves a folder on loopback; a guest behind QEMU's user networking reaches it at ``http://10.0.2.2:PORT/``. It counts
the bytes of every answer's body by path, and can truncate, break off, refuse, slow down or hang an answer. Byte
ranges are not served. Not for anything but tests: it trusts whoever reaches it.
"""

from __future__ import annotations

import fnmatch
import io
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self
from urllib.parse import unquote, urlsplit

from nestos.base.errors import InputError
from nestos.base.paths import Root

GUEST_HOST = "10.0.2.2"
"""The host's loopback, as a guest of QEMU's user networking sees it."""

_CHUNK_BYTES = 64 * 1024


class FaultKind(StrEnum):
    """What goes wrong."""

    TRUNCATE = "truncate"
    """The answer is whole by its header and holds only ``after_bytes`` of the file: a damaged object."""

    BREAK_OFF = "break-off"
    """The header promises the whole file, the connection ends after ``after_bytes``."""

    STATUS = "status"
    """An answer of ``status`` instead of the file."""

    SLOW = "slow"
    """``bytes_per_second``, in small pieces."""

    HANG = "hang"
    """No more bytes after ``after_bytes``, with the connection open, until the server closes."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault for every path that matches the pattern ``path`` (shell style), ``times`` times; none: always."""

    kind: FaultKind
    path: str = "*"
    after_bytes: int = 0
    status: int = HTTPStatus.SERVICE_UNAVAILABLE
    bytes_per_second: int = 64 * 1024
    times: int | None = None


@dataclass
class Traffic:
    """What was asked for and what was sent, by path as asked for."""

    requests: Counter[str] = field(default_factory=Counter)
    body_bytes: Counter[str] = field(default_factory=Counter)

    @property
    def total_bytes(self) -> int:
        """All bytes of all bodies."""
        return self.body_bytes.total()


class Site:
    """What is served: ``folder``, and ``documents`` (path to content) before it; the faults; the counts."""

    def __init__(self, folder: Path, *, documents: Mapping[str, bytes] | None = None) -> None:
        self.root = Root(folder)
        self.documents = dict(documents or {})
        self.closing = threading.Event()
        self._traffic = Traffic()
        self._faults: list[tuple[Fault, list[int]]] = []
        self._lock = threading.Lock()

    def inject(self, fault: Fault) -> None:
        """Adds a fault. The first one added that matches a path and is not used up is the one that happens."""
        with self._lock:
            self._faults.append((fault, [0]))

    def heal(self) -> None:
        """Removes all faults."""
        with self._lock:
            self._faults.clear()

    def traffic(self) -> Traffic:
        """A copy of the counts so far."""
        with self._lock:
            return Traffic(Counter(self._traffic.requests), Counter(self._traffic.body_bytes))

    def forget_traffic(self) -> None:
        """Starts counting anew."""
        with self._lock:
            self._traffic = Traffic()

    def fault_for(self, path: str) -> Fault | None:
        """Counts a request and returns the fault that happens to it, which it uses up by one."""
        with self._lock:
            self._traffic.requests[path] += 1
            for fault, used in self._faults:
                if fnmatch.fnmatchcase(path, fault.path) and (fault.times is None or used[0] < fault.times):
                    used[0] += 1
                    return fault
        return None

    def sent(self, path: str, *, length: int) -> None:
        """Counts bytes of a body."""
        with self._lock:
            self._traffic.body_bytes[path] += length


class WebServer(Site):
    """A site that is reachable, on loopback, while its ``with`` block lasts. Port 0: a free one."""

    def __init__(self, folder: Path, *, documents: Mapping[str, bytes] | None = None, port: int = 0) -> None:
        super().__init__(folder, documents=documents)
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)

    @property
    def port(self) -> int:
        """The port on the host's loopback."""
        return int(self._server.server_address[1])

    @property
    def guest_url(self) -> str:
        """The address for guests, without a slash at the end."""
        return f"http://{GUEST_HOST}:{self.port}"

    @property
    def url(self) -> str:
        """The address on the host, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: tuple[str, int], site: Site) -> None:
        self.site = site
        super().__init__(address, _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A guest that hangs up, or is cut off, is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def log_message(self, format: str, *arguments: object) -> None:
        """Requests are counted, not printed."""

    def _answer(self, *, with_body: bool) -> None:
        site = self.server.site
        path = unquote(urlsplit(self.path).path)
        fault = site.fault_for(path)
        if fault is not None and fault.kind is FaultKind.STATUS:
            self._refuse(fault.status)
            return
        content = self._content(path)
        if content is None:
            self._refuse(HTTPStatus.NOT_FOUND)
            return
        body, length = content
        with body:
            if fault is not None and fault.kind is FaultKind.TRUNCATE:
                length = min(length, fault.after_bytes)
            self.send_response(HTTPStatus.OK)
            self.send_header("Content-Length", str(length))
            self.send_header("Content-Type", "application/octet-stream")
            self.end_headers()
            if with_body:
                self._send(body, path, length=length, fault=fault)

    def _content(self, path: str) -> tuple[BinaryIO, int] | None:
        site = self.server.site
        if path in site.documents:
            data = site.documents[path]
            return io.BytesIO(data), len(data)
        try:
            file = site.root.join(path)
            return (file.open("rb"), file.stat().st_size) if file.is_file() else None
        except (OSError, InputError, ValueError):
            return None

    def _send(self, body: BinaryIO, path: str, *, length: int, fault: Fault | None) -> None:
        stop = length
        if fault is not None and fault.kind in (FaultKind.BREAK_OFF, FaultKind.HANG):
            stop = min(length, fault.after_bytes)
        slow = fault is not None and fault.kind is FaultKind.SLOW
        chunk = max(1, fault.bytes_per_second // 10) if slow and fault is not None else _CHUNK_BYTES
        done = 0
        while done < stop:
            data = body.read(min(chunk, stop - done))
            if not data:
                break
            self.wfile.write(data)
            done += len(data)
            self.server.site.sent(path, length=len(data))
            if slow and self.server.site.closing.wait(0.1):
                break
        if fault is not None and fault.kind is FaultKind.HANG:
            self.wfile.flush()
            self.server.site.closing.wait()
        if done < length:
            self.close_connection = True

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()
