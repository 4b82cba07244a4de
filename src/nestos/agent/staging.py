"""The transaction that the agent starts: root's part, in a process of its own (``nestos agent stage``, ``drop``).

Root believes the agent one thing: the version and commit it asks for, from its state file. Whether that is a signed
release, vouched for, newer than what runs, not one that failed here, is judged here as for a person. So whoever took
over the agent's user, or the update server, could choose among the releases that are newer, and no more.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from nestos.agent.choice import Release
from nestos.agent.driver import Outcome, write_outcome
from nestos.agent.identity import Identity
from nestos.agent.memory import MemoryFile
from nestos.agent.settings import Settings
from nestos.agent.vouching import Voucher
from nestos.base.errors import NestosError, StateError
from nestos.deploy import release as releases
from nestos.deploy.node import Node
from nestos.deploy.passive import Taken
from nestos.deploy.release import Verdict
from nestos.deploy.transaction import exclusive
from nestos.deploy.upgrade import Offer, Options
from nestos.slots.bootstate import SlotState

_LOCK_SECONDS = 600.0  # a person's transaction goes first


class Upgrades(Protocol):
    """What is used of ``nestos.deploy.upgrade.Upgrade``."""

    def examine(self, *, version: str = "", options: Options) -> Offer: ...
    def take(self, offer: Offer) -> Taken: ...
    def rollback(self) -> Taken: ...


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What is asked of a release before it is taken. ``who``: this node, with the stream that its reference names."""

    settings: Settings
    voucher: Voucher
    who: Callable[[str], Identity]


def stage(node: Node, *, upgrade: Upgrades, judgement: Judgement, file: MemoryFile) -> Outcome:
    """Takes the release that the agent asks for, and leaves the outcome for it, whatever it is."""
    memory = file.read()
    attempt, wanted = memory.attempt, memory.release
    version = wanted.version if wanted else ""
    try:
        if wanted is None:
            raise StateError("the agent asks for no release")
        with _exclusive(node, command=f"agent stage {version}"):
            _take(upgrade, wanted, judgement=judgement)
        outcome = Outcome(attempt=attempt, version=version)
    except (NestosError, OSError) as error:
        kind = error.kind if isinstance(error, NestosError) else "system"
        outcome = Outcome(attempt=attempt, version=version, problem=str(error), kind=kind)
    write_outcome(node.root, outcome)
    return outcome


def _take(upgrade: Upgrades, wanted: Release, *, judgement: Judgement) -> None:
    offer = upgrade.examine(version=wanted.version, options=Options())
    if offer.release.commit != wanted.payload:
        raise StateError(
            f"the repository has {wanted.version} as {offer.release.commit[:12]}, the update graph as"
            f" {wanted.payload[:12]}",
            kind="mismatch",
        )
    running = offer.view.require_running()
    if (
        not judgement.settings.allow_downgrade
        and running.timestamp
        and releases.rfc3339(offer.release.timestamp) < running.timestamp
    ):
        raise StateError(f"{wanted.version} is older than {running.version}, which runs", kind="downgrade")
    judgement.voucher.require(wanted, who=judgement.who(running.ref))
    if offer.is_locked:
        raise StateError(
            f"{wanted.version} is in its slot, locked by another command than the agent's",
            hint="let it boot (finalize-deployment) or give it up (cleanup --pending)",
            kind="locked",
        )
    if offer.verdict is Verdict.UPDATE:
        upgrade.take(offer)


def drop(node: Node, *, upgrade: Upgrades) -> str:
    """Has what runs boot next again, if a release waits in the other slot that never booted. Returns its version."""
    with _exclusive(node, command="agent drop"):
        view = node.look()
        pending = view.require_state().pending
        if pending is None or view.require_state().of(pending).state is not SlotState.TRYING:
            return ""
        held = view.deployments[pending]
        upgrade.rollback()
        return held.version if held else "unknown"


def _exclusive(node: Node, *, command: str) -> AbstractContextManager[None]:
    return exclusive(node.lock, command=command, wait_seconds=_LOCK_SECONDS, clock=node.clock)
