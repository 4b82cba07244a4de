"""Transactions on the slots, in the order that survives a power cut at any moment.

A release is written as a plan: a list of steps that can be printed, checked and run. The order, and why each barrier
stands where it stands: docs/design/crash-safety.md. Every step may be cut and the whole run again from the beginning:
until the last sector, the slot is ``writing``, and GRUB does not boot it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from nestos.base.errors import NestosError, SpaceError, StateError, VerificationError
from nestos.host.bootloader import grub
from nestos.slots import bootstate, image, verity
from nestos.slots.bootstate import DEFAULT_TRIES, BootState, Fallback, Slot
from nestos.slots.disk import BootFilesystem, Disk, EnvironmentBlock, EtcReport, Payload
from nestos.wire import deployment as wire
from nestos.wire.deployment import Deployment

KERNEL, INITRAMFS, CONFIG, RECORD = "vmlinuz", "initramfs.img", "slot.cfg", "deployment.json"
DEFAULT_CHUNK_BYTES = 4 * 1024 * 1024
_BOOT_RESERVE_BYTES = 8 * 1024 * 1024  # what ext4 and later releases' growth may want

Report = Callable[[str, int, int], None]
"""Told the step's name, and how much of how much of it is done (bytes, or 0 of 1 and 1 of 1)."""


def silent(step: str, done: int, total: int) -> None:
    """A ``Report`` for nobody."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where and what a plan writes."""

    disk: Disk
    slot: Slot
    payload: Payload
    tries: int
    chunk_bytes: int


@dataclass(kw_only=True)
class Progress:
    """What moves while a plan runs. ``state`` is written by the marking steps, ``etc`` by the /etc step."""

    state: BootState
    report: Report
    etc: EtcReport = field(default_factory=EtcReport)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step: a stable name, a sentence for people, and what it does."""

    name: str
    sentence: str
    act: Callable[[Target, Progress], None]


@dataclass(frozen=True, kw_only=True)
class Installed:
    """The state that was left behind and what happened to ``/etc``."""

    state: BootState
    etc: EtcReport


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The steps of one installation, checked against the state it was made from."""

    target: Target
    state: BootState
    steps: tuple[Step, ...]

    def describe(self) -> list[str]:
        """One sentence per step, for a dry run."""
        values = {"slot": self.target.slot, "version": self.target.payload.deployment.version}
        return [step.sentence.format(**values) for step in self.steps]

    def run(self, report: Report = silent) -> Installed:
        """Runs every step in order. An error leaves the slot unbootable and the running one as it was."""
        progress = Progress(state=self.state, report=report)
        for step in self.steps:
            report(step.name, 0, 1)
            try:
                step.act(self.target, progress)
            except OSError as error:
                raise NestosError(f"the step “{step.name}” failed: {error}") from error
            report(step.name, 1, 1)
        return Installed(state=progress.state, etc=progress.etc)


def plan(
    disk: Disk,
    payload: Payload,
    *,
    booted: Slot,
    tries: int = DEFAULT_TRIES,
    is_locked: bool = False,
    chunk_bytes: int = DEFAULT_CHUNK_BYTES,
) -> Plan:
    """The plan that writes ``payload`` into the slot that is not ``booted``.

    ``booted`` is the running slot (``nestos.slot=`` of the kernel's command line). ``is_locked``: the slot does not
    boot before ``finalize``. Reads only. Raises ``StateError`` when the running version was not judged good,
    ``SpaceError`` when partition or boot file system are too small, and ``InputError`` for a bad number of tries or bad
    kernel arguments.
    """
    state = replace(read_state(disk.environment), booted=booted)
    slot = booted.other
    bootstate.staged(bootstate.writing(state, slot), slot, tries=tries)
    target = Target(disk=disk, slot=slot, payload=payload, tries=tries, chunk_bytes=chunk_bytes)
    _slot_configuration(payload.deployment)
    _check_space(target)
    return Plan(target=target, state=state, steps=steps(is_locked=is_locked))


def install(
    disk: Disk,
    payload: Payload,
    *,
    booted: Slot,
    tries: int = DEFAULT_TRIES,
    is_locked: bool = False,
    chunk_bytes: int = DEFAULT_CHUNK_BYTES,
    report: Report = silent,
) -> Installed:
    """Writes ``payload`` into the passive slot and makes it the next to boot; ``plan`` and ``Plan.run`` in one.

    When it returns, the release is staged (or locked) even if power fails. When it raises, or is cut, the running slot
    boots.
    """
    made = plan(disk, payload, booted=booted, tries=tries, is_locked=is_locked, chunk_bytes=chunk_bytes)
    return made.run(report)


def lock(environment: EnvironmentBlock, *, booted: Slot) -> BootState:
    """Keeps a staged release from booting until it is finalized, durably. Raises ``StateError`` where none is."""
    return _change(environment, booted=booted, transition=lambda state: bootstate.locked(state, booted.other))


def finalize(disk: Disk, *, booted: Slot, tries: int = DEFAULT_TRIES) -> Installed:
    """Makes the locked release the next to boot, durably, with ``/etc`` as it is now: days may have passed.

    Raises ``StateError`` where none is locked, or the running version was not judged good.
    """
    before = read_state(disk.environment)
    after = bootstate.finalized(replace(before, booted=booted), booted.other, tries=tries)
    etc = _follow_etc(disk, booted.other)
    return Installed(state=_write_state(disk.environment, before, after), etc=etc)


def refresh_etc(disk: Disk, *, booted: Slot) -> EtcReport | None:
    """Prepares the ``/etc`` of a staged release again, durably, to carry over what was edited since it was staged.

    For the moment before the reboot. None, and nothing done, where no release is staged.
    """
    state = replace(read_state(disk.environment), booted=booted)
    slot = booted.other
    if state.staged is not slot or state.locked is slot:
        return None
    return _follow_etc(disk, slot)


def rollback(environment: EnvironmentBlock, *, booted: Slot) -> BootState:
    """Makes the other good slot the next to boot, durably. Raises ``StateError`` where there is none."""
    return _change(environment, booted=booted, transition=bootstate.rollback)


def drop(environment: EnvironmentBlock, *, booted: Slot) -> BootState:
    """Gives up a staged release before its boot, durably. Raises ``StateError`` where none is staged."""
    return _change(environment, booted=booted, transition=lambda state: bootstate.dropped(state, booted.other))


def mark_bad(environment: EnvironmentBlock, slot: Slot, *, booted: Slot) -> BootState:
    """Records that ``slot`` failed, durably. Raises ``StateError`` when it is the last that could be good."""
    return _change(environment, booted=booted, transition=lambda state: bootstate.bad(state, slot))


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """The state after boot-complete, and the slot that this node fell back from, if it did."""

    state: BootState
    fallback: Fallback | None


def mark_good(environment: EnvironmentBlock, *, booted: Slot) -> Judgement:
    """Records that the running slot reached boot-complete, durably; a damaged block is written anew.

    The fallback is told only once: record its reason before calling, or from what this returns.
    """
    try:
        before = read_state(environment)
    except StateError:
        before = BootState(pointer=booted)
    fallback = bootstate.fallen_back(before, booted)
    return Judgement(state=_write_state(environment, before, bootstate.good(before, booted)), fallback=fallback)


def read_state(environment: EnvironmentBlock) -> BootState:
    """The boot state on the disk. Raises ``StateError`` (kind ``environment``) when the block is damaged."""
    return bootstate.parse(environment.read())


def read_deployment(boot: BootFilesystem, slot: Slot) -> Deployment | None:
    """What ``slot`` holds by its record; none when it is missing or torn. Meaningless while the slot is ``writing``."""
    path = _path(slot, RECORD)
    try:
        return wire.parse((boot.read(path) or b"").decode(), source=path)
    except (StateError, UnicodeDecodeError):
        return None


def rewrite_record(boot: BootFilesystem, slot: Slot, deployment: Deployment) -> None:
    """Changes what the record of a slot says, durably; the slot itself stays as it is, and may be the running one."""
    boot.replace_file(_path(slot, RECORD), wire.render(deployment).encode())
    boot.checkpoint()


def _change(environment: EnvironmentBlock, *, booted: Slot, transition: Callable[[BootState], BootState]) -> BootState:
    before = read_state(environment)
    return _write_state(environment, before, transition(replace(before, booted=booted)))


def _write_state(environment: EnvironmentBlock, before: BootState, after: BootState) -> BootState:
    if after != before:
        environment.write(bootstate.render(after))
    # Even when nothing changed: who wrote it last may have been cut before this.
    environment.flush()
    return after


def _path(slot: Slot, name: str) -> str:
    return f"{slot.boot_folder}/{name}"


def _slot_configuration(deployment: Deployment) -> bytes:
    text = grub.slot_configuration(
        root_hash=deployment.root_hash,
        hash_offset=deployment.hash_offset,
        version=deployment.version,
        kargs=deployment.kargs,
    )
    return text.encode()


def _check_space(target: Target) -> None:
    deployment, disk = target.payload.deployment, target.disk
    partition = disk.partitions[target.slot]
    if deployment.image_size > partition.size:
        raise SpaceError(
            f"{deployment.version} needs {deployment.image_size} bytes, partition {target.slot.partition_label}"
            f" has {partition.size}"
        )
    needed = sum(path.stat().st_size for path in (target.payload.kernel, target.payload.initramfs))
    reused = sum(disk.boot.size(_path(target.slot, name)) for name in (KERNEL, INITRAMFS))
    available = disk.boot.free_bytes() + reused
    if needed + _BOOT_RESERVE_BYTES > available:
        raise SpaceError(f"the boot partition has {available} bytes for kernel and initramfs, {needed} are needed")


def _verify_payload(target: Target, _progress: Progress) -> None:
    payload, deployment = target.payload, target.payload.deployment
    image.verify(
        payload.image,
        root_hash=deployment.root_hash,
        hash_offset=deployment.hash_offset,
        size=deployment.image_size,
    )
    with payload.kernel.open("rb") as kernel, payload.initramfs.open("rb") as initramfs:
        found = image.digest_of(kernel, initramfs)
    if found != deployment.kernel_digest:
        raise VerificationError(
            f"kernel and initramfs have the digest {found}, expected was {deployment.kernel_digest}"
        )


def _mark_writing(target: Target, progress: Progress) -> None:
    _mark(target, progress, bootstate.writing(progress.state, target.slot))


def _write_image(target: Target, progress: Progress) -> None:
    partition, total = target.disk.partitions[target.slot], target.payload.deployment.image_size
    with target.payload.image.open("rb", buffering=0) as source:
        done = 0
        while done < total:
            data = source.read(min(target.chunk_bytes, total - done))
            if not data:
                raise NestosError(f"{target.payload.image} ended at byte {done}, expected were {total}")
            partition.write(done, data)
            done += len(data)
            progress.report("write", done, total)
    partition.flush()


def _read_back(target: Target, progress: Progress) -> None:
    partition, deployment = target.disk.partitions[target.slot], target.payload.deployment

    def read(offset: int, size: int) -> bytes:
        progress.report("read back", offset, deployment.image_size)
        return partition.read(offset, size)

    verity.verify(
        read,
        root_hash=deployment.root_hash,
        hash_offset=deployment.hash_offset,
        size=deployment.image_size,
    )


def _prepare_etc(target: Target, progress: Progress) -> None:
    progress.etc = _follow_etc(target.disk, target.slot)


def _follow_etc(disk: Disk, slot: Slot) -> EtcReport:
    report = disk.etc.stage(slot)
    disk.etc.sync()
    disk.etc.publish(slot)
    disk.etc.sync_directory()
    return report


def _write_boot_files(target: Target, _progress: Progress) -> None:
    payload, boot = target.payload, target.disk.boot
    record = wire.render(payload.deployment)
    with payload.kernel.open("rb") as kernel:
        boot.write_file(_path(target.slot, KERNEL), kernel)
    with payload.initramfs.open("rb") as initramfs:
        boot.write_file(_path(target.slot, INITRAMFS), initramfs)
    boot.write_file(_path(target.slot, CONFIG), io.BytesIO(_slot_configuration(payload.deployment)))
    boot.write_file(_path(target.slot, RECORD), io.BytesIO(record.encode()))
    boot.checkpoint()


def _read_back_boot_files(target: Target, _progress: Progress) -> None:
    boot, deployment, slot = target.disk.boot, target.payload.deployment, target.slot
    digest = boot.digest(_path(slot, KERNEL), _path(slot, INITRAMFS))
    if digest != deployment.kernel_digest:
        raise VerificationError(f"kernel and initramfs of slot {slot} were written but read back differently")
    if boot.read(_path(slot, CONFIG)) != _slot_configuration(deployment) or read_deployment(boot, slot) != deployment:
        raise VerificationError(f"the boot files of slot {slot} were written but read back differently")


def _stage(target: Target, progress: Progress) -> None:
    _mark(target, progress, bootstate.staged(progress.state, target.slot, tries=target.tries))


def _lock(target: Target, progress: Progress) -> None:
    _mark(target, progress, bootstate.locked(progress.state, target.slot))


def _mark(target: Target, progress: Progress, state: BootState) -> None:
    progress.state = state
    target.disk.environment.write(bootstate.render(state))
    target.disk.environment.flush()


STEPS: tuple[Step, ...] = (
    Step(name="verify", sentence="verify the image, kernel and initramfs of {version}", act=_verify_payload),
    Step(name="mark writing", sentence="mark slot {slot} as being written", act=_mark_writing),
    Step(name="write", sentence="write the image to partition root-{slot} and flush it", act=_write_image),
    Step(name="read back", sentence="read partition root-{slot} back and verify every block", act=_read_back),
    Step(name="etc", sentence="prepare the /etc layer of slot {slot} from the running one", act=_prepare_etc),
    Step(name="boot files", sentence="write kernel, initramfs and settings of slot {slot}", act=_write_boot_files),
    Step(name="read back boot files", sentence="read the boot files of slot {slot} back", act=_read_back_boot_files),
    Step(name="stage", sentence="let slot {slot} boot next, with {version}", act=_stage),
)
_LOCKING = Step(name="lock", sentence="keep slot {slot}, with {version}, from booting until it is finalized", act=_lock)


def steps(*, is_locked: bool) -> tuple[Step, ...]:
    """The steps of an installation whose release boots next, or waits to be finalized."""
    return (*STEPS[:-1], _LOCKING) if is_locked else STEPS
