"""The partition table is valid, placed as asked, and a function of its seed."""

from __future__ import annotations

import struct
import uuid
import zlib
from dataclasses import replace

import pytest

from nestos.base.errors import InputError
from nestos.wire import gpt

MIB = 1024 * 1024
WANTED = [
    gpt.Wanted(name="bios", kind=gpt.BIOS_BOOT, size_bytes=MIB),
    gpt.Wanted(name="root-a", kind=gpt.ROOT_X86_64, size_bytes=5 * MIB + 1),
]


def image_of(table: gpt.Table, *, boot_code: bytes = b"") -> bytes:
    image = bytearray(table.size_bytes)
    for offset, data in gpt.blocks(table, boot_code=boot_code).items():
        image[offset : offset + len(data)] = data
    assert len(image) == table.size_bytes, "the table reaches over the end of the disk"
    return bytes(image)


def header_at(image: bytes, sector: int, *, sector_bytes: int) -> dict[str, int]:
    """Reads a header as firmware does: both checksums, or nothing."""
    raw = image[sector * sector_bytes : sector * sector_bytes + 92]
    words = struct.unpack("<8sIIIIQQQQ16sQIII", raw)
    assert words[0] == b"EFI PART"
    assert words[3] == zlib.crc32(raw[:16] + bytes(4) + raw[20:])
    entries_at, count, size = words[10], words[11], words[12]
    entries = image[entries_at * sector_bytes :][: count * size]
    assert words[13] == zlib.crc32(entries)
    return {"own": words[5], "other": words[6], "first": words[7], "last": words[8], "entries": entries_at}


@pytest.mark.parametrize("sector", [512, 4096])
def test_both_headers_are_valid_and_point_at_each_other(sector: int) -> None:
    table = gpt.lay_out(WANTED, seed="s", sector_bytes=sector)
    image = image_of(table)
    last = table.size_bytes // sector - 1
    primary = header_at(image, 1, sector_bytes=sector)
    backup = header_at(image, last, sector_bytes=sector)
    assert (primary["own"], primary["other"], primary["entries"]) == (1, last, 2)
    assert (backup["own"], backup["other"]) == (last, 1)
    assert backup["entries"] + 128 * 128 // sector == last
    assert (primary["first"], primary["last"]) == (backup["first"], backup["last"])
    assert primary["last"] < backup["entries"]


@pytest.mark.parametrize("sector", [512, 4096])
def test_entries_hold_kind_guid_place_and_label(sector: int) -> None:
    table = gpt.lay_out(WANTED, seed="s", sector_bytes=sector)
    entry = image_of(table)[2 * sector + 128 : 2 * sector + 256]
    kind, guid, first, last, flags, name = struct.unpack("<16s16sQQQ72s", entry)
    assert uuid.UUID(bytes_le=kind) == gpt.ROOT_X86_64
    assert uuid.UUID(bytes_le=guid) == table["root-a"].guid
    assert (first * sector, (last + 1) * sector, flags) == (2 * MIB, 8 * MIB, 0)
    assert name.decode("utf-16-le").rstrip("\0") == "root-a"


def test_partitions_begin_on_whole_mebibytes_and_do_not_overlap() -> None:
    table = gpt.lay_out(WANTED, seed="s")
    ends = MIB
    for partition in table.partitions:
        assert partition.offset_bytes == ends
        assert partition.size_bytes % MIB == 0
        ends = partition.offset_bytes + partition.size_bytes
    assert [partition.number for partition in table.partitions] == [1, 2]
    assert ends + MIB == table.size_bytes


def test_protective_record_covers_the_disk_and_keeps_the_boot_code() -> None:
    table = gpt.lay_out(WANTED, seed="s")
    record = gpt.protective_mbr(table, boot_code=b"\xeb" * 440)
    assert record[:440] == b"\xeb" * 440
    assert record[510:512] == b"\x55\xaa"
    assert record[446 + 4] == 0xEE
    assert struct.unpack_from("<II", record, 446 + 8) == (1, table.size_bytes // 512 - 1)


def test_disks_too_large_for_the_old_record_fill_its_count() -> None:
    huge = [gpt.Wanted(name="var", kind=gpt.VAR, size_bytes=3 * 1024**4)]
    record = gpt.protective_mbr(gpt.lay_out(huge, seed="s"))
    assert struct.unpack_from("<I", record, 446 + 12) == (0xFFFFFFFF,)


def test_same_seed_gives_the_same_bytes_and_another_seed_other_guids() -> None:
    one, same, other = (gpt.lay_out(WANTED, seed=seed) for seed in ("s", "s", "t"))
    assert gpt.blocks(one) == gpt.blocks(same)
    assert {one.guid, *(item.guid for item in one.partitions)}.isdisjoint(
        {other.guid, *(item.guid for item in other.partitions)}
    )


def test_guids_of_a_seed_never_change() -> None:
    assert str(gpt.identity("s", "boot")) == "26337f83-2880-5d9d-b7e8-ffa3acd59b9f"


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        ([gpt.Wanted(name="", kind=gpt.VAR, size_bytes=1)], "label"),
        ([gpt.Wanted(name="x" * 37, kind=gpt.VAR, size_bytes=1)], "36 characters"),
        ([gpt.Wanted(name="x", kind=gpt.VAR, size_bytes=0)], "no size"),
        ([gpt.Wanted(name="x", kind=gpt.VAR, size_bytes=1)] * 2, "two partitions are labelled x"),
        ([gpt.Wanted(name=str(n), kind=gpt.VAR, size_bytes=1) for n in range(129)], "room for 128"),
    ],
    ids=["no label", "long label", "no size", "double label", "too many"],
)
def test_a_table_that_cannot_be_is_refused(wanted: list[gpt.Wanted], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        gpt.lay_out(wanted, seed="s")


def test_boot_code_over_the_disk_signature_is_refused() -> None:
    with pytest.raises(InputError, match="440"):
        gpt.protective_mbr(gpt.lay_out(WANTED, seed="s"), boot_code=bytes(441))


def test_odd_sector_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="512 or 4096"):
        gpt.lay_out(WANTED, seed="s", sector_bytes=520)


def test_a_missing_label_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        gpt.lay_out(WANTED, seed="s")["var"]


@pytest.mark.parametrize("sector", [512, 4096])
def test_a_table_is_read_back_as_it_was_written(sector: int) -> None:
    table = gpt.lay_out(WANTED, seed="s", sector_bytes=sector)
    kept = replace(table.partitions[1], number=9, attributes=1 << 60)
    table = replace(table, partitions=(table.partitions[0], kept))
    head = image_of(table)[:MIB]
    assert gpt.parse(head, sector_bytes=sector, size_bytes=table.size_bytes) == table
    assert gpt.sector_bytes_of(head) == sector


def test_what_is_no_table_is_none() -> None:
    assert gpt.parse(bytes(MIB), sector_bytes=512, size_bytes=MIB) is None
    assert gpt.parse(b"", sector_bytes=512, size_bytes=MIB) is None
    assert gpt.sector_bytes_of(bytes(MIB)) is None


@pytest.mark.parametrize(("place", "what"), [(512 + 24, "header"), (1024 + 40, "entries")], ids=["header", "entries"])
def test_a_damaged_table_is_refused(place: int, what: str) -> None:
    head = bytearray(image_of(gpt.lay_out(WANTED, seed="s"))[:MIB])
    head[place] ^= 1
    with pytest.raises(InputError, match=f"{what} (is|are) damaged"):
        gpt.parse(bytes(head), sector_bytes=512, size_bytes=MIB)
