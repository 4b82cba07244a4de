from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.base.paths import Root
from nestos.deploy import initrd_files
from tests.unit.compose.trees import Link, plant


def names(archive: bytes) -> dict[str, bytes]:
    """Reads an archive of cpio's newc form."""
    found, place = {}, 0
    while place < len(archive):
        assert archive[place : place + 6] == b"070701"
        fields = [int(archive[place + 6 + 8 * n : place + 14 + 8 * n], 16) for n in range(13)]
        begin = place + 110
        name = archive[begin : begin + fields[11] - 1].decode()
        data = begin + fields[11] + -(110 + fields[11]) % 4
        found[name] = archive[data : data + fields[6]]
        place = data + fields[6] + -fields[6] % 4
    return found


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(plant(tmp_path, {"etc/a/one": "1", "etc/a/two": "22222", "etc/link": Link("a/one")}))


def test_files_folders_and_links_are_in_it_with_the_folders_above(root: Root) -> None:
    found = names(initrd_files.archive(["/etc/a", "/etc/link"], root=root))
    assert found == {
        "etc": b"",
        "etc/a": b"",
        "etc/a/one": b"1",
        "etc/a/two": b"22222",
        "etc/link": b"a/one",
        "TRAILER!!!": b"",
    }


def test_it_stands_behind_the_image_at_a_multiple_of_four_and_no_link_is_written_through(
    root: Root, tmp_path: Path
) -> None:
    image, shared = tmp_path / "image", tmp_path / "shared"
    shared.write_bytes(b"abcde")
    image.hardlink_to(shared)
    initrd_files.append(image, ["/etc/a/one"], root=root)
    assert shared.read_bytes() == b"abcde"
    whole = image.read_bytes()
    assert whole[:8] == b"abcde\0\0\0"
    assert names(whole[8:])["etc/a/one"] == b"1"


def test_a_file_that_is_gone_is_named(root: Root) -> None:
    with pytest.raises(InputError, match="/etc/gone is not there"):
        initrd_files.archive(["/etc/gone"], root=root)
