"""The base edition's Debian packages as a signed repository of RPM packages."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import dataclass
from pathlib import Path

from nestos.base.log import Progress
from nestos.compose import packaging, pipeline, tools
from nestos.compose.pipeline import Options
from nestos.compose.workspace import Workspace
from tests.foundry import repository
from tests.foundry.packages import Foundry

EDITION = Path(__file__).parents[2] / "editions/debian/base.yaml"


@dataclass(frozen=True, kw_only=True)
class Made:
    """Where the repository is, and the file with the key that signed it."""

    folder: Path
    key: Path

    @property
    def variables(self) -> dict[str, str]:
        """What manifests that include ``rpm-source.yaml`` ask for."""
        return {"foundry": self.folder.as_uri(), "foundry-key": str(self.key)}


def make(workspace: Workspace, *, progress: Progress) -> Made:
    """The repository in the cache; made anew only where the edition's packages or the foundry changed."""
    manifest = pipeline.read_manifest(EDITION, arch=platform.machine(), variables={}, progress=progress)
    box = tools.ensure(workspace.home, progress=progress).with_binds(*workspace.places, network=True)
    apt = packaging.backend(manifest, workspace=workspace, toolbox=box, progress=progress)
    options = Options(arch=platform.machine())
    resolution = pipeline.resolve(manifest, workspace=workspace, options=options, backend=apt, progress=progress)
    with progress.stage(f"foundry: {len(resolution.packages)} packages"):
        pool = apt.fetch(resolution)
        foundry = Foundry(folder=workspace.folder("foundry", "rpms"), timestamp=resolution.timestamp)
        packages = foundry.convert(resolution.packages, pool=pool)
    rpm = tools.ensure(workspace.home, progress=progress, kind=tools.Kind.RPM).with_binds(*workspace.places)
    key = repository.make_key(workspace.folder("foundry", "key"), runner=rpm)
    listing = "\n".join([*(path.name for path in packages), key.public.read_text()])
    folder = workspace.folder("foundry") / f"repository-{hashlib.sha256(listing.encode()).hexdigest()[:24]}"
    if not (folder / "repodata/repomd.xml.asc").exists():
        with progress.stage("foundry: signatures and index"):
            repository.publish(packages, folder, timestamp=resolution.timestamp, runner=rpm, key=key)
    return Made(folder=folder, key=key.public)
