"""Taking a release: upgrade, deploy, rollback.

The order is the design's: judge the signed commit, check the room, fetch, build, compare with the signed root hash, and
only then touch the passive slot, by the plan of ``nestos.slots.install``. Until then nothing but the staging folder
and the repository under /var/lib/nestos changed, and both are only caches: whatever stops, the next run goes on.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from nestos.base.errors import StateError
from nestos.base.log import Progress
from nestos.deploy import release
from nestos.deploy.assembly import Wanted
from nestos.deploy.layers import Permission, backend_of
from nestos.deploy.node import Node, View
from nestos.deploy.passive import PassiveSlot, Taken
from nestos.deploy.records import Event
from nestos.deploy.release import Release, Situation, Verdict
from nestos.deploy.store import Need, Store
from nestos.deploy.transaction import exclusive
from nestos.host.packages.layering import LayeringBackend
from nestos.ostree.commits import is_checksum
from nestos.slots import bootstate, install
from nestos.slots.bootstate import Slot, SlotState
from nestos.slots.disk import EtcReport
from nestos.wire.origin import Origin


@dataclass(frozen=True, kw_only=True)
class Options:
    """What an operator allowed in this very command.

    A version asked for by name may be older than what runs, unless ``forbid_downgrade``.
    """

    allow_downgrade: bool = False
    forbid_downgrade: bool = False
    allow_denied: bool = False


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A release, what it is to this node, and what taking it needs (none for one that is here)."""

    release: Release
    verdict: Verdict
    need: Need | None
    view: View

    @property
    def is_locked(self) -> bool:
        """True where it is here already, and waits to be finalized."""
        return self.verdict is Verdict.STAGED and self.view.require_state().locked is not None


class Upgrade:
    """The commands, on one node. ``store`` makes the node's repository where it is needed."""

    def __init__(self, node: Node, *, progress: Progress, backend: LayeringBackend | None = None) -> None:
        self._node = node
        self._progress = progress
        self._backend = backend or backend_of(node)

    def lock(self, command: str) -> AbstractContextManager[None]:
        """The transaction lock in the name of ``command``. Raises ``BusyError`` naming its holder."""
        return exclusive(self._node.lock, command=command, clock=self._node.clock)

    # What is there

    def followed(self) -> str:
        """The branch that this node follows."""
        view = self._node.look()
        return self._node.settings.update_ref or view.follows.ref

    def examine(self, *, version: str = "", ref: str = "", options: Options) -> Offer:
        """The newest release, or the one with ``version``, and what it is to this node. Fetches signed commits only.

        ``ref``: another branch than the followed one, followed once its release runs. Raises ``StateError`` for
        a downgrade or a release that failed here unless ``options`` allow it, ``VerificationError`` for a bad
        signature, ``NetworkError`` where the server cannot be reached.
        """
        view = self._node.look()
        self._require_free_choice(ref)
        store = self._store(view, ref=ref)
        with self._progress.stage(f"asking {store.url} for {version or 'the newest version'} of {store.ref}"):
            store.open()
            offered = _offered(store, version)
        verdict = release.judge(
            offered,
            self._situation(view),
            allow_downgrade=options.allow_downgrade or (bool(version) and not options.forbid_downgrade),
            allow_denied=options.allow_denied,
        )
        if ref and ref != view.follows.ref:
            verdict = Verdict.UPDATE  # also where the commit is the same: only a slot written anew follows the branch
        need = None
        if verdict is Verdict.UPDATE:
            need = store.need(offered, seeded=store.needs_seed(view.require_running().commit))
        return Offer(release=offered, verdict=verdict, need=need, view=view)

    def plan(self, offer: Offer, *, is_locked: bool = False) -> list[str]:
        """The steps of taking the offer, one sentence each, for a dry run."""
        need, offered = offer.need, offer.release
        if need is None:
            return []
        values = {"slot": self._node.booted.other, "version": offered.version}
        count = need.objects if need.objects is not None else "the missing"
        return [
            f"check that /var has {need.stored_bytes / 1e6:.0f} MB free and the boot partition room for a kernel",
            f"fetch {count} objects of {offered.version}, at most {need.fetched_bytes / 1e6:.1f} MB,"
            " less what the running system has",
            f"build the slot image, {offered.image_size / 1e6:.0f} MB, and compare its root hash with the signed one",
            *(step.sentence.format(**values) for step in install.steps(is_locked=is_locked)),
        ]

    # Taking it

    def take(
        self,
        offer: Offer,
        *,
        origin: Origin | None = None,
        permission: Permission | None = None,
        is_locked: bool = False,
    ) -> Taken:
        """Fetches, layers, builds, verifies and stages the offered release. The caller holds the lock.

        The layers are those of what is staged or runs unless ``origin`` gives others. ``is_locked``: it boots only
        once it is finalized.
        """
        offered, view = offer.release, offer.view
        store = self._store(view, ref=offered.ref)
        passive = self._passive()
        passive.require_writable(view)
        if offer.need is None:
            raise StateError(f"{offered.version} is already here")
        passive.require_boot_room(view, offered)
        store.require_room(offer.need)
        running = view.require_running()
        wish = replace(view.follows.origin, pinned=False) if origin is None else origin
        before = store.known(running.commit)
        kargs = release.kargs_for(offered, booted=running, booted_release_kargs=before.kargs if before else None)
        wanted = Wanted(
            base=offered,
            origin=wish,
            kargs=kargs,
            permission=permission or Permission(),
            is_carried=origin is None,
            is_locked=is_locked,
        )
        taken = passive.fill(wanted, view=view, store=store)
        self._node.records.pardon(offered.commit)
        return taken

    def download(self, offer: Offer) -> None:
        """Fetches what ``take`` would fetch, and leaves every slot alone. The caller holds the lock."""
        offered, view = offer.release, offer.view
        if offer.need is None:
            raise StateError(f"{offered.version} is already here")
        store = self._store(view, ref=offered.ref)
        store.require_room(offer.need)
        passive = self._passive()
        passive.clean_staging()
        passive.seed(store, view)
        need = store.need(offered, seeded=False)
        store.require_room(need)
        store.fetch(offered, need)
        passive.clean_staging()

    # Going back

    def rollback(self) -> Taken:
        """Makes the other good slot boot next, or gives up what is staged. The caller holds the lock."""
        node = self._node
        before = node.look()
        pending = before.require_state().staged or before.require_state().pending
        with node.machine.environment() as environment:
            after = install.rollback(environment, booted=node.booted)
        slot = after.pointer
        dropped = pending is not None and after.of(pending).state is not SlotState.GOOD
        deployment = before.deployments[slot]
        if dropped and pending is not None:
            node.note(Event.DROPPED, pending, before.deployments[pending])
        else:
            node.note(Event.ROLLBACK, slot, deployment)
        return Taken(version=deployment.version if deployment else "", slot=slot, etc=EtcReport())

    def rollback_target(self) -> Taken:
        """What ``rollback`` would make boot next. Raises as it would."""
        view = self._node.look()
        slot = bootstate.rollback(view.require_state()).pointer
        held = view.deployments[slot]
        return Taken(version=held.version if held else "", slot=slot, etc=EtcReport())

    def held(self, version: str) -> Slot | None:
        """The slot that holds ``version`` and was judged good, or none."""
        view = self._node.look()
        state = view.require_state()
        for slot in (self._node.booted, self._node.booted.other):
            held = view.deployments[slot]
            named = held is not None and version in (held.version, held.commit)
            if named and state.of(slot).state is SlotState.GOOD:
                return slot
        return None

    def follows(self) -> Slot:
        """The slot that boots next."""
        return self._node.look().require_state().pending or self._node.booted

    def _situation(self, view: View) -> Situation:
        pending = view.require_state().staged or view.require_state().pending
        return Situation(
            booted=view.require_running(),
            pending=view.deployments[pending] if pending else None,
            denied=self._node.records.denied(),
        )

    def _require_free_choice(self, ref: str) -> None:
        fixed = self._node.settings.update_ref
        if ref and fixed and ref != fixed:
            raise StateError(
                f"the configuration has this node follow {fixed}, so the next upgrade would leave {ref} again",
                hint="set ref under [update] in /etc/nestos/nestos.conf.d to the new branch, or remove it there",
                kind="fixed",
            )

    def _store(self, view: View, *, ref: str = "") -> Store:
        settings = self._node.settings
        ref = ref or settings.update_ref or view.follows.ref
        return Store(self._node, url=settings.update_url, ref=ref, progress=self._progress)

    def _passive(self) -> PassiveSlot:
        return PassiveSlot(self._node, backend=self._backend, progress=self._progress)


def _offered(store: Store, version: str) -> Release:
    """The newest release, the one with a version, or the one that a whole commit checksum names."""
    if not version:
        return store.newest()
    if is_checksum(version):
        return store.commit(version)
    return store.find(version)
