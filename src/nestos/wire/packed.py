"""A disk image told by other files: which of its parts lie in those, which are zeros, and the few that are neither.

A live medium holds the slot image, kernel and initramfs that a disk image is mostly made of. So the disk image need not
be carried a second time: it is rebuilt from them, bit for bit, and its checksum proves it. The form is one JSON line
(size, sha256, sector size, runs) and behind it the parts that exist nowhere else, compressed by xz. A run is
``[KIND, SIZE]``, or ``[NAME, SIZE, OFFSET]`` for a copy from the file called ``NAME``. Pure but for the files that are
handed in.
"""

from __future__ import annotations

import errno
import hashlib
import json
import lzma
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from nestos.base.errors import StateError, VerificationError

BLOCK_BYTES = 4096
"""What is compared: the block of every file system in an image."""

ZERO, DATA = "zero", "data"
_OWN = (ZERO, DATA)
_PIECE_BYTES = 1 << 20
_VERSION = 1


class Source(Protocol):
    """What is used of a file that an image is rebuilt from."""

    def seek(self, offset: int, /) -> int:
        """Goes to a place, counted from the beginning."""

    def read(self, size: int, /) -> bytes:
        """The next bytes; fewer at the end."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """A stretch of the image: zeros, the next of the own data, or a copy from ``offset`` of the file ``kind``."""

    kind: str
    size: int
    offset: int = 0

    @property
    def end(self) -> int:
        """The first byte behind what is copied."""
        return self.offset + self.size

    @property
    def listed(self) -> list[str | int]:
        """As the file has it."""
        return [self.kind, self.size] if self.kind in _OWN else [self.kind, self.size, self.offset]


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A packed image. ``data`` is compressed."""

    size: int
    sha256: str
    """Of the whole image."""
    proof: str
    """sha256 of the list of runs and of all that is not zeros: nine tenths of an image are, and hashing them takes
    longer than writing the rest."""
    sector_bytes: int
    runs: tuple[Run, ...]
    data: bytes

    @property
    def needs(self) -> frozenset[str]:
        """The names of the files that it is rebuilt from."""
        return frozenset(run.kind for run in self.runs if run.kind not in _OWN)


def pack(image: BinaryIO, *, references: Mapping[str, Source], sector_bytes: int) -> Packed:
    """Packs ``image`` (a real file: its holes are skipped) by what is in ``references``."""
    known = _index(references)
    size = os.fstat(image.fileno()).st_size
    total, literals, runs = hashlib.sha256(), lzma.LZMACompressor(preset=6), list[Run]()
    compressed = bytearray()
    for length, block in _blocks(image, size):
        if block is None:
            _hash_zeros(total, length)
            _add(runs, Run(kind=ZERO, size=length))
            continue
        total.update(block)
        if not block.strip(b"\0"):
            _add(runs, Run(kind=ZERO, size=len(block)))
        elif (place := _place(known, block, runs, references)) is not None:
            _add(runs, Run(kind=place[0], size=len(block), offset=place[1]))
        else:
            _add(runs, Run(kind=DATA, size=len(block)))
            compressed += literals.compress(block)
    compressed += literals.flush()
    return Packed(
        size=size,
        sha256=total.hexdigest(),
        proof=_proof(image, runs),
        sector_bytes=sector_bytes,
        runs=tuple(runs),
        data=bytes(compressed),
    )


def render(packed: Packed) -> bytes:
    """The file's bytes."""
    runs = [run.listed for run in packed.runs]
    head = {
        "version": _VERSION,
        "size": packed.size,
        "sha256": packed.sha256,
        "proof": packed.proof,
        "sector": packed.sector_bytes,
        "runs": runs,
    }
    return json.dumps(head, separators=(",", ":")).encode() + b"\n" + packed.data


def parse(content: bytes) -> Packed:
    """Reads the file. Raises ``StateError`` where it is none, or of another version."""
    head, _, data = content.partition(b"\n")
    try:
        document = json.loads(head)
        if document["version"] != _VERSION:
            raise StateError(f"a packed image of version {document['version']}, this program reads {_VERSION}")
        return Packed(
            size=int(document["size"]),
            sha256=str(document["sha256"]),
            proof=str(document["proof"]),
            sector_bytes=int(document["sector"]),
            runs=tuple(_run(item) for item in document["runs"]),
            data=data,
        )
    except (ValueError, KeyError, TypeError, IndexError) as error:
        raise StateError(f"not a packed image: {error}") from error


def unpack(packed: Packed, *, references: Mapping[str, Source]) -> Iterator[bytes]:
    """The image in pieces. Raises ``VerificationError`` at its end where it is not the image that was packed."""
    if lacking := sorted(packed.needs - references.keys()):
        raise StateError(f"the disk image is rebuilt from {', '.join(sorted(packed.needs))}; there is no {lacking[0]}")
    literals = _literals(packed.data)
    total = _begun(packed.runs)
    zeros = bytes(_PIECE_BYTES)
    next(literals)
    for run in packed.runs:
        for start in range(0, run.size, _PIECE_BYTES):
            want = min(run.size - start, _PIECE_BYTES)
            if run.kind == ZERO:
                piece = zeros[:want]
            elif run.kind == DATA:
                piece = literals.send(want)
            else:
                references[run.kind].seek(run.offset + start)
                piece = references[run.kind].read(want)
            if len(piece) != want:
                raise VerificationError("the live medium is cut short: the disk image cannot be rebuilt from it")
            if run.kind != ZERO:
                total.update(piece)
            yield piece
    if total.hexdigest() != packed.proof:
        raise VerificationError(
            "the disk image rebuilt from the live medium has another checksum",
            hint="the medium is damaged: write it anew",
        )


def _begun(runs: Sequence[Run]) -> hashlib._Hash:
    return hashlib.sha256(json.dumps([run.listed for run in runs], separators=(",", ":")).encode())


def _proof(image: BinaryIO, runs: Sequence[Run]) -> str:
    total, offset = _begun(runs), 0
    for run in runs:
        image.seek(offset)
        for start in range(0, run.size if run.kind != ZERO else 0, _PIECE_BYTES):
            total.update(image.read(min(run.size - start, _PIECE_BYTES)))
        offset += run.size
    return total.hexdigest()


def _run(item: Sequence[object]) -> Run:
    kind, size = str(item[0]), int(str(item[1]))
    offset = 0 if kind in _OWN else int(str(item[2]))
    if size <= 0 or offset < 0:
        raise ValueError(f"a run of {size} bytes at {offset}")
    return Run(kind=kind, size=size, offset=offset)


def _literals(data: bytes) -> Generator[bytes, int, None]:
    """Sent a size, it yields the next so many bytes of what ``data`` was compressed from; fewer at the end."""
    decompressor = lzma.LZMADecompressor()
    pending = bytearray()
    want = yield b""
    while True:
        while len(pending) < want and not decompressor.eof:
            more = decompressor.decompress(data, max_length=_PIECE_BYTES)
            data = b""
            if not more and decompressor.needs_input:
                break
            pending += more
        piece = bytes(pending[:want])
        del pending[:want]
        want = yield piece


def _index(references: Mapping[str, Source]) -> dict[bytes, tuple[str, int]]:
    known: dict[bytes, tuple[str, int]] = {}
    for name, file in references.items():
        file.seek(0)
        offset = 0
        while block := file.read(BLOCK_BYTES):
            known.setdefault(_name(block), (name, offset))
            offset += len(block)
    return known


def _name(block: bytes) -> bytes:
    return hashlib.blake2b(block, digest_size=16).digest()


def _place(
    known: Mapping[bytes, tuple[str, int]], block: bytes, runs: Sequence[Run], references: Mapping[str, Source]
) -> tuple[str, int] | None:
    """Where ``block`` is: behind the last copy, if it is there (longer runs make a smaller file), or anywhere."""
    last = runs[-1] if runs else None
    if last is not None and last.kind in references:
        references[last.kind].seek(last.end)
        if references[last.kind].read(len(block)) == block:
            return last.kind, last.end
    return known.get(_name(block))


def _add(runs: list[Run], run: Run) -> None:
    last = runs[-1] if runs else None
    if last is not None and last.kind == run.kind and (run.kind in _OWN or last.end == run.offset):
        runs[-1] = Run(kind=last.kind, size=last.size + run.size, offset=last.offset)
    else:
        runs.append(run)


def _blocks(image: BinaryIO, size: int) -> Iterator[tuple[int, bytes | None]]:
    """Each block with data and its length; for a hole its length and none."""
    position = 0
    while position < size:
        start, end = _extent(image.fileno(), position, size)
        if start > position:
            yield start - position, None
        image.seek(start)
        for offset in range(start, end, BLOCK_BYTES):
            block = image.read(min(BLOCK_BYTES, end - offset))
            yield len(block), block
        position = max(end, start)


def _extent(descriptor: int, position: int, size: int) -> tuple[int, int]:
    """Begin and end of the data at or behind ``position``, both on whole blocks; ``size`` twice where none is left."""
    try:
        start = os.lseek(descriptor, position, os.SEEK_DATA) // BLOCK_BYTES * BLOCK_BYTES
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return size, size
    end = os.lseek(descriptor, start, os.SEEK_HOLE)
    return max(start, position), min(-(-end // BLOCK_BYTES) * BLOCK_BYTES, size)


def _hash_zeros(total: hashlib._Hash, size: int) -> None:
    zeros = bytes(_PIECE_BYTES)
    for offset in range(0, size, _PIECE_BYTES):
        total.update(zeros[: min(_PIECE_BYTES, size - offset)])
