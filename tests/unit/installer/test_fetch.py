"""Fetching goes on where it broke off, tries again as often as it is told, and never hands out less than there is."""

from __future__ import annotations

import io
import urllib.error
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import Message

import pytest

from nestos.base.errors import InputError, NetworkError
from nestos.installer.fetch import Fetcher

CONTENT = bytes(range(256)) * 40


class Clock:
    """Sleeps without waiting and remembers how long."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


class Reply:
    """An answer that breaks off after ``length`` bytes."""

    def __init__(self, data: bytes, *, status: int = 200, length: int | None = None) -> None:
        self.status = status
        self.headers: Mapping[str, str] = {"Content-Length": str(len(data))}
        self._data = data[:length]

    def read1(self, size: int = -1, /) -> bytes:
        piece, self._data = self._data[:1000], self._data[1000:]
        return piece

    def close(self) -> None:
        pass


class Server:
    """Answers in the order of its script: lengths to break off after, HTTP errors, or whether ranges are known."""

    def __init__(self, *script: int | str | None, ranges: bool = True) -> None:
        self.asked: list[str] = []
        self._script = list(script)
        self._ranges = ranges

    def __call__(self, url: str, headers: Mapping[str, str]) -> Reply:
        self.asked.append(headers.get("Range", ""))
        step = self._script.pop(0)
        if isinstance(step, str):
            raise urllib.error.HTTPError(url, int(step), "no", Message(), io.BytesIO())
        start = int(headers["Range"].removeprefix("bytes=").rstrip("-")) if "Range" in headers and self._ranges else 0
        return Reply(CONTENT[start:], status=206 if start else 200, length=step)


def fetched(server: Server, *, retries: int | None) -> tuple[bytes, Clock]:
    clock = Clock()
    return Fetcher(retries=retries, clock=clock, open_url=server).read("http://e/x"), clock


@pytest.mark.parametrize("ranges", [True, False], ids=["ranges", "no ranges"])
def test_it_goes_on_where_it_broke_off(ranges: bool) -> None:
    server = Server(3000, 2500, None, ranges=ranges)
    content, clock = fetched(server, retries=2 if ranges else 5)
    assert content == CONTENT
    assert server.asked == ["", "bytes=3000-", "bytes=5500-" if ranges else "bytes=3000-"]
    assert clock.slept == [1.0, 2.0]


def test_busy_servers_are_asked_again_and_missing_files_are_not() -> None:
    assert fetched(Server("503", "429", None), retries=None)[0] == CONTENT
    with pytest.raises(FileNotFoundError, match="404"):
        fetched(Server("404"), retries=None)


def test_retries_come_to_an_end() -> None:
    with pytest.raises(NetworkError, match="ended after 5 of 10240 bytes"):
        fetched(Server(5), retries=0)
    with pytest.raises(NetworkError, match="503"):
        fetched(Server("503", "503"), retries=1)


def test_other_addresses_are_refused() -> None:
    with pytest.raises(InputError, match="not an address of HTTP"):
        list(Fetcher().stream("file:///etc/shadow"))
