"""The transactions that the crash sweep cuts, each from every state in which it may begin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from nestos.slots import bootstate, install
from nestos.slots.bootstate import BootState, Slot, SlotState, SlotStatus
from nestos.slots.disk import Disk
from nestos.wire.origin import Origin
from tests.unit.slots.crash_sweep import Scenario
from tests.unit.slots.releases import EDITED_ETC, OLD_ETC, PREVIOUS_ETC, Releases

CHUNK_BYTES = 4096

GOOD = SlotStatus(state=SlotState.GOOD, tries=3)
EITHER = frozenset({"old", "new"})
ONLY_OLD = frozenset({"old"})


def status(state: SlotState, tries: int = 0) -> SlotStatus:
    return SlotStatus(state=state, tries=tries)


def state_of(booted: Slot, *, own: SlotStatus, other: SlotStatus, pointer: Slot) -> BootState:
    """The state of a node that runs ``booted``."""
    return BootState(pointer=pointer, booted=booted).with_status(booted, own).with_status(booted.other, other)


def updater(releases: Releases, booted: Slot) -> Callable[[Disk], object]:
    def operate(disk: Disk) -> object:
        return install.install(disk, releases.new.payload, booted=booted, chunk_bytes=CHUNK_BYTES)

    return operate


def updates(releases: Releases, booted: Slot) -> Iterator[Scenario]:
    """An update over everything that the passive slot may hold."""
    passive = booted.other
    starts = {
        "over the previous version": (status(SlotState.GOOD, 3), booted),
        "over a good slot with spent tries": (status(SlotState.GOOD, 0), booted),
        "over a staged version": (status(SlotState.TRYING, 2), passive),
        "over a locked version": (status(SlotState.LOCKED), booted),
        "over a failed version": (status(SlotState.BAD), booted),
        "over an interrupted update": (status(SlotState.WRITING), booted),
        "over a requested rollback": (status(SlotState.GOOD, 3), passive),
    }
    endings = {"over a staged version", "over a requested rollback"}
    for name, (other, pointer) in starts.items():
        # Until the slot is marked, what was asked for before still stands.
        allowed = EITHER | {"previous"} if name in endings else EITHER
        yield Scenario(
            name=f"update of {booted} {name}",
            booted=booted,
            state=state_of(booted, own=GOOD, other=other, pointer=pointer),
            contents={booted: releases.old, passive: releases.previous},
            etc={booted: OLD_ETC, passive: PREVIOUS_ETC},
            operate=updater(releases, booted),
            promised=lambda left, state: state.pending is passive and state.of(passive) == status(SlotState.TRYING, 2),
            endings=allowed,
            done="new",
            sick=frozenset({"new"}),
            sick_endings=allowed - {"new"},
        )
    yield Scenario(
        name=f"first update of {booted}",
        booted=booted,
        state=replace(bootstate.fresh(booted), booted=booted),
        contents={booted: releases.old},
        etc={booted: OLD_ETC},
        operate=updater(releases, booted),
        promised=lambda left, state: state.pending is passive,
        endings=EITHER,
        done="new",
        sick=frozenset({"new"}),
        sick_endings=ONLY_OLD,
    )


def locked_updates(releases: Releases, booted: Slot) -> Iterator[Scenario]:
    """An update that is written and does not boot: over a good version, a staged one, another locked one."""
    passive = booted.other

    def operate(disk: Disk) -> object:
        return install.install(disk, releases.new.payload, booted=booted, is_locked=True, chunk_bytes=CHUNK_BYTES)

    for name in ("over the previous version", "over a staged version", "over a locked version"):
        begun = next(it for it in updates(releases, booted) if it.name.endswith(name))
        yield replace(
            begun,
            name=f"locked {begun.name}",
            operate=operate,
            promised=lambda left, state: state.locked is passive and state.pointer is booted,
            endings=begun.endings - {"new"},
            done="old",
            sick=frozenset(),
        )


def others(releases: Releases, booted: Slot) -> Iterator[Scenario]:
    """Everything else that writes. ``booted`` runs; the versions differ."""
    yield _rollback(releases, booted)
    yield _rollback_from_unproven(releases, booted)
    yield _judge_good(releases, booted)
    yield _judge_good_twice(releases, booted)
    yield _judge_while_staged(releases, booted)
    yield _judge_after_fallback(releases, booted)
    yield _judge_bad(releases, booted)
    yield _drop(releases, booted)
    yield _refresh(releases, booted)
    yield _finalize(releases, booted)
    yield _lock(releases, booted)
    yield _drop_locked(releases, booted)
    yield _judge_while_locked(releases, booted)
    yield _pin(releases, booted, slot=booted)
    yield _pin(releases, booted, slot=booted.other)


def _rollback(releases: Releases, booted: Slot) -> Scenario:
    return Scenario(
        name=f"rollback from {booted}",
        booted=booted,
        state=state_of(booted, own=GOOD, other=GOOD, pointer=booted),
        contents={booted: releases.new, booted.other: releases.old},
        etc={booted: OLD_ETC, booted.other: OLD_ETC},
        operate=lambda disk: install.rollback(disk.environment, booted=booted),
        promised=lambda left, state: state.pending is booted.other,
        endings=EITHER,
        done="old",
        sick=frozenset({"new"}),
        sick_endings=ONLY_OLD,
    )


def _rollback_from_unproven(releases: Releases, booted: Slot) -> Scenario:
    trying = status(SlotState.TRYING, 1)
    return replace(
        _rollback(releases, booted),
        name=f"rollback from {booted} before it proved itself",
        state=state_of(booted, own=trying, other=GOOD, pointer=booted),
        promised=lambda left, state: state.pending is booted.other and state.of(booted).state is SlotState.BAD,
    )


def _judge_good(releases: Releases, booted: Slot) -> Scenario:
    return Scenario(
        name=f"boot-complete of a new version in {booted}",
        booted=booted,
        state=state_of(booted, own=status(SlotState.TRYING, 1), other=GOOD, pointer=booted),
        contents={booted: releases.new, booted.other: releases.old},
        etc={booted: OLD_ETC, booted.other: OLD_ETC},
        operate=lambda disk: install.mark_good(disk.environment, booted=booted),
        promised=lambda left, state: state.of(booted) == GOOD and state.pointer is booted,
        endings=EITHER,
        done="new",
        sick=frozenset({"new"}),
        sick_endings=ONLY_OLD,
    )


def _judge_good_twice(releases: Releases, booted: Slot) -> Scenario:
    """The first judge was killed between its write and its flush: memory says good, the disk does not yet."""

    def killed(disk: Disk) -> None:
        state = bootstate.parse(disk.environment.read())
        disk.environment.write(bootstate.render(bootstate.good(state, booted)))

    scenario = _judge_good(releases, booted)
    return replace(scenario, name=f"boot-complete in {booted} after a killed judge", prepare=killed)


def _judge_while_staged(releases: Releases, booted: Slot) -> Scenario:
    return replace(
        _drop(releases, booted),
        name=f"boot-complete of {booted} again, while a release is staged",
        state=state_of(booted, own=status(SlotState.GOOD, 2), other=status(SlotState.TRYING, 2), pointer=booted.other),
        operate=lambda disk: install.mark_good(disk.environment, booted=booted),
        promised=lambda left, state: state.of(booted) == GOOD and state.pending is booted.other,
        endings=EITHER,
        done="new",
    )


def _judge_after_fallback(releases: Releases, booted: Slot) -> Scenario:
    failed = booted.other
    return Scenario(
        name=f"boot-complete of {booted} after a fallback",
        booted=booted,
        state=state_of(booted, own=status(SlotState.GOOD, 2), other=status(SlotState.BAD), pointer=failed),
        contents={booted: releases.old, failed: releases.new},
        etc={booted: OLD_ETC, failed: OLD_ETC},
        operate=lambda disk: install.mark_good(disk.environment, booted=booted),
        promised=lambda left, state: state.of(booted) == GOOD and state.pointer is booted,
        endings=ONLY_OLD,
        done="old",
    )


def _judge_bad(releases: Releases, booted: Slot) -> Scenario:
    return replace(
        _judge_good(releases, booted),
        name=f"failed health check of a new version in {booted}",
        operate=lambda disk: install.mark_bad(disk.environment, booted, booted=booted),
        promised=lambda left, state: state.of(booted) == status(SlotState.BAD),
        done="old",
    )


def _drop(releases: Releases, booted: Slot) -> Scenario:
    staged = status(SlotState.TRYING, 2)
    return Scenario(
        name=f"giving up what {booted} staged",
        booted=booted,
        state=state_of(booted, own=GOOD, other=staged, pointer=booted.other),
        contents={booted: releases.old, booted.other: releases.new},
        etc={booted: OLD_ETC, booted.other: OLD_ETC},
        operate=lambda disk: install.drop(disk.environment, booted=booted),
        promised=lambda left, state: state.pending is None and state.of(booted.other).state is SlotState.EMPTY,
        endings=EITHER,
        done="old",
        sick=frozenset({"new"}),
        sick_endings=ONLY_OLD,
    )


def _refresh(releases: Releases, booted: Slot) -> Scenario:
    return replace(
        _drop(releases, booted),
        name=f"/etc of what {booted} staged, before the reboot",
        etc={booted: EDITED_ETC, booted.other: OLD_ETC},
        operate=lambda disk: install.refresh_etc(disk, booted=booted),
        promised=lambda left, state: left.etc[booted.other] == EDITED_ETC,
        done="new",
    )


def _finalize(releases: Releases, booted: Slot) -> Scenario:
    """Days after it was locked: what was edited meanwhile goes along."""
    other = booted.other
    return replace(
        _drop(releases, booted),
        name=f"finalizing what {booted} locked",
        state=state_of(booted, own=GOOD, other=status(SlotState.LOCKED), pointer=booted),
        etc={booted: EDITED_ETC, other: OLD_ETC},
        operate=lambda disk: install.finalize(disk, booted=booted),
        promised=lambda left, state: (
            state.pending is other and state.of(other) == status(SlotState.TRYING, 2) and left.etc[other] == EDITED_ETC
        ),
        done="new",
    )


def _lock(releases: Releases, booted: Slot) -> Scenario:
    return replace(
        _drop(releases, booted),
        name=f"locking what {booted} staged",
        operate=lambda disk: install.lock(disk.environment, booted=booted),
        promised=lambda left, state: state.locked is booted.other and state.pointer is booted,
    )


def _drop_locked(releases: Releases, booted: Slot) -> Scenario:
    return replace(
        _drop(releases, booted),
        name=f"giving up what {booted} locked",
        state=state_of(booted, own=GOOD, other=status(SlotState.LOCKED), pointer=booted),
        operate=lambda disk: install.rollback(disk.environment, booted=booted),
        promised=lambda left, state: state.locked is None and state.of(booted.other).state is SlotState.EMPTY,
        endings=ONLY_OLD,
        sick=frozenset(),
    )


def _judge_while_locked(releases: Releases, booted: Slot) -> Scenario:
    return replace(
        _drop_locked(releases, booted),
        name=f"boot-complete of {booted}, while a release is locked",
        state=state_of(booted, own=status(SlotState.GOOD, 2), other=status(SlotState.LOCKED), pointer=booted),
        operate=lambda disk: install.mark_good(disk.environment, booted=booted),
        promised=lambda left, state: state.of(booted) == GOOD and state.locked is booted.other,
    )


def _pin(releases: Releases, booted: Slot, *, slot: Slot) -> Scenario:
    """Only the record of a slot changes; of the running one, too."""
    contents = {booted: releases.old, booted.other: releases.previous}
    version = contents[slot]
    pinned = replace(version.payload.deployment, origin=Origin(pinned=True))
    return Scenario(
        name=f"pinning {'the running slot' if slot is booted else 'the other slot'} {slot}",
        booted=booted,
        state=state_of(booted, own=GOOD, other=GOOD, pointer=booted),
        contents=contents,
        etc={booted: OLD_ETC, booted.other: PREVIOUS_ETC},
        operate=lambda disk: install.rewrite_record(disk.boot, slot, pinned),
        promised=lambda left, state: left.boot[f"{slot.boot_folder}/{install.RECORD}"] == version.pinned,
        endings=ONLY_OLD,
        done="old",
    )
