"""Compressed images by the standard library: whole, in parts, cut short and damaged. Programs are the system tests'."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Callable

import pytest

from nestos.base.errors import VerificationError
from nestos.installer.decompression import decompressed
from tests.unit.installer.made_up import noise

WHOLE = noise("image", 200_000) + bytes(1_500_000) + noise("end", 10)
PACKERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "xz": lzma.compress, "plain": bytes}


def unpack(data: bytes, *, piece: int = 70_001) -> bytes:
    pieces = (data[start : start + piece] for start in range(0, len(data), piece))
    return b"".join(decompressed(pieces, which=lambda name: None))


@pytest.mark.parametrize("pack", PACKERS.values(), ids=PACKERS)
@pytest.mark.parametrize("piece", [3, 70_001, 10_000_000])
def test_any_pieces_give_the_content(pack: Callable[[bytes], bytes], piece: int) -> None:
    short = WHOLE[:20_000] if piece == 3 else WHOLE
    assert unpack(pack(short), piece=piece) == short


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gzip", "xz"])
def test_several_members_and_padding_are_one_content(pack: Callable[[bytes], bytes]) -> None:
    assert unpack(pack(WHOLE[:100_000]) + pack(WHOLE[100_000:]) + bytes(8)) == WHOLE


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gzip", "xz"])
@pytest.mark.parametrize("lost", [1, 9, 100_000])
def test_a_stream_cut_short_is_never_a_short_image(pack: Callable[[bytes], bytes], lost: int) -> None:
    with pytest.raises(VerificationError, match="cut short"):
        unpack(pack(WHOLE)[:-lost])


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gzip", "xz"])
def test_damage_is_found(pack: Callable[[bytes], bytes]) -> None:
    data = bytearray(pack(WHOLE))
    data[len(data) // 2] ^= 0x55
    with pytest.raises(VerificationError, match=r"damaged|cut short"):
        unpack(bytes(data))


def test_nothing_is_nothing() -> None:
    assert unpack(b"") == b""
