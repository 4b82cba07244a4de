"""What a boot means for the slots: health, boot-complete, failure, fallback.

Run by units around boot-complete.target. The rules are functions of the boot state; what they decide is written in an
order that a power cut cannot turn into a lie: the memory of a failure first, the boot state after it.
"""

from __future__ import annotations

import errno
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nestos.base.errors import NestosError, StateError, VerificationError
from nestos.deploy import health, live_state
from nestos.deploy.node import Node, View
from nestos.deploy.records import BootFailure, Cause, Denial, Event, Running
from nestos.deploy.transaction import exclusive
from nestos.slots import bootstate, image, install
from nestos.slots.bootstate import BootState, Fallback, Slot, SlotState
from nestos.slots.disk import EtcReport
from nestos.slots.etc import OverlayEtc
from nestos.wire.deployment import Deployment

logger = logging.getLogger(__name__)

_LOCK_SECONDS = 120.0  # a mark that waits for an update's end is late; one that gives up would cost a good slot a try

VerifyRunning = Callable[[Deployment], None]
"""Reads the whole running slot by its record; raises ``VerificationError`` where its root hash says otherwise."""


def verifier(command_line: str) -> VerifyRunning:
    """Reads the partition that the kernel's command line says the root comes from."""
    words = dict(word.partition("=")[::2] for word in command_line.split())
    partition = Path(words.get("systemd.verity_root_data", ""))

    def verify(running: Deployment) -> None:
        image.verify(partition, root_hash=running.root_hash, hash_offset=running.hash_offset, size=running.image_size)

    return verify


class After(StrEnum):
    """What to do with a boot that failed."""

    RESTART = "restart"
    STAY = "stay"


def after_failure(state: BootState, booted: Slot) -> After:
    """Whether another boot can help: there is a good slot to go back to, or this one has tries left.

    Without either the node stays up as it is, so that a person can reach it: restarting for ever would help nobody.
    """
    if state.of(booted.other).state is SlotState.GOOD or state.of(booted).tries > 0:
        return After.RESTART
    return After.STAY


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What ``mark_good`` found: the running version, and if the node fell back, from what and why."""

    version: str
    fallback: Fallback | None = None
    failed_version: str = ""
    reason: str = ""
    denied: bool = False


def mark_good(node: Node) -> Outcome:
    """This boot reached boot-complete: the running slot is good; a slot it fell back from is bad, with its reason.

    Running it again changes nothing. A damaged environment block is written anew.
    """
    with exclusive(node.lock, command="boot mark-good", wait_seconds=_LOCK_SECONDS, clock=node.clock):
        view, records = node.look(), node.records
        running, state = view.running, view.state
        outcome = Outcome(version=running.version if running else "")
        if state is None:
            logger.warning("%s", view.problem)
        elif fallback := bootstate.fallen_back(state, node.booted):
            outcome = _account_for(node, view, fallback)
        if state is None or state.of(node.booted).state is not SlotState.GOOD:
            node.note(Event.GOOD, node.booted, running)
        with node.machine.environment() as environment:
            install.mark_good(environment, booted=node.booted)
        records.clear_boot_failures()
        if state is not None and state.pending is None and state.locked is None:
            shutil.rmtree(node.staged_defaults, ignore_errors=True)
        if live_state.live(node) is None:
            live_state.forget(node)
        # Of a transaction that was killed behind its last write: an image and a tree, which no later one clears away
        # as long as there is nothing to do.
        shutil.rmtree(node.folder / "staging", ignore_errors=True)
        commit = running.commit if running else ""
        records.pardon(commit)
        records.begin_running(Running(slot=str(node.booted), commit=commit, boot_id=node.boot_id))
    return outcome


def _account_for(node: Node, view: View, fallback: Fallback) -> Outcome:
    """Writes down why a slot failed, before the boot state forgets that it did."""
    failed, running = view.deployments[fallback.slot], view.running
    failure = node.records.boot_failures().get(str(fallback.slot))
    reason = failure.reason if failure else _silent(node, fallback)
    # Damage is the disk's fault and a release that once was good has proved itself: neither condemns the release.
    condemned = not fallback.was_good and (failure is None or failure.cause is not Cause.DAMAGE)
    # Only the layers differed: the release itself runs, so they were at fault.
    condemned = condemned and not (failed is not None and running is not None and failed.commit == running.commit)
    if failed is not None and condemned:
        node.records.deny(Denial(version=failed.version, commit=failed.commit, reason=reason, time=node.now()))
    node.note(Event.FAILED, fallback.slot, failed, detail=reason)
    return Outcome(
        version=running.version if running else "",
        fallback=fallback,
        failed_version=failed.version if failed else "",
        reason=reason,
        denied=failed is not None and condemned,
    )


def _silent(node: Node, fallback: Fallback) -> str:
    tries = bootstate.MAXIMUM_TRIES if fallback.was_good else node.settings.boot_tries
    return f"did not reach boot-complete in {tries} tries (panic, hang or power loss)"


def farewell(node: Node) -> EtcReport | None:
    """An orderly shutdown begins: the next boot need not doubt the slot, and a staged release's /etc takes over what
    was edited since it was staged.

    Returns what became of /etc, none where no release is staged.
    """
    node.records.end_running()
    if not node.staged_defaults.is_dir():
        return None
    with exclusive(node.lock, command="boot farewell", wait_seconds=_LOCK_SECONDS, clock=node.clock):
        staged = node.look().deployments[node.booted.other]
        if staged is None or not node.defaults_of(staged).is_dir():
            return None
        defaults = node.defaults_of(staged)
        etc = OverlayEtc(node.folder / "etc", old_default=node.root.join("/usr/etc"), new_default=defaults)
        with node.machine.disk(etc) as disk:
            return install.refresh_etc(disk, booted=node.booted)


def check_health(node: Node, *, verify: VerifyRunning) -> list[health.Result]:
    """Runs the health checks and, after a boot that ended badly, reads the whole running slot.

    Raises ``NestosError`` of kind ``unhealthy`` when a required check failed, and ``VerificationError`` when the slot
    is damaged (then it is already recorded as bad if there is another). Either leaves the reason for the next boot.
    """
    view = node.look()
    running = view.running
    if running is not None and _ended_badly(node):
        _verify_running(node, running, verify=verify)
    on_trial = view.state is not None and view.state.of(node.booted).state is SlotState.TRYING
    environment = {
        "NESTOS_SLOT": str(node.booted),
        "NESTOS_VERSION": running.version if running else "",
        "NESTOS_ON_TRIAL": "yes" if on_trial else "no",
    }
    limit = node.settings.check_seconds
    results = health.run(node.root, environment=environment, limit_seconds=limit, runner=node.runner)
    if on_trial and node.settings.soak_seconds and not health.reason(results):
        node.clock.sleep(node.settings.soak_seconds)
        results = health.run(node.root, environment=environment, limit_seconds=limit, runner=node.runner)
    for result in health.failed(results, health.Kind.WANTED):
        logger.warning("wanted health check %s: %s", result.name, result.problem)
    if sentence := health.reason(results):
        leave_failure(node, running, cause=Cause.HEALTH, reason=sentence)
        raise NestosError(sentence, kind="unhealthy")
    return results


def _ended_badly(node: Node) -> bool:
    mark = node.records.running()
    return mark is not None and mark.boot_id != node.boot_id and mark.slot == str(node.booted)


def _verify_running(node: Node, running: Deployment, *, verify: VerifyRunning) -> None:
    """The previous boot of this slot ended without a farewell: power loss, or a panic over a changed block."""
    try:
        verify(running)
    except (VerificationError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.EIO:
            logger.warning("slot %s could not be read, so it was not verified: %s", node.booted, error)
            return
        sentence = f"slot {node.booted} is damaged: {error}"
        leave_failure(node, running, cause=Cause.DAMAGE, reason=sentence)
        try:
            with node.machine.environment() as environment:
                install.mark_bad(environment, node.booted, booted=node.booted)
        except StateError as refusal:
            logger.warning("%s, and there is no other to go back to: %s", sentence, refusal)
        raise VerificationError(sentence, kind="damage") from error
    node.records.end_running()


def leave_failure(node: Node, running: Deployment | None, *, cause: Cause, reason: str) -> None:
    """Leaves the reason of this boot's failure for the boot after it; the first one of a boot counts."""
    node.records.leave_boot_failure(
        BootFailure(
            slot=str(node.booted),
            version=running.version if running else "",
            boot_id=node.boot_id,
            cause=cause,
            reason=reason,
            time=node.now(),
        )
    )


def fail(node: Node, *, cause: Cause, reason: str) -> After:
    """This boot failed: leaves the reason, and says whether to restart."""
    view = node.look()
    leave_failure(node, view.running, cause=cause, reason=reason)
    return After.STAY if view.state is None else after_failure(view.state, node.booted)
