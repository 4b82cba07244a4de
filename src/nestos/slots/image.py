"""Builds and verifies the image of a slot: an EROFS file system with its dm-verity hash tree behind it.

The same tree, options, UUID and salt give the same bytes on the builder and on every node; so a node that pulled a
commit builds its slot itself, and the root hash in the signed commit says whether it got the very same. Which options,
and with which figures they were chosen: docs/design/slot-image.md.
"""

from __future__ import annotations

import hashlib
import os
import uuid as uuids
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from nestos.base.errors import VerificationError
from nestos.host.process import Runner, run
from nestos.slots import verity

DEFAULT_EROFS_OPTIONS: tuple[str, ...] = (
    "-zzstd,level=3",
    "-C65536",
    "-T0",
    "--all-time",
    "--hard-dereference",
    "--workers=2",
)
_BUILD_SECONDS = 3600
_COPY_BYTES = 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class SlotImage:
    """A built image: its root hash (hex), where the verity superblock begins, and its whole size, in bytes."""

    root_hash: str
    hash_offset: int
    size: int


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What makes two images of one tree equal: the UUID of file system and superblock, and the salt (hex)."""

    uuid: str
    salt: str


def identity(tree_digest: str) -> Identity:
    """The identity of the image of the tree with this digest (any stable text, for example the manifest's digest)."""
    name = hashlib.sha256(f"nestos slot {tree_digest}".encode()).hexdigest()
    return Identity(uuid=str(uuids.uuid5(uuids.NAMESPACE_OID, name)), salt=name)


def build(
    tree: Path,
    output: Path,
    *,
    uuid: str,
    salt: str,
    options: Sequence[str] = DEFAULT_EROFS_OPTIONS,
    runner: Runner = run,
) -> SlotImage:
    """Writes the slot image of ``tree`` to ``output`` and returns its measures, verified by a second implementation.

    ``options`` are mkfs.erofs's; ``uuid`` and ``salt`` come from ``identity`` or from the commit's metadata. Raises
    ``CommandError`` when a tool fails and ``VerificationError`` when the tools disagree.
    """
    output.unlink(missing_ok=True)
    runner(
        ["mkfs.erofs", "--quiet", f"-U{uuid}", *options, output, tree],
        environment={"SOURCE_DATE_EPOCH": "0"},
        timeout_seconds=_BUILD_SECONDS,
    )
    content = output.stat().st_size
    hash_offset = content + -content % verity.BLOCK_BYTES
    os.truncate(output, hash_offset)
    done = runner(
        [
            "veritysetup",
            "format",
            "--format=1",
            "--hash=sha256",
            f"--data-block-size={verity.BLOCK_BYTES}",
            f"--hash-block-size={verity.BLOCK_BYTES}",
            f"--data-blocks={hash_offset // verity.BLOCK_BYTES}",
            f"--hash-offset={hash_offset}",
            f"--salt={salt}",
            f"--uuid={uuid}",
            output,
            output,
        ],
        timeout_seconds=_BUILD_SECONDS,
    )
    image = SlotImage(root_hash=_root_hash(done.stdout), hash_offset=hash_offset, size=output.stat().st_size)
    verify(output, root_hash=image.root_hash, hash_offset=image.hash_offset, size=image.size)
    return image


def verify(path: Path, *, root_hash: str, hash_offset: int, size: int) -> None:
    """Recomputes the hash tree of the image at the beginning of ``path``, a file or block device.

    Returns when every byte of it is what ``root_hash`` (hex) vouches for, else raises ``VerificationError``.
    """
    with path.open("rb", buffering=0) as file:
        descriptor = file.fileno()

        def read(offset: int, count: int) -> bytes:
            return os.pread(descriptor, min(count, size - offset), offset) if offset < size else b""

        verity.verify(read, hash_offset=hash_offset, size=size, root_hash=root_hash)


def digest_of(*files: BinaryIO) -> str:
    """The SHA-256 (hex) of open files' contents, one behind the other: the kernel digest, of kernel and initramfs."""
    digest = hashlib.sha256()
    for file in files:
        while data := file.read(_COPY_BYTES):
            digest.update(data)
    return digest.hexdigest()


def _root_hash(printed: str) -> str:
    for line in printed.splitlines():
        name, _, value = line.partition(":")
        if name.strip().lower() == "root hash":
            return value.strip().lower()
    raise VerificationError("veritysetup printed no root hash")
