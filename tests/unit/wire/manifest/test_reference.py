"""``docs/manifest.md`` is what the table says."""

from __future__ import annotations

import os
import re
from pathlib import Path

from nestos.wire.manifest.keys import Key, Status
from nestos.wire.manifest.reference import document
from nestos.wire.manifest.treefile import TABLE
from tests.unit.wire.manifest.book import Book

PAGE = Path(__file__).parents[4] / "docs" / "manifest.md"


def test_the_page_is_current() -> None:
    if os.environ.get("NESTOS_WRITE_DOCS"):
        PAGE.write_text(document(), encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == document(), "run this test with NESTOS_WRITE_DOCS=1 and commit the page"


def test_every_key_has_its_place_on_the_page() -> None:
    page = document()
    missing = [key.name for key in TABLE if f"`{key.name}`" not in page]
    assert not missing


def test_every_key_that_does_not_work_says_why() -> None:
    silent = [key.name for key in TABLE if key.status is not Status.WORKS and not key.reason]
    assert not silent


def test_the_example_at_the_top_is_a_good_manifest(book: Book) -> None:
    match = re.search(r"```yaml\n(ref:.*?)```", document(), flags=re.DOTALL)
    assert match
    manifest = book.load({"main.yaml": match[1], "base.yaml": "packages: [base]\n", "overlay/etc/x": ""}).good
    assert manifest.packages == ("base", "podman", "docker.io", "grub-pc-bin", "linux-image-amd64")
    assert manifest.version_prefix == "13.20261123"


def test_every_treefile_key_of_the_original_has_a_row() -> None:
    # The names in rpm-ostree's docs/treefile.md, 2026.2.
    original = """
        ref edition metadata gpg-key repos selinux ignore-devices ima boot-location etc-group-members
        install-langs mutate-os-release documentation packages exclude-packages repo-packages ostree-layers
        ostree-override-layers container-cmd recommends units default-target initramfs-args rpmdb
        rpmdb-normalize selinux-label-version cliwrap cliwrap-binaries readonly-executables remove-files
        remove-from-packages preserve-passwd check-passwd check-groups ignore-removed-users
        ignore-removed-groups releasever automatic-version-prefix automatic-version-suffix add-commit-metadata
        postprocess-script postprocess include arch-include conditional-include container add-files tmp-is-dir
        machineid-compat platform-module variables repo_metadata lockfile-repos repovars opt-usrlocal
        no-initramfs bootstrap_packages
    """
    known = {name for key in TABLE for name in _names(key)}
    assert set(original.split()) <= known


def _names(key: Key) -> tuple[str, ...]:
    return (key.name, *key.aliases)
