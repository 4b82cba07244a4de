"""Whatever happens while an image is written: no disk boots half of it, and what is saved stays saved."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from nestos.base.errors import InputError, StateError, VerificationError
from nestos.installer import writing
from nestos.installer.partitions import Filter, parse_filter
from tests.unit.installer.made_up import IMAGE_MIB, MIB, MemoryDisk, PowerCut, disk_table, image, noise

NOTHING = Filter()
DATA = parse_filter(["da*"], ["9"])
DISK_MIB = 40


def used_disk(*, sector_bytes: int = 512, fails_at: int = -1) -> MemoryDisk:
    disk = MemoryDisk(DISK_MIB * MIB, sector_bytes=sector_bytes, fails_at=fails_at)
    disk.put(disk_table(disk_mib=DISK_MIB, sector_bytes=sector_bytes))
    disk.content[20 * MIB : 22 * MIB] = noise("kept", 2 * MIB)
    return disk


def good() -> None:
    pass


def run(disk: MemoryDisk, *, wanted: Filter = NOTHING, content: bytes = b"") -> None:
    pieces: Iterator[bytes] = writing.rechunked([content or image(sector_bytes=disk.sector_bytes)])
    made = writing.plan(next(pieces), disk, wanted=wanted)
    writing.write(pieces, disk, made, verdict=good)


@pytest.mark.parametrize("sector", [512, 4096])
def test_the_image_is_on_the_disk_and_the_table_reaches_to_its_end(sector: int) -> None:
    disk = MemoryDisk(DISK_MIB * MIB, sector_bytes=sector)
    disk.content[:] = noise("old", 4096) * (DISK_MIB * MIB // 4096)
    run(disk)
    whole = image(sector_bytes=sector)
    assert disk.content[MIB : IMAGE_MIB * MIB] == whole[MIB : IMAGE_MIB * MIB]
    found = disk.table()
    assert found is not None
    assert [p.name for p in found.partitions] == ["bios", "boot", "root-a", "var"]
    assert disk.content[:8] == b"BOOTCODE"
    assert disk.content[-sector:][:8] == b"EFI PART", "the backup is in the disk's last sector"


def test_saved_partitions_keep_place_content_and_identity_and_get_free_numbers() -> None:
    disk = used_disk()
    run(disk, wanted=DATA)
    found = disk.table()
    assert found is not None
    old = {p.name: p for p in disk_table(disk_mib=DISK_MIB).partitions}
    assert [(p.number, p.name) for p in found.partitions][4:] == [(5, "data"), (9, "more")]
    assert (found["data"].guid, found["data"].offset_bytes) == (old["data"].guid, old["data"].offset_bytes)
    assert found["more"].attributes == 9
    assert disk.content[20 * MIB : 22 * MIB] == noise("kept", 2 * MIB)


def test_a_power_cut_at_any_write_leaves_no_half_image_that_boots() -> None:
    complete = used_disk()
    run(complete, wanted=DATA)
    assert complete.writes > 10
    for cut in range(complete.writes):
        disk = used_disk(fails_at=cut)
        with pytest.raises(PowerCut):
            run(disk, wanted=DATA)
        found = disk.table()
        assert found is not None
        names = [p.name for p in found.partitions]
        assert {"data", "more"} <= set(names), f"saved partitions are gone after write {cut}"
        assert "boot" not in names, f"a table that promises a system after write {cut}"
        assert disk.content[20 * MIB : 22 * MIB] == noise("kept", 2 * MIB)


def test_nothing_of_the_image_is_in_the_table_when_its_signature_is_judged() -> None:
    disk = used_disk()
    pieces = writing.rechunked([image()])
    made = writing.plan(next(pieces), disk, wanted=NOTHING)

    def wrong() -> None:
        found = disk.table()
        assert found is not None
        assert found.partitions == ()
        raise VerificationError("wrong")

    with pytest.raises(VerificationError, match="wrong"):
        writing.write(pieces, disk, made, verdict=wrong)
    assert b"BOOTCODE" not in disk.content[:512]


def test_a_disk_that_returns_other_bytes_is_found_out() -> None:
    disk = used_disk()
    disk.spoiled = 3 * MIB + 5
    with pytest.raises(VerificationError, match="does not return what was written to it, at 3 MiB"):
        run(disk)


def test_an_image_cut_short_is_an_error() -> None:
    with pytest.raises(VerificationError, match="ends after 5 MiB"):
        run(used_disk(), content=image()[: 5 * MIB])


@pytest.mark.parametrize(
    ("disk", "wanted", "content", "error", "sentence"),
    [
        (MemoryDisk(8 * MIB), NOTHING, image(), InputError, "too small"),
        (MemoryDisk(40 * MIB, sector_bytes=4096), NOTHING, image(), InputError, "sectors of 512"),
        (MemoryDisk(40 * MIB), NOTHING, bytes(2 * MIB), InputError, "no partition table"),
        (used_disk(), parse_filter(["old"], []), image(), InputError, "cannot be saved"),
    ],
    ids=["too small", "other sectors", "no image", "saved in the way"],
)
def test_what_cannot_work_is_refused_before_the_first_write(
    disk: MemoryDisk, wanted: Filter, content: bytes, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        run(disk, wanted=wanted, content=content)
    assert disk.writes == 0


def test_partitions_of_a_damaged_or_older_table_are_not_saved_by_guessing() -> None:
    damaged = used_disk()
    damaged.content[1024 + 40] ^= 1
    with pytest.raises(StateError, match="cannot be trusted"):
        run(damaged, wanted=DATA)
    run(damaged)
    older = MemoryDisk(DISK_MIB * MIB)
    older.content[510:512] = b"\x55\xaa"
    with pytest.raises(StateError, match="this one has an MBR"):
        run(older, wanted=DATA)


@pytest.mark.parametrize("sizes", [[1], [MIB], [3, MIB - 3, MIB, 7], [2 * MIB + 5]])
def test_pieces_of_any_size_become_pieces_of_one(sizes: list[int]) -> None:
    whole = noise("pieces", sum(sizes))
    pieces, offset = [], 0
    for size in sizes:
        pieces.append(whole[offset : offset + size])
        offset += size
    made = list(writing.rechunked(pieces))
    assert b"".join(made) == whole
    assert {len(piece) for piece in made[:-1]} <= {MIB}
