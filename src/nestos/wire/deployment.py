"""``deployment.json``: what the boot partition records of the release in a slot. Standard library only.

Written when a slot is filled (by the disk image's builder, then by every update), read by the node's commands. It
is a record for people and tools: what is booted is decided by ``slot.cfg`` and proven by the verity root hash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from nestos.base.errors import StateError
from nestos.wire import origin as origins
from nestos.wire.origin import Layers, Origin

_HASH = re.compile(r"[0-9a-f]{64}")
_PLAIN = 9  # fields that every record has


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """The release in one slot."""

    version: str
    commit: str
    """Checksum of the release's OSTree commit, hexadecimal: the base, where packages are layered on it."""
    root_hash: str
    """dm-verity root hash of the slot image, hexadecimal."""
    hash_offset: int
    """Bytes from the partition's start to the verity superblock."""
    image_size: int
    """Bytes of file system and hash tree together."""
    kernel_digest: str
    """sha256 of the kernel followed by the initramfs, hexadecimal."""
    ref: str
    """Branch that the commit was taken from."""
    kargs: tuple[str, ...] = ()
    """Kernel arguments besides those that the boot loader adds by itself."""
    timestamp: str = ""
    """When the commit was made (not when it was installed), RFC 3339 in UTC; empty where unknown."""
    layered_commit: str = ""
    """Checksum of the local commit with the layers; empty where the slot holds the release as it was signed."""
    origin: Origin = field(default_factory=Origin)
    """What the node's administrator asked for besides the release."""
    layers: Layers = field(default_factory=Layers)
    """What came of it."""
    unknown: Mapping[str, Any] = field(default_factory=dict)
    """Fields of a newer program's record: kept, so that rewriting the record loses nothing."""

    @property
    def checksum(self) -> str:
        """Checksum of the commit whose tree the slot holds."""
        return self.layered_commit or self.commit


def document(deployment: Deployment) -> dict[str, Any]:
    """The JSON form. What is layered is left out where nothing is."""
    plain = {item.name: getattr(deployment, item.name) for item in fields(deployment)[:_PLAIN]}
    found = {**deployment.unknown, **plain, "kargs": list(deployment.kargs)}
    if deployment.layered_commit:
        found["layered_commit"] = deployment.layered_commit
    if deployment.origin != Origin():
        found["origin"] = origins.document(deployment.origin)
    if deployment.layers != Layers():
        found["layers"] = origins.layers_document(deployment.layers)
    return found


def render(deployment: Deployment) -> str:
    """The file's text, the same for the same content."""
    return json.dumps(document(deployment), indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def parse(text: str, *, source: str) -> Deployment:
    """Reads the file. Raises ``StateError`` naming ``source`` and the field where it is not usable.

    Unknown fields are kept, not refused: an older program must read what a newer one wrote.
    """
    try:
        document = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise StateError(f"{source} is not valid JSON: {error}") from error
    if not isinstance(document, dict):
        raise StateError(f"{source} is not a JSON object")
    reader = _Fields(document, source)
    known = {item.name for item in fields(Deployment)}
    return Deployment(
        version=reader.text("version"),
        commit=reader.hash("commit"),
        root_hash=reader.hash("root_hash"),
        hash_offset=reader.number("hash_offset"),
        image_size=reader.number("image_size"),
        kernel_digest=reader.hash("kernel_digest"),
        ref=reader.text("ref"),
        kargs=reader.texts("kargs"),
        timestamp=reader.text("timestamp"),
        layered_commit=reader.text("layered_commit"),
        origin=origins.parse(document.get("origin", {}), source=f"{source}: origin"),
        layers=origins.parse_layers(document.get("layers", {}), source=f"{source}: layers"),
        unknown={name: value for name, value in document.items() if name not in known},
    )


class _Fields:
    """Typed access to the document's fields."""

    def __init__(self, document: Mapping[str, object], source: str) -> None:
        self._document = document
        self._source = source

    def text(self, name: str) -> str:
        value = self._document.get(name, "")
        if not isinstance(value, str):
            raise self._wrong(name, "a text")
        return value

    def hash(self, name: str) -> str:
        value = self.text(name)
        if not _HASH.fullmatch(value):
            raise self._wrong(name, "a sha256 in hexadecimal")
        return value

    def number(self, name: str) -> int:
        value = self._document.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._wrong(name, "a number of bytes")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self._document.get(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self._wrong(name, "a list of texts")
        return tuple(value)

    def _wrong(self, name: str, wanted: str) -> StateError:
        return StateError(f'{self._source}: "{name}" is not {wanted}')
