from __future__ import annotations

import errno
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from nestos.base.errors import CommandError, SpaceError
from nestos.host import space

MIB = 1 << 20


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A disk whose free bytes the test sets."""
    usage = SimpleNamespace(free=100 * MIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    return usage


def test_enough_room_is_enough(disk: SimpleNamespace, tmp_path: Path) -> None:
    space.require(tmp_path, need_bytes=100 * MIB, what="packages")


def test_too_little_room_names_the_folder_and_both_figures(disk: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=rf"packages: about 101 MiB are needed in {tmp_path}, 100 MiB are free"):
        space.require(tmp_path, need_bytes=100 * MIB + 1, what="packages")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT], ids=["full disk", "used-up quota"])
def test_a_full_disk_met_here_names_folder_and_file(disk: SimpleNamespace, tmp_path: Path, number: int) -> None:
    sentence = rf"no space is left in {tmp_path}: 100 MiB are free \(while writing /x\)"
    with pytest.raises(SpaceError, match=sentence), space.watched(tmp_path):
        raise OSError(number, "full", "/x")


@pytest.mark.parametrize("words", space.FULL)
def test_a_full_disk_met_by_a_program_names_the_folder(disk: SimpleNamespace, tmp_path: Path, words: str) -> None:
    with pytest.raises(SpaceError, match=f"no space is left in {tmp_path}"), space.watched(tmp_path):
        raise CommandError("x", returncode=1, output=f"cp: error writing: {words}\n")


def test_a_program_that_fails_on_a_full_disk_is_taken_at_its_place(disk: SimpleNamespace, tmp_path: Path) -> None:
    disk.free = MIB
    with pytest.raises(SpaceError), space.watched(tmp_path):
        raise CommandError("x", returncode=1, output="mysterious")


@pytest.mark.parametrize(
    "error",
    [PermissionError(errno.EACCES, "denied", "/x"), CommandError("x", returncode=1, output="other"), ValueError("x")],
    ids=["an error of the system", "a failed program", "a bug"],
)
def test_other_errors_pass(disk: SimpleNamespace, tmp_path: Path, error: Exception) -> None:
    with pytest.raises(type(error)) as caught, space.watched(tmp_path):
        raise error
    assert caught.value is error
