"""Fetching by HTTP for an installation: retries, and going on where a transfer broke off. Standard library only."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from nestos.base.clock import Clock, SystemClock
from nestos.base.errors import InputError, NetworkError

PIECE_BYTES = 256 << 10
_SILENCE_SECONDS = 60.0
_LONGEST_PAUSE_SECONDS = 30.0
_FINAL = range(400, 500)
_BUSY = (408, 425, 429)


class Answer(Protocol):
    """What is used of an HTTP response."""

    status: int
    headers: Mapping[str, str]

    def read1(self, size: int = ..., /) -> bytes:
        """What has arrived, at most ``size`` bytes; nothing at the end."""

    def close(self) -> None:
        """Ends the connection."""


def _in_silence(_: object) -> None:
    """Tells nobody."""


def _open(url: str, headers: Mapping[str, str]) -> Answer:
    answer: Answer = urllib.request.urlopen(
        urllib.request.Request(url, headers=dict(headers)), timeout=_SILENCE_SECONDS
    )
    return answer


@dataclass(frozen=True, kw_only=True)
class Fetcher:
    """Fetches by HTTP and HTTPS. ``retries`` none: without end. ``say`` tells a person why it is tried again."""

    retries: int | None = 0
    say: Callable[[str], None] = _in_silence
    clock: Clock = field(default_factory=SystemClock)
    open_url: Callable[[str, Mapping[str, str]], Answer] = _open

    def stream(self, url: str, *, on_size: Callable[[int], None] = _in_silence) -> Iterator[bytes]:
        """The content in pieces; ``on_size`` learns its size, if the server tells it.

        Raises ``FileNotFoundError`` where the server has no such thing, ``NetworkError`` when the retries are spent,
        and ``InputError`` for an address of another kind.
        """
        if not url.startswith(("http://", "https://")):
            raise InputError(f"{url} is not an address of HTTP or HTTPS")
        done, failures, size = 0, 0, -1
        while True:
            try:
                for piece, whole in self._attempt(url, start=done):
                    if size < 0 <= whole:
                        size = whole
                        on_size(size)
                    done += len(piece)
                    yield piece
                if done < size:
                    raise NetworkError(f"{url} ended after {done} of {size} bytes")
                return
            except NetworkError as error:
                failures += 1
                if self.retries is not None and failures > self.retries:
                    raise
                pause = min(2.0 ** min(failures - 1, 10), _LONGEST_PAUSE_SECONDS)
                self.say(f"{error}; trying again in {pause:.0f} s")
                self.clock.sleep(pause)

    def read(self, url: str, *, limit_bytes: int = 16 << 20) -> bytes:
        """The whole content of something small. Raises ``NetworkError`` too where it is larger than the limit."""
        content = bytearray()
        for piece in self.stream(url):
            content += piece
            if len(content) > limit_bytes:
                raise NetworkError(f"{url} has more than {limit_bytes >> 20} MiB")
        return bytes(content)

    def _attempt(self, url: str, *, start: int) -> Iterator[tuple[bytes, int]]:
        """Pieces from byte ``start`` on, each with the size of the whole, or -1."""
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
        try:
            answer = self.open_url(url, headers)
            try:
                resumed = answer.status == http.client.PARTIAL_CONTENT
                told = answer.headers.get("Content-Length") or ""
                whole = int(told) + (start if resumed else 0) if told.isdecimal() else -1
                skip = 0 if resumed else start
                while piece := answer.read1(PIECE_BYTES):
                    kept = piece[skip:]
                    skip = max(0, skip - len(piece))
                    if kept:
                        yield kept, whole
            finally:
                answer.close()
        except urllib.error.HTTPError as error:
            error.close()
            if error.code in _FINAL and error.code not in _BUSY:
                raise FileNotFoundError(f"{url}: the server answered {error.code}") from error
            raise NetworkError(f"{url}: the server answered {error.code}") from error
        except (OSError, http.client.HTTPException) as error:
            raise NetworkError(f"{url} cannot be read: {error}") from error
