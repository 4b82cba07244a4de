"""Signed release metadata as a node reads it: which file, hence which commit, a stream's keepers vouch for.

Standard library only; the checking itself is python-tuf's (Debian: ``python3-tuf``), loaded when it is first needed, so
that a node without signed metadata does without it. A node starts from a root file in its image and follows rotations.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nestos.base.errors import StateError, VerificationError
from nestos.wire import stream
from nestos.wire.stream import ReleaseMetadata


class Transport(Protocol):
    """How files are fetched."""

    def __call__(self, url: str) -> Iterator[bytes]:
        """The content in pieces. Raises ``FileNotFoundError`` if the server has no such file, ``NetworkError`` else."""


class Checked(Protocol):
    """Metadata that are signed by enough keys, fresh, and no older than what was seen before."""

    def read(self, path: str) -> bytes:
        """The file ``path``. Raises ``VerificationError`` if nobody vouches for it or it is another one."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where metadata come from and what is believed at first."""

    url: str
    """Address of a release folder's ``current/public``, or of a mirror of it."""
    root: Path
    """Root metadata in the system's image."""
    state: Path
    """Folder for the newest metadata seen: what makes going back noticed. Must survive reboots."""


def refresh(settings: Settings, *, transport: Transport) -> Checked:
    """Fetches and checks the metadata.

    Raises ``VerificationError`` where they must not be believed (``kind`` says why: ``unsigned``, ``expired``,
    ``rollback``, ``mixed``, ``endless``), ``NetworkError`` where they cannot be had, ``StateError`` without python-tuf.
    """
    try:
        engine = importlib.import_module("nestos.trust.tuf")
    except ImportError as error:
        raise StateError(
            f"signed release metadata cannot be checked: {error.name} is missing", hint="install python3-tuf"
        ) from error
    checked: Checked = engine.refresh(settings, transport=transport)
    return checked


def release(checked: Checked, *, name: str, version: str) -> ReleaseMetadata:
    """What is vouched for of a release of the stream ``name``. Raises ``VerificationError`` if nothing is."""
    path = f"prod/streams/{name}/builds/{version}/release.json"
    found = stream.parse_release(checked.read(path), source=path)
    if (found.stream, found.release) != (name, version):
        raise VerificationError(
            f"{path} speaks of {found.stream} {found.release}, not of {name} {version}", kind="wrong-target"
        )
    return found


def require_commit(checked: Checked, *, name: str, version: str, architecture: str, commit: str) -> None:
    """Raises ``VerificationError`` unless ``commit`` is what this version of the stream is on this architecture."""
    held = release(checked, name=name, version=version).architectures.get(architecture)
    if held is None:
        raise VerificationError(f"{version} of {name} is not made for {architecture}", kind="wrong-target")
    if held.commit != commit:
        raise VerificationError(
            f"{version} of {name} is {held.commit} for {architecture}, what is offered is {commit}",
            kind="wrong-target",
            hint="the server that offered it and the keepers of the stream do not agree; nothing was fetched",
        )
