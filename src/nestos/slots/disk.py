"""What a slot write touches, as interfaces.

The transaction (``nestos.slots.install``) knows only these. ``nestos.slots.hardware`` and ``nestos.slots.etc``
implement them on a node; the crash sweep implements them on a simulated disk whose cache loses, reorders and tears
whatever was not flushed. So each method says what it makes durable; what it does not name may be lost at any moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from nestos.slots.bootstate import Slot
from nestos.wire.deployment import Deployment


class PartitionDevice(Protocol):
    """One system partition, held exclusively."""

    @property
    def size(self) -> int:
        """Bytes."""

    def write(self, offset: int, data: bytes) -> None:
        """Writes ``data`` at ``offset``. Not durable until ``flush``."""

    def flush(self) -> None:
        """Makes every write durable."""

    def read(self, offset: int, size: int) -> bytes:
        """Bytes as the device returns them, not as the page cache remembers them; fewer at the end."""


class BootFilesystem(Protocol):
    """The boot partition: files that GRUB reads without replaying the journal. Paths are relative to its root."""

    def free_bytes(self) -> int:
        """Room for new file content."""

    def read(self, path: str) -> bytes | None:
        """The content of a file; none where it is missing."""

    def size(self, path: str) -> int:
        """The size of a file in bytes; 0 where it is missing."""

    def digest(self, *paths: str) -> str:
        """The SHA-256 of the files' contents, one behind the other, in hex; of nothing for a missing one."""

    def write_file(self, path: str, source: BinaryIO) -> None:
        """Writes or overwrites a file, making its folder where needed.

        Until ``checkpoint`` returns, GRUB may find the old content, the new one, part of it, or no file.
        """

    def replace_file(self, path: str, data: bytes) -> None:
        """Puts ``data`` in place of a file that the running system reads: it is the old one or the new one at every
        moment, never a part. Not durable, and nothing that GRUB may rely on, until ``checkpoint``."""

    def checkpoint(self) -> None:
        """Makes every change durable *and* visible to GRUB, and drops what the page cache remembers of it."""


class EnvironmentBlock(Protocol):
    """The GRUB environment block, overwritten in place; a sector of it is written whole or not at all."""

    def read(self) -> bytes:
        """The block."""

    def write(self, block: bytes) -> None:
        """Overwrites the block. Not durable until ``flush``."""

    def flush(self) -> None:
        """Makes the block durable."""


@dataclass(frozen=True, kw_only=True)
class EtcReport:
    """What following a slot did to its ``/etc``. Paths are relative to ``/etc``.

    ``conflicts``: changed on this node *and* by the release; the node's version stays. ``merged``: account files in
    which both were joined. ``released``: files whose local version had become the release's own, so that they follow
    it again. ``notes``: sentences about accounts that an operator should read.
    """

    conflicts: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    released: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


class EtcStore(Protocol):
    """The writable ``/etc`` layers of both slots."""

    def stage(self, slot: Slot) -> EtcReport:
        """Builds ``slot``'s layer, from the other slot's, beside its place. Not durable until ``sync``."""

    def sync(self) -> None:
        """Makes the content of the staged layer durable."""

    def publish(self, slot: Slot) -> None:
        """Moves the staged layer to its place. Not durable until ``sync_directory``."""

    def sync_directory(self) -> None:
        """Makes the move durable."""


@dataclass(frozen=True, kw_only=True)
class Disk:
    """Everything that a slot transaction writes to."""

    partitions: Mapping[Slot, PartitionDevice]
    boot: BootFilesystem
    environment: EnvironmentBlock
    etc: EtcStore


@dataclass(frozen=True, kw_only=True)
class Payload:
    """A release ready to be written: files in the staging folder and what the signed commit says of them."""

    deployment: Deployment
    image: Path
    kernel: Path
    initramfs: Path
