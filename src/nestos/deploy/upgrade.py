"""Taking a release: upgrade, deploy, rollback.

The order is the design's: judge the signed commit, check the room, fetch, build, compare with the signed root hash, and
only then touch the passive slot, by the plan of ``nestos.slots.install``. Until then nothing but the staging folder
and the repository under /var/lib/nestos changed, and both are only caches: whatever stops, the next run goes on.
"""

from __future__ import annotations

import shutil
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from nestos.base.errors import NestosError, SpaceError, StateError, VerificationError
from nestos.base.log import Progress
from nestos.deploy import release
from nestos.deploy.imaging import ToolsOfTree
from nestos.deploy.node import Node, View
from nestos.deploy.records import Event
from nestos.deploy.release import Release, Situation, Verdict
from nestos.deploy.store import Need, Store
from nestos.deploy.transaction import exclusive
from nestos.host.process import Runner
from nestos.slots import bootstate, image, install
from nestos.slots.bootstate import Slot, SlotState
from nestos.slots.disk import EtcReport, Payload
from nestos.slots.etc import OverlayEtc

_BOOT_RESERVE_BYTES = 8 * 1024 * 1024
_BOOT_GROWTH = 1.25  # a new kernel and initramfs may be larger than the running ones


@dataclass(frozen=True, kw_only=True)
class Options:
    """What an operator allowed in this very command."""

    allow_downgrade: bool = False
    allow_denied: bool = False


@dataclass(frozen=True, kw_only=True)
class Offer:
    """A release, what it is to this node, and what taking it needs (none for one that is here)."""

    release: Release
    verdict: Verdict
    need: Need | None
    view: View


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a command left behind: the version that boots next, its slot, and what became of /etc."""

    version: str
    slot: Slot
    etc: EtcReport


class Upgrade:
    """The commands, on one node. ``store`` makes the node's repository where it is needed."""

    def __init__(self, node: Node, *, progress: Progress) -> None:
        self._node = node
        self._progress = progress

    def lock(self, command: str) -> AbstractContextManager[None]:
        """The transaction lock in the name of ``command``. Raises ``BusyError`` naming its holder."""
        return exclusive(self._node.lock, command=command, clock=self._node.clock)

    # What is there

    def examine(self, *, version: str = "", options: Options) -> Offer:
        """The newest release, or the one with ``version``, and what it is to this node. Fetches signed commits only.

        Raises ``StateError`` for a downgrade or a release that failed here unless ``options`` allow it,
        ``VerificationError`` for a bad signature, ``NetworkError`` where the server cannot be reached.
        """
        view = self._node.look()
        store = self._store(view)
        with self._progress.stage(f"asking {store.url} for {version or 'the newest version'} of {store.ref}"):
            store.open()
            offered = store.find(version) if version else store.newest()
        verdict = release.judge(
            offered,
            self._situation(view),
            allow_downgrade=options.allow_downgrade or bool(version),
            allow_denied=options.allow_denied,
        )
        need = None
        if verdict is Verdict.UPDATE:
            need = store.need(offered, seeded=store.needs_seed(view.require_running().commit))
        return Offer(release=offered, verdict=verdict, need=need, view=view)

    def plan(self, offer: Offer) -> list[str]:
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
            *(step.sentence.format(**values) for step in install.STEPS),
        ]

    # Taking it

    def take(self, offer: Offer) -> Taken:
        """Fetches, builds, verifies and stages the offered release. The caller holds the lock."""
        offered, view = offer.release, offer.view
        store = self._store(view)
        self._require_good(view)
        if offer.need is None:
            raise StateError(f"{offered.version} is already here")
        self._require_boot_room(view, offered)
        store.require_room(offer.need)
        staging = self._clean_staging()
        payload = self._prepare(store, offered, view=view, staging=staging)
        taken = self._install(payload, staging=staging)
        shutil.rmtree(self._node.staged_defaults, ignore_errors=True)
        (staging / "tree/usr/etc").rename(self._node.staged_defaults)
        self._node.records.pardon(offered.commit)
        self._clean_staging()
        try:
            store.keep({str(self._node.booted): view.require_running().commit, str(taken.slot): offered.commit})
        except NestosError as error:
            # The release is staged: what is left over costs room, not the update.
            self._progress.say(f"the local repository could not be tidied up: {error}")
        return taken

    def download(self, offer: Offer) -> None:
        """Fetches what ``take`` would fetch, and leaves every slot alone. The caller holds the lock."""
        offered, view = offer.release, offer.view
        if offer.need is None:
            raise StateError(f"{offered.version} is already here")
        store = self._store(view)
        store.require_room(offer.need)
        self._clean_staging()
        self._seed(store, view)
        need = store.need(offered, seeded=False)
        store.require_room(need)
        store.fetch(offered, need)
        self._clean_staging()

    def _seed(self, store: Store, view: View) -> None:
        running = view.require_running()
        if store.needs_seed(running.commit):
            store.seed(running.commit, boot_files=self._boot_files())

    def _prepare(self, store: Store, offered: Release, *, view: View, staging: Path) -> Payload:
        running = view.require_running()
        self._seed(store, view)
        before = store.known(running.commit)
        runner = self._node.runner
        if not release.same_image_tools(offered, before.packages if before else None):
            runner = ToolsOfTree(runner, staging=staging)
        self._fetch(store, offered, staging=staging)
        try:
            self._build(offered, staging=staging, runner=runner)
        except VerificationError:
            # A damaged object of ours would give a wrong image for ever; the server's are verified when fetched.
            if not store.mend():
                raise
            self._fetch(store, offered, staging=staging)
            self._build(offered, staging=staging, runner=runner)
        kargs = release.kargs_for(offered, booted=running, booted_release_kargs=before.kargs if before else None)
        modules = staging / "tree/usr/lib/modules" / offered.kernel
        return Payload(
            deployment=offered.deployment(kargs=kargs),
            image=staging / "slot.img",
            kernel=modules / "vmlinuz",
            initramfs=modules / "initramfs.img",
        )

    def _boot_files(self) -> dict[str, bytes]:
        """Kernel and initramfs of the running slot, from the boot partition; none where they cannot be read."""
        slot = self._node.booted
        with self._node.machine.records() as (boot, _):
            found = {name: boot.read(f"slot-{slot}/{name}") for name in ("vmlinuz", "initramfs.img")}
        return {name: data for name, data in found.items() if data is not None}

    def _fetch(self, store: Store, offered: Release, *, staging: Path) -> None:
        need = store.need(offered, seeded=False)
        store.require_room(need)
        store.fetch(offered, need)
        with self._progress.stage("laying out the tree"):
            store.checkout(offered, staging / "tree")

    def _build(self, offered: Release, *, staging: Path, runner: Runner) -> None:
        with self._progress.stage("building the slot image"):
            built = image.build(
                staging / "tree",
                staging / "slot.img",
                uuid=offered.uuid,
                salt=offered.salt,
                options=offered.erofs_options,
                runner=runner,
            )
        if (built.root_hash, built.hash_offset, built.size) != (
            offered.root_hash,
            offered.hash_offset,
            offered.image_size,
        ):
            raise VerificationError(
                f"the image built from {offered.version} has the root hash {built.root_hash},"
                f" the signed one is {offered.root_hash}",
                hint="nothing was written to a slot",
            )

    def _install(self, payload: Payload, *, staging: Path) -> Taken:
        node = self._node
        etc = OverlayEtc(
            node.folder / "etc",
            old_default=node.root.join("/usr/etc"),
            new_default=staging / "tree/usr/etc",
        )
        speaker = _StepSpeaker(self._progress)
        with node.machine.disk(etc) as disk:
            plan = install.plan(disk, payload, booted=node.booted, tries=node.settings.boot_tries)
            done = plan.run(speaker)
        slot = node.booted.other
        node.note(Event.STAGED, slot, payload.deployment)
        return Taken(version=payload.deployment.version, slot=slot, etc=done.etc)

    # Going back

    def rollback(self) -> Taken:
        """Makes the other good slot boot next, or gives up what is staged. The caller holds the lock."""
        node = self._node
        before = node.look()
        pending = before.require_state().pending
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
            if held is not None and held.version == version and state.of(slot).state is SlotState.GOOD:
                return slot
        return None

    def follows(self) -> Slot:
        """The slot that boots next."""
        return self._node.look().require_state().pending or self._node.booted

    # Checks

    def _require_good(self, view: View) -> None:
        status = view.require_state().of(self._node.booted)
        if status.state is not SlotState.GOOD:
            raise StateError(
                f"the running version was not judged good yet (slot {self._node.booted} is {status.state}), so the"
                " other slot must not be written",
                hint="wait for boot-complete.target, or find what holds it up: systemctl list-jobs",
            )

    def _require_boot_room(self, view: View, offered: Release) -> None:
        """An estimate from the running kernel's size, because the new one's is known only when it is here.

        ``install.plan`` checks the exact figure, still before anything is written.
        """
        if offered.kernel_digest == view.require_running().kernel_digest:
            wanted = view.boot_files[self._node.booted]
        else:
            wanted = int(view.boot_files[self._node.booted] * _BOOT_GROWTH)
        available = view.boot_free + view.boot_files[self._node.booted.other]
        if wanted + _BOOT_RESERVE_BYTES > available:
            raise SpaceError(
                f"the boot partition has {available / 1e6:.0f} MB for a kernel and initramfs,"
                f" {(wanted + _BOOT_RESERVE_BYTES) / 1e6:.0f} MB are needed",
                hint="nothing was fetched",
            )

    def _situation(self, view: View) -> Situation:
        pending = view.require_state().pending
        return Situation(
            booted=view.require_running(),
            pending=view.deployments[pending] if pending else None,
            denied=self._node.records.denied(),
        )

    def _store(self, view: View) -> Store:
        settings = self._node.settings
        ref = settings.update_ref or view.require_running().ref
        return Store(self._node, url=settings.update_url, ref=ref, progress=self._progress)

    def _clean_staging(self) -> Path:
        staging = self._node.folder / "staging"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True, exist_ok=True)
        return staging


class _StepSpeaker:
    """Turns the plan's reports into lines: one per step, and one per quarter of the long ones."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._quarters: dict[str, int] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        if step not in self._quarters:
            self._quarters[step] = 0
            self._progress.say(step)
        quarter = done * 4 // total if total > 1 else 0
        # Reading back begins with the hash tree, behind everything else: only what follows on counts.
        if quarter == self._quarters[step] + 1 and quarter < 4:
            self._quarters[step] = quarter
            self._progress.say(f"{step}: {quarter * 25} %")
