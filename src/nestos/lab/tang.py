"""A tang server for guests, on loopback: tangd, started for each connection as its socket unit would do."""

from __future__ import annotations

import json
import socketserver
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from nestos.host.toolbox import Toolbox
from nestos.lab.webserver import GUEST_HOST

_TANGD = "/usr/libexec/tangd"
_KEYGEN = "/usr/libexec/tangd-keygen"


class TangServer:
    """A server with keys in ``folder``, made if there are none, reachable while its ``with`` block lasts.

    ``port`` 0 is a free one. A server that was closed and is started again on the same port and folder is the same.
    """

    def __init__(self, folder: Path, *, tools: Toolbox, port: int = 0) -> None:
        self.folder = folder
        self.tools = tools.with_binds(folder)
        self._server = _Server(("127.0.0.1", port), self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True)
        folder.mkdir(parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            self.tools([_KEYGEN, folder])

    @property
    def port(self) -> int:
        """The port on the host's loopback."""
        return int(self._server.server_address[1])

    @property
    def guest_url(self) -> str:
        """The address for guests."""
        return f"http://{GUEST_HOST}:{self.port}"

    @property
    def thumbprint(self) -> str:
        """What a config names the signing key by."""
        for path in sorted(self.folder.glob("*.jwk")):
            if "verify" in json.loads(path.read_text()).get("key_ops", []):
                return self.tools(["jose", "jwk", "thp", f"--input={path}", "--algorithm=S256"]).stdout.strip()
        raise LookupError(f"no signing key in {self.folder}")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], tang: TangServer) -> None:
        super().__init__(address, _Request)
        self.tang = tang


class _Request(socketserver.StreamRequestHandler):
    """One request and its answer; the guest's connection ends with it."""

    server: _Server

    def handle(self) -> None:
        request = self.rfile.readline()
        length = 0
        while (line := self.rfile.readline()) not in (b"\r\n", b""):
            request += line
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        request += b"\r\n" + self.rfile.read(length)
        done = self.server.tang.tools([_TANGD, self.server.tang.folder], stdin=request, timeout_seconds=60)
        self.wfile.write(done.stdout.encode())
