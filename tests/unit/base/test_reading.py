from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from nestos.base import reading


def test_a_regular_file_is_read_up_to_the_limit(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"12345")
    assert reading.regular(path, most_bytes=5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        reading.regular(path, most_bytes=4)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "nothing"])
def test_nothing_else_is_read(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "path", tmp_path / "other"
    other.write_bytes(b"x")
    if kind == "link":
        path.symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(OSError, match=r"regular|levels|No such"):
        reading.regular(path, most_bytes=5)


def test_a_file_that_too_many_may_write_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x")
    path.chmod(0o666)
    assert reading.regular(path, most_bytes=5) == b"x"
    with pytest.raises(OSError, match="too many"):
        reading.regular(path, most_bytes=5, mode_not=stat.S_IWOTH)
