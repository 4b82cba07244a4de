"""Contents from a web server, and the questions that platforms ask their metadata services.

A client of its own, because a first boot loads it before anything else is there and the standard library's takes
several times as long to load as all of the engine. HTTP/1.1 (RFC 9112), one connection for each request.
Proxies come from the config, never from the environment. Headers of the config go to the server it names and to no
other: they are dropped on a redirect.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from nestos import __version__
from nestos.ignition.engine import parts
from nestos.ignition.engine.fetchers.address import Address, joined, take_apart
from nestos.ignition.engine.fetchers.stream import BrokenOffError, Head, Reader, TimedConnection
from nestos.ignition.engine.machine import Network
from nestos.ignition.engine.transport import (
    FetchError,
    NeedsNetworkError,
    NotFoundError,
    Sink,
    Transport,
    UnreachableError,
    shown,
)
from nestos.ignition.engine.waiting import Patience
from nestos.ignition.spec.versions import VERSIONS

_CONNECT_SECONDS = 30.0
_HANDSHAKE_SECONDS = 10.0
_STALL_SECONDS = 60.0
_MOST_REDIRECTS = 10
_REDIRECTS = (301, 302, 303, 307, 308)
_REDIRECTS_TO_GET = (301, 302, 303)
_SERVER_ERRORS = 500
_AZURE_BLOBS = ".blob.core.windows.net"

_STABLE = [version.name for version in VERSIONS if "-" not in version.name][-1]
_DEFAULT_HEADERS = {
    "User-Agent": f"Ignition/{__version__}",
    "Accept": f"application/vnd.coreos.ignition+json;version={_STABLE}, */*;q=0.1",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


class Body(Protocol):
    """Takes what a server answers; ``Sink`` is one."""

    def write(self, data: bytes, /) -> None:
        """Takes the next bytes."""

    def restart(self) -> None:
        """Forgets everything that was written."""


class Buffer:
    """Keeps what a server answers."""

    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes, /) -> None:
        self.data += data

    def restart(self) -> None:
        self.data.clear()


@dataclass(frozen=True, kw_only=True)
class Request:
    """What to ask of whom.

    ``headers``: on top of the engine's own. ``worth_retrying``: answers below 500 that may be better the next time.
    ``low_port``: from a port below 1024. ``attempts``: 0 is unlimited. ``connect_seconds``: for one attempt.
    ``context``: through the context of the hypervisor of this number, not over the network.
    """

    url: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    worth_retrying: frozenset[int] = frozenset()
    low_port: bool = False
    follows_redirects: bool = True
    attempts: int = 0
    connect_seconds: float = _CONNECT_SECONDS
    context: int | None = None


def fetch(url: str, *, sink: Sink, transport: Transport) -> None:
    """Writes what the server at ``url`` answers, as ``ask`` does it. Raises ``FetchError`` for all but 200 and 204."""
    if transport.platform == "azure" and take_apart(url).host.endswith(_AZURE_BLOBS):
        if parts.load(parts.AZURE_BLOB).fetch(url, sink=sink, transport=transport):
            return
        sink.restart()
    headers = {header["name"]: header["value"] for header in sink.headers}
    require_found(ask(Request(url=url, headers=headers), sink, transport=transport), url)


def get(request: Request, *, transport: Transport) -> bytes:
    """What the server answers to ``request``. Raises ``NotFoundError``, ``FetchError``, ``NetworkError``."""
    buffer = Buffer()
    require_found(ask(request, buffer, transport=transport), request.url)
    return bytes(buffer.data)


def require_found(head: Head, url: str) -> None:
    """Raises ``FetchError`` for an answer that is no success."""
    if head.status == 404:
        raise NotFoundError(f"resource not found: {shown(url)}: answer 404 {head.reason}")
    if head.status not in (200, 204):
        raise FetchError(f"failed to fetch resource: {shown(url)}: answer {head.status} {head.reason}")


def ask(request: Request, body: Body, *, transport: Transport) -> Head:
    """Sends ``request``; the head of the answer is returned, and what follows a good one is written to ``body``.

    Tries again after any network error (a network that is not up yet is one), any answer of 500 and above and those
    that the request names, waiting 200 ms, doubled up to 5 s, until the transport's total time is over. Raises
    ``NetworkError`` then, and ``NeedsNetworkError`` where there may be none.
    """
    name = shown(request.url)
    if transport.offline and request.context is None:
        raise NeedsNetworkError(f"resource requires networking: {name}")
    patience = Patience(name, clock=transport.machine.clock, log=transport.log, total_seconds=transport.total_seconds)
    attempt = 0
    while True:
        attempt += 1
        transport.log.info(f"{request.method} {name}: attempt #{attempt}")
        try:
            head = _followed(request, body, transport=transport, patience=patience)
        except OSError as error:
            problem = str(error.strerror or error) or type(error).__name__
            if request.attempts == attempt:
                raise UnreachableError(f"failed to fetch resource: {name}: {problem}") from error
        else:
            transport.log.info(f"{request.method} result: {head.reason or head.status}")
            if head.status < _SERVER_ERRORS and head.status not in request.worth_retrying:
                return head
            problem = f"answer {head.status} {head.reason}"
            if request.attempts == attempt:
                return head
        transport.log.info(f"{request.method} error: {problem}")
        patience.again(problem)
        body.restart()


def _followed(request: Request, body: Body, *, transport: Transport, patience: Patience) -> Head:
    """The answer to ``request`` at the end of all redirects. Raises ``OSError``."""
    for _ in range(_MOST_REDIRECTS + 1):
        head = _exchange(request, body, transport=transport, patience=patience)
        location = head.headers.get("location")
        if not request.follows_redirects or head.status not in _REDIRECTS or not location:
            return head
        method = request.method
        if head.status in _REDIRECTS_TO_GET and method != "HEAD":
            method = "GET"
        url = joined(take_apart(request.url), location)
        request = replace(request, url=url, method=method, headers={})
    raise FetchError(f"stopped after {_MOST_REDIRECTS} redirects: {shown(request.url)}")


def _exchange(request: Request, body: Body, *, transport: Transport, patience: Patience) -> Head:
    """One request and its answer."""
    address = take_apart(request.url)
    if address.scheme not in ("http", "https"):
        raise FetchError(f"unsupported source scheme: not an HTTP URL: {shown(request.url)}")
    proxy = _proxy_for(address, transport)
    connection = _connected(request, address, proxy, transport=transport, patience=patience)
    try:
        connection.allow(transport.header_seconds or None)
        through = proxy is not None and address.scheme == "http"
        connection.sendall(_message(request, address, proxy if through else None))
        reader = Reader(connection)
        head = reader.head()
        if head.status in (200, 204):
            connection.allow(_STALL_SECONDS)
            for data in reader.body(head, method=request.method):
                body.write(data)
                connection.allow(_STALL_SECONDS)
        return head
    finally:
        connection.close()


def _proxy_for(address: Address, transport: Transport) -> Address | None:
    """The proxy that the config wants for ``address``."""
    name = transport.proxy.get("httpsProxy" if address.scheme == "https" else "httpProxy", "")
    if not name:
        return None
    rules = transport.proxy.get("noProxy", [])
    if parts.load(parts.BYPASS).goes_direct(address.host, address.port, rules):
        return None
    return take_apart(str(name))


def _connected(
    request: Request, address: Address, proxy: Address | None, *, transport: Transport, patience: Patience
) -> TimedConnection:
    """A connection to ``address``, through ``proxy`` if there is one, secured if it has to be."""
    network: Network = transport.machine.network or parts.load(parts.NETWORK).SystemNetwork()
    hop = proxy or address
    limits = [seconds for seconds in (request.connect_seconds, patience.left_seconds) if seconds is not None]
    if request.context is not None:
        raw = network.connect_context(request.context, address.port, low_port=request.low_port)
    else:
        raw = network.connect(hop.host, hop.port, timeout_seconds=min(limits), low_port=request.low_port)
    timed = TimedConnection(raw, clock=transport.machine.clock, left_seconds=lambda: patience.left_seconds)
    try:
        timed.allow(_HANDSHAKE_SECONDS)
        if hop.scheme == "https":
            timed.secure(network, transport, host=hop.host)
        if proxy is not None and address.scheme == "https":
            _tunnel(timed, address, proxy)
            timed.secure(network, transport, host=address.host)
    except BaseException:
        timed.close()
        raise
    return timed


def _tunnel(connection: TimedConnection, address: Address, proxy: Address) -> None:
    """Has ``proxy`` pass on what follows to ``address``."""
    host = f"[{address.host}]" if ":" in address.host else address.host
    lines = [f"CONNECT {host}:{address.port} HTTP/1.1", f"Host: {host}:{address.port}", *_proxy_authorization(proxy)]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    head = Reader(connection, ahead=False).head()
    if head.status != 200:
        raise BrokenOffError(f"the proxy {proxy.authority} answered {head.status} {head.reason}")


def _basic(address: Address) -> str:
    return "Basic " + b2a_base64(f"{address.user}:{address.password}".encode(), newline=False).decode()


def _proxy_authorization(proxy: Address) -> list[str]:
    return [f"Proxy-Authorization: {_basic(proxy)}"] if proxy.user else []


def _message(request: Request, address: Address, proxy: Address | None) -> bytes:
    """The request as it is sent: to ``proxy``, which needs the whole URL, or else to the server itself."""
    headers = {"Host": address.authority, **_DEFAULT_HEADERS}
    if address.user:
        headers["Authorization"] = _basic(address)
    if request.body or request.method in ("PUT", "POST"):
        headers["Content-Length"] = str(len(request.body))
    for name, value in request.headers.items():
        headers["-".join(word.capitalize() for word in name.split("-"))] = value
    lines = [f"{request.method} {address.target if proxy is None else address.url} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if proxy is not None:
        lines += _proxy_authorization(proxy)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8") + request.body
