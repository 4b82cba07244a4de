"""Fetching by HTTP within bounds: a server that trickles bytes cannot hold a node for ever. Standard library only."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Protocol

from nestos.base.clock import Clock, SystemClock
from nestos.base.errors import InputError, NetworkError

_PIECE_BYTES = 64 << 10
_MISSING = (403, 404, 410)


class Answer(Protocol):
    """What is used of an HTTP response."""

    def read1(self, size: int = ..., /) -> bytes:
        """What has arrived, at most ``size`` bytes; nothing at the end."""

    def close(self) -> None:
        """Ends the connection."""


class HttpTransport:
    """A ``Transport`` of ``nestos.trust.releases``. ``open_url`` is replaced in tests."""

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        total_seconds: float = 120.0,
        silence_seconds: float = 20.0,
        open_url: Callable[[str, float], Answer] | None = None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._total_seconds = total_seconds
        self._silence_seconds = silence_seconds
        self._open = open_url or _open

    def __call__(self, url: str) -> Iterator[bytes]:
        """The content in pieces, within the time allowed for all of it."""
        if not url.startswith(("http://", "https://")):
            raise InputError(f"{url} is not an address of HTTP")
        deadline = self._clock.monotonic() + self._total_seconds
        try:
            answer = self._open(url, self._silence_seconds)
            try:
                while piece := answer.read1(_PIECE_BYTES):
                    yield piece
                    if self._clock.monotonic() > deadline:
                        raise NetworkError(f"{url} did not end within {self._total_seconds:.0f} s")
            finally:
                answer.close()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in _MISSING:
                raise FileNotFoundError(url) from error
            raise NetworkError(f"{url}: the server answered {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            raise NetworkError(f"{url} cannot be read: {error}") from error


def _open(url: str, timeout_seconds: float) -> Answer:
    opened: Answer = urllib.request.urlopen(url, timeout=timeout_seconds)
    return opened
