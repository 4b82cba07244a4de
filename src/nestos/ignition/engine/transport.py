"""Fetching a resource: the right fetcher for its scheme, then decompression and verification on the way to a file."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import IO, TYPE_CHECKING, Any

from nestos.base.errors import NestosError, VerificationError
from nestos.ignition.engine import parts
from nestos.ignition.engine.log import Log
from nestos.ignition.engine.machine import Machine
from nestos.ignition.spec.urls import scheme_of

if TYPE_CHECKING:
    from nestos.ignition.engine.job import Job
    from nestos.ignition.spec.model import Config, Header, Proxy, Resource

_LOCAL_SCHEMES = ("data", "file", "")
_GZIP = 16 + zlib.MAX_WBITS
_RESPONSE_HEADERS_SECONDS = 10.0


class NeedsNetworkError(NestosError):
    """Something can only be fetched over a network, and this run must do without one."""

    kind = "needs-network"


class FetchError(NestosError):
    """A resource cannot be fetched."""

    kind = "fetch"


class NotFoundError(FetchError):
    """Whoever should have a resource says that there is none."""


class UnreachableError(FetchError):
    """Nobody answered as often as was tried."""

    kind = "unreachable"


def _no_proxy() -> Proxy:
    return {}


@dataclass(frozen=True, kw_only=True)
class Transport:
    """How fetchers reach the world.

    ``offline``: they must not. ``platform``: whose identity a machine may use, as for a cloud's storage; none is
    anonymous. ``total_seconds``: for one resource with all its attempts, 0 is unlimited. ``header_seconds``: until a
    server begins to answer, 0 is unlimited. ``authorities``: certificates in PEM, trusted besides the system's.
    ``fetched_authorities``: those fetched so far, by their source.
    """

    machine: Machine
    log: Log
    offline: bool = False
    platform: str = ""
    total_seconds: float = 0.0
    header_seconds: float = _RESPONSE_HEADERS_SECONDS
    proxy: Proxy = field(default_factory=_no_proxy)
    authorities: tuple[str, ...] = ()
    fetched_authorities: dict[str, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, job: Job, *, offline: bool = False, total_seconds: float = 0.0) -> Transport:
        """The transport of a job, before any config says otherwise."""
        return cls(
            machine=job.machine,
            log=job.log,
            platform=job.settings.platform,
            offline=offline,
            total_seconds=total_seconds,
        )

    def configured(self, config: Config) -> Transport:
        """This transport with the timeouts, proxy and authorities of ``config``; fetches the authorities.

        A config without authorities leaves those trusted that were trusted before.
        """
        ignition = config["ignition"]
        timeouts = ignition.get("timeouts", {})
        listed = ignition.get("security", {}).get("tls", {}).get("certificateAuthorities", [])
        changed = replace(
            self,
            total_seconds=float(timeouts.get("httpTotal", 0)),
            header_seconds=float(timeouts.get("httpResponseHeaders", _RESPONSE_HEADERS_SECONDS)),
            proxy=ignition.get("proxy", {}),
        )
        fetched = tuple(
            changed.authority(entry, at=index).decode("ascii", "replace") for index, entry in enumerate(listed)
        )
        return replace(changed, authorities=fetched) if fetched else changed

    def require_reach(self, url: str) -> None:
        """Raises ``NeedsNetworkError`` if ``url`` is out of reach for being offline."""
        if self.offline and needs_network(url):
            raise NeedsNetworkError(f"resource requires networking: {shown(url)}")

    def authority(self, entry: Resource, *, at: int) -> bytes:
        """The certificate authority, or several, at this place of the config's list; each source is fetched once.

        Raises ``FetchError`` for anything else.
        """
        source = entry.get("source", "")
        if source not in self.fetched_authorities:
            with named(f"$.ignition.security.tls.certificateAuthorities.{at}.source"):
                data = fetch_bytes(entry, transport=self)
                parts.load(parts.TLS).require_certificates(data.decode("ascii", "replace"), source=shown(source))
            self.fetched_authorities[source] = data
        return self.fetched_authorities[source]


class Sink:
    """Takes the bytes of a resource as they come, decompresses them and hashes what is left, into a file.

    A fetcher that has to begin again calls ``restart``; the one who fetches calls ``finish`` at the end.
    """

    def __init__(self, file: IO[bytes], resource: Resource) -> None:
        self._file = file
        self._start = file.tell()
        self._gzip = resource.get("compression") == "gzip"
        self._wanted = resource.get("verification", {}).get("hash")
        self.headers: list[Header] = resource.get("httpHeaders", [])
        self.restart()

    @property
    def decompresses(self) -> bool:
        """Whether what is written is compressed."""
        return self._gzip

    def restart(self) -> None:
        """Forgets everything that was written."""
        self._file.seek(self._start)
        self._file.truncate()
        self._decompressor = zlib.decompressobj(_GZIP) if self._gzip else None
        self._fed = False
        self._digest: Any = parts.load(parts.DIGEST).start(self._wanted) if self._wanted is not None else None

    def write(self, data: bytes) -> None:
        """Takes the next bytes. Raises ``FetchError`` if they cannot be decompressed."""
        if self._decompressor is None:
            self._keep(data)
            return
        while data:
            if self._decompressor.eof:  # a gzip file may be several, one behind the other
                self._decompressor = zlib.decompressobj(_GZIP)
            self._fed = True
            try:
                self._keep(self._decompressor.decompress(data))
            except zlib.error as error:
                raise FetchError(f"the contents are not valid gzip data: {error}") from error
            data = self._decompressor.unused_data

    def _keep(self, data: bytes) -> None:
        self._file.write(data)
        if self._digest is not None:
            self._digest.update(data)

    def finish(self) -> None:
        """Checks that all is there. Raises ``FetchError`` or ``VerificationError``."""
        if self._decompressor is not None and not (self._fed and self._decompressor.eof):
            raise FetchError("the contents are not valid gzip data: they end too early")
        if self._digest is None or self._wanted is None:
            return
        function, _, wanted = self._wanted.partition("-")
        got = self._digest.hexdigest()
        if got != wanted.lower():
            raise VerificationError(f"hash verification failed: got {function}-{got}, expected {self._wanted}")


def shown(url: str) -> str:
    """``url`` without what may be secret: user, password, query and contents."""
    scheme, colon, rest = url.partition(":")
    if scheme.lower() == "data":
        return "data:..."
    rest = rest.partition("?")[0].partition("#")[0]
    authority, slash, path = rest.removeprefix("//").partition("/")
    slashes = "//" if rest.startswith("//") else ""
    return f"{scheme}{colon}{slashes}{authority.rpartition('@')[2]}{slash}{path}"


def needs_network(url: str) -> bool:
    """True if ``url`` can only be fetched over a network."""
    return scheme_of(url) not in _LOCAL_SCHEMES


@contextmanager
def named(key: str) -> Iterator[None]:
    """Errors of the block begin with ``key``, the place in the config that they are about."""
    try:
        yield
    except NestosError as error:
        error.args = (f"{key}: {error}",)
        raise


def fetch(resource: Resource, file: IO[bytes], *, transport: Transport) -> None:
    """Writes what ``resource`` stands for to ``file``, from its position on, verified; an empty source is empty.

    Raises ``NeedsNetworkError`` if the transport is offline and that does not do, ``FetchError``, ``NetworkError``
    and ``VerificationError``.
    """
    url = resource.get("source", "")
    sink = Sink(file, resource if url else {})
    if any("value" not in header for header in sink.headers):
        raise FetchError(f"unable to parse HTTP header: one without a value, for {shown(url)}")
    if url:
        transport.require_reach(url)
        module = parts.FETCHERS.get(scheme_of(url))
        if module is None:
            raise FetchError(f"unsupported source scheme: {shown(url)}")
        parts.load(module).fetch(url, sink=sink, transport=transport)
    sink.finish()


def fetch_bytes(resource: Resource, *, transport: Transport) -> bytes:
    """What ``resource`` stands for, verified. Raises as ``fetch`` does."""
    file = io.BytesIO()
    fetch(resource, file, transport=transport)
    return file.getvalue()
