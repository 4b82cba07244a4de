"""``nestos.trust.releases`` by python-tuf's client, with this project's transport and errors.

What the client of the library does: the workflow of the specification's section 5 (root chain, timestamp, snapshot,
targets; versions only rise; lengths are bounded). What is added: a fetcher of our own, one kind of error per reason,
and what differs between the library's versions 5.1 (Debian 13) and 7.
"""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tuf.api.exceptions import (
    BadVersionNumberError,
    DownloadError,
    DownloadHTTPError,
    DownloadLengthMismatchError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.ngclient import FetcherInterface, Updater, UpdaterConfig

from nestos.base import durable
from nestos.base.errors import NestosError, NetworkError, StateError, VerificationError
from nestos.trust.releases import Settings, Transport

_NOT_FOUND = 404
_ROOT_BYTES, _TIMESTAMP_BYTES, _SNAPSHOT_BYTES, _TARGETS_BYTES = 256 << 10, 16 << 10, 256 << 10, 8 << 20
_FILE_BYTES = 16 << 20

_KINDS: tuple[tuple[type[Exception], str, str], ...] = (
    (
        ExpiredMetadataError,
        "expired",
        "the metadata are too old: the mirror is stale, or this machine's clock is wrong",
    ),
    (DownloadLengthMismatchError, "endless", "the server sends more than was announced"),
    (LengthOrHashMismatchError, "mixed", "files do not belong together"),
    (BadVersionNumberError, "rollback", "the metadata are older than those seen before, or do not belong together"),
    (UnsignedMetadataError, "unsigned", "the metadata are not signed by enough of the known keys"),
    (RepositoryError, "malformed", "the metadata are not usable"),
)
"""First match counts: the later ones are the wider ones."""


class CheckedByTuf:
    """Metadata that the library found good."""

    def __init__(self, updater: Updater) -> None:
        self._updater = updater

    def read(self, path: str) -> bytes:
        """The file ``path``, as long and with the checksum that the metadata say."""
        try:
            target = self._updater.get_targetinfo(path)
            if target is None:
                raise VerificationError(f"nobody vouches for {path}", kind="wrong-target")
            if target.length > _FILE_BYTES:
                raise VerificationError(f"{path} is said to have {target.length} bytes", kind="endless")
            cached = self._updater.find_cached_target(target) or self._updater.download_target(target)
            with open(cached, "rb") as file:
                return file.read()
        except (DownloadError, RepositoryError) as error:
            raise _ours(error, what=path) from error


def refresh(settings: Settings, *, transport: Transport) -> CheckedByTuf:
    """As ``nestos.trust.releases.refresh``."""
    logging.getLogger("tuf").setLevel(logging.ERROR)
    files = settings.state / "files"
    files.mkdir(parents=True, exist_ok=True)
    url = settings.url.rstrip("/")
    metadata = settings.state / "metadata"
    metadata.mkdir(exist_ok=True)
    try:
        updater = Updater(
            metadata_dir=str(metadata),
            metadata_base_url=f"{url}/metadata/",
            target_dir=str(files),
            target_base_url=f"{url}/targets/",
            fetcher=_Fetcher(transport),
            config=UpdaterConfig(
                root_max_length=_ROOT_BYTES,
                timestamp_max_length=_TIMESTAMP_BYTES,
                snapshot_max_length=_SNAPSHOT_BYTES,
                targets_max_length=_TARGETS_BYTES,
            ),
            **_first_root(settings, metadata=metadata),
        )
        updater.refresh()
    except (DownloadError, RepositoryError) as error:
        raise _ours(error, what=url) from error
    return CheckedByTuf(updater)


def _first_root(settings: Settings, *, metadata: Path) -> dict[str, Any]:
    """How the library is told the root in the image. The chain from it to today's is fetched, or was and is kept.

    Up to version 5 it takes ``root.json`` of its folder as the first, and leaves the newest there; a file torn by a
    power cut is replaced. This can go when the oldest distribution has version 6.
    """
    try:
        data = settings.root.read_bytes()
        json.loads(data)
    except (OSError, ValueError) as error:
        raise StateError(f"{settings.root}, the root of all trust in releases, cannot be read: {error}") from error
    if "bootstrap" in inspect.signature(Updater).parameters:
        return {"bootstrap": data}
    kept = metadata / "root.json"
    try:
        json.loads(kept.read_bytes())
    except (OSError, ValueError):
        durable.write(kept, data)
    return {}


class _Fetcher(FetcherInterface):
    """The library's way to our transport."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def _fetch(self, url: str) -> Iterator[bytes]:
        try:
            yield from self._transport(url)
        except FileNotFoundError as error:
            raise DownloadHTTPError(f"{url} is not there", _NOT_FOUND) from error
        except NetworkError as error:
            raise DownloadError(str(error)) from error


def _ours(error: Exception, *, what: str) -> NestosError:
    for kind, name, sentence in _KINDS:
        if isinstance(error, kind):
            return VerificationError(f"{what}: {sentence} ({error})", kind=name, hint="nothing of it is used")
    return NetworkError(f"{what}: {error}")
