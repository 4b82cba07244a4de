"""Partition tables as values: what is on a disk, what the config wants, and what follows for each partition.

Pure. The decisions are those of the original's operator notes, "Partition Reuse Semantics".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from nestos.ignition.engine.disks.survey import StorageError

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Partition

_MIB = 1024 * 1024
_LIBRARY_SECTOR_BYTES = 512  # libblkid's unit, whatever the disk's own sectors are
COLUMNS = "NR,START,SECTORS,NAME,UUID,TYPE,FLAGS,SCHEME"
"""What ``parse`` needs partx(8) to print."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A partition that is there; ``start`` and ``size`` in logical sectors, ``attributes`` in hexadecimal."""

    number: int
    start: int
    size: int
    label: str = ""
    guid: str = ""
    type_guid: str = ""
    attributes: str = "0"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A partition of the config. ``index``: its place there. None for ``start`` or ``size``: as it is."""

    index: int
    number: int = 0
    label: str | None = None
    guid: str = ""
    type_guid: str = ""
    start: int | None = None
    size: int | None = None
    should_exist: bool = True
    wipe: bool = False
    resize: bool = False

    @property
    def has_open_extent(self) -> bool:
        """True if the start or size depends on the room that there is; never for the next free number."""
        return self.number != 0 and 0 in (self.start, self.size)

    @property
    def name(self) -> str:
        """What it is called in sentences."""
        label = f' "{self.label}"' if self.label else ""
        return f"partition {self.number}{label}" if self.number else f"the next free partition{label}"


class Action(Enum):
    """What becomes of one partition; the value ends the sentence "it is ..."."""

    KEEP = "kept"
    CREATE = "created"
    DELETE = "deleted"
    RESIZE = "resized"
    RECREATE = "deleted and created anew"
    REFUSE = "not to be changed"


@dataclass(frozen=True, kw_only=True)
class Decision:
    """``found``: why the partition there is not the one that is wanted."""

    action: Action
    wanted: Wanted
    entry: Entry | None = None
    found: str = ""


def wanted_of(partitions: Sequence[Partition], *, sector_bytes: int) -> list[Wanted]:
    """The partitions of the config, those that get the next free number last, as the numbers are given away."""
    listed = [
        Wanted(
            index=index,
            number=partition.get("number", 0),
            label=partition.get("label"),
            guid=partition.get("guid", ""),
            type_guid=partition.get("typeGuid", ""),
            start=_sectors(partition.get("startMiB"), sector_bytes),
            size=_sectors(partition.get("sizeMiB"), sector_bytes),
            should_exist=partition.get("shouldExist", True),
            wipe=partition.get("wipePartitionEntry", False),
            resize=partition.get("resize", False),
        )
        for index, partition in enumerate(partitions)
    ]
    return sorted(listed, key=lambda wanted: wanted.number == 0)


def _sectors(mebibytes: int | None, sector_bytes: int) -> int | None:
    return None if mebibytes is None else mebibytes * (_MIB // sector_bytes)


def parse(printed: str, *, device: object, sector_bytes: int) -> dict[int, Entry]:
    """The table that partx(8) printed in pairs. Raises ``StorageError`` unless it is a GPT."""
    entries: dict[int, Entry] = {}
    for line in printed.splitlines():
        fields = {name: _plain(value) for name, value in re.findall(r'(\w+)="([^"]*)"', line)}
        if fields["SCHEME"] != "gpt":
            raise StorageError(
                f"{device} has a partition table of the kind {fields['SCHEME']}, and only GPT can be changed; "
                "set wipeTable to true to have it replaced, which loses what is on the disk"
            )
        scale = sector_bytes // _LIBRARY_SECTOR_BYTES
        entry = Entry(
            number=int(fields["NR"]),
            start=int(fields["START"]) // scale,
            size=int(fields["SECTORS"]) // scale,
            label=fields["NAME"],
            guid=fields["UUID"].upper(),
            type_guid=fields["TYPE"].upper(),
            attributes=fields["FLAGS"].removeprefix("0x"),
        )
        entries[entry.number] = entry
    return entries


def _plain(value: str) -> str:
    """``value`` without partx's escapes, which stand for bytes."""
    data = re.sub(rb"\\x([0-9a-f]{2})", lambda match: bytes([int(match[1], 16)]), value.encode("utf-8", "replace"))
    return data.decode("utf-8", "replace")


def differences(entry: Entry, wanted: Wanted) -> list[str]:
    """What of ``entry`` is not as wanted, but for the size. GUIDs that the config leaves empty may be any."""
    found = []
    if wanted.start is not None and wanted.start != entry.start:
        found.append(f"it starts at sector {entry.start}, not {wanted.start}")
    if wanted.guid and wanted.guid.upper() != entry.guid:
        found.append(f"its GUID is {entry.guid}, not {wanted.guid.upper()}")
    if wanted.type_guid and wanted.type_guid.upper() != entry.type_guid:
        found.append(f"its type is {entry.type_guid}, not {wanted.type_guid.upper()}")
    if wanted.label is not None and wanted.label != entry.label:
        found.append(f'its label is "{entry.label}", not "{wanted.label}"')
    return found


def decide(entry: Entry | None, wanted: Wanted) -> Decision:
    """What becomes of the partition ``wanted``, where ``entry`` is what has its number now."""
    if entry is None:
        return Decision(action=Action.CREATE if wanted.should_exist else Action.KEEP, wanted=wanted)
    if not wanted.should_exist:
        action = Action.DELETE if wanted.wipe else Action.REFUSE
        return Decision(action=action, wanted=wanted, entry=entry, found="it exists")
    other = differences(entry, wanted)
    size = []
    if wanted.size is not None and wanted.size != entry.size:
        size = [f"it has {entry.size} sectors, not {wanted.size}"]
    found = ", ".join(other + size)
    if not found:
        return Decision(action=Action.KEEP, wanted=wanted, entry=entry)
    if wanted.wipe:
        return Decision(action=Action.RECREATE, wanted=wanted, entry=entry, found=found)
    if wanted.resize and not other:
        return Decision(action=Action.RESIZE, wanted=wanted, entry=entry, found=found)
    return Decision(action=Action.REFUSE, wanted=wanted, entry=entry, found=found)


def layout_to_try(entries: Mapping[int, Entry], listed: Sequence[Wanted]) -> tuple[list[int], list[Wanted]]:
    """What to delete and create, in pretence, to learn how large partitions of open extent become.

    All that the config names is made anew. What it leaves open stays as it is, unless it may be wiped.
    """
    deleted = [wanted.number for wanted in listed if wanted.number in entries]
    created = []
    for wanted in listed:
        entry = entries.get(wanted.number)
        tried = replace(wanted, label=None)  # sgdisk prints labels as they are, line breaks too
        if entry is not None and not wanted.wipe:
            tried = replace(
                tried,
                start=entry.start if wanted.start is None else wanted.start,
                size=entry.size if wanted.size is None else wanted.size,
            )
        if wanted.should_exist:
            created.append(tried)
    return deleted, created


def with_extents(listed: Sequence[Wanted], extents: Mapping[int, tuple[int, int]]) -> list[Wanted]:
    """``listed`` with the starts and sizes that the config leaves to the room there is."""
    closed = []
    for wanted in listed:
        extent = extents.get(wanted.number)
        if extent is not None:
            start, size = extent
            closed.append(
                replace(
                    wanted,
                    start=None if wanted.start is None else start,
                    size=None if wanted.size is None else size,
                )
            )
        else:
            closed.append(wanted)
    return closed
