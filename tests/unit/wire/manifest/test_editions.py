"""The project's own editions are good manifests, also those that cannot be composed where no mirror is reached."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestos.wire.manifest import Backend, Manifest, load
from tests.unit.wire.manifest.book import TODAY

EDITIONS = Path(__file__).parents[4] / "editions"
NAMES = ["debian/base.yaml", "debian/manifest.yaml", "openeuler/manifest.yaml", "fedora/manifest.yaml"]


def loaded(name: str, arch: str) -> Manifest:
    manifest, report = load(EDITIONS / name, arch=arch, today=TODAY)
    assert not list(report), str(report)
    assert manifest is not None
    return manifest


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
@pytest.mark.parametrize("name", NAMES)
def test_an_edition_loads_without_a_finding(name: str, arch: str) -> None:
    manifest = loaded(name, arch)
    assert manifest.ref.startswith(f"nestos/{arch}/")
    assert {"ostree", "erofs-utils", "python3", "dracut", "sudo"} <= set(manifest.packages)


def test_every_edition_of_the_folder_is_tested() -> None:
    found = {str(path.relative_to(EDITIONS)) for path in EDITIONS.rglob("*.yaml")}
    assert found == {*NAMES, "debian/system.yaml", "debian/clevis.yaml"}


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_openeuler_has_the_originals_engines_from_signed_packages(arch: str) -> None:
    manifest = loaded("openeuler/manifest.yaml", arch)
    assert manifest.backend is Backend.DNF
    assert {"iSulad", "docker-engine", "podman", "cri-o"} <= set(manifest.packages)
    for repository in manifest.repositories:
        assert repository.rpm is not None
        assert repository.rpm.check_packages
        assert all("openEuler-24.03-LTS/" in address and arch in address for address in repository.rpm.addresses)
