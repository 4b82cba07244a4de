"""The images that scenarios boot and the releases they update to, composed with the product's own pipeline.

Names: ``container`` and ``base`` are raw disk images (of the default edition, and of release ``v1`` of the test
edition), ``openstack`` is ``base`` for that platform, ``live`` its live ISO, ``live-pxe`` a folder with the files of
its network boot (``vmlinuz``, ``initramfs.img``, ``rootfs.img``), ``sealed`` is ``base`` with clevis, ``ready`` is the
saved machine of ``prepared``, ``repository`` is the folder that test releases are in, ``sealed-repository`` the same
folder with a release that ``sealed`` updates to, ``releases`` a JSON file that maps the good test releases (``v1``,
``v2``) to their ``release.json``, ``bad-releases`` one for those that fail (``panic`` ...), ``keys`` the GnuPG home of
the key that signs them. Behind ``rpm-`` are the same of the base edition's packages as RPM packages, behind
``aarch64-`` those for that architecture: an image and releases, which are in the same repository.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from nestos.base.errors import InputError, NestosError
from nestos.base.log import Progress
from nestos.compose import images, live_media, pipeline, tools
from nestos.compose.pipeline import Composed, Options
from nestos.compose.workspace import Workspace
from nestos.host.toolbox import Toolbox
from nestos.lab import emulator
from nestos.lab.emulator import Emulator
from nestos.lab.scenario import Equipment, Lab
from nestos.lab.spec import Accelerator
from nestos.lab.ssh import Identity
from tests.foundry import edition
from tests.scenarios import prepared

EDITIONS = Path(__file__).parent / "editions"
DEFAULT_EDITION = Path(__file__).parents[2] / "editions/debian/manifest.yaml"
RELEASES = ("v1", "v2")
BAD_RELEASES = ("panic", "hang", "unhealthy", "stuck")


class ScenarioImages:
    """Composes on demand and keeps what it made; only what changed is composed again."""

    def __init__(
        self, workspace: Workspace, *, box: Toolbox, accelerator: Accelerator, identity: Identity, progress: Progress
    ) -> None:
        self.equipment = Equipment(tools=box, accelerator=accelerator, identity=identity, images=self)
        self._default = workspace
        self._test = Workspace(workspace.home, repository=workspace.home / "test-repo")
        self._progress = progress
        self._composed: dict[str, Composed] = {}
        self._failures: dict[str, NestosError] = {}

    def get(self, name: str) -> Path:
        """The file or folder ``name``; raises ``InputError`` for an unknown one. What failed once fails again."""
        if name in self._failures:
            raise self._failures[name]
        try:
            return self._made(name)
        except NestosError as error:
            self._failures[name] = error
            raise

    def _made(self, name: str) -> Path:
        if name == "container":
            return self._disk(self._compose(DEFAULT_EDITION, workspace=self._default))
        if name == "base":
            return self._disk(self._release("v1"))
        if name == "openstack":
            return self._disk(self._release("v1"), platform_id="openstack")
        if name in ("live", "live-pxe"):
            return self._live(self._release("v1"), network=name == "live-pxe")
        if name == "sealed":
            return self._disk(self._release("sealed-v1"))
        if name == "sealed-repository":
            self._release("sealed-v2")
            return self._test.repository
        if name == "rpm-base":
            return self._disk(self._rpm_release("v1"))
        if name == "aarch64-base":
            return self._disk(self._release("v1", arch="aarch64"))
        if name in ("repository", "rpm-repository", "aarch64-repository"):
            return self._test.repository
        if name == "releases":
            return self._listing(name, {release: self._release(release) for release in RELEASES})
        if name == "bad-releases":
            return self._listing(name, {release: self._release(release) for release in BAD_RELEASES})
        if name == "rpm-releases":
            return self._listing(name, {release: self._rpm_release(release) for release in RELEASES})
        if name == "aarch64-releases":
            made = {release: self._release(release, arch="aarch64") for release in RELEASES}
            return self._listing(name, made)
        if name == "keys":
            return self._test.folder("keys")
        if name == "ready":
            return self._ready()
        raise InputError(f"no image is called {name!r}")

    def _ready(self) -> Path:
        """The saved machine. It is bound to the very image and releases, and to the accelerator that ran it."""
        parts = {name: self.get(name) for name in ("base", "repository", "releases", "bad-releases")}
        commit = self._release(prepared.SEEDED_BY).release.commit
        shape = hashlib.sha256(repr((str(parts["base"]), commit, self.equipment.accelerator)).encode()).hexdigest()
        folder = self._test.folder("test-ready")
        ready = folder / f"{shape[:24]}.qcow2"
        if not ready.exists():
            for old in folder.iterdir():
                shutil.rmtree(old) if old.is_dir() else old.unlink()
            bench = folder / "bench"
            bench.mkdir()
            lab = Lab(name="ready", folder=bench, equipment=self.equipment, say=self._progress.say, images=parts)
            with self._progress.stage("a machine that is ready to update"), closing(lab):
                prepared.prepare(lab, ready)
        return ready

    def emulator(self, architecture: str) -> Emulator:
        """What runs machines of another architecture than this machine's."""
        return emulator.find(architecture, workspace=self._default, progress=self._progress)

    def _release(self, name: str, *, arch: str = "") -> Composed:
        return self._compose(EDITIONS / f"{name}.yaml", workspace=self._test, arch=arch)

    def _rpm_release(self, name: str) -> Composed:
        source = edition.make(self._test, progress=self._progress)
        return self._compose(EDITIONS / f"rpm-{name}.yaml", workspace=self._test, variables=source.variables)

    def _listing(self, name: str, made: Mapping[str, Composed]) -> Path:
        listing = self._test.folder("test-releases") / f"{name}.json"
        listing.write_text(json.dumps({key: str(value.folder / "release.json") for key, value in made.items()}))
        return listing

    def _compose(
        self, manifest: Path, *, workspace: Workspace, arch: str = "", variables: Mapping[str, str] | None = None
    ) -> Composed:
        key = f"{manifest} {arch}"
        if key not in self._composed:
            options = Options(arch=arch or platform.machine(), variables=variables)
            self._composed[key] = pipeline.compose(
                manifest, workspace=workspace, options=options, progress=self._progress
            )
        return self._composed[key]

    def _live(self, made: Composed, *, network: bool) -> Path:
        home = self._default.home
        box = tools.ensure(home, progress=self._progress).with_binds(home)
        media = live_media.ensure(made.release, made.folder, home=home, runner=box, progress=self._progress)
        if not network:
            return media.iso
        folder = media.iso.parent / "network"
        folder.mkdir(exist_ok=True)
        pieces = media.network
        for name, path in (
            ("vmlinuz", pieces.kernel),
            ("initramfs.img", pieces.initramfs),
            ("rootfs.img", pieces.rootfs),
        ):
            (folder / name).unlink(missing_ok=True)
            (folder / name).hardlink_to(path)
        return folder

    def _disk(self, made: Composed, *, platform_id: str = "qemu") -> Path:
        home = self._default.home
        box = tools.ensure(home, progress=self._progress).with_binds(home)
        return images.ensure_disk(
            made.release, made.folder, platform=platform_id, home=home, runner=box, progress=self._progress
        )
