from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from nestos.host.packages.backend import Package
from nestos.host.packages.pool import Pool

CONTENT = b"a package"
PACKAGE = Package(
    name="tool",
    version="1",
    architecture="amd64",
    digest=f"sha256:{hashlib.sha256(CONTENT).hexdigest()}",
    size_bytes=len(CONTENT),
    uri="http://mirror.example/tool.deb",
)


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    (tmp_path / "pool").mkdir()
    (tmp_path / "downloads").mkdir()
    return Pool(tmp_path / "pool", ending=".deb")


def test_a_whole_file_is_taken_in_under_its_digest(pool: Pool, tmp_path: Path) -> None:
    (tmp_path / "downloads" / pool.name(PACKAGE)).write_bytes(CONTENT)
    assert pool.take_in([PACKAGE], downloads=tmp_path / "downloads") == []
    assert pool.place(PACKAGE) == tmp_path / "pool" / f"{PACKAGE.sha256}.deb"
    assert pool.holds(PACKAGE)


def test_a_damaged_file_is_not_held_and_removed(pool: Pool) -> None:
    pool.place(PACKAGE).write_bytes(b"a packag\0")
    assert not pool.holds(PACKAGE)
    assert not pool.place(PACKAGE).exists()


@pytest.mark.parametrize(
    ("content", "stays"),
    [(CONTENT[:4], True), (b"another!!", False), (CONTENT + b"more", False), (None, False)],
    ids=["half", "another", "too long", "none"],
)
def test_what_did_not_come_whole_is_told_and_only_half_a_file_is_gone_on_with(
    pool: Pool, tmp_path: Path, content: bytes | None, *, stays: bool
) -> None:
    file = tmp_path / "downloads" / pool.name(PACKAGE)
    if content is not None:
        file.write_bytes(content)
    assert pool.take_in([PACKAGE], downloads=tmp_path / "downloads") == [PACKAGE]
    assert file.exists() is stays
    assert not pool.place(PACKAGE).exists()
