"""The servers of a fleet in the lab: releases with signed metadata, the update graph, reports, restart slots.

The answers are the product's own (``nestos.updates``, ``nestos.locks``, ``nestos.wire.report``); only the sockets are
the lab's, so that guests reach them on the host's loopback.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

from nestos.base.clock import SystemClock
from nestos.base.errors import NestosError
from nestos.lab.webserver import GUEST_HOST
from nestos.locks import server as lock_server
from nestos.locks import settings as lock_settings
from nestos.locks.store import Store
from nestos.updates import model, query, signing, source
from nestos.updates.answers import Answer
from nestos.updates.folder import Change, ReleaseFolder, Settings
from nestos.updates.graph import Query
from nestos.updates.keys import KeyFolder
from nestos.updates.model import Build, Stream
from nestos.wire import graph, report
from nestos.wire.graph import Refusal
from nestos.wire.report import Report

STREAM = "test"
_POLICY = signing.Policy()


class Releases:
    """A release folder, its graph and the reports of its nodes."""

    def __init__(self, path: Path) -> None:
        self.clock = SystemClock()
        self.keys = KeyFolder(path / "keys")
        self.folder = ReleaseFolder(path / "releases", clock=self.clock)
        self.reports: list[Report] = []
        self.refused: list[str] = []
        self._secrets: dict[str, str] = {}
        metadata = signing.start(self.keys, policy=_POLICY, now=datetime.now(UTC))
        self.root = metadata["1.root.json"].decode()
        change = Change(who="lab", action="init")
        self.folder.init(Settings(base_url="http://updates.test"), metadata=metadata, change=change)

    def offer(self, version: str, *, commit: str) -> None:
        """Publishes a release and hands it out to every node at once."""
        now = int(self.clock.now().timestamp())
        builds = {"x86_64": Build(commit=commit)}
        self._edit(lambda stream: model.create(stream, version, builds, now=now))
        self._edit(lambda stream: model.publish(stream, version, now=now))
        self._edit(lambda stream: model.rollout(stream, version, now=now, duration_minutes=0))

    def withdraw(self, version: str) -> None:
        """Takes an offer back."""
        self._edit(partial(model.withdraw, version=version, reason="it is bad"))

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, bytes]:
        """Status and body for a node."""
        parts = urlsplit(target)
        if (method, parts.path) == ("GET", "/v1/graph"):
            asked = query.parse(parts.query)
            found = asked if isinstance(asked, Answer) else self._graph(asked)
            return found.status, found.body.plain
        if (method, parts.path) == ("POST", f"/{report.PATH}"):
            return self._report(body)
        return 404, b""

    def _graph(self, asked: Query) -> Answer:
        answers = source.load(source.public_folder(self.folder.path))
        answers.advance(int(self.clock.now().timestamp()))
        return answers.of(asked)

    def _report(self, body: bytes) -> tuple[int, bytes]:
        try:
            envelope = report.parse(body)
            told = report.opened(envelope)
            if told.node not in self._secrets and not envelope.secret:
                return 401, graph.render_refusal(Refusal(kind=report.UNKNOWN_NODE, value="tell the secret"))
            report.verify(envelope, secret=self._secrets.setdefault(told.node, envelope.secret))
        except NestosError as error:
            self.refused.append(str(error))
            return 403, graph.render_refusal(Refusal(kind=error.kind, value=str(error)))
        self.reports.append(told)
        return 204, b""

    def _edit(self, edit: Callable[[Stream], Stream]) -> None:
        self.folder.change(Change(who="lab", action="edit"), seal=self._seal, name=STREAM, edit=edit)

    def _seal(self, published: Mapping[str, bytes], known: Mapping[str, bytes]) -> Mapping[str, bytes]:
        return signing.seal(published, known, keys=self.keys, policy=_POLICY, now=datetime.now(UTC))


@contextmanager
def serving(releases: Releases) -> Iterator[str]:
    """The address, for guests, at which ``releases`` answers."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(b"")

        def do_POST(self) -> None:
            self._answer(self.rfile.read(int(self.headers["Content-Length"])))

        def log_message(self, format: str, *arguments: object) -> None:
            """Reports are kept, not printed."""

        def _answer(self, body: bytes) -> None:
            status, content = releases.answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    with _running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as address:
        yield address


@contextmanager
def lending(folder: Path) -> Iterator[tuple[str, Store]]:
    """The address, for guests, of a lock server with one slot, and its store."""
    settings = lock_settings.Settings()
    store = Store(folder / "locks.sqlite", settings=settings, clock=SystemClock(), boot_id="lab")
    service = lock_server.Service(store, settings)
    with _running(lock_server.listening(service, address="127.0.0.1", port=0)) as address:
        yield address, store


@contextmanager
def _running(server: ThreadingHTTPServer) -> Iterator[str]:
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield f"http://{GUEST_HOST}:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
