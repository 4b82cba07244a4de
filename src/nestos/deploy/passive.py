"""Filling the passive slot with what is wanted: the one way by which every transaction writes.

The order is the design's: check that it may be written and that there is room, fetch, layer, build, verify; only then
is the slot touched, by the plan of ``nestos.slots.install``. Until then nothing but the staging folder, the repository
and the package files under /var/lib/nestos changed, and all of them are caches: whatever stops, the next run goes on.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import NestosError, SpaceError, StateError
from nestos.base.log import Progress
from nestos.deploy.assembly import Assembly, Wanted
from nestos.deploy.layers import Layering, Plan
from nestos.deploy.node import Node, View
from nestos.deploy.records import Event
from nestos.deploy.release import Release
from nestos.deploy.store import Store
from nestos.host.packages.layering import LayeringBackend
from nestos.slots import install
from nestos.slots.bootstate import Slot, SlotState
from nestos.slots.disk import EtcReport, Payload
from nestos.slots.etc import OverlayEtc
from nestos.wire import deployment as wire
from nestos.wire.deployment import Deployment
from nestos.wire.origin import Layers

_BOOT_RESERVE_BYTES = 8 * 1024 * 1024
_BOOT_GROWTH = 1.25  # a new kernel and initramfs may be larger than the running ones


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What a command left behind: the version that boots next, its slot, its layers, and what became of /etc.

    ``is_locked``: it boots next only once it is finalized.
    """

    version: str
    slot: Slot
    etc: EtcReport
    layers: Layers = field(default_factory=Layers)
    is_locked: bool = False


class PassiveSlot:
    """The passive slot of ``node``."""

    def __init__(self, node: Node, *, backend: LayeringBackend, progress: Progress) -> None:
        self._node = node
        self._backend = backend
        self._progress = progress

    def fill(self, wanted: Wanted, *, view: View, store: Store) -> Taken:
        """Makes the payload and writes it. The caller holds the lock and has checked what is special to its command."""
        self.require_writable(view)
        staging = self.clean_staging()
        self.seed(store, view)
        try:
            payload = self._assembly(store, staging).payload(wanted, running=view.require_running())
            self._remember_replaced(view)
            taken = self._install(payload, is_locked=wanted.is_locked)
        except BaseException:
            # Also after Ctrl-C: what was fetched stays in its caches, what was half made goes.
            shutil.rmtree(staging, ignore_errors=True)
            raise
        self._forget_replaced()
        self._forget_defaults(but=payload.deployment)
        self.clean_staging()
        self._tidy(store, running=view.require_running(), staged=payload.deployment)
        return taken

    def preview(self, wanted: Wanted, *, view: View, store: Store) -> Plan:
        """What the solver says of ``wanted``; no package is fetched."""
        staging = self.clean_staging()
        try:
            self.seed(store, view)
            return self._assembly(store, staging).plan(wanted)
        finally:
            self.clean_staging()

    def download(self, wanted: Wanted, *, view: View, store: Store) -> Plan:
        """Fetches everything that ``fill`` would fetch."""
        staging = self.clean_staging()
        try:
            self.seed(store, view)
            plan = self._assembly(store, staging).plan(wanted)
            layering = Layering(self._node, backend=self._backend, progress=self._progress)
            layering.fetch(plan, permission=wanted.permission)
            return plan
        finally:
            self.clean_staging()

    def seed(self, store: Store, view: View) -> None:
        """Takes the running system's files into the repository, where they are not there yet."""
        running = view.require_running()
        if store.needs_seed(running.commit):
            store.open()
            store.seed(running.commit, boot_files=self._boot_files())

    def clean_staging(self) -> Path:
        """The staging folder, empty."""
        staging = self._node.folder / "staging"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True, exist_ok=True)
        return staging

    def require_writable(self, view: View) -> None:
        """Raises ``StateError`` where the running version was not judged good, or the passive slot is pinned."""
        booted = self._node.booted
        status = view.require_state().of(booted)
        if status.state is not SlotState.GOOD:
            raise StateError(
                f"the running version was not judged good yet (slot {booted} is {status.state}), so the"
                " other slot must not be written",
                hint="wait for boot-complete.target, or find what holds it up: systemctl list-jobs",
            )
        other = view.deployments[booted.other]
        if other is not None and other.origin.pinned and view.require_state().of(booted.other).state is SlotState.GOOD:
            raise StateError(
                f"slot {booted.other}, {other.version}, is pinned, and a node has two slots only",
                hint=f"give it free with: nestos unpin {booted.other}",
                kind="pinned",
            )

    def require_boot_room(self, view: View, offered: Release) -> None:
        """An estimate from the running kernel's size, because the new one's is known only when it is here.

        ``install.plan`` checks the exact figure, still before anything is written.
        """
        booted = self._node.booted
        if offered.kernel_digest == view.require_running().kernel_digest:
            wanted = view.boot_files[booted]
        else:
            wanted = int(view.boot_files[booted] * _BOOT_GROWTH)
        available = view.boot_free + view.boot_files[booted.other]
        if wanted + _BOOT_RESERVE_BYTES > available:
            raise SpaceError(
                f"the boot partition has {available / 1e6:.0f} MB for a kernel and initramfs,"
                f" {(wanted + _BOOT_RESERVE_BYTES) / 1e6:.0f} MB are needed",
                hint="nothing was fetched",
            )

    def _assembly(self, store: Store, staging: Path) -> Assembly:
        return Assembly(self._node, store, backend=self._backend, staging=staging, progress=self._progress)

    def _boot_files(self) -> dict[str, bytes]:
        """Kernel and initramfs of the running slot, from the boot partition; none where they cannot be read."""
        slot = self._node.booted
        with self._node.machine.records() as (boot, _):
            found = {name: boot.read(f"slot-{slot}/{name}") for name in ("vmlinuz", "initramfs.img")}
        return {name: data for name, data in found.items() if data is not None}

    def _install(self, payload: Payload, *, is_locked: bool) -> Taken:
        node, deployment = self._node, payload.deployment
        etc = OverlayEtc(
            node.folder / "etc", old_default=node.root.join("/usr/etc"), new_default=self._keep_defaults(deployment)
        )
        speaker = _StepSpeaker(self._progress)
        with node.machine.disk(etc) as disk:
            tries = node.settings.boot_tries
            plan = install.plan(disk, payload, booted=node.booted, tries=tries, is_locked=is_locked)
            done = plan.run(speaker)
        slot = node.booted.other
        node.note(Event.LOCKED if is_locked else Event.STAGED, slot, deployment)
        return Taken(version=deployment.version, slot=slot, etc=done.etc, layers=deployment.layers, is_locked=is_locked)

    def _remember_replaced(self, view: View) -> None:
        """Keeps the record of what is staged, durably, before its slot is written over: else a transaction that is cut
        would take an earlier one's wish with it."""
        if view.require_state().staged or view.replaced:
            durable.write_text(self._node.replaced, wire.render(view.follows))
        else:
            self._forget_replaced()

    def _forget_replaced(self) -> None:
        if self._node.replaced.exists():
            durable.remove(self._node.replaced)

    def _keep_defaults(self, deployment: Deployment) -> Path:
        """Puts the tree's ``/usr/etc`` where it stays until the slot boots: before the plan, whose sync of the var
        file system makes it durable, so that no staged slot is without it."""
        place = self._node.defaults_of(deployment)
        shutil.rmtree(place, ignore_errors=True)
        place.parent.mkdir(exist_ok=True)
        (self._node.folder / "staging/tree/usr/etc").rename(place)
        return place

    def _forget_defaults(self, *, but: Deployment) -> None:
        for kept in self._node.staged_defaults.iterdir():
            if kept != self._node.defaults_of(but):
                shutil.rmtree(kept, ignore_errors=True)

    def _tidy(self, store: Store, *, running: Deployment, staged: Deployment) -> None:
        held = {str(self._node.booted): running, str(self._node.booted.other): staged}
        commits = {slot: deployment.checksum for slot, deployment in held.items()}
        bases = {f"{slot}-base": deployment.commit for slot, deployment in held.items() if deployment.layered_commit}
        unlayered = {f"{slot}-base": "" for slot in held}
        try:
            store.keep(unlayered | bases | commits)
        except NestosError as error:
            # The release is staged: what is left over costs room, not the update.
            self._progress.say(f"the local repository could not be tidied up: {error}")
        layering = Layering(self._node, backend=self._backend, progress=self._progress)
        layering.forget_files([running.origin, staged.origin])


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
