"""Repositories that lie: signed by a stranger, or truly signed and old. What is forged is served before the real one.

Made with the real programs, so that what the node refuses is what an attacker could send.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nestos.compose import keys
from nestos.host.toolbox import Toolbox
from nestos.lab.scenario import Lab
from nestos.ostree.repository import Repository
from tests.scenarios.node import TEST_REF

_STRANGER = "A Stranger <stranger@example.org>"


def strangers_commit(lab: Lab, commit: str) -> dict[str, bytes]:
    """The signature of ``commit`` replaced by that of a key that no node knows."""
    repository, box = _copy(lab, "stranger-commit", commit)
    place = f"objects/{commit[:2]}/{commit[2:]}.commitmeta"
    (repository.path / place).unlink()
    repository.sign(commit, gpg_key=_STRANGER, gpg_home=_stranger(lab, box))
    return {f"/{place}": (repository.path / place).read_bytes()}


def strangers_summary(lab: Lab, commit: str) -> dict[str, bytes]:
    """The list of branches, signed by a key that no node knows."""
    repository, box = _copy(lab, "stranger-summary", commit)
    repository.update_summary(gpg_key=_STRANGER, gpg_home=_stranger(lab, box))
    return _summary(repository)


def old_summary(lab: Lab, known: dict[str, Any], *, world: str = "") -> dict[str, bytes]:
    """The list of branches as it was when the release ``known`` was the newest, truly signed."""
    repository, box = _copy(lab, "old-summary", known["commit"], source=f"{world}repository", ref=str(known["ref"]))
    key = keys.ensure(lab.images["keys"], runner=box)
    repository.update_summary(gpg_key=key.fingerprint, gpg_home=key.home)
    return _summary(repository)


def _copy(
    lab: Lab, name: str, commit: str, *, source: str = "repository", ref: str = TEST_REF
) -> tuple[Repository, Toolbox]:
    """A repository with ``commit`` as the newest of the branch ``ref``."""
    box = lab.equipment.tools.with_binds(lab.folder, lab.images[source], lab.images["keys"])
    path = lab.folder / name
    repository = Repository(path, runner=box)
    box(["ostree", f"--repo={path}", "init", "--mode=archive"])
    box(["ostree", f"--repo={path}", "pull-local", "--commit-metadata-only", str(lab.images[source]), commit])
    box(["ostree", f"--repo={path}", "refs", f"--create={ref}", commit])
    return repository, box


def _stranger(lab: Lab, box: Toolbox) -> Path:
    home = lab.folder / "stranger"
    if not home.exists():
        home.mkdir(mode=0o700)
        words = ["--passphrase=", "--quick-generate-key", _STRANGER, "ed25519", "sign", "never"]
        box(["gpg", f"--homedir={home}", "--batch", "--quiet", *words])
    return home


def _summary(repository: Repository) -> dict[str, bytes]:
    return {f"/{name}": (repository.path / name).read_bytes() for name in ("summary", "summary.sig")}
