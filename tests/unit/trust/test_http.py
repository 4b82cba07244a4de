from __future__ import annotations

import email.message
import http.client
import io
import urllib.error
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from nestos.base.errors import InputError, NetworkError
from nestos.trust.http import Answer, HttpTransport

URL = "https://updates.example.org/metadata/timestamp.json"


class TickingClock:
    """A second passes whenever somebody looks."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.monotonic(), UTC)

    def monotonic(self) -> float:
        self.seconds += 1
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class FakeAnswer:
    """Pieces that arrive one after the other; an exception among them is raised."""

    def __init__(self, pieces: Iterator[bytes | Exception]) -> None:
        self._pieces = pieces
        self.is_closed = False

    def read1(self, size: int = -1, /) -> bytes:
        piece = next(self._pieces, b"")
        if isinstance(piece, Exception):
            raise piece
        return piece

    def close(self) -> None:
        self.is_closed = True


def transport(open_url: Callable[[str, float], Answer]) -> HttpTransport:
    return HttpTransport(clock=TickingClock(), total_seconds=10, open_url=open_url)


def failing(error: Exception) -> HttpTransport:
    def open_url(_url: str, _timeout: float) -> Answer:
        raise error

    return transport(open_url)


def endless() -> Iterator[bytes]:
    while True:
        yield b"x"


def test_the_content_comes_in_pieces() -> None:
    answer = FakeAnswer(iter([b"one", b"two"]))

    assert list(transport(lambda *_: answer)(URL)) == [b"one", b"two"]
    assert answer.is_closed


def test_a_server_that_trickles_is_left_when_the_time_is_over() -> None:
    answer = FakeAnswer(endless())

    with pytest.raises(NetworkError, match="did not end within 10 s"):
        list(transport(lambda *_: answer)(URL))
    assert answer.is_closed


@pytest.mark.parametrize("code", [403, 404, 410])
def test_a_file_that_is_not_there_is_told_apart(code: int) -> None:
    error = urllib.error.HTTPError(URL, code, "no", email.message.Message(), io.BytesIO())

    with pytest.raises(FileNotFoundError):
        list(failing(error)(URL))


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(urllib.error.HTTPError(URL, 503, "no", email.message.Message(), io.BytesIO()), id="503"),
        pytest.param(urllib.error.URLError("no such host"), id="no host"),
        pytest.param(TimeoutError(), id="silence"),
        pytest.param(http.client.BadStatusLine("?"), id="no HTTP"),
        pytest.param(ConnectionResetError(), id="reset"),
    ],
)
def test_whatever_goes_wrong_on_the_way_is_an_error_of_the_network(error: Exception) -> None:
    with pytest.raises(NetworkError):
        list(failing(error)(URL))


def test_a_connection_that_breaks_in_the_middle_is_an_error_of_the_network() -> None:
    answer = FakeAnswer(iter([b"one", http.client.IncompleteRead(b"")]))

    with pytest.raises(NetworkError):
        list(transport(lambda *_: answer)(URL))


@pytest.mark.parametrize("url", ["file:///etc/shadow", "ftp://example.org/a", "/etc/shadow"])
def test_only_http_is_spoken(url: str) -> None:
    with pytest.raises(InputError):
        list(HttpTransport()(url))
