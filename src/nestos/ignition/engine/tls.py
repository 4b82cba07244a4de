"""TLS over any connection, also over one that is itself secured, as to an HTTPS proxy."""

from __future__ import annotations

import functools
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from nestos.ignition.engine.machine import Connection
from nestos.ignition.engine.transport import FetchError

_Result = TypeVar("_Result")
_CHUNK_BYTES = 1 << 16


@functools.cache
def context(*, bundles: tuple[Path, ...], authorities: tuple[str, ...]) -> ssl.SSLContext:
    """What to trust: the system's authorities, the first of ``bundles`` that exists, and those of the config.

    Raises ``FetchError`` where an authority of the config cannot be read. Each may be a bundle of several, or empty.
    """
    made = ssl.create_default_context()
    # As the original has it: whatever is trusted is trusted by itself, and certificates of the many authorities that
    # leave out an extension count. From 3.13 on, Python refuses these unless told otherwise.
    made.verify_flags = (made.verify_flags | ssl.VERIFY_X509_PARTIAL_CHAIN) & ~ssl.VERIFY_X509_STRICT
    bundle = next((path for path in bundles if path.exists()), None)
    if bundle is not None:
        made.load_verify_locations(cafile=str(bundle))
    for authority in authorities:
        _trust(made, authority, source="the config")
    return made


def _trust(trusting: ssl.SSLContext, authority: str, *, source: str) -> None:
    if not authority:
        return
    try:
        trusting.load_verify_locations(cadata=authority)
    except ssl.SSLError as error:
        sentence = f"unable to decode PEM block: no certificate authority can be read from {source}: {error}"
        raise FetchError(sentence) from error


def require_certificates(authority: str, *, source: str) -> None:
    """Raises ``FetchError`` if ``authority`` cannot be read; ``source`` names it."""
    _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), authority, source=source)


class _Secured:
    """TLS between the caller and ``connection``."""

    def __init__(self, connection: Connection, trusted: ssl.SSLContext, *, host: str) -> None:
        self._connection = connection
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = trusted.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        self._through(self._tls.do_handshake)

    def _through(self, step: Callable[[], _Result]) -> _Result:
        """Does ``step``, moving what it writes and waits for between TLS and the connection."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._connection.recv(_CHUNK_BYTES)
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            except ssl.SSLError:
                self._flush()  # the alert that tells the other side why
                raise
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._connection.sendall(self._outgoing.read())

    def sendall(self, data: bytes, /) -> None:
        while data:
            sent = self._through(functools.partial(self._tls.write, data))
            data = data[sent:]

    def recv(self, size: int, /) -> bytes:
        try:
            return self._through(lambda: self._tls.read(size))
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            # Many servers end without saying so. Whether all has come is for the protocol above to tell.
            return b""

    def settimeout(self, seconds: float | None, /) -> None:
        self._connection.settimeout(seconds)

    def close(self) -> None:
        self._connection.close()


def secured(
    connection: Connection, *, host: str, bundles: tuple[Path, ...], authorities: tuple[str, ...]
) -> Connection:
    """``connection`` with TLS to ``host``, whose certificate was checked. Raises ``OSError`` and ``FetchError``."""
    return _Secured(connection, context(bundles=bundles, authorities=authorities), host=host.partition("%")[0])
