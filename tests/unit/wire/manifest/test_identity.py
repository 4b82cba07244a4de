"""The digest: what shapes the tree is in it, labels are not."""

from __future__ import annotations

from dataclasses import fields
from datetime import date

import pytest

from nestos.wire.manifest import Manifest, digest
from nestos.wire.manifest.identity import LABELS
from tests.unit.wire.manifest.book import Book

BASE = """\
ref: nestos/stable
releasever: 13
automatic-version-prefix: 13.<date:%Y%m%d>
repositories: {debian: {suite: trixie}, spare: {suite: sid, archive: debian}}
repos: [debian]
packages: [a]
postprocess: [echo a]
add-files: [[file, /etc/file]]
metadata: {x: 1}
"""


def digest_of(book: Book, text: str, *, content: str = "content", today: date = date(2026, 11, 23)) -> str:
    return digest(book.load({"main.yaml": text, "file": content, "copy": content}, today=today).good)


SHAPES = {
    "ref": ("stable", "testing"),
    "package": ("[a]", "[a, b]"),
    "suite": ("trixie", "forky"),
    "script": ("echo a", "echo b"),
    "target": ("/etc/file", "/etc/other"),
    "version": ("13.<date", "14.<date"),
    "unit": ("releasever", "units: [a.service]\nreleasever"),
    "recommends": ("releasever", "recommends: false\nreleasever"),
    "commit-metadata": ("releasever", "add-commit-metadata: {x: 1}\nreleasever"),
    "kernel-argument": ("releasever", "nestos: {boot: {kargs: [quiet]}}\nreleasever"),
    "compression": ("releasever", "nestos: {compression: {algorithm: lz4}}\nreleasever"),
    "user": ("releasever", "nestos: {users: {a: 900}}\nreleasever"),
}
IS_LABEL = {
    "comment": ("releasever", "# a comment\nreleasever"),
    "metadata": ("{x: 1}", "{x: 2}"),
    "signer": ("releasever", "gpg-key: me@example.com\nreleasever"),
    "source-place": ("[[file,", "[[copy,"),
    "unused-repository": ("sid", "forky"),
    "default-written-out": ("releasever", "recommends: true\nreleasever"),
    "variable": ("ref: nestos/stable", "variables: {s: stable}\nref: nestos/${s}"),
}


@pytest.mark.parametrize(("old", "new"), SHAPES.values(), ids=SHAPES.keys())
def test_what_shapes_the_tree_changes_the_digest(book: Book, old: str, new: str) -> None:
    changed = BASE.replace(old, new, 1)
    assert changed != BASE
    assert digest_of(book, changed) != digest_of(book, BASE)


@pytest.mark.parametrize(("old", "new"), IS_LABEL.values(), ids=IS_LABEL.keys())
def test_labels_do_not_change_the_digest(book: Book, old: str, new: str) -> None:
    changed = BASE.replace(old, new, 1)
    assert changed != BASE
    assert digest_of(book, changed) == digest_of(book, BASE)


def test_the_content_of_an_added_file_changes_the_digest(book: Book) -> None:
    assert digest_of(book, BASE, content="other") != digest_of(book, BASE)


def test_the_day_does_not_change_the_digest(book: Book) -> None:
    assert digest_of(book, BASE, today=date(2027, 1, 1)) == digest_of(book, BASE)


def test_the_architecture_changes_the_digest(book: Book) -> None:
    files = {"main.yaml": BASE, "file": ""}
    assert digest(book.load(files, arch="aarch64").good) != digest(book.load(files).good)


def test_labels_are_named_after_fields_that_exist() -> None:
    for owner, names in LABELS.items():
        assert names <= {item.name for item in fields(owner)}


def test_a_digest_is_a_sha256_that_stays_the_same_from_version_to_version() -> None:
    # A change here makes every cached tree stale: raise the version in identity.py with it, on purpose.
    expected = "010c149f87dc6df851703f1e0d0ec7501a0e389c2b7d7b424908ffa4355db3b3"
    assert digest(Manifest(ref="x", arch="x86_64", packages=("a",))) == expected
