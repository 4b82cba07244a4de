"""Partition tables: planned from what is on the disks, written by sgdisk, and seen to be known to the kernel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from nestos.base.errors import CommandError
from nestos.ignition.engine.disks import devices, sgdisk
from nestos.ignition.engine.disks.survey import StorageError, Survey, execute, sentence
from nestos.ignition.engine.disks.table import (
    COLUMNS,
    Action,
    Decision,
    Entry,
    Wanted,
    decide,
    layout_to_try,
    parse,
    wanted_of,
    with_extents,
)
from nestos.ignition.engine.job import Job

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Disk

_UNREADABLE = (2, 3)  # sgdisk's exit codes for a damaged table, and for one that is no GPT

_HINTS = {
    True: "set wipePartitionEntry to have it deleted and made anew, or write what it is into the config",
    False: "set wipePartitionEntry to have it deleted",
}
"""What to do about a partition that may not be changed, where the config wants one or none."""


@dataclass(frozen=True, kw_only=True)
class DiskPlan:
    """One disk of the config and what is to be done to its table."""

    key: str
    disk: Disk
    device: Path
    sector_bytes: int
    has_grown: bool
    decisions: list[Decision]

    @property
    def options(self) -> list[str]:
        """Those of sgdisk, without the device."""
        options = sgdisk.changes(self.decisions, sector_bytes=self.sector_bytes)
        return [sgdisk.GROW, *options] if options and self.has_grown else options

    @property
    def sentences(self) -> list[str]:
        """What is to be done."""
        told = [f"the partition table of {self.device} is wiped"] if self.disk.get("wipeTable") else []
        for decision in self.decisions:
            if decision.action is not Action.KEEP:
                told.append(f"{decision.wanted.name} of {self.device} is {decision.action.value}{_extent(decision)}")
        return told


def _extent(decision: Decision) -> str:
    wanted = decision.wanted
    if decision.action is Action.DELETE:
        return ""
    start = f"from sector {wanted.start}" if wanted.start else "in the largest free room"
    size = f"{wanted.size} sectors" if wanted.size else "as large as it can be"
    return f", {start}, {size}"


def survey(plan: Survey, disks: Sequence[Disk]) -> None:
    """Plans every disk's table; what stands against it is noted as problems."""
    if not disks:
        return
    keys = [f"$.storage.disks.{index}" for index in range(len(disks))]
    for program in ("sgdisk", "partx"):
        plan.need(program, keys[0])
    with plan.noting(f"{keys[0]}.device", disks[0]["device"]):
        devices.wait(plan.job, [disk["device"] for disk in disks], keys=[f"{key}.device" for key in keys])
    if plan.problems:
        return
    for key, disk in zip(keys, disks, strict=True):
        with plan.noting(key, disk["device"]):
            _survey_disk(plan, key, disk)


def _survey_disk(plan: Survey, key: str, disk: Disk) -> None:
    job, device = plan.job, devices.resolved(disk["device"])
    if device in plan.rewritten:
        # A second entry for one disk: what it finds is what the first leaves.
        plan.step(
            f"the partitions of {device} are changed again", act=lambda: _carry_out(job, plan_disk(job, key, disk))
        )
        return
    planned = plan_disk(job, key, disk)
    if planned.sentences:
        plan.rewritten.add(device)
        plan.rewritten |= _changed_partitions(job, planned)
        plan.new_names = True
        plan.step(*planned.sentences, act=lambda: _carry_out(job, planned))
    else:
        job.log.info(f"the partitions of {device} are as the config says")


def _changed_partitions(job: Job, planned: DiskPlan) -> set[Path]:
    """The partitions there now that will not be the same, or not be there."""
    wiped = planned.disk.get("wipeTable", False)
    changed = {decision.wanted.number for decision in planned.decisions if decision.action is not Action.KEEP}
    known = devices.kernel_partitions(job, planned.device)
    return {partition.path for partition in known if wiped or partition.number in changed}


def plan_disk(job: Job, key: str, disk: Disk) -> DiskPlan:
    """What is to be done to one disk, which is there. Reads only. Raises ``StorageError``."""
    device = devices.resolved(disk["device"])
    wiped = disk.get("wipeTable", False)
    active = _refuse_active_disk(job, key, disk, device)
    size = devices.sector_bytes(job, device)
    listed = wanted_of(disk.get("partitions", []), sector_bytes=size)
    entries = {} if wiped else read_table(job, device, sector_bytes=size)
    has_grown = not wiped and devices.has_grown(job, device, sector_bytes=size)
    if listed:
        first = ["--clear"] if wiped else [sgdisk.GROW] if has_grown else []
        listed = _with_room(job, key, device, entries, listed, first=first)
    decisions = [decide(entries.get(wanted.number), wanted) for wanted in listed]
    _refuse(key, device, decisions, active)
    return DiskPlan(key=key, disk=disk, device=device, sector_bytes=size, has_grown=has_grown, decisions=decisions)


def _refuse_active_disk(job: Job, key: str, disk: Disk, device: Path) -> Mapping[int, str]:
    """What each partition of the disk is in use for. Raises ``StorageError`` if the disk itself is, or is wiped."""
    use = devices.use_of(job, device)
    if use:
        raise StorageError(
            sentence(f"{key}.device", disk["device"], f"the disk is {use}", hint="name a disk that is not in use")
        )
    uses = {part.number: devices.use_of(job, part.path) for part in devices.kernel_partitions(job, device)}
    active = {number: use for number, use in uses.items() if use}
    if active and disk.get("wipeTable"):
        told = ", ".join(f"partition {number} is {use}" for number, use in active.items())
        hint = "the table of a disk in use cannot be wiped; leave wipeTable out and name the partitions to change"
        raise StorageError(sentence(f"{key}.wipeTable", disk["device"], told, hint=hint))
    return active


def _refuse(key: str, device: Path, decisions: Sequence[Decision], active: Mapping[int, str]) -> None:
    """Raises ``StorageError`` with every decision that cannot be carried out."""
    problems = []
    for decision in decisions:
        wanted = decision.wanted
        place, what = f"{key}.partitions.{wanted.index}", f"{device}, {wanted.name}"
        if decision.action is Action.REFUSE:
            hint = _HINTS[wanted.should_exist]
            problems.append(sentence(place, what, decision.found, hint=hint))
        elif decision.action is not Action.KEEP and wanted.number in active:
            hint = "a partition in use cannot be changed; leave it out, or describe it as it is"
            found = f"it is {active[wanted.number]}, and is to be {decision.action.value}"
            if decision.found:
                found += f" because {decision.found}"
            problems.append(sentence(place, what, found, hint=hint))
    if problems:
        raise StorageError("\n".join(problems))


def read_table(job: Job, device: Path, *, sector_bytes: int) -> dict[int, Entry]:
    """The partitions of ``device`` by number; none where there is no table. Raises ``StorageError`` for MBR."""
    done = execute(job, ["partx", "--pairs", f"--output={COLUMNS}", device], accepted=(0, 1))
    if done.returncode and "failed to read partition table" not in done.stderr:
        raise StorageError(f"the partition table of {device} cannot be read: {done.stderr.strip()}")
    return parse(done.stdout, device=device, sector_bytes=sector_bytes)


def _with_room(
    job: Job, key: str, device: Path, entries: Mapping[int, Entry], listed: list[Wanted], *, first: list[str]
) -> list[Wanted]:
    """``listed`` with open starts and sizes closed, by letting sgdisk pretend; shows that all of it fits too."""
    deleted, created = layout_to_try(entries, listed)
    asked = [wanted.number for wanted in listed if wanted.has_open_extent]
    shown = [number for number in asked if any(wanted.number == number for wanted in created)]
    options = sgdisk.trial(deleted, created, asked=shown, first=first)
    try:
        done = execute(job, ["sgdisk", *options, str(device)])
    except CommandError as error:
        if first == ["--clear"] and error.returncode in _UNREADABLE:
            return listed  # there is nothing to pretend upon until the table is wiped, and then all is free
        raise StorageError(
            f"{key}.partitions ({device}): the partitions do not fit: {error.output}; "
            "compare startMiB and sizeMiB with the size of the disk and the partitions that stay"
        ) from error
    return with_extents(listed, sgdisk.extents(done.stdout, asked=shown))


def _carry_out(job: Job, planned: DiskPlan) -> None:
    device = planned.device
    if planned.disk.get("wipeTable"):
        _wipe(job, device)
    if planned.options:
        execute(job, ["sgdisk", *planned.options, str(device)])
    devices.settle(job, device)
    written = read_table(job, device, sector_bytes=planned.sector_bytes)
    _tell_kernel(job, device, written, sector_bytes=planned.sector_bytes)
    _verify(planned, written)


def _wipe(job: Job, device: Path) -> None:
    command = ["sgdisk", "--zap-all", str(device)]
    try:
        execute(job, command)
    except CommandError:
        # It fails on a damaged table, and has repaired it enough by that to do it now.
        job.log.info("wiping the partition table failed; trying once more")
        execute(job, command)


def _tell_kernel(job: Job, device: Path, table: Mapping[int, Entry], *, sector_bytes: int) -> None:
    """Brings the kernel's partitions in line with the table, one by one where sgdisk could not.

    The kernel reads a table anew only while no partition of the disk is in use; single ones can always be told.
    """
    if devices.is_mapped(job, device):
        return  # kpartx's work, by udev's rules
    scale = sector_bytes // devices.SECTOR_BYTES
    right = {number: (entry.start * scale, entry.size * scale) for number, entry in table.items()}
    for option, number in _corrections(job, device, right):
        execute(job, ["partx", option, f"--nr={number}", device])
    devices.settle(job, device)
    left = _corrections(job, device, right)
    if left:
        told = ", ".join(f"partition {number}" for _, number in left)
        raise StorageError(f"{device} was partitioned, but the kernel does not know {told} as written")


def _corrections(job: Job, device: Path, right: Mapping[int, tuple[int, int]]) -> list[tuple[str, int]]:
    """Options of partx(8) with numbers: what the kernel does not know yet, deletions first."""
    known = {part.number: (part.start, part.size) for part in devices.kernel_partitions(job, device)}
    moved = [number for number in sorted(known) if number in right and known[number][0] != right[number][0]]
    gone = [number for number in sorted(known) if number not in right]
    resized = [
        number for number in sorted(known) if number in right and number not in moved and known[number] != right[number]
    ]
    new = [number for number in sorted(right) if number not in known]
    return [
        *(("--delete", number) for number in sorted([*gone, *moved])),
        *(("--update", number) for number in resized),
        *(("--add", number) for number in sorted([*new, *moved])),
    ]


def _verify(planned: DiskPlan, written: Mapping[int, Entry]) -> None:
    """Raises ``StorageError`` if the table that was written is not the one that was planned."""
    for decision in planned.decisions:
        wanted = decision.wanted
        entry = written.get(wanted.number)
        if wanted.number == 0:
            continue
        if wanted.should_exist is not (entry is not None):
            raise StorageError(
                f"{planned.device}: {wanted.name} was {decision.action.value}, but is not so on the disk"
            )
        again = decide(entry, _closed(wanted)) if entry else None
        if again is not None and again.action is not Action.KEEP:
            raise StorageError(f"{planned.device}: {wanted.name} was {decision.action.value}, but {again.found}")


def _closed(wanted: Wanted) -> Wanted:
    """``wanted`` without what it left to sgdisk, to compare with what came of it."""
    return Wanted(
        index=wanted.index,
        number=wanted.number,
        label=wanted.label,
        guid=wanted.guid,
        type_guid=wanted.type_guid,
        start=wanted.start or None,
        size=wanted.size or None,
    )
