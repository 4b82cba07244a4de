"""``nestos serve``: the repository over HTTP, for nodes in the lab and for trying. Any web server does the same."""

from __future__ import annotations

import argparse
import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from nestos.base.errors import StateError
from nestos.compose.workspace import Workspace

DEFAULT_PORT = 8800
_EPILOG = """\
examples:
  nestos serve                     on 127.0.0.1, where a node of the lab sees it as http://10.0.2.2:8800/
  nestos serve --address=0.0.0.0   for other machines

A node follows it with a file in /etc/nestos/nestos.conf.d:  [update]  url = http://10.0.2.2:8800/
The files are signed; in production put the same folder behind any web server.
"""


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the sub-command."""
    parser = subparsers.add_parser(
        "serve",
        help="serve the repository over HTTP",
        description="Serve the repository over HTTP until Ctrl-C.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--address", default="127.0.0.1", help="default: 127.0.0.1")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"default: {DEFAULT_PORT}")
    parser.set_defaults(handler=handle)


def server(workspace: Workspace, *, address: str = "127.0.0.1", port: int = DEFAULT_PORT) -> ThreadingHTTPServer:
    """A server, listening, for the repository and, below ``/files/``, the folder ``files`` of the cache.

    Raises ``StateError`` when the address cannot be had.
    """
    handler = functools.partial(_Handler, repository=workspace.repository, files=workspace.folder("files"))
    try:
        return ThreadingHTTPServer((address, port), handler)
    except OSError as error:
        raise StateError(
            f"cannot listen on {address}:{port}: {error.strerror}", hint="is another nestos serve running?"
        ) from error


def handle(options: argparse.Namespace) -> int:
    """Serves until interrupted."""
    workspace = Workspace.default()
    if not (workspace.repository / "config").is_file():
        raise StateError("there is no repository yet", hint="make one with: nestos compose")
    with server(workspace, address=options.address, port=options.port) as serving:
        print(
            f"serving {workspace.repository} on http://{options.address}:{serving.server_port}/, Ctrl-C ends",
            flush=True,
        )
        serving.serve_forever()
    return 0


class _Handler(SimpleHTTPRequestHandler):
    """Static files from two folders."""

    def __init__(self, *arguments: Any, repository: Path, files: Path) -> None:
        self._files = files
        super().__init__(*arguments, directory=str(repository))

    def translate_path(self, path: str) -> str:
        """The file of a request's path; the base class has refused ``..`` when it looks below ``directory``."""
        if not path.startswith("/files/"):
            return super().translate_path(path)
        repository, self.directory = self.directory, str(self._files)
        try:
            return super().translate_path(path.removeprefix("/files"))
        finally:
            self.directory = repository

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: thousands of objects are asked for in one update."""
