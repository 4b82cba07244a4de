"""FleetLock over HTTP: the two questions, the holders, metrics.

- ``POST /v1/pre-reboot``, ``POST /v1/steady-state``: the protocol (``nestos.wire.fleetlock``).
- ``GET /v1/holders``: who holds and who waits, as JSON.
- ``GET /metrics``: Prometheus text. ``GET /healthz``: 200 while the database answers.

What an answer is made of is a function of a request, ``Service.answer``; sockets stand around it. TLS belongs to the
proxy in front.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from nestos.base.errors import InputError, NestosError, StateError
from nestos.locks.settings import Settings
from nestos.locks.store import Kind, Store
from nestos.wire import fleetlock
from nestos.wire.fleetlock import Api, Refusal

logger = logging.getLogger(__name__)

_JSON = "application/json"
_TEXT = "text/plain; version=0.0.4; charset=utf-8"
_STATUS: Mapping[str, int] = {Kind.UNKNOWN: 400, "invalid_client_identity": 400, "failed_database": 500}
_LOCKED = 423  # the original's server says 500, which is what proxies retry and alarms fire on
_SOCKET_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What goes back."""

    status: int
    body: bytes = b""
    content_type: str = _JSON
    headers: tuple[tuple[str, str], ...] = ()


class Service:
    """The server without its sockets. One for all threads."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._requests: Counter[str] = Counter()
        self._refusals: Counter[tuple[str, str]] = Counter()
        self._lock = threading.Lock()

    def answer(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to one request; ``headers`` with names in lower case."""
        path = path.partition("?")[0]
        api = next((item for item in Api if path == f"/{item.path}"), None)
        if api is not None:
            if method != "POST":
                return _refused(405, Refusal(kind="method_not_allowed", value="only POST"), (("Allow", "POST"),))
            return self._protocol(api, headers=headers, body=body)
        pages = {"/v1/holders": self._listing, "/metrics": self._metrics, "/healthz": self._health}
        if path not in pages:
            return _refused(404, Refusal(kind="does_not_exist", value=f"there is nothing at {path}"))
        if method not in ("GET", "HEAD"):
            return _refused(405, Refusal(kind="method_not_allowed", value="only GET"), (("Allow", "GET"),))
        try:
            return pages[path]()
        except StateError as error:
            return _refused(500, Refusal(kind=error.kind, value=str(error)))

    def _protocol(self, api: Api, *, headers: Mapping[str, str], body: bytes) -> Answer:
        with self._lock:
            self._requests[api] += 1
        try:
            if headers.get(fleetlock.HEADER, "").strip().lower() != fleetlock.HEADER_VALUE:
                raise InputError(f"the header {fleetlock.HEADER} is missing", kind="invalid_client_identity")
            client = fleetlock.parse_request(body)
            refusal = self._store.take(client) if api is Api.PRE_REBOOT else self._store.give_back(client)
        except NestosError as error:
            refusal = Refusal(kind=error.kind, value=str(error))
        if refusal is None:
            return Answer(status=200)
        with self._lock:
            self._refusals[api, refusal.kind] += 1
        retry = (("Retry-After", str(refusal.retry_after_seconds)),) if refusal.retry_after_seconds else ()
        return _refused(_STATUS.get(refusal.kind, _LOCKED), refusal, retry)

    def _listing(self) -> Answer:
        document = {
            "holders": [asdict(holder) | {"lost": holder.is_lost} for holder in self._store.holders()],
            "waiters": [asdict(waiter) for waiter in self._store.waiters()],
            "groups": {name: asdict(group) for name, group in self._settings.groups.items()},
        }
        return Answer(status=200, body=json.dumps(document, indent=2).encode() + b"\n")

    def _health(self) -> Answer:
        self._store.waiters()
        return Answer(status=200, body=b"ok\n", content_type="text/plain")

    def _metrics(self) -> Answer:
        holders, waiters = self._store.holders(), self._store.waiters()
        active = Counter(holder.group for holder in holders if not holder.is_lost)
        lost = Counter(holder.group for holder in holders if holder.is_lost)
        queued = Counter(waiter.group for waiter in waiters)
        groups = sorted({*self._settings.groups, *active, *lost, *queued})
        slots = {name: group.slots for name in groups if (group := self._settings.group(name))}
        with self._lock:
            requests, refusals = dict(self._requests), dict(self._refusals)
        lines = ["# TYPE airlock_config_groups gauge", f"airlock_config_groups {len(self._settings.groups)}"]
        for name, values in (
            ("airlock_config_semaphore_slots", slots),
            ("airlock_database_semaphore_slots", slots),
            ("airlock_database_semaphore_lock_holders", active),
            ("nestos_locks_lost_holders", lost),
            ("nestos_locks_waiters", queued),
        ):
            lines.append(f"# TYPE {name} gauge")
            lines += [f'{name}{{group="{group}"}} {values.get(group, 0)}' for group in groups]
        for api in Api:
            name = f"airlock_v1_{api.replace('-', '_')}_incoming_requests_total"
            lines += [f"# TYPE {name} counter", f"{name} {requests.get(api, 0)}"]
        lines.append("# TYPE nestos_locks_refusals_total counter")
        for (asked, kind), count in sorted(refusals.items()):
            lines.append(f'nestos_locks_refusals_total{{api="{asked}",kind="{kind}"}} {count}')
        return Answer(status=200, body=("\n".join(lines) + "\n").encode(), content_type=_TEXT)


def _refused(status: int, refusal: Refusal, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(status=status, body=fleetlock.render_refusal(refusal), headers=headers)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "nestos-locks"
    sys_version = ""
    timeout = _SOCKET_SECONDS
    service: Service

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if (
            not (length.isascii() and length.isdigit())
            or int(length) > fleetlock.MOST_BYTES
            or self.headers.get("Transfer-Encoding")
        ):
            self.close_connection = True
            self._send(_refused(413, Refusal(kind="too_large", value=f"at most {fleetlock.MOST_BYTES} bytes")))
            return
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.service.answer(self.command, self.path, headers=headers, body=body))

    do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = _serve  # noqa: N815 - names of the base class

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)

    def log_message(self, format: str, *arguments: object) -> None:
        logger.info(format, *arguments)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024  # a fleet whose window opens asks in one second; the base class has 5


def listening(service: Service, *, address: str, port: int) -> ThreadingHTTPServer:
    """A server that listens and serves when it is told to. Raises ``StateError`` when the address cannot be had."""
    handler = type("Handler", (_Handler,), {"service": service})
    try:
        return _Server((address, port), handler)
    except OSError as error:
        raise StateError(f"cannot listen on {address}:{port}: {error.strerror}") from error
