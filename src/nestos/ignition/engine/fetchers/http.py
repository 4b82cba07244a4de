"""Contents from a web server.

Loaded only when such a URL is met, because it brings TLS with it. Proxies come from the config, never from the
environment. Headers of the config go to the server it names and to no other: they are dropped on a redirect.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import urllib.error
import urllib.request
from email.message import Message
from typing import IO, cast
from urllib.parse import unquote, urlsplit

from nestos import __version__
from nestos.base.errors import NetworkError
from nestos.ignition.engine.fetchers.bypass import goes_direct
from nestos.ignition.engine.transport import FetchError, Sink, Transport, shown
from nestos.ignition.spec.model import Proxy
from nestos.ignition.spec.versions import NEWEST

FIRST_WAIT_SECONDS = 0.2
LONGEST_WAIT_SECONDS = 5.0
_CHUNK_BYTES = 1 << 16
_USER_AGENT = f"Ignition/{__version__}"
_ACCEPT = f"application/vnd.coreos.ignition+json;version={NEWEST.name}, */*;q=0.1"


class _TransientError(Exception):
    """An attempt failed in a way that may pass."""


def _default_headers() -> dict[str, str]:
    return {"User-agent": _USER_AGENT, "Accept": _ACCEPT, "Accept-encoding": "identity", "Connection": "close"}


def _request(url: str, headers: dict[str, str], proxy: Proxy) -> urllib.request.Request:
    """A request without the user and password of the URL in its first line, through the proxy that its host needs."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FetchError(f"not an HTTP URL: {shown(url)}")
    host = parts.netloc.rpartition("@")[2]
    bare = url.replace(f"//{parts.netloc}", f"//{host}", 1)
    request = urllib.request.Request(bare, headers=headers)
    if parts.username:
        request.add_unredirected_header("Authorization", _basic(parts.username, parts.password))
    through = proxy.get("httpsProxy", "") if parts.scheme == "https" else proxy.get("httpProxy", "")
    if through and not goes_direct(parts.hostname, parts.port, proxy.get("noProxy", []), scheme=parts.scheme):
        hop = urlsplit(through)
        if hop.username:
            request.add_unredirected_header("Proxy-authorization", _basic(hop.username, hop.password))
        request.set_proxy(hop.netloc.rpartition("@")[2], hop.scheme)
    return request


def _basic(user: str, password: str | None) -> str:
    return "Basic " + base64.b64encode(f"{unquote(user)}:{unquote(password or '')}".encode()).decode()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to HTTP and HTTPS only, without the headers of the config."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy

    # The signature is the standard library's.
    def redirect_request(  # noqa: PLR0917
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        followed = super().redirect_request(req, fp, code, msg, cast(http.client.HTTPMessage, headers), newurl)
        return None if followed is None else _request(followed.full_url, _default_headers(), self._proxy)


def _tls(transport: Transport) -> ssl.SSLContext:
    """What to trust: the system's authorities, and those of the config."""
    context = ssl.create_default_context()
    bundle = next((path for path in transport.machine.authority_bundles if path.exists()), None)
    if bundle is not None:
        context.load_verify_locations(cafile=str(bundle))
    for authority in transport.authorities:
        try:
            context.load_verify_locations(cadata=authority)
        except ssl.SSLError as error:
            raise FetchError(f"a certificate authority of the config cannot be read: {error}") from error
    return context


def _opener(transport: Transport) -> urllib.request.OpenerDirector:
    """An opener that knows HTTP and nothing else: no files, no FTP, no proxies from the environment."""
    opener = urllib.request.OpenerDirector()
    handlers: list[urllib.request.BaseHandler] = [
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        _Redirects(transport.proxy),
    ]
    real = transport.machine.web_handlers or (
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=_tls(transport)),
    )
    for handler in (*real, *handlers):
        opener.add_handler(handler)
    return opener


def fetch(url: str, *, sink: Sink, transport: Transport) -> None:
    """Writes what the server at ``url`` answers.

    Tries again after any network error and any answer of 500 and above, waiting 200 ms, doubled up to 5 s, until
    the transport's total time is over. Raises ``FetchError`` for other bad answers, ``NetworkError`` when the time
    is over.
    """
    headers = _default_headers() | {
        header["name"].capitalize(): header["value"] for header in sink.headers if "value" in header
    }
    clock = transport.machine.clock
    deadline = clock.monotonic() + transport.total_seconds if transport.total_seconds else None
    opener = _opener(transport)
    wait = FIRST_WAIT_SECONDS
    attempt = 1
    while True:
        transport.log.info(f"GET {shown(url)}: attempt #{attempt}")
        left = deadline - clock.monotonic() if deadline is not None else None
        timeout = _shortest(transport.header_seconds, left)
        try:
            _attempt(opener, _request(url, headers, transport.proxy), sink=sink, timeout_seconds=timeout)
        except _TransientError as error:
            transport.log.info(f"GET {shown(url)}: {error}")
            if deadline is not None and clock.monotonic() + wait >= deadline:
                text = f"{shown(url)} could not be fetched within {transport.total_seconds:g} s: {error}"
                raise NetworkError(text) from error
        else:
            return
        clock.sleep(wait)
        wait = min(wait * 2, LONGEST_WAIT_SECONDS)
        attempt += 1
        sink.restart()


def _shortest(header_seconds: float, left_seconds: float | None) -> float | None:
    """The time limit of one attempt; 0 seconds for headers are unlimited."""
    limits = [limit for limit in (header_seconds or None, left_seconds) if limit is not None]
    return max(min(limits), 0.001) if limits else None


def _attempt(
    opener: urllib.request.OpenerDirector,
    request: urllib.request.Request,
    *,
    sink: Sink,
    timeout_seconds: float | None,
) -> None:
    name = shown(request.full_url)
    try:
        with opener.open(request, timeout=timeout_seconds) as response:
            if response.status not in (200, 204):
                raise FetchError(f"{name}: unexpected answer {response.status} {response.reason}")
            _copy(response, sink)
    except urllib.error.HTTPError as error:
        with error:
            if error.code >= 500:
                raise _TransientError(f"answer {error.code} {error.reason}") from error
            if error.code == 404:
                raise FetchError(f"{name}: not found (404)") from error
            raise FetchError(f"{name}: answer {error.code} {error.reason}") from error
    except urllib.error.URLError as error:
        raise _TransientError(f"{error.reason}") from error
    except (OSError, http.client.HTTPException) as error:
        raise _TransientError(f"{error}") from error


def _copy(response: http.client.HTTPResponse, sink: Sink) -> None:
    """Writes the body. A body that ends before its announced length is a network error."""
    announced = response.headers.get("Content-Length", "")
    got = 0
    while chunk := response.read(_CHUNK_BYTES):
        got += len(chunk)
        sink.write(chunk)
    if announced.isdigit() and got < int(announced):
        raise http.client.IncompleteRead(b"", int(announced) - got)
