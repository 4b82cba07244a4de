"""Transactions that keep the release and change what this node has besides it: layers, overrides, kernel arguments.

A change goes on from what boots next, so that several commands before one restart add up, and always begins at the
release's own tree: nothing of an earlier layering is left in a later one.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import InputError, StateError
from nestos.base.log import Progress
from nestos.deploy.assembly import Wanted
from nestos.deploy.layers import Layering, Permission, Plan, backend_of
from nestos.deploy.node import Node, View
from nestos.deploy.passive import PassiveSlot, Taken
from nestos.deploy.store import Store
from nestos.deploy.transaction import exclusive
from nestos.host.packages.layering import LayeringBackend
from nestos.slots import install
from nestos.slots.bootstate import Slot
from nestos.slots.disk import EtcReport
from nestos.wire.deployment import Deployment
from nestos.wire.origin import Origin, PackageFile


@dataclass(frozen=True, kw_only=True)
class Goal:
    """What shall boot next instead of what does: another wish, other kernel arguments (none: the same).

    ``is_forced``: made anew even where both are what boots next. ``is_locked``: to boot only once it is finalized.
    """

    origin: Origin | None = None
    kargs: tuple[str, ...] | None = None
    permission: Permission = field(default_factory=Permission)
    is_forced: bool = False
    is_locked: bool = False


class Change:
    """The commands that change what a node has besides its release."""

    def __init__(self, node: Node, *, progress: Progress, backend: LayeringBackend | None = None) -> None:
        self._node = node
        self._progress = progress
        self._backend = backend or backend_of(node)
        self._passive = PassiveSlot(node, backend=self._backend, progress=progress)

    def lock(self, command: str) -> AbstractContextManager[None]:
        """The transaction lock in the name of ``command``. Raises ``BusyError`` naming its holder."""
        return exclusive(self._node.lock, command=command, clock=self._node.clock)

    def current(self) -> Deployment:
        """What boots next, where a change begins."""
        return self._node.look().follows

    def keep(self, files: Iterable[Path]) -> tuple[PackageFile, ...]:
        """Takes package files over into the node's state."""
        layering = Layering(self._node, backend=self._backend, progress=self._progress)
        return tuple(layering.keep(file) for file in files)

    def preview(self, goal: Goal) -> Plan:
        """What the solver says of the goal; nothing is written but caches."""
        view = self._node.look()
        store = self._store(view)
        return self._passive.preview(self._wanted(goal, view, store), view=view, store=store)

    def download(self, goal: Goal) -> Plan:
        """Fetches the packages that ``take`` would fetch, and leaves every slot alone."""
        view = self._node.look()
        store = self._store(view)
        return self._passive.download(self._wanted(goal, view, store), view=view, store=store)

    def take(self, goal: Goal) -> Taken:
        """Writes the passive slot with the goal. The caller holds the lock.

        Raises ``StateError`` of kind ``unchanged`` where the goal is what boots next.
        """
        view = self._node.look()
        follows = view.follows
        wish = self._wish(goal, follows)
        kargs = follows.kargs if goal.kargs is None else goal.kargs
        if not goal.is_forced and (wish, kargs) == (replace(follows.origin, pinned=False), follows.kargs):
            raise StateError("this changes nothing", kind="unchanged")
        self._passive.require_writable(view)
        store = self._store(view)
        return self._passive.fill(self._wanted(goal, view, store), view=view, store=store)

    def pin(self, slot: Slot, *, pinned: bool) -> bool:
        """Pins a slot, or gives it free; false where it was so already. Only its record changes."""
        view = self._node.look()
        held = view.deployments[slot]
        if held is None:
            raise StateError(f"slot {slot} holds nothing to pin")
        if held.origin.pinned is pinned:
            return False
        changed = replace(held, origin=replace(held.origin, pinned=pinned))
        with self._node.machine.files() as boot:
            install.rewrite_record(boot, slot, changed)
        return True

    def drop_pending(self) -> Taken | None:
        """Gives up what is staged and never booted, locked or not; none where nothing is."""
        view = self._node.look()
        pending = view.require_state().staged or view.require_state().pending
        if self._node.replaced.exists():
            durable.remove(self._node.replaced)
        if pending is None:
            if view.replaced is None:
                return None
            return Taken(version=view.replaced.version, slot=self._node.booted.other, etc=EtcReport())
        held = view.deployments[pending]
        with self._node.machine.environment() as environment:
            install.rollback(environment, booted=self._node.booted)
        return Taken(version=held.version if held else "", slot=pending, etc=EtcReport())

    def _wish(self, goal: Goal, follows: Deployment) -> Origin:
        return replace(follows.origin if goal.origin is None else goal.origin, pinned=False)

    def _wanted(self, goal: Goal, view: View, store: Store) -> Wanted:
        follows = view.follows
        self._passive.seed(store, view)
        return Wanted(
            base=store.commit(follows.commit),
            origin=self._wish(goal, follows),
            kargs=follows.kargs if goal.kargs is None else goal.kargs,
            permission=goal.permission,
            is_locked=goal.is_locked,
        )

    def _store(self, view: View) -> Store:
        settings = self._node.settings
        return Store(
            self._node, url=settings.update_url, ref=settings.update_ref or view.follows.ref, progress=self._progress
        )


def slot_of(word: str) -> Slot:
    """The slot that a person names ``a`` or ``b``. Raises ``InputError`` for anything else."""
    try:
        return Slot(word)
    except ValueError as error:
        raise InputError(f'"{word}" is no slot: a or b') from error
