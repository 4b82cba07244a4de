"""The root of a live system is used only if it is the one that belongs to the kernel and initramfs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import pytest

from nestos.base.errors import NestosError, SpaceError, VerificationError
from nestos.cli import live_fetch
from nestos.installer import rootfs
from nestos.installer.fetch import Fetcher
from tests.unit.installer.made_up import noise
from tests.unit.installer.test_fetch import Reply

DATA = noise("rootfs", 1 << 20)
SHA256 = hashlib.sha256(DATA).hexdigest()


def fetch(output: Path, data: bytes = DATA) -> list[str]:
    def open_url(url: str, headers: Mapping[str, str]) -> Reply:
        return Reply(data)

    said: list[str] = []
    fetcher = Fetcher(open_url=open_url)
    rootfs.fetch("http://e/r", output, size=len(DATA), sha256=SHA256, fetcher=fetcher, say=said.append)
    return said


def test_it_is_there_and_was_told_of(tmp_path: Path) -> None:
    said = fetch(tmp_path / "live.img")
    assert (tmp_path / "live.img").read_bytes() == DATA
    assert said[-1] == "100 % of 1 MiB"


@pytest.mark.parametrize(
    "data",
    [DATA[:-1], DATA + b"x", DATA[:-1] + bytes([DATA[-1] ^ 1]), b"<html>"],
    ids=["short", "long", "changed", "a page"],
)
def test_another_file_is_refused_and_does_not_stay(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(VerificationError, match="of another release"):
        fetch(tmp_path / "live.img", data)
    assert list(tmp_path.iterdir()) == []


def test_too_little_memory_is_called_that(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")

    class Full(type(tmp_path)):  # type: ignore[misc]
        def unlink(self, missing_ok: bool = False) -> None:
            assert missing_ok

    with pytest.raises(SpaceError, match="does not fit into memory"):
        fetch(Full(full))


def test_the_program_says_why_and_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def refused(*_: object, **__: object) -> None:
        raise NestosError("no such thing")

    monkeypatch.setattr(rootfs, "fetch", refused)
    assert live_fetch.program(["http://e/r", "--output=x", "--bytes=1", "--sha256=a"]) == 1
    assert capsys.readouterr().err == "nestos: no such thing\n"
