"""How wary a node is of new releases: a number from 0 (takes it first) to 1 (waits for the end of a rollout). Pure.

The arithmetic is that of Fedora CoreOS's policy engine: what the node says, held between 0 and 1; otherwise the
SipHash-1-3 of its id, so that a node without an opinion has one that is spread evenly and stays the same.
"""

from __future__ import annotations

import math
import re
from functools import lru_cache

_MASK = 0xFFFFFFFFFFFFFFFF
_LEAST_OF_A_HASH = 0.000001
_LONGEST_KEPT = 64
"""Ids are 32 or 36 characters. Longer ones, up to 16 KiB each, would fill the memory if they were kept."""
# What Rust reads as a number. Python reads more: spaces, underscores, digits of other scripts.
_NUMBER = re.compile(r"[+-]?(?:inf|infinity|nan|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?)", re.IGNORECASE)

_KNOWN = b"e0f3745b108f471cbd4883c6fbed8cdd\xff", 0xA74033CCFDCEC67C

IS_NATIVE = hash(_KNOWN[0]) & _MASK == _KNOWN[1]
"""True where this interpreter's own hash is that very function: CPython started with PYTHONHASHSEED=0, which makes its
key zero. Whoever sets it must not key a table by what strangers send: they could make all of it collide."""


def wariness(said: str | None, *, node_id: str) -> float:
    """The wariness of a node that said ``said`` (none or no number: it is made of ``node_id``, which may be empty).

    Not a number (``nan``) counts as nothing said. The original lets it through, and such a node is never held back.
    """
    if said is not None and _NUMBER.fullmatch(said):
        value = float(said)
        if not math.isnan(value):
            return min(max(value, 0.0), 1.0)
    return _of_id(node_id)


def _of_id(node_id: str) -> float:
    return max(digest(node_id) / _MASK, _LEAST_OF_A_HASH)


def digest(node_id: str) -> int:
    """The 64-bit hash of a node's id: SipHash-1-3 with a key of zeros over its UTF-8 bytes and one byte 0xff."""
    if IS_NATIVE:
        return hash(node_id.encode("utf-8", "surrogateescape") + b"\xff") & _MASK
    return _kept_digest(node_id) if len(node_id) <= _LONGEST_KEPT else _hashed(node_id)


@lru_cache(maxsize=65536)
def _kept_digest(node_id: str) -> int:
    return _hashed(node_id)


def _hashed(node_id: str) -> int:
    return siphash13(node_id.encode("utf-8", "surrogateescape") + b"\xff")


def siphash13(data: bytes) -> int:
    """SipHash with one round a word and three at the end (Aumasson and Bernstein, 2012), the key being zero."""
    v0, v1, v2, v3 = 0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573
    length = len(data)
    padded = data + bytes(7 - length % 8) + bytes([length & 0xFF])
    words = [int.from_bytes(padded[at : at + 8], "little") for at in range(0, len(padded), 8)]
    for word in words:
        v3 ^= word
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
        v0 ^= word
    v2 ^= 0xFF
    for _ in range(3):
        v0, v1, v2, v3 = _round(v0, v1, v2, v3)
    return v0 ^ v1 ^ v2 ^ v3


def _round(v0: int, v1: int, v2: int, v3: int) -> tuple[int, int, int, int]:
    v0 = (v0 + v1) & _MASK
    v1 = ((v1 << 13) | (v1 >> 51)) & _MASK ^ v0
    v0 = ((v0 << 32) | (v0 >> 32)) & _MASK
    v2 = (v2 + v3) & _MASK
    v3 = ((v3 << 16) | (v3 >> 48)) & _MASK ^ v2
    v0 = (v0 + v3) & _MASK
    v3 = ((v3 << 21) | (v3 >> 43)) & _MASK ^ v0
    v2 = (v2 + v1) & _MASK
    v1 = ((v1 << 17) | (v1 >> 47)) & _MASK ^ v2
    v2 = ((v2 << 32) | (v2 >> 32)) & _MASK
    return v0, v1, v2, v3
