"""A packed image is rebuilt bit for bit from the file it refers to, or not at all."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace
from pathlib import Path

import pytest

from nestos.base.errors import StateError, VerificationError
from nestos.wire import packed
from tests.unit.installer.made_up import noise

BLOCK = packed.BLOCK_BYTES


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """Zeros, holes, blocks of the reference in another order, blocks of its own, and an odd end."""
    path = tmp_path / "image"
    with path.open("wb") as file:
        file.write(bytes(BLOCK) + noise("ref", 8 * BLOCK)[2 * BLOCK :] + noise("own", 3 * BLOCK))
        file.seek(1 << 20)
        file.write(noise("ref", BLOCK) + noise("end", 700))
    return path


REFERENCE = noise("ref", 8 * BLOCK) + b"tail"


def packed_of(image: Path) -> packed.Packed:
    with image.open("rb") as file:
        return packed.pack(file, references={"ref": io.BytesIO(REFERENCE)}, sector_bytes=512)


def test_it_comes_back_bit_for_bit(image: Path) -> None:
    made = packed.parse(packed.render(packed_of(image)))
    assert b"".join(packed.unpack(made, references={"ref": io.BytesIO(REFERENCE)})) == image.read_bytes()
    assert made.sector_bytes == 512
    assert made.sha256 == hashlib.sha256(image.read_bytes()).hexdigest()


def test_what_the_reference_has_is_not_carried_again(image: Path) -> None:
    made = packed_of(image)
    carried = sum(run.size for run in made.runs if run.kind == "data")
    assert carried == 3 * BLOCK + 700
    assert len(packed.render(made)) < carried + 1000
    assert [run.kind for run in made.runs] == ["zero", "ref", "data", "zero", "ref", "data"]


@pytest.mark.parametrize("place", [2 * BLOCK + 1, 7 * BLOCK])
def test_a_changed_reference_is_found_out(image: Path, place: int) -> None:
    changed = bytearray(REFERENCE)
    changed[place] ^= 1
    with pytest.raises(VerificationError, match="another checksum"):
        list(packed.unpack(packed_of(image), references={"ref": io.BytesIO(changed)}))


def test_a_changed_list_of_runs_is_found_out(image: Path) -> None:
    made = packed_of(image)
    first, *others = made.runs
    swapped = replace(made, runs=(replace(first, size=first.size * 2), *others))
    with pytest.raises(VerificationError, match="another checksum"):
        list(packed.unpack(swapped, references={"ref": io.BytesIO(REFERENCE)}))


def test_a_reference_cut_short_is_found_out(image: Path) -> None:
    with pytest.raises(VerificationError, match="cut short"):
        list(packed.unpack(packed_of(image), references={"ref": io.BytesIO(REFERENCE[: 4 * BLOCK])}))


@pytest.mark.parametrize("content", [b"", b"{}\n", b'{"version": 9}\n', b"[]\n", b"\xff\n"])
def test_what_is_no_packed_image_is_refused(content: bytes) -> None:
    with pytest.raises(StateError):
        packed.parse(content)


def test_a_file_that_is_missing_is_named(image: Path) -> None:
    with pytest.raises(StateError, match="rebuilt from ref; there is no ref"):
        list(packed.unpack(packed_of(image), references={"other": io.BytesIO(REFERENCE)}))
