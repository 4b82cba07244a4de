"""Composes that need root and minutes: the same inputs give the same bytes."""

from __future__ import annotations

import hashlib
import platform
from pathlib import Path

from nestos.base.log import Progress
from nestos.compose import pipeline
from nestos.compose.pipeline import Composed, Options
from nestos.compose.workspace import Workspace
from nestos.lab.scenario import Lab, scenario

EDITION = Path(__file__).parents[2] / "editions/debian/base.yaml"


@scenario("reproducible", minutes=5, tags=["long"])
def the_same_inputs_give_the_same_bytes(lab: Lab) -> None:
    """Two composes of one manifest and one lock, in caches of their own: the same commit, slot image and initramfs."""
    shared = Workspace.default()
    with lab.step("the lock"):
        lock = pipeline.compose(
            EDITION, workspace=shared, options=Options(arch=platform.machine()), progress=_progress(lab)
        ).lock
    made: list[Composed] = []
    for number in ("first", "second"):
        with lab.step(f"{number} compose"):
            workspace = _workspace(lab.folder / number, shared=shared)
            options = Options(arch=platform.machine(), lock=lock)
            made.append(pipeline.compose(EDITION, workspace=workspace, options=options, progress=_progress(lab)))
    one, other = made
    lab.check(one.folder != other.folder, "both composes were one and the same")
    lab.check(one.release.commit == other.release.commit, f"{one.release.commit} and {other.release.commit}")
    for name in ("slot.img", "initramfs.img", "vmlinuz"):
        lab.check(_digest(one.folder / name) == _digest(other.folder / name), f"{name} differs")
    lab.facts["commit"] = one.release.commit


def _workspace(home: Path, *, shared: Workspace) -> Workspace:
    """A cache that shares only what shapes nothing: the tools, the package files, the key, the resolution."""
    home.mkdir(parents=True)
    for name in ("tools", "pool", "keys", "resolutions"):
        (home / name).symlink_to(shared.folder(name))
    return Workspace(home)


def _progress(lab: Lab) -> Progress:
    return Progress((lab.folder / "compose.log").open("a"))


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
