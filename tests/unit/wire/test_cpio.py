"""Archives for the initramfs: as cpio reads them, and read back with nothing trusted."""

from __future__ import annotations

import pytest

from nestos.base.errors import InputError
from nestos.wire import cpio

FILES = {"config.ign": b'{"ignition":{}}', "etc/x/80-a.network": b"[Match]\n", "etc/x/empty": b""}


@pytest.mark.parametrize("packed", [cpio.pack(FILES), cpio.compress(cpio.pack(FILES))], ids=["plain", "xz"])
def test_what_was_packed_comes_back(packed: bytes) -> None:
    assert cpio.unpack(packed) == FILES
    assert len(packed) % 4 == 0


def test_archives_behind_each_other_are_one_and_the_later_counts() -> None:
    both = cpio.compress(cpio.pack({"a": b"1", "b": b"1"})) + bytes(512) + cpio.pack({"a": b"2"}) + bytes(100)
    assert cpio.unpack(both) == {"a": b"2", "b": b"1"}


def test_an_area_of_zeros_holds_nothing() -> None:
    assert cpio.unpack(bytes(4096)) == {}


@pytest.mark.parametrize("name", ["../etc/passwd", "/etc/passwd", "a/../../b"])
def test_a_name_that_leads_out_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="leads out of it"):
        cpio.unpack(cpio.pack({name: b"x"}))


@pytest.mark.parametrize(
    "data", [b"hello", cpio.pack(FILES)[:150], cpio.compress(cpio.pack(FILES))[:-20], b"070701" + b"Z" * 200]
)
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        cpio.unpack(data)
