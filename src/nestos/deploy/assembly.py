"""From a release and a wish to what a slot takes: fetch, lay out, layer, build. Nothing here writes to a slot.

A release as it was signed is proven by its root hash. One with layers is a tree of this node's own: the release's files
were verified when they were fetched, the packages by their source's signature, and the node computes the root hash. The
changed tree is kept as a commit of the local repository, so that it can be compared and looked at later.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

from nestos.base.errors import NestosError, VerificationError
from nestos.base.log import Progress
from nestos.deploy import layers, release
from nestos.deploy.imaging import ToolsOfTree
from nestos.deploy.layers import Layering, Permission, Plan
from nestos.deploy.node import Node
from nestos.deploy.release import Release
from nestos.deploy.store import LAYERED, Store
from nestos.host.packages.layering import LayeringBackend
from nestos.host.process import Runner
from nestos.slots import image
from nestos.slots.disk import Payload
from nestos.wire import origin as origins
from nestos.wire.deployment import Deployment
from nestos.wire.origin import Layers, Origin


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What shall boot next: a release, the wish on top of it, its kernel arguments, and what was allowed for it.

    ``is_carried``: the wish is an older one that is laid on another release now. ``is_locked``: it shall boot only
    after it was finalized.
    """

    base: Release
    origin: Origin
    kargs: tuple[str, ...]
    permission: Permission = field(default_factory=Permission)
    is_carried: bool = False
    is_locked: bool = False


class Assembly:
    """Makes payloads in the folder ``staging`` of one node."""

    def __init__(
        self, node: Node, store: Store, *, backend: LayeringBackend, staging: Path, progress: Progress
    ) -> None:
        self._node = node
        self._store = store
        self._backend = backend
        self._layering = Layering(node, backend=backend, progress=progress)
        self._staging = staging
        self._progress = progress

    @property
    def tree(self) -> Path:
        """The tree that a payload was made of."""
        return self._staging / "tree"

    def plan(self, wanted: Wanted) -> Plan:
        """Lays the release out and asks the solver about the wish; the tree is still the release's own."""
        self._lay_out(wanted.base)
        try:
            return self._layering.plan(self.tree, wanted.origin, permission=wanted.permission)
        except NestosError as error:
            if not wanted.is_carried:
                raise
            raise layers.way_out(error, wanted.origin) from error

    def payload(self, wanted: Wanted, *, running: Deployment) -> Payload:
        """Everything up to the image. Raises as fetching, solving, installing and building do."""
        if wanted.origin.changes_tree:
            return self._layered(wanted, running=running)
        offered = wanted.base
        runner = self._image_runner(offered, running)
        self._lay_out(offered)
        try:
            self._build_signed(offered, runner=runner)
        except VerificationError:
            # A damaged object of ours would give a wrong image for ever; the server's are verified when fetched.
            if not self._store.mend():
                raise
            self._lay_out(offered)
            self._build_signed(offered, runner=runner)
        deployment = replace(offered.deployment(kargs=wanted.kargs), origin=wanted.origin)
        return self._payload(deployment, kernel=offered.kernel)

    def _layered(self, wanted: Wanted, *, running: Deployment) -> Payload:
        base, origin = wanted.base, wanted.origin
        plan = self.plan(wanted)
        try:
            files = self._layering.fetch(plan, permission=wanted.permission)
            work = self._staging / "sandbox"
            kernel = self._layering.lay(plan, files, origin, work=work, timestamp=int(base.timestamp.timestamp()))
        except NestosError as error:
            if not wanted.is_carried:
                raise
            raise layers.way_out(error, origin) from error
        shutil.rmtree(work)
        told = json.dumps([origins.document(origin), origins.layers_document(plan.layers)], sort_keys=True)
        identity = image.identity(f"{base.uuid} {hashlib.sha256(told.encode()).hexdigest()}")
        own_files = f"usr/lib/modules/{base.kernel}/"
        options = tuple(item.replace(own_files, f"usr/lib/modules/{kernel}/") for item in base.erofs_options)
        with self._progress.stage("building the slot image"):
            built = image.build(
                self.tree,
                self._staging / "slot.img",
                uuid=identity.uuid,
                salt=identity.salt,
                options=options,
                runner=self._image_runner(base, running),
            )
        modules = self.tree / "usr/lib/modules" / kernel
        with (modules / "vmlinuz").open("rb") as vmlinuz, (modules / "initramfs.img").open("rb") as initramfs:
            kernel_digest = image.digest_of(vmlinuz, initramfs)
        made = replace(
            base,
            root_hash=built.root_hash,
            hash_offset=built.hash_offset,
            image_size=built.size,
            kernel_digest=kernel_digest,
            kernel=kernel,
            erofs_options=options,
            salt=identity.salt,
            uuid=identity.uuid,
            packages=self._backend.installed(self.tree),
        )
        commit = self._commit(made, origin=origin, laid=plan.layers)
        deployment = made.deployment(kargs=wanted.kargs)
        deployment = replace(deployment, layered_commit=commit, origin=origin, layers=plan.layers)
        return self._payload(deployment, kernel=kernel)

    def _commit(self, made: Release, *, origin: Origin, laid: Layers) -> str:
        """Keeps the tree in the local repository, marked as this node's own. Only new files are read."""
        metadata = release.metadata(made) | {
            "nestos.local": "yes",
            "nestos.base-commit": made.commit,
            "nestos.origin": json.dumps(origins.document(origin), sort_keys=True),
            "nestos.layers": json.dumps(origins.layers_document(laid), sort_keys=True),
        }
        with self._progress.stage("keeping the layers"):
            return self._store.repository.commit(
                self.tree,
                branch=f"{LAYERED}/{self._node.booted.other}",
                subject=f"{made.version} with layers",
                timestamp=made.timestamp,
                metadata=metadata,
                parent="none",
                is_linked=True,
            )

    def _payload(self, deployment: Deployment, *, kernel: str) -> Payload:
        modules = self.tree / "usr/lib/modules" / kernel
        return Payload(
            deployment=deployment,
            image=self._staging / "slot.img",
            kernel=modules / "vmlinuz",
            initramfs=modules / "initramfs.img",
        )

    def _image_runner(self, offered: Release, running: Deployment) -> Runner:
        before = self._store.known(running.checksum)
        if release.same_image_tools(offered, before.packages if before else None):
            return self._node.runner
        return ToolsOfTree(self._node.runner, staging=self._staging)

    def _lay_out(self, offered: Release) -> None:
        if not self._store.repository.is_complete(offered.commit):
            need = self._store.need(offered, seeded=False)
            self._store.require_room(need)
            self._store.fetch(offered, need)
        with self._progress.stage("laying out the tree"):
            self._store.checkout(offered, self.tree)

    def _build_signed(self, offered: Release, *, runner: Runner) -> None:
        with self._progress.stage("building the slot image"):
            built = image.build(
                self.tree,
                self._staging / "slot.img",
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
