from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nestos.base import lock
from nestos.base.errors import BusyError


class CountingClock:
    """A clock that only moves when someone sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def take(file: Path, *, what: str = "it", wait_seconds: float = 0.0, clock: CountingClock | None = None) -> None:
    with lock.held(file, what=what, wait_seconds=wait_seconds, clock=clock):
        pass


def test_a_second_holder_is_refused_with_the_name_of_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getpid", lambda: 4711)
    sentence = r"the cache is in use by process 4711 \(nestos up\)"
    file = tmp_path / "lock"
    with lock.held(file, what="the cache", command="nestos up"), pytest.raises(BusyError, match=sentence):
        take(file, what="the cache")


def test_the_next_one_gets_it_even_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), lock.held(tmp_path / "lock", what="it"):
        raise RuntimeError
    with lock.held(tmp_path / "lock", what="it"):
        pass
    assert (tmp_path / "lock").read_bytes() == b""


def test_a_holder_whose_name_is_not_written_yet_is_another_process(tmp_path: Path) -> None:
    with lock.held(tmp_path / "lock", what="it"):
        (tmp_path / "lock").write_bytes(b"")
        with pytest.raises(BusyError, match="in use by another process"):
            take(tmp_path / "lock")


def test_waiting_ends_at_its_time(tmp_path: Path) -> None:
    clock = CountingClock()
    file = tmp_path / "lock"
    with lock.held(file, what="it"), pytest.raises(BusyError):
        take(file, wait_seconds=5, clock=clock)
    assert 5 <= clock.seconds < 6


def test_a_lock_that_becomes_free_is_taken(tmp_path: Path) -> None:
    first = lock.held(tmp_path / "lock", what="it")

    class Freeing(CountingClock):
        def sleep(self, seconds: float) -> None:
            super().sleep(seconds)
            first.__exit__(None, None, None)

    first.__enter__()
    clock = Freeing()
    with lock.held(tmp_path / "lock", what="it", wait_seconds=5, clock=clock):
        assert clock.seconds < 1


@pytest.mark.parametrize(
    ("words", "line"),
    [(["/x/nestos/__main__.py", "up"], "nestos up"), (["/usr/bin/nestos", "a b"], "nestos 'a b'")],
    ids=["run as a module", "run as a command"],
)
def test_without_a_command_it_is_this_programs_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], line: str
) -> None:
    monkeypatch.setattr(sys, "argv", words)
    with lock.held(tmp_path / "lock", what="it"):
        assert (tmp_path / "lock").read_text().partition(" ")[2] == f"{line}\n"
