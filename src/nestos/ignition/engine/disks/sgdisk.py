"""The language of sgdisk(8): its options, and the parts of its output that are read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from nestos.ignition.engine.disks.survey import StorageError
from nestos.ignition.engine.disks.table import Action, Decision, Wanted

_MIB = 1024 * 1024
GROW = "--move-second-header"
"""The option that lets the table use all of a disk that has grown."""

_EXTENT = re.compile(r"^First sector: (\d+) \(.*\)$\n^Last sector: (\d+) \(.*\)$", re.MULTILINE)


def creation(wanted: Wanted) -> list[str]:
    """The options that create a partition; 0 is the largest free room's start, or all of what is left of it."""
    number = wanted.number
    options = [f"--new={number}:{wanted.start or 0}:+{wanted.size or 0}"]
    if wanted.label is not None:
        options.append(f"--change-name={number}:{wanted.label}")
    if wanted.type_guid:
        options.append(f"--typecode={number}:{wanted.type_guid}")
    if wanted.guid:
        options.append(f"--partition-guid={number}:{wanted.guid}")
    return options


def _resizing(decision: Decision, *, sector_bytes: int) -> list[str]:
    """The options that create the partition again where it was, with all that it was but its size."""
    entry, wanted = decision.entry, decision.wanted
    assert entry is not None
    same = Wanted(
        index=wanted.index,
        number=entry.number,
        label=entry.label,
        guid=entry.guid,
        type_guid=entry.type_guid,
        start=entry.start,
        size=wanted.size,
    )
    options = creation(same)
    if int(entry.attributes, 16):
        options.append(f"--attributes={entry.number}:=:{int(entry.attributes, 16):016X}")
    usual = _MIB // sector_bytes
    if entry.start % usual:
        # sgdisk would move the start to its alignment, and what is in the partition would be lost.
        options = ["--set-alignment=1", *options, f"--set-alignment={usual}"]
    return options


def changes(decisions: Iterable[Decision], *, sector_bytes: int) -> list[str]:
    """The options that carry ``decisions`` out, all deletions first; none if there is nothing to do."""
    deletions: list[str] = []
    creations: list[str] = []
    for decision in decisions:
        if decision.action in (Action.DELETE, Action.RESIZE, Action.RECREATE):
            deletions.append(f"--delete={decision.wanted.number}")
        if decision.action is Action.RESIZE:
            creations += _resizing(decision, sector_bytes=sector_bytes)
        elif decision.action in (Action.CREATE, Action.RECREATE):
            creations += creation(decision.wanted)
    return deletions + creations


def trial(
    deleted: Sequence[int], created: Sequence[Wanted], *, asked: Sequence[int], first: Sequence[str] = ()
) -> list[str]:
    """The options that only pretend, ``first`` before all else, and print the extents of those ``asked`` for."""
    options = ["--pretend", *first]
    options += [f"--delete={number}" for number in deleted]
    for wanted in created:
        options += creation(wanted)
    return options + [f"--info={number}" for number in asked]


def extents(printed: str, *, asked: Sequence[int]) -> dict[int, tuple[int, int]]:
    """Number to start and size, from what a trial printed. Raises ``StorageError`` if it is not understood."""
    found = _EXTENT.findall(printed)
    if len(found) != len(asked):
        raise StorageError(f"sgdisk printed {len(found)} partitions where {len(asked)} were asked for:\n{printed}")
    return {
        number: (int(first), int(last) - int(first) + 1) for number, (first, last) in zip(asked, found, strict=True)
    }
