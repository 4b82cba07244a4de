"""The digest of a manifest: equal digests mean that the same packages give the same tree.

What shapes the output is hashed; labels, comments, places of files and the day of the compose are not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import PurePath

from nestos.base.errors import InvariantError
from nestos.wire.manifest.model import AddedFile, Manifest, Repository, Script

_VERSION = 1  # raised when the same manifest starts to mean another tree

LABELS: dict[type, frozenset[str]] = {
    Manifest: frozenset({"metadata", "gpg_key", "sources", "version_prefix"}),
    AddedFile: frozenset({"source"}),
    Script: frozenset({"origin"}),
    Repository: frozenset({"name"}),
}
"""Fields that shape nothing: names, places, and what is hashed by its content instead."""


def digest(manifest: Manifest) -> str:
    """The sha256, in hexadecimal, over everything in ``manifest`` that shapes the tree or the image."""
    document = {"nestos-manifest": _VERSION, "manifest": _plain(manifest)}
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        labels = LABELS.get(type(value), frozenset())
        return {item.name: _plain(getattr(value, item.name)) for item in fields(value) if item.name not in labels}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [_plain(item) for item in value]
    if isinstance(value, PurePath):
        return str(value)
    if value is None or isinstance(value, (str, int, float)):
        return value
    raise InvariantError(f"a manifest holds a {type(value).__name__}, which has no digest")
