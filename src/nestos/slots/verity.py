"""The dm-verity hash tree, computed with hashlib.

An independent second opinion on what ``veritysetup format`` wrote, and the check of every slot before it may boot: the
kernel would find a wrong block only when it is read. Format: Documentation/admin-guide/device-mapper/verity.rst of
the kernel, and cryptsetup's lib/verity/verity.c for the superblock. SHA-256, 4096-byte data and hash blocks.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nestos.base.errors import VerificationError

BLOCK_BYTES = 4096
_DIGEST_BYTES = 32
_PER_BLOCK = BLOCK_BYTES // _DIGEST_BYTES
# signature, version, hash type, uuid, algorithm, data block, hash block, data blocks, salt size, salt
_SUPERBLOCK = struct.Struct("<8sII16s32sIIQH6x256s168x")
_READ_BLOCKS = 256

Read = Callable[[int, int], bytes]
"""Reads at an offset a number of bytes; fewer at the end."""


@dataclass(frozen=True, kw_only=True)
class Superblock:
    """What the superblock says: the number of data blocks in front of it, and the salt."""

    uuid: bytes
    data_blocks: int
    salt: bytes


def parse_superblock(data: bytes) -> Superblock:
    """Reads a superblock; raises ``VerificationError`` where it is not one of the only kind that slots use."""
    if len(data) < _SUPERBLOCK.size:
        raise VerificationError("the slot image ends before its verity superblock")
    fields = _SUPERBLOCK.unpack_from(data)
    signature, version, hash_type, uuid, algorithm, data_block, hash_block, blocks, salt_size, salt = fields
    if signature != b"verity\0\0" or (version, hash_type) != (1, 1):
        raise VerificationError("there is no verity superblock behind the file system of the slot image")
    if (algorithm.rstrip(b"\0"), data_block, hash_block) != (b"sha256", BLOCK_BYTES, BLOCK_BYTES) or salt_size > 256:
        raise VerificationError("the verity superblock of the slot image names an unexpected algorithm or block size")
    return Superblock(uuid=uuid, data_blocks=blocks, salt=salt[:salt_size])


def hash_tree(blocks: Iterator[bytes], *, salt: bytes) -> tuple[bytes, bytes]:
    """The root hash of data ``blocks``, and the tree as stored: top level first, each padded to whole blocks."""
    seed = hashlib.sha256(salt)

    def digest(block: bytes) -> bytes:
        state = seed.copy()
        state.update(block)
        return state.digest()

    level = [digest(block) for block in blocks]
    stored: list[bytes] = []
    while len(level) > 1:
        packed = b"".join(level)
        packed += bytes(-len(packed) % BLOCK_BYTES)
        stored.append(packed)
        level = [digest(packed[start : start + BLOCK_BYTES]) for start in range(0, len(packed), BLOCK_BYTES)]
    if not level:
        raise VerificationError("the slot image is empty")
    return level[0], b"".join(reversed(stored))


def verify(read: Read, *, hash_offset: int, size: int, root_hash: str) -> None:
    """Checks every byte of the slot image that ``read`` returns, file system and hash tree, against ``root_hash``.

    Raises ``VerificationError`` naming what differs. ``size`` is the whole image's, so that nothing rides behind it.
    """
    superblock = parse_superblock(read(hash_offset, BLOCK_BYTES))
    if superblock.data_blocks * BLOCK_BYTES != hash_offset:
        raise VerificationError(
            f"the verity superblock covers {superblock.data_blocks} blocks, not the file system's {hash_offset} bytes"
        )
    computed, tree = hash_tree(_blocks(read, hash_offset), salt=superblock.salt)
    if computed.hex() != root_hash.lower():
        raise VerificationError(f"the slot image has the root hash {computed.hex()}, expected was {root_hash}")
    begin = hash_offset + BLOCK_BYTES
    if begin + len(tree) != size:
        raise VerificationError(f"the slot image is {size} bytes, its content accounts for {begin + len(tree)}")
    for start in range(0, len(tree), _READ_BLOCKS * BLOCK_BYTES):
        part = tree[start : start + _READ_BLOCKS * BLOCK_BYTES]
        if read(begin + start, len(part)) != part:
            raise VerificationError("the stored verity hash tree of the slot image is damaged")


def _blocks(read: Read, size: int) -> Iterator[bytes]:
    for offset in range(0, size, _READ_BLOCKS * BLOCK_BYTES):
        wanted = min(_READ_BLOCKS * BLOCK_BYTES, size - offset)
        data = read(offset, wanted)
        if len(data) != wanted:
            raise VerificationError(f"the slot image ends at byte {offset + len(data)}, expected were {size}")
        for start in range(0, wanted, BLOCK_BYTES):
            yield data[start : start + BLOCK_BYTES]
