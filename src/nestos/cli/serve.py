"""``nestos serve``: the repository over HTTP, for nodes in the lab and for trying. Any web server does the same."""

from __future__ import annotations

import argparse
import functools
import http.server

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


def handle(options: argparse.Namespace) -> int:
    """Serves until interrupted."""
    repository = Workspace.default().repository
    if not (repository / "config").is_file():
        raise StateError("there is no repository yet", hint="make one with: nestos compose")
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(repository))
    try:
        server = http.server.ThreadingHTTPServer((options.address, options.port), handler)
    except OSError as error:
        raise StateError(f"cannot listen on {options.address}:{options.port}: {error.strerror}") from error
    with server:
        print(f"serving {repository} on http://{options.address}:{server.server_port}/, Ctrl-C ends", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0
