from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nestos.base.errors import StateError
from nestos.lab import console
from nestos.lab.console import Console, ConsoleTimeoutError, MachineGoneError, attach, plain


class Clock:
    """Time that passes only by sleeping; ``then`` happens at each sleep."""

    def __init__(self, then: Callable[[float], None] = lambda _: None) -> None:
        self.time = 0.0
        self.then = then

    def now(self) -> datetime:
        return datetime(2025, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.then(self.time)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "serial.log"
    path.write_bytes(b"")
    return path


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"plain\r\n", "plain\n"),
        (b"\x1b[0;1;32mOK\x1b[0m ready", "OK ready"),
        (b"\x1b[2J\x1b[01;01Hmenu", "menu"),
        (b"\x1b]0;title\x07shell", "shell"),
        (b"bad \xff byte", "bad \ufffd byte"),
    ],
    ids=["line end", "colour", "cursor", "title", "no utf-8"],
)
def test_console_bytes_become_plain_text(data: bytes, text: str) -> None:
    assert plain(data) == text


def test_a_wait_ends_when_the_text_comes(log: Path) -> None:
    def boot(time: float) -> None:
        log.write_text("booting\n" if time < 3 else "booting\nnode login: ")

    clock = Clock(boot)
    found = Console(log, clock=clock).wait(r"^(\w+) login:", timeout_seconds=10)
    assert found.group(1) == "node"
    assert 3 <= clock.time < 4


def test_a_line_may_come_in_pieces(log: Path) -> None:
    said = b"\x1b[32mbooting\x1b[0m\r\nnode login: "

    def boot(time: float) -> None:
        log.write_bytes(said[: int(time * 10)])

    assert Console(log, clock=Clock(boot)).wait(r"^node login: $", timeout_seconds=10)


def test_a_long_log_is_read_once(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulated machine needs the time that a wait takes."""
    sizes: list[int] = []

    def counted(data: bytes) -> str:
        sizes.append(len(data))
        return plain(data)

    monkeypatch.setattr(console, "plain", counted)
    log.write_bytes(b"x" * 999 + b"\n")

    def boot(time: float) -> None:
        with log.open("ab") as file:
            file.write(b"a line\n" if time < 5 else b"ready\n")

    Console(log, clock=Clock(boot)).wait("ready", timeout_seconds=60)
    assert sum(sizes) < 1000 + 60 * len(b"a line\n")


def test_text_from_before_the_mark_does_not_count(log: Path) -> None:
    log.write_text("node login: ")
    here = Console(log, clock=Clock())
    with pytest.raises(ConsoleTimeoutError):
        here.wait("login:", timeout_seconds=1, since=here.mark())


def test_a_wait_that_is_too_long_tells_the_last_lines(log: Path) -> None:
    log.write_text("one\ntwo\n")
    with pytest.raises(ConsoleTimeoutError, match="no 'three' on the console in 5 s") as caught:
        Console(log, clock=Clock()).wait("three", timeout_seconds=5)
    assert caught.value.tail == "one\ntwo"


def test_a_machine_that_ended_is_not_waited_for(log: Path) -> None:
    clock = Clock()
    console = Console(log, gone=lambda: "the machine x ended with status 1", clock=clock)
    with pytest.raises(MachineGoneError, match="ended with status 1 before its console showed 'ready'"):
        console.wait("ready", timeout_seconds=60)
    assert clock.time == 0


def test_the_last_words_of_a_machine_that_ended_count(log: Path) -> None:
    log.write_text("Power down\n")
    assert Console(log, gone=lambda: "it ended", clock=Clock()).wait("Power down", timeout_seconds=60)


def test_the_wrong_text_fails_at_once(log: Path) -> None:
    log.write_text("Kernel panic - not syncing")
    clock = Clock()
    with pytest.raises(StateError, match="'Kernel panic' while 'login:' was expected"):
        Console(log, clock=clock).wait("login:", timeout_seconds=60, failing="Kernel panic")
    assert clock.time == 0


def test_a_log_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    console = Console(tmp_path / "none")
    assert (console.mark(), console.text(), console.tail()) == (0, "", "")


def test_attaching_where_nothing_listens_is_told(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no console at"):
        attach(tmp_path / "console")


def test_the_console_ends_with_control_bracket_and_what_was_typed_before_it_arrives(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "console"))
        server.listen()
        typed, keyboard = os.pipe()
        screen, shown = os.pipe()
        person = threading.Thread(
            target=attach, args=(tmp_path / "console",), kwargs={"terminal_in": typed, "terminal_out": shown}
        )
        person.start()
        machine, _ = server.accept()
        machine.sendall(b"login: ")
        assert os.read(screen, 100) == b"login: "
        os.write(keyboard, b"root\n\x1dnever sent")
        person.join(timeout=10)
        received = machine.recv(100)
        machine.close()
    for descriptor in (typed, keyboard, screen, shown):
        os.close(descriptor)
    assert received == b"root\n"
