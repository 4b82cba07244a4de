"""An image onto a disk, so that no cut and no failure leaves a disk that boots half an image.

The order: the saved partitions alone in the table (or none); the image's data behind the first MiB; the verdict on its
signature; everything read back and compared; the table last, its backup before it. Whatever fails before the table is
written leaves the table with the saved partitions alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from nestos.base.errors import InputError, StateError, VerificationError
from nestos.installer import partitions
from nestos.installer.device import Disk
from nestos.installer.partitions import Filter
from nestos.wire import gpt
from nestos.wire.gpt import Partition, Table

PIECE_BYTES = 1 << 20
"""How much is written, compared and told at once."""

_BOOT_CODE_BYTES = 440
_ZEROS = bytes(PIECE_BYTES)


def _in_silence(_: int) -> None:
    """Tells nobody."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is going to be on the disk. Checked: nothing in it can fail for what is known before the first write."""

    image: Table
    final: Table
    interim: Table
    """The saved partitions alone."""
    boot_code: bytes
    first: bytes
    """The image's first MiB, which is not written as it is: the disk's own table takes its place."""


@dataclass(kw_only=True)
class Written:
    """What was written: offset, size and digest of each piece; none for zeros."""

    pieces: list[tuple[int, int, bytes | None]] = field(default_factory=list)


def plan(first: bytes, disk: Disk, *, wanted: Filter) -> Plan:
    """The plan for an image that begins with ``first``.

    Raises ``InputError`` for an image without a partition table or for other sectors, one that does not fit, and saved
    partitions in its way; ``StateError`` for partitions to be saved on a disk whose table cannot be read.
    """
    sector = gpt.sector_bytes_of(first)
    if sector is None:
        raise InputError("the image has no partition table: it is not a disk image")
    if sector != disk.sector_bytes:
        raise InputError(
            f"the image is for disks with sectors of {sector} bytes, this one has sectors of {disk.sector_bytes}",
            hint="take the image for metal4k" if disk.sector_bytes == 4096 else "take the image for metal",
        )
    image = gpt.parse(first, sector_bytes=sector, size_bytes=disk.size_bytes)
    if image is None:
        raise InputError("the image has no partition table: it is not a disk image")
    saved = _saved(disk, wanted)
    return Plan(
        image=image,
        final=partitions.merged(image, saved, disk_bytes=disk.size_bytes),
        interim=partitions.merged(partitions.only((), table=image), saved, disk_bytes=disk.size_bytes),
        boot_code=first[:_BOOT_CODE_BYTES],
        first=first,
    )


def _saved(disk: Disk, wanted: Filter) -> tuple[Partition, ...]:
    if not wanted:
        return ()
    head = disk.read(0, PIECE_BYTES)
    try:
        table = gpt.parse(head, sector_bytes=disk.sector_bytes, size_bytes=disk.size_bytes)
    except InputError as error:
        raise StateError(f"partitions are to be saved, and the disk's table cannot be trusted: {error}") from error
    if table is None and head[510:512] == b"\x55\xaa":
        raise StateError("partitions can be saved on disks with a GPT only; this one has an MBR")
    return partitions.kept(table, wanted)


def clear(disk: Disk, made: Plan) -> None:
    """The table with the saved partitions alone, and no boot code; an empty one where none are saved."""
    _write_table(disk, made.interim, boot_code=b"")


def write(
    image: Iterator[bytes],
    disk: Disk,
    made: Plan,
    *,
    verdict: Callable[[], None],
    tell: Callable[[int], None] = _in_silence,
) -> None:
    """Writes the image, whose first MiB was taken off ``image`` for the plan, and judges it by ``verdict`` at its end.

    ``tell`` gets the bytes of the image that were handled. Raises whatever fails; the caller then clears the table.
    """
    end = partitions.end_of(made.image)
    clear(disk, made)
    _wipe_behind_table(disk, made)
    written = Written()
    offset = PIECE_BYTES
    for piece in rechunked(image):
        _put(disk, piece[: max(0, end - offset)], offset, written)
        offset += len(piece)
        tell(offset)
    if offset < end:
        raise VerificationError(f"the image ends after {offset >> 20} MiB, its partitions reach to {end >> 20} MiB")
    verdict()
    disk.settle()
    read_back(disk, written, tell=tell)
    _write_table(disk, made.final, boot_code=made.boot_code)
    disk.settle()


def read_back(disk: Disk, written: Written, *, tell: Callable[[int], None] = _in_silence) -> None:
    """Compares the disk with what was written. Raises ``VerificationError`` naming the place."""
    for offset, size, digest in written.pieces:
        for start in range(offset, offset + size, PIECE_BYTES):
            want = min(PIECE_BYTES, offset + size - start)
            found = disk.read(start, want)
            same = found == _ZEROS[:want] if digest is None else _digest(found) == digest
            if not same:
                raise VerificationError(
                    f"the disk does not return what was written to it, at {start >> 20} MiB",
                    hint="the disk is broken, or someone else writes to it",
                )
        tell(offset + size)


def rechunked(pieces: Iterable[bytes], *, size: int = PIECE_BYTES) -> Iterator[bytes]:
    """The same bytes in pieces of ``size``; the last may be shorter."""
    pending = bytearray()
    for piece in pieces:
        if not pending and len(piece) == size:
            yield piece
            continue
        pending += piece
        while len(pending) >= size:
            yield bytes(pending[:size])
            del pending[:size]
    if pending:
        yield bytes(pending)


def _put(disk: Disk, piece: bytes, offset: int, written: Written) -> None:
    if not piece:
        return
    if piece != _ZEROS[: len(piece)]:
        disk.write(offset, piece)
        written.pieces.append((offset, len(piece), _digest(piece)))
        return
    disk.zero(offset, len(piece))
    last = written.pieces[-1] if written.pieces else None
    if last and last[2] is None and last[0] + last[1] == offset:
        written.pieces[-1] = (last[0], last[1] + len(piece), None)
    else:
        written.pieces.append((offset, len(piece), None))


def _write_table(disk: Disk, table: Table, *, boot_code: bytes) -> None:
    """The backup first: while the primary is being written, the other is whole."""
    blocks = gpt.blocks(table, boot_code=boot_code)
    for offset in sorted(blocks, reverse=True):
        disk.write(offset, blocks[offset])
        disk.settle()


def _wipe_behind_table(disk: Disk, made: Plan) -> None:
    """Nothing of an older boot loader stays between the table and the first partition."""
    used = len(gpt.blocks(made.interim)[0])
    disk.zero(used, PIECE_BYTES - used)


def _digest(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=16).digest()
