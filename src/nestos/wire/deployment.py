"""``deployment.json``: what the boot partition records of the release in a slot. Standard library only.

Written when a slot is filled (by the disk image's builder, then by every update), read by the node's commands. It
is a record for people and tools: what is booted is decided by ``slot.cfg`` and proven by the verity root hash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from nestos.base.errors import StateError

_HASH = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The release in one slot."""

    version: str
    commit: str
    """Checksum of the OSTree commit, hexadecimal."""
    root_hash: str
    """dm-verity root hash of the slot image, hexadecimal."""
    hash_offset: int
    """Bytes from the partition's start to the verity superblock."""
    image_size: int
    """Bytes of file system and hash tree together."""
    kernel_digest: str
    """sha256 of the kernel followed by the initramfs, hexadecimal."""
    ref: str
    """Branch that the commit was taken from."""
    kargs: tuple[str, ...] = ()
    """Kernel arguments besides those that the boot loader adds by itself."""
    timestamp: str = ""
    """When the commit was made (not when it was installed), RFC 3339 in UTC; empty where unknown."""


def render(deployment: Deployment) -> str:
    """The file's text, the same for the same content."""
    return json.dumps(asdict(deployment), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def parse(text: str, *, source: str) -> Deployment:
    """Reads the file. Raises ``StateError`` naming ``source`` and the field where it is not usable.

    Unknown fields are kept out, not refused: an older program must read what a newer one wrote.
    """
    try:
        document = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise StateError(f"{source} is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise StateError(f"{source} is not a JSON object")
    reader = _Fields(document, source)
    return Deployment(
        version=reader.text("version"),
        commit=reader.hash("commit"),
        root_hash=reader.hash("root_hash"),
        hash_offset=reader.number("hash_offset"),
        image_size=reader.number("image_size"),
        kernel_digest=reader.hash("kernel_digest"),
        ref=reader.text("ref"),
        kargs=reader.texts("kargs"),
        timestamp=reader.text("timestamp"),
    )


class _Fields:
    """Typed access to the document's fields."""

    def __init__(self, document: Mapping[str, object], source: str) -> None:
        self._document = document
        self._source = source

    def text(self, name: str) -> str:
        value = self._document.get(name, "")
        if not isinstance(value, str):
            raise self._wrong(name, "a text")
        return value

    def hash(self, name: str) -> str:
        value = self.text(name)
        if not _HASH.fullmatch(value):
            raise self._wrong(name, "a sha256 in hexadecimal")
        return value

    def number(self, name: str) -> int:
        value = self._document.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(name, "a number of bytes")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._document.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name, "a list of texts")
        return tuple(value)

    def _wrong(self, name: str, wanted: str) -> StateError:
        return StateError(f'{self._source}: "{name}" is not {wanted}')
