from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from nestos.base import durable


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The order of what survives power loss: fsync of a file or folder, and rename."""
    order: list[str] = []
    sync, replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        order.append("sync folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "sync file")
        sync(descriptor)

    def rename(source: Path, target: Path) -> Path:
        order.append("rename")
        return replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", rename)
    return order


def test_data_is_synced_before_the_rename_and_the_folder_after_it(tmp_path: Path, calls: list[str]) -> None:
    durable.write(tmp_path / "state", b"new")
    assert calls == ["sync file", "rename", "sync folder"]


def test_content_and_mode_are_as_asked(tmp_path: Path) -> None:
    file = tmp_path / "key"
    durable.write_text(file, "geheim é\n", mode=0o600)
    assert file.read_bytes() == "geheim é\n".encode()
    assert file.stat().st_mode & 0o7777 == 0o600


def test_the_mode_does_not_depend_on_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        durable.write(tmp_path / "open", b"")
    finally:
        os.umask(before)
    assert (tmp_path / "open").stat().st_mode & 0o7777 == 0o644


def test_after_an_error_the_file_is_what_it_was_and_nothing_is_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.write_text("old")
    with pytest.raises(RuntimeError), durable.replacing(file) as output:
        output.write(b"half")
        raise RuntimeError
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("state", "old")]


def test_the_old_content_is_there_until_the_block_ends(tmp_path: Path) -> None:
    file = tmp_path / "state"
    file.write_text("old")
    with durable.replacing(file) as output:
        output.write(b"new")
        assert file.read_text() == "old"
    assert file.read_text() == "new"


def test_a_removal_is_synced(tmp_path: Path, calls: list[str]) -> None:
    (tmp_path / "state").write_text("old")
    durable.remove(tmp_path / "state")
    assert not (tmp_path / "state").exists()
    assert calls == ["sync folder"]


def test_removing_what_is_not_there_is_fine(tmp_path: Path) -> None:
    durable.remove(tmp_path / "none")
