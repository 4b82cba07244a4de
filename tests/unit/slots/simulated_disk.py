"""A disk that forgets: what was not flushed survives a power cut in part, out of order, torn, or not at all.

Four media, each with a cache of its own, because on a real node they are different caches: both root partitions, the
GRUB environment block, the boot file system as GRUB sees it (no journal replay), and the ``/etc`` layers on the var
file system. Every write, flush, rename and checkpoint is one operation; the power can be cut at any of them. The disk
obeys the interfaces of ``nestos.slots.disk`` and nothing else, so that the code under test is the code that ships.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from nestos.slots.bootstate import Slot
from nestos.slots.disk import Disk, EtcReport

SECTOR = 512
PARTITION_BYTES = 48 * 1024
ROOMY = 1 << 30

LOST, KEPT, MISSING, GARBAGE, PARTIAL = "lost", "kept", "missing", "garbage", "partial"

Fate = str | frozenset[int]
"""What became of one unflushed operation: a word, or the sectors of a write that reached the disk."""


class PowerCutError(Exception):
    """The power went."""


@dataclass(frozen=True, kw_only=True)
class Left:
    """What is on the disk: the only thing that a boot sees."""

    partitions: Mapping[Slot, bytes]
    environment: bytes
    boot: Mapping[str, bytes]
    etc: Mapping[str, bytes]

    def key(self) -> object:
        """Equal for equal disks."""
        return (
            tuple(self.partitions.values()),
            self.environment,
            tuple(sorted(self.boot.items())),
            tuple(sorted(self.etc.items())),
        )


class Medium:
    """Content, by name: of what is durable, or of what the running system sees."""

    def __init__(self, left: Left) -> None:
        self.sectors: dict[str, bytearray] = {slot: bytearray(data) for slot, data in left.partitions.items()}
        self.sectors["environment"] = bytearray(left.environment)
        self.boot = dict(left.boot)
        self.contents = dict(left.etc)
        self.names = {name: name for name in left.etc}

    def copy(self) -> Medium:
        twin = Medium.__new__(Medium)
        twin.sectors = {name: bytearray(data) for name, data in self.sectors.items()}
        twin.boot, twin.contents, twin.names = dict(self.boot), dict(self.contents), dict(self.names)
        return twin

    def left(self) -> Left:
        return Left(
            partitions={slot: bytes(self.sectors[slot]) for slot in Slot},
            environment=bytes(self.sectors["environment"]),
            boot=dict(self.boot),
            etc={name: self.contents.get(inode, b"") for name, inode in self.names.items()},
        )


@dataclass(frozen=True, kw_only=True)
class SectorWrite:
    """A write to a partition or the environment block: each of its sectors survives or not, by itself."""

    place: str
    offset: int
    data: bytes

    def fates(self, chance: random.Random) -> list[Fate]:
        count = len(self.data) // SECTOR
        half = count // 2
        torn = [range(half), range(half, count), range(0, count, 2), [n for n in range(count) if chance.random() < 0.5]]
        return [LOST, KEPT, *(frozenset(sectors) for sectors in torn)]

    def apply(self, medium: Medium, fate: Fate) -> None:
        if fate == LOST:
            return
        target = medium.sectors[self.place]
        for number in range(len(self.data) // SECTOR):
            if fate == KEPT or number in fate:
                start = number * SECTOR
                target[self.offset + start : self.offset + start + SECTOR] = self.data[start : start + SECTOR]


@dataclass(frozen=True, kw_only=True)
class FileWrite:
    """A file on the boot partition. Without the journal GRUB may see it as it was, as it is, garbled, or not at all."""

    path: str
    data: bytes

    def fates(self, chance: random.Random) -> list[Fate]:
        return [LOST, KEPT, MISSING, GARBAGE]

    def apply(self, medium: Medium, fate: Fate) -> None:
        if fate == KEPT:
            medium.boot[self.path] = self.data
        elif fate == GARBAGE:
            half = len(self.data) // 2
            medium.boot[self.path] = self.data[:half] + bytes(len(self.data) - half)
        elif fate == MISSING:
            medium.boot.pop(self.path, None)


@dataclass(frozen=True, kw_only=True)
class FileReplacement:
    """A file on the boot partition, exchanged by name in the journal: the running system sees the old or the new."""

    path: str
    data: bytes

    def fates(self, chance: random.Random) -> list[Fate]:
        return [LOST, KEPT]

    def apply(self, medium: Medium, fate: Fate) -> None:
        if fate == KEPT:
            medium.boot[self.path] = self.data


@dataclass(frozen=True, kw_only=True)
class EtcContent:
    """The files of a newly made /etc layer: all of them, some of them, or only the empty folder."""

    inode: str
    data: bytes

    def fates(self, chance: random.Random) -> list[Fate]:
        return [LOST, KEPT, PARTIAL]

    def apply(self, medium: Medium, fate: Fate) -> None:
        if fate == KEPT:
            medium.contents[self.inode] = self.data
        elif fate == PARTIAL:
            medium.contents[self.inode] = self.data[: len(self.data) // 2]


@dataclass(frozen=True, kw_only=True)
class EtcNames:
    """A change of names on the var file system; its journal keeps such changes in order."""

    change: Callable[[dict[str, str]], None]

    def fates(self, chance: random.Random) -> list[Fate]:
        return [LOST, KEPT]

    def apply(self, medium: Medium, fate: Fate) -> None:
        if fate == KEPT:
            self.change(medium.names)


Change = SectorWrite | FileWrite | FileReplacement | EtcContent | EtcNames


class SimulatedDisk:
    """The state of a machine between two power cuts.

    ``cut_at``: the operation (from 1) at which the power goes; 0: never. ``without_barrier``: the barrier (from 1) that
    does nothing, as if the call were missing in the code; 0: none. ``operations`` and ``barriers`` name what happened.
    """

    def __init__(self, left: Left, *, cut_at: int = 0, without_barrier: int = 0) -> None:
        self._durable = Medium(left)
        self._pending: list[Change] = []
        self.cut_at = cut_at
        self._without_barrier = without_barrier
        self.operations: list[str] = []
        self.barriers: list[str] = []
        self.before_partition_write: Callable[[Slot], None] = lambda slot: None

    def disk(self, *, passive: Slot) -> Disk:
        """The disk as the code under test knows it."""
        return Disk(
            partitions={passive: _Partition(self, passive)},
            boot=_Boot(self),
            environment=_Environment(self),
            etc=_Etc(self),
        )

    def write(self, change: Change, name: str) -> None:
        """One unflushed operation; when the power goes at it, anything may have become of it."""
        self.operations.append(name)
        self._pending.append(change)
        if len(self.operations) == self.cut_at:
            raise PowerCutError(name)

    def barrier(self, name: str, covers: Callable[[Change], bool]) -> None:
        """Makes the changes that it covers durable; when the power goes at it, it has not happened."""
        self.operations.append(name)
        if len(self.operations) == self.cut_at:
            raise PowerCutError(name)
        self.barriers.append(name)
        if len(self.barriers) == self._without_barrier:
            return
        for change in self._pending:
            if covers(change):
                change.apply(self._durable, KEPT)
        self._pending = [change for change in self._pending if not covers(change)]

    def seen(self) -> Medium:
        """What the running system reads: everything that it wrote."""
        medium = self._durable.copy()
        for change in self._pending:
            change.apply(medium, KEPT)
        return medium

    def possible_environments(self) -> set[bytes]:
        """Every content that the environment block could have if the power went now."""
        found = {bytes(self._durable.sectors["environment"])}
        for change in self._pending:
            if isinstance(change, SectorWrite) and change.place == "environment":
                found.add(change.data)
        return found

    def survivors(self, chance: random.Random, *, count: int) -> Iterator[Left]:
        """What a power cut now could leave, each different disk once; ``count`` random ones among them."""
        known: set[object] = set()
        fates = [change.fates(chance) for change in self._pending]
        for choice in _choices(fates, chance, count=count):
            left = self._after(choice)
            if left.key() not in known:
                known.add(left.key())
                yield left

    def _after(self, choice: Sequence[Fate]) -> Left:
        medium = self._durable.copy()
        names_in_order = True
        for change, fate in zip(self._pending, choice, strict=True):
            if isinstance(change, EtcNames):
                names_in_order = names_in_order and fate == KEPT
                change.apply(medium, KEPT if names_in_order else LOST)
            else:
                change.apply(medium, fate)
        return medium.left()


def _choices(fates: Sequence[list[Fate]], chance: random.Random, *, count: int) -> Iterator[list[Fate]]:
    """None, all, each alone, all but each, prefixes, suffixes, every tear among lost or kept others, random ones."""
    size = len(fates)
    lost: list[Fate] = [LOST] * size
    kept: list[Fate] = [KEPT] * size
    yield lost
    yield kept
    for index in range(size):
        yield [*lost[:index], KEPT, *lost[index + 1 :]]
        yield [*kept[:index], LOST, *kept[index + 1 :]]
        yield [*kept[:index], *lost[index:]]
        yield [*lost[:index], *kept[index:]]
        for fate in fates[index][2:]:
            yield [*lost[:index], fate, *lost[index + 1 :]]
            yield [*kept[:index], fate, *lost[index + 1 :]]
            yield [*kept[:index], fate, *kept[index + 1 :]]
    for _ in range(count if size else 0):
        yield [chance.choice(options) for options in fates]


class _Partition:
    def __init__(self, disk: SimulatedDisk, slot: Slot) -> None:
        self._disk = disk
        self._slot = slot

    @property
    def size(self) -> int:
        return PARTITION_BYTES

    def write(self, offset: int, data: bytes) -> None:
        self._disk.before_partition_write(self._slot)
        self._disk.write(
            SectorWrite(place=self._slot, offset=offset, data=data), f"write root-{self._slot} at {offset}"
        )

    def flush(self) -> None:
        self._disk.barrier(
            f"flush root-{self._slot}", lambda it: isinstance(it, SectorWrite) and it.place == self._slot
        )

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._disk.seen().sectors[self._slot][offset : offset + size])


class _Environment:
    def __init__(self, disk: SimulatedDisk) -> None:
        self._disk = disk

    def read(self) -> bytes:
        return bytes(self._disk.seen().sectors["environment"])

    def write(self, block: bytes) -> None:
        self._disk.write(SectorWrite(place="environment", offset=0, data=block), "write grubenv")

    def flush(self) -> None:
        self._disk.barrier("flush grubenv", lambda it: isinstance(it, SectorWrite) and it.place == "environment")


class _Boot:
    def __init__(self, disk: SimulatedDisk) -> None:
        self._disk = disk

    def free_bytes(self) -> int:
        return ROOMY

    def read(self, path: str) -> bytes | None:
        return self._disk.seen().boot.get(path)

    def size(self, path: str) -> int:
        return len(self.read(path) or b"")

    def digest(self, *paths: str) -> str:
        return hashlib.sha256(b"".join(self.read(path) or b"" for path in paths)).hexdigest()

    def write_file(self, path: str, source: BinaryIO) -> None:
        self._disk.write(FileWrite(path=path, data=source.read()), f"write {path}")

    def replace_file(self, path: str, data: bytes) -> None:
        self._disk.write(FileReplacement(path=path, data=data), f"replace {path}")

    def checkpoint(self) -> None:
        self._disk.barrier("checkpoint boot", lambda it: isinstance(it, FileWrite | FileReplacement))


class _Etc:
    """A layer is a string, and a layer made from another is equal to it; a torn one is shorter."""

    def __init__(self, disk: SimulatedDisk) -> None:
        self._disk = disk

    def stage(self, slot: Slot) -> EtcReport:
        medium = self._disk.seen()
        data = medium.contents[medium.names[slot.other]]
        inode = f"inode {len(self._disk.operations)}"
        self._disk.write(EtcNames(change=lambda names: names.update({f".{slot}.new": inode})), f"make etc/.{slot}.new")
        self._disk.write(EtcContent(inode=inode, data=data), f"copy etc/.{slot}.new")
        return EtcReport()

    def sync(self) -> None:
        self._disk.barrier("sync etc", lambda it: isinstance(it, EtcContent | EtcNames))

    def publish(self, slot: Slot) -> None:
        def exchange(names: dict[str, str]) -> None:
            names[slot], names[f".{slot}.new"] = names[f".{slot}.new"], names.get(slot, "an empty folder")

        self._disk.write(EtcNames(change=exchange), f"exchange etc/{slot}")

    def sync_directory(self) -> None:
        self._disk.barrier("sync folder of etc", lambda it: isinstance(it, EtcNames))
