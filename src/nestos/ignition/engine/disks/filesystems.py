"""File systems: which are kept, which are made, and how; those to be made are made at the same time."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from nestos.ignition.engine.disks import devices, leftovers
from nestos.ignition.engine.disks.signatures import Signature, signature_of
from nestos.ignition.engine.disks.survey import StorageError, Survey, execute, sentence
from nestos.ignition.engine.job import Job

if TYPE_CHECKING:
    from nestos.ignition.spec.model import Filesystem

NONE, VIRTIOFS = "none", "virtiofs"
_DASH_OF_FAT = 4  # A1B2-C3D4, of which mkfs.fat takes only the digits


@dataclass(frozen=True, kw_only=True)
class Maker:
    """A program that makes file systems. ``force``: makes it overwrite; the others precede UUID and label."""

    program: str
    force: tuple[str, ...]
    uuid: Callable[[str], tuple[str, ...]]
    label: Callable[[str], tuple[str, ...]]


def _dash_u(uuid: str) -> tuple[str, ...]:
    return ("-U", uuid)


def _dash_l(label: str) -> tuple[str, ...]:
    return ("-L", label)


MAKERS: Mapping[str, Maker] = {
    "btrfs": Maker(program="mkfs.btrfs", force=("--force",), uuid=_dash_u, label=_dash_l),
    "ext4": Maker(program="mkfs.ext4", force=("-F",), uuid=_dash_u, label=_dash_l),
    "swap": Maker(program="mkswap", force=("-f",), uuid=_dash_u, label=_dash_l),
    "vfat": Maker(
        program="mkfs.fat",
        force=(),  # it always overwrites
        uuid=lambda uuid: ("-i", uuid),
        label=lambda label: ("-n", label),
    ),
    "xfs": Maker(program="mkfs.xfs", force=("-f",), uuid=lambda uuid: ("-m", f"uuid={uuid}"), label=_dash_l),
}
"""Format, as the config names it, to what makes it."""


class Action(Enum):
    """What becomes of what is on a device."""

    KEEP = "kept"
    MAKE = "made"
    REFUSE = "refused"


def canonical_uuid(kind: str, uuid: str) -> str:
    """``uuid`` in the one form in which two that mean the same are equal, and that mkfs takes."""
    uuid = uuid.lower()
    if kind == "vfat" and uuid[_DASH_OF_FAT : _DASH_OF_FAT + 1] == "-":
        return uuid[:_DASH_OF_FAT] + uuid[_DASH_OF_FAT + 1 :]
    return uuid


def decide(found: Signature, wanted: Filesystem) -> Action:
    """Whether ``found`` will do, makes way, or stands in the way (operator notes, "Filesystem-Reuse Semantics")."""
    if wanted.get("wipeFilesystem"):
        return Action.MAKE
    kind = wanted.get("format", "")
    kind = "" if kind == NONE else kind
    same_label = wanted.get("label") in (None, found.label)
    uuid = wanted.get("uuid")
    same_uuid = uuid is None or canonical_uuid(kind, uuid) == canonical_uuid(found.kind, found.uuid)
    if found.kind == kind and same_label and same_uuid:
        return Action.KEEP
    return Action.REFUSE if found.kind else Action.MAKE


def command(wanted: Filesystem, device: Path) -> list[str | Path] | None:
    """What makes the file system ``wanted``, the user's own options first; none where there is nothing to make."""
    kind = wanted.get("format", "")
    maker = MAKERS.get(kind)
    if maker is None:
        return None
    words = [maker.program, *wanted.get("options", []), *maker.force]
    if "uuid" in wanted:
        words += maker.uuid(canonical_uuid(kind, wanted["uuid"]))
    if "label" in wanted:
        words += maker.label(wanted["label"])
    return [*words, device]


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A file system of the config and its place there."""

    key: str
    wanted: Filesystem

    @property
    def device(self) -> str:
        return self.wanted["device"]


def survey(plan: Survey, filesystems: Sequence[Filesystem]) -> None:
    """Plans the file systems: at once where the device is there as it will be, else when it is."""
    entries = [
        _Entry(key=f"$.storage.filesystems.{index}", wanted=wanted)
        for index, wanted in enumerate(filesystems)
        if wanted.get("format") not in (None, "", VIRTIOFS)  # of a virtiofs the device is no device, but a tag
    ]
    if not entries:
        return
    before = len(plan.problems)
    for program in ("blkid", "wipefs"):
        plan.need(program, entries[0].key)
    for entry in entries:
        maker = MAKERS.get(entry.wanted.get("format", ""))
        if maker is not None:
            plan.need(maker.program, f"{entry.key}.format")
    if len(plan.problems) > before:
        return
    later = [entry for entry in entries if comes_later(plan, entry.device)]
    now = [entry for entry in entries if entry not in later]
    to_make: list[_Entry] = []
    if now:
        with plan.noting(now[0].key, now[0].device):
            _wait(plan.job, now)
            for entry in now:
                with plan.noting(entry.key, entry.device):
                    to_make += _if_to_make(plan.job, entry)
    told = [f"{_what(entry.wanted)} on {entry.device}" for entry in to_make]
    told += [f"{_what(entry.wanted)} on {entry.device}, unless it is there" for entry in later]
    if told:
        plan.step(*told, act=lambda: _carry_out(plan.job, now=to_make, later=later))


def comes_later(plan: Survey, device: str) -> bool:
    """True if ``device`` will be there, or be what it will be, only after an earlier step; or could have been."""
    found = devices.real(device)
    if found is None:
        return bool(plan.steps or plan.problems)
    if found in plan.rewritten:
        return True
    return plan.new_names and Path(device).is_relative_to(plan.job.machine.top / "dev/disk")


def _what(wanted: Filesystem) -> str:
    if wanted.get("format") == NONE:
        return "signatures are erased"
    label = f' labelled "{wanted["label"]}"' if "label" in wanted else ""
    return f"a file system of the format {wanted.get('format')}{label} is made"


def _wait(job: Job, entries: Sequence[_Entry]) -> None:
    devices.wait(job, [entry.device for entry in entries], keys=[f"{entry.key}.device" for entry in entries])


def _if_to_make(job: Job, entry: _Entry) -> list[_Entry]:
    """The entry if it is to be made, nothing if it is there. Raises ``StorageError`` if something else is."""
    device = devices.resolved(entry.device)
    found = signature_of(job, device)
    job.log.info(f"{entry.device} holds {found}")
    action = decide(found, entry.wanted)
    if action is Action.REFUSE:
        hint = "set wipeFilesystem to have it erased, which loses its contents, or write what it is into the config"
        raise StorageError(sentence(entry.key, entry.device, f"it holds {found}, not {_wanted(entry)}", hint=hint))
    if action is Action.KEEP:
        job.log.info(f"{entry.device} is kept as it is")
        return []
    use = devices.use_of(job, device)
    if use:
        raise StorageError(
            sentence(entry.key, entry.device, f"it is {use}, and is to be erased", hint="name a device not in use")
        )
    return [entry]


def _wanted(entry: _Entry) -> str:
    wanted = entry.wanted
    if wanted.get("format") == NONE:
        return "nothing"
    label = f' labelled "{wanted["label"]}"' if "label" in wanted else ""
    uuid = f", UUID {wanted['uuid']}" if "uuid" in wanted else ""
    return f"{wanted.get('format')}{label}{uuid}"


def _carry_out(job: Job, *, now: Sequence[_Entry], later: Sequence[_Entry]) -> None:
    to_make = list(now)
    if later:
        _wait(job, later)
        problems = []
        for entry in later:
            try:
                to_make += _if_to_make(job, entry)
            except StorageError as error:
                problems.append(str(error))
        if problems:
            raise StorageError("\n".join(problems))
    _refuse_doubles(to_make)
    leftovers.note(job, [entry.device for entry in to_make])
    _at_once([(entry, _maker(job, entry)) for entry in to_make])


def _refuse_doubles(entries: Sequence[_Entry]) -> None:
    taken: dict[Path, _Entry] = {}
    for entry in entries:
        device = devices.resolved(entry.device)
        other = taken.setdefault(device, entry)
        if other is not entry:
            raise StorageError(
                sentence(
                    entry.key,
                    entry.device,
                    f"it is the same device, {device}, as {other.device} of {other.key}",
                    hint="a device holds one file system; leave one of them out",
                )
            )


def _maker(job: Job, entry: _Entry) -> Callable[[], None]:
    device = devices.resolved(entry.device)

    def make() -> None:
        execute(job, ["wipefs", "--all", device])
        line = command(entry.wanted, device)
        if line is not None:
            execute(job, line)
        # mkfs makes links below /dev/disk vanish and come back: later units must find them.
        devices.settle(job, device)

    return make


def _at_once(work: Sequence[tuple[_Entry, Callable[[], None]]]) -> None:
    """Does all of ``work``, as many at a time as there are processors. Raises ``StorageError`` with all failures."""
    if len(work) == 1:
        work[0][1]()
        return
    room = threading.BoundedSemaphore(os.cpu_count() or 1)
    failures: list[tuple[int, str]] = []

    def attempt(index: int) -> None:
        entry, act = work[index]
        with room:
            try:
                act()
            except Exception as error:  # in a thread, what nobody takes would be no failure at all
                failures.append((index, f"{entry.key} ({entry.device}): {error or type(error).__name__}"))

    threads = [threading.Thread(target=attempt, args=(index,)) for index in range(len(work))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise StorageError("\n".join(text for _, text in sorted(failures)))
