"""What the manifest promises is read by somebody: a key that works ends in a field that the compose uses."""

from __future__ import annotations

import ast
from dataclasses import fields
from pathlib import Path

import pytest

import nestos
from nestos.wire.manifest import (
    Compression,
    Manifest,
    RemovedFromPackage,
    Repository,
    RpmRepository,
    Script,
    SystemUser,
)

SOURCE = Path(nestos.__file__).parent

FOR_OTHERS = {
    "metadata": "for tools outside the project",
    "sources": "which files a manifest is made of, for tools that watch them",
    "releasever": "its work is done in the variables",
    "kernel_package": "it is among the packages",
    "version_prefix": "what the version would start with today; a compose uses the day of its packages",
    "origin": "where a script was written, for messages",
    "level": "within the compression's own text for mkfs.erofs",
    "algorithm": "within the compression's own text for mkfs.erofs",
}
"""Fields that nobody below ``nestos`` needs to read, with the reason."""


def attributes_read(folders: tuple[str, ...]) -> set[str]:
    found: set[str] = set()
    for folder in folders:
        for path in (SOURCE / folder).rglob("*.py"):
            found |= {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
    return found


@pytest.mark.parametrize(
    "owner", [Manifest, Repository, RpmRepository, RemovedFromPackage, Script, SystemUser, Compression]
)
def test_every_field_is_read_by_the_compose(owner: type) -> None:
    names = {item.name for item in fields(owner)} - FOR_OTHERS.keys()
    unread = names - attributes_read(("compose", "cli", "lab"))
    assert not unread, "let the compose act on them, or refuse their keys in the table"
