"""The images that scenarios boot and the releases they update to, composed with the product's own pipeline.

Names: ``container`` and ``base`` are raw disk images (of the default edition, and of release ``v1`` of the test
edition), ``repository`` is the folder with every test release, ``releases`` a JSON file that maps each test
release (``v1``, ``v2``, ``panic`` ...) to its ``release.json``.
"""

from __future__ import annotations

import json
import platform
from pathlib import Path

from nestos.base.errors import InputError
from nestos.base.log import Progress
from nestos.compose import images, pipeline, tools
from nestos.compose.pipeline import Composed, Options
from nestos.compose.workspace import Workspace

EDITIONS = Path(__file__).parent / "editions"
DEFAULT_EDITION = Path(__file__).parents[2] / "editions/debian/manifest.yaml"
RELEASES = ("v1", "v2", "panic", "hang", "unhealthy", "stuck")


class ScenarioImages:
    """Composes on demand and keeps what it made; only what changed is composed again."""

    def __init__(self, workspace: Workspace, *, progress: Progress) -> None:
        self._default = workspace
        self._test = Workspace(workspace.home, repository=workspace.home / "test-repo")
        self._progress = progress
        self._composed: dict[str, Composed] = {}

    def get(self, name: str) -> Path:
        """The file or folder called ``name``; raises ``InputError`` for an unknown one."""
        if name == "container":
            return self._disk(self._compose(DEFAULT_EDITION, workspace=self._default))
        if name == "base":
            return self._disk(self._release("v1"))
        if name in ("repository", "releases"):
            made = {release: self._release(release) for release in RELEASES}
            listing = self._test.folder("test-releases") / "releases.json"
            listing.write_text(json.dumps({key: str(value.folder / "release.json") for key, value in made.items()}))
            return self._test.repository if name == "repository" else listing
        raise InputError(f"no image is called {name!r}")

    def _release(self, name: str) -> Composed:
        return self._compose(EDITIONS / f"{name}.yaml", workspace=self._test)

    def _compose(self, manifest: Path, *, workspace: Workspace) -> Composed:
        key = str(manifest)
        if key not in self._composed:
            options = Options(arch=platform.machine())
            self._composed[key] = pipeline.compose(
                manifest, workspace=workspace, options=options, progress=self._progress
            )
        return self._composed[key]

    def _disk(self, made: Composed) -> Path:
        box = tools.ensure(self._default.home, progress=self._progress).with_binds(self._default.home)
        return images.ensure_disk(made.release, made.folder, platform="qemu", runner=box, progress=self._progress)
