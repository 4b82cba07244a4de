"""Which of several addresses is taken. The addresses here are of a kind that needs no network."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from nestos.ignition.engine import network
from nestos.ignition.engine.transport import FetchError


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[str]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(tmp_path / "server"))
        server.listen()
        yield str(tmp_path / "server")


def test_the_first_address_that_answers_is_taken(listening: str, tmp_path: Path) -> None:
    addresses = [(socket.AF_UNIX, str(tmp_path / name)) for name in ("no", "neither", "server")]

    with network._first_to_answer(addresses, 5.0, low_port=False) as connected:
        assert connected.getpeername() == listening


def test_an_address_where_nobody_answers_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        network._first_to_answer([(socket.AF_UNIX, str(tmp_path / "no"))], 5.0, low_port=False)

    assert caught.value.errno == errno.ENOENT


def test_a_name_that_no_host_can_have_is_not_looked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def encode(*_words: object, **_options: object) -> None:
        raise UnicodeError("label too long")

    monkeypatch.setattr(socket, "getaddrinfo", encode)

    with pytest.raises(FetchError, match="is not the name of a host"):
        network._found("x" * 64, 80, socket.SOCK_STREAM)


def test_families_of_addresses_take_turns() -> None:
    four, six = socket.AF_INET, socket.AF_INET6
    addresses = [(six, 1), (six, 2), (six, 3), (four, 4), (four, 5)]

    assert [number for _, number in network._alternating(addresses)] == [1, 4, 2, 5, 3]
    assert network._alternating([(four, 1)]) == [(four, 1)]


@pytest.mark.parametrize("zone", ["lo", "1"])
def test_a_zone_belongs_to_an_address_of_ipv6(zone: str) -> None:
    assert network._found(f"fe80::1%{zone}", 80, socket.SOCK_STREAM) == [(socket.AF_INET6, ("fe80::1", 80, 0, 1))]


def test_a_zone_that_is_not_there_is_an_error() -> None:
    with pytest.raises(OSError, match="no interface"):
        network._found("fe80::1%nowhere", 80, socket.SOCK_STREAM)


def test_a_low_port_is_one_that_only_root_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    class Socket:
        def __init__(self) -> None:
            self.tried: list[int] = []

        def bind(self, place: tuple[str, int]) -> None:
            self.tried.append(place[1])
            if len(self.tried) < 5:
                raise OSError(errno.EADDRINUSE, "Address already in use")

    made = Socket()
    network._bind_low(made, lambda number: ("", number))  # type: ignore[arg-type]

    assert len(made.tried) == 5
    assert all(0 < number < 1024 for number in made.tried)
