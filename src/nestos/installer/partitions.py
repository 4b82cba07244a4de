"""Partitions that outlive an installation: which are meant, and the table with them and the image's. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from nestos.base.errors import InputError
from nestos.wire import gpt
from nestos.wire.gpt import Partition, Table

_RANGE = re.compile(r"(\d+)?(-)?(\d+)?")


@dataclass(frozen=True, kw_only=True)
class Filter:
    """What to save: globs over labels, ranges of numbers (none: open on that side)."""

    labels: tuple[str, ...] = ()
    numbers: tuple[tuple[int | None, int | None], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.labels or self.numbers)

    def matches(self, partition: Partition) -> bool:
        """True if ``partition`` is to be saved."""
        if any(fnmatchcase(partition.name, label) for label in self.labels):
            return True
        low, high = 0, gpt.MOST_PARTITIONS
        return any((a or low) <= partition.number <= (high if b is None else b) for a, b in self.numbers)


NOTHING_SAVED = Filter()


def parse_filter(labels: Sequence[str], indexes: Sequence[str]) -> Filter:
    """The filter of ``--save-partlabel`` and ``--save-partindex``; each may hold several, with commas between.

    Raises ``InputError`` for what is no number or range such as ``5``, ``5-7``, ``5-`` and ``-7``.
    """
    numbers = [_range(text) for item in indexes for text in item.split(",")]
    return Filter(labels=tuple(part for item in labels for part in item.split(",") if part), numbers=tuple(numbers))


def _range(text: str) -> tuple[int | None, int | None]:
    match = _RANGE.fullmatch(text.strip())
    low, dash, high = match.groups() if match else (None, None, None)
    if low is None and high is None:
        raise InputError(f"{text!r} is no partition number or range", hint="such as 5, 5-7, 5- or -7")
    start = int(low) if low else None
    end = int(high) if high else (None if dash else start)
    if 0 in (start, end):
        raise InputError("partitions are numbered from 1")
    if start is not None and end is not None and start > end:
        raise InputError(f"the range {text} ends before it begins")
    return start, end


def kept(table: Table | None, wanted: Filter) -> tuple[Partition, ...]:
    """The partitions of the disk's table that are saved."""
    return tuple(p for p in table.partitions if wanted.matches(p)) if table and wanted else ()


def end_of(image: Table) -> int:
    """The first byte behind the image's last partition: what lies there is left alone."""
    return max((partition.end_bytes for partition in image.partitions), default=gpt.ALIGNMENT_BYTES)


def merged(image: Table, saved: Sequence[Partition], *, disk_bytes: int) -> Table:
    """The image's table for a disk of ``disk_bytes``, with the saved partitions in it.

    A saved partition whose number the image uses gets the next one behind the image's. Raises ``InputError`` where one
    would be overwritten, or where the image does not fit.
    """
    room = disk_bytes - gpt.ALIGNMENT_BYTES
    end = end_of(image)
    if end > room:
        raise InputError(f"the disk is too small: it has {disk_bytes >> 20} MiB, the image needs {(end >> 20) + 1} MiB")
    for partition in saved:
        if partition.offset_bytes < end:
            raise InputError(
                f"partition {partition.number} ({partition.name}) begins at {partition.offset_bytes >> 20} MiB, and the"
                f" image reaches to {end >> 20} MiB: it cannot be saved",
                hint="copy it to elsewhere, or leave it out of --save-partlabel and --save-partindex",
            )
    used = {partition.number for partition in image.partitions}
    placed = []
    for partition in sorted(saved, key=lambda p: p.number):
        number = partition.number
        if number in used:
            number = max(used) + 1
        used.add(number)
        placed.append(replace(partition, number=number))
    whole = disk_bytes // image.sector_bytes * image.sector_bytes
    return replace(image, size_bytes=whole, partitions=(*image.partitions, *placed))


def only(saved: Sequence[Partition], *, table: Table) -> Table:
    """The disk's own ``table`` with nothing but the saved partitions."""
    return replace(table, partitions=tuple(saved))
