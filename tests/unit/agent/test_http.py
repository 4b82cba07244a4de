from __future__ import annotations

from collections.abc import Callable

import pytest

from nestos.agent.http import Answer, Client, Question, Stream, connect
from nestos.base.errors import NetworkError
from tests.unit.agent.fakes import FakeClock

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


class FakeStream:
    """A connection over which ``pieces`` come, each after ``pause`` seconds."""

    def __init__(self, clock: FakeClock, pieces: list[bytes], *, pause: float) -> None:
        self.clock, self.pieces, self.pause = clock, pieces, pause
        self.sent = b""
        self.left: float | None = None
        self.is_closed = False

    def settimeout(self, value: float | None, /) -> None:
        self.left = value

    def sendall(self, data: bytes, /) -> None:
        self.sent += data

    def recv(self, size: int, /) -> bytes:
        assert self.left is not None
        if self.pause > self.left:
            self.clock.sleep(self.left)
            raise TimeoutError("timed out")
        self.clock.sleep(self.pause)
        return self.pieces.pop(0) if self.pieces else b""

    def close(self) -> None:
        self.is_closed = True


class Net:
    """A dialer that hands out one answer for each connection."""

    def __init__(self, *answers: bytes | list[bytes], pause: float = 0.0) -> None:
        self.clock = FakeClock()
        self.answers = list(answers)
        self.pause = pause
        self.dialed: list[tuple[str, int, bool]] = []
        self.streams: list[FakeStream] = []

    def __call__(self, host: str, port: int, /, *, is_secure: bool, timeout_seconds: float) -> Stream:
        self.dialed.append((host, port, is_secure))
        answer = self.answers.pop(0)
        pieces = answer if isinstance(answer, list) else [answer]
        self.streams.append(FakeStream(self.clock, list(pieces), pause=self.pause))
        return self.streams[-1]

    def ask(
        self, url: str = "http://u.example:81/v1/graph?a=b", *, method: str = "GET", most_bytes: int = 1000
    ) -> Answer:
        question = Question(url=url, method=method, body=b"{}" if method == "POST" else b"", most_bytes=most_bytes)
        return Client(clock=self.clock, dial=self)(question)


def test_a_question_is_sent_and_its_answer_read() -> None:
    net = Net(OK)
    assert net.ask() == Answer(status=200, headers={"content-length": "2"}, body=b"hi")
    lines = net.streams[0].sent.decode().split("\r\n")
    assert lines[:2] == ["GET /v1/graph?a=b HTTP/1.1", "Host: u.example:81"]
    assert "Connection: close" in lines
    assert net.dialed == [("u.example", 81, False)]
    assert net.streams[0].is_closed


def test_a_body_is_sent_with_its_length() -> None:
    net = Net(OK)
    net.ask("https://u.example", method="POST")
    assert net.streams[0].sent.endswith(b"Content-Length: 2\r\n\r\n{}")
    assert net.streams[0].sent.startswith(b"POST / HTTP/1.1\r\n")
    assert net.dialed == [("u.example", 443, True)]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param([OK[index : index + 1] for index in range(len(OK))], id="byte by byte"),
        pytest.param(b"HTTP/1.0 200 OK\r\n\r\nhi", id="until the end"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\nh\r\n1\r\ni\r\n0\r\n\r\n", id="chunks"
        ),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + OK, id="after a promise"),
        pytest.param(b"HTTP/1.1 200\nContent-Length: 2\n\nhi", id="bare newlines"),
    ],
)
def test_answers_come_in_many_ways(answer: bytes | list[bytes]) -> None:
    assert Net(answer).ask().body == b"hi"


def test_an_answer_without_a_body_is_whole() -> None:
    assert Net(b"HTTP/1.1 204 No Content\r\n\r\n").ask().is_success


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        pytest.param(b"SSH-2.0-OpenSSH\r\n", "not one of a web server", id="another protocol"),
        pytest.param(b"", "broke off", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi", "after 2 of 5", id="too short"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n", "at most 1000", id="announced too long"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "at most", id="less than nothing"),
        pytest.param([b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 600] * 3], "longer than 1000", id="endless"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffff\r\n", "longer than", id="large chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "invalid literal", id="no chunk"),
        pytest.param(b"x" * 70000, "not one of a web server", id="endless line"),
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20000, "no end", id="endless head"),
    ],
)
def test_what_is_no_answer_is_an_error(answer: bytes | list[bytes], part: str) -> None:
    with pytest.raises(NetworkError, match=part):
        Net(answer).ask()


def test_a_server_that_drips_is_left_when_the_time_is_over() -> None:
    net = Net([OK[index : index + 1] for index in range(len(OK))], pause=5.0)
    with pytest.raises(NetworkError, match="time"):
        net.ask()
    assert net.clock.ticks == pytest.approx(60)


def test_a_redirect_is_followed_but_not_to_what_is_not_secure() -> None:
    away = b"HTTP/1.1 302 Found\r\nLocation: http://other.example/x\r\nContent-Length: 0\r\n\r\n"
    net = Net(away, OK)
    assert net.ask().body == b"hi"
    assert net.dialed[1] == ("other.example", 80, False)
    with pytest.raises(NetworkError, match="not secure"):
        Net(away).ask("https://u.example/")
    with pytest.raises(NetworkError, match="more than 5 times"):
        Net(*[away] * 6).ask()
    assert Net(away).ask(method="POST").status == 302


@pytest.mark.parametrize("url", ["ftp://x/", "http://", "x", "http://x:port/"])
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(NetworkError):
        Net().ask(url)


def refuse(host: str, port: int, /, *, is_secure: bool, timeout_seconds: float) -> Stream:
    raise ConnectionRefusedError(111, "Connection refused")


def lose(host: str, port: int, /, *, is_secure: bool, timeout_seconds: float) -> Stream:
    raise OSError(-2, "Name or service not known")


@pytest.mark.parametrize(("dial", "part"), [(refuse, "Connection refused"), (lose, "not known")])
def test_a_server_that_is_not_there_is_an_error(dial: Callable[..., Stream], part: str) -> None:
    with pytest.raises(NetworkError, match=part):
        Client(clock=FakeClock(), dial=dial)(Question(url="http://u/"))


@pytest.mark.parametrize("location", ["http://[", "http://u.example:99999999/", "//[::1"])
def test_an_address_that_is_none_is_a_failure_of_the_question(location: str) -> None:
    net = Net(f"HTTP/1.1 302 Found\r\nLocation: {location}\r\n\r\n".encode(), OK)
    with pytest.raises(NetworkError):
        net.ask()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"HTTP/1.1 " + b"2" * 5000 + b" OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 5000 + b"\r\n",
    ],
    ids=["length", "status", "chunk"],
)
def test_numbers_without_end_are_a_failure_of_the_question(answer: bytes) -> None:
    with pytest.raises(NetworkError):
        Net(answer).ask()


def test_dead_addresses_leave_time_for_the_next_and_all_of_them_end(monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[float] = []

    class DeadEnd:
        def __init__(self, family: int, kind: int, protocol: int) -> None:
            self.seconds = 0.0

        def settimeout(self, seconds: float) -> None:
            self.seconds = seconds

        def connect(self, address: object) -> None:
            waited.append(self.seconds)
            raise TimeoutError("timed out")

        def close(self) -> None:
            pass

    def found(*_arguments: object, **_options: object) -> list[object]:
        return [(2, 1, 6, "", (f"192.0.2.{number}", 80)) for number in range(4)]

    monkeypatch.setattr("socket.getaddrinfo", found)
    monkeypatch.setattr("socket.socket", DeadEnd)
    with pytest.raises(TimeoutError):
        connect("dead.example", 80, is_secure=False, timeout_seconds=100)
    assert len(waited) == 4
    assert sum(waited) <= 100
