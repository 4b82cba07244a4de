from __future__ import annotations

import random

import pytest

from nestos.base.errors import VerificationError
from nestos.slots import verity
from tests.unit.slots.releases import slot_bytes

SALT = bytes(range(32))


def blocks(count: int) -> list[bytes]:
    source = random.Random(count)
    return [source.randbytes(8) * 512 for _ in range(count)]


def check(image: bytes, root: str, *, data: int, size: int | None = None) -> None:
    verity.verify(
        lambda offset, count: image[offset : offset + count],
        hash_offset=data * 4096,
        size=len(image) if size is None else size,
        root_hash=root,
    )


# From veritysetup 2.7.5 format --salt=00..1f over the same blocks; 130 need two levels, 1 needs none.
KNOWN = {
    1: "273ccefbd99d7f3365fda681d66e3e867ddaab16ef4ca75916282cd8cd193878",
    2: "9aaee64c9ab9897da88cc64f2d83a86b3b771fbaa18747f186f6803ad4972af8",
    128: "3510ce7bacf0683616e4cf60b8e26de0628b58c6301962491d028bf1b595c7aa",
    130: "86f761aab8b19b136803b79404c3afe6ef48b66ec3ed0b6a1ced472f0f804231",
}


@pytest.mark.parametrize("count", KNOWN)
def test_the_root_hash_is_the_one_that_veritysetup_computes(count: int) -> None:
    root, _ = verity.hash_tree(iter(blocks(count)), salt=SALT)
    assert root.hex() == KNOWN[count]


@pytest.mark.parametrize("count", [1, 5, 130])
def test_an_untouched_image_is_accepted(count: int) -> None:
    root, image = slot_bytes(blocks(count), salt=SALT)
    check(image, root, data=count)


def test_a_changed_bit_is_found_wherever_it_is() -> None:
    root, image = slot_bytes(blocks(130), salt=SALT)
    # Every block once; of the superblock only the part that means something.
    for number in range(len(image) // 4096):
        position = number * 4096 + 5
        damaged = image[:position] + bytes([image[position] ^ 4]) + image[position + 1 :]
        with pytest.raises(VerificationError):
            check(damaged, root, data=130)


@pytest.mark.parametrize("cut", [1, 4096, 8192, 5 * 4096])
def test_a_truncated_image_is_found(cut: int) -> None:
    root, image = slot_bytes(blocks(5), salt=SALT)
    with pytest.raises(VerificationError):
        check(image[:-cut], root, data=5)
    with pytest.raises(VerificationError):
        check(image[:-cut], root, data=5, size=len(image))


def test_a_longer_image_than_its_content_accounts_for_is_refused() -> None:
    root, image = slot_bytes(blocks(5), salt=SALT)
    with pytest.raises(VerificationError, match="accounts for"):
        check(image + bytes(4096), root, data=5)


def test_another_root_hash_is_refused() -> None:
    _, image = slot_bytes(blocks(5), salt=SALT)
    with pytest.raises(VerificationError, match="expected was 00"):
        check(image, "00" * 32, data=5)


def test_a_superblock_of_other_settings_is_refused() -> None:
    root, image = slot_bytes(blocks(5), salt=SALT)
    place = image.index(b"sha256")
    with pytest.raises(VerificationError, match="unexpected algorithm"):
        check(image[:place] + b"sha512" + image[place + 6 :], root, data=5)
