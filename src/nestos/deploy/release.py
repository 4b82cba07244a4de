"""A release as its signed commit describes it, and whether a node may take it. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from nestos.base.errors import StateError, VerificationError
from nestos.deploy.records import Denial
from nestos.ostree.commits import Commit
from nestos.wire.deployment import Deployment
from nestos.wire.version import sort_key

_HASH = re.compile(r"[0-9a-f]{64}")
_KERNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]*")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What builds an image from these packages in other versions may give other bytes (compression is not specified).
_IMAGE_PACKAGES = ("erofs-utils", "libzstd1", "liblz4-1", "liblzma5", "libdeflate0", "zlib1g")


@dataclass(frozen=True, kw_only=True)
class Release:
    """What the commit says of the slot image that its tree must give.

    ``erofs_options`` are mkfs.erofs's, ``salt`` and ``root_hash`` hexadecimal, ``kernel`` the version that names the
    folder of kernel and initramfs, ``packages`` name to version of what the tree holds.
    """

    version: str
    commit: str
    parent: str
    ref: str
    timestamp: datetime
    root_hash: str
    hash_offset: int
    image_size: int
    kernel_digest: str
    kernel: str
    erofs_options: tuple[str, ...]
    salt: str
    uuid: str
    kargs: tuple[str, ...] = ()
    packages: Mapping[str, str]

    def deployment(self, *, kargs: tuple[str, ...]) -> Deployment:
        """The record of this release in a slot, booted with ``kargs``."""
        return Deployment(
            version=self.version,
            commit=self.commit,
            root_hash=self.root_hash,
            hash_offset=self.hash_offset,
            image_size=self.image_size,
            kernel_digest=self.kernel_digest,
            ref=self.ref,
            kargs=kargs,
            timestamp=rfc3339(self.timestamp),
        )


def read(commit: Commit, metadata: Mapping[str, str], *, ref: str) -> Release:
    """The release that a commit is. Raises ``VerificationError`` with every metadata key that is missing or wrong."""
    fields = _Fields(metadata)
    release = Release(
        version=fields.text("version", re.compile(r"[^\s\x00]+")),
        commit=commit.checksum,
        parent=commit.parent,
        ref=ref,
        timestamp=commit.timestamp,
        root_hash=fields.text("nestos.verity-root-hash", _HASH),
        hash_offset=fields.number("nestos.verity-hash-offset"),
        image_size=fields.number("nestos.image-size"),
        kernel_digest=fields.text("nestos.kernel-digest", _HASH),
        kernel=fields.text("ostree.linux", _KERNEL),
        # Options only: an argument that is none would be a file name to mkfs.erofs.
        erofs_options=fields.texts("nestos.erofs-options", re.compile(r"-.*")),
        salt=fields.text("nestos.verity-salt", re.compile(r"[0-9a-f]{2,512}")),
        uuid=fields.text("nestos.uuid", _UUID),
        kargs=fields.texts("nestos.kargs", re.compile(r"\S+"), default=()),
        packages=fields.mapping("nestos.packages"),
    )
    if fields.wrong:
        raise VerificationError(
            f"commit {commit.checksum} is no NestOS release: {', '.join(fields.wrong)} missing or not usable",
            hint="was it made by nestos compose?",
        )
    return release


def metadata(release: Release) -> dict[str, str]:
    """What a commit of ``release`` says of itself, so that ``read`` finds it again."""
    return {
        "version": release.version,
        "nestos.verity-root-hash": release.root_hash,
        "nestos.verity-hash-offset": str(release.hash_offset),
        "nestos.verity-salt": release.salt,
        "nestos.uuid": release.uuid,
        "nestos.image-size": str(release.image_size),
        "nestos.kernel-digest": release.kernel_digest,
        "nestos.erofs-options": json.dumps(list(release.erofs_options)),
        "nestos.kargs": json.dumps(list(release.kargs)),
        "nestos.packages": json.dumps(dict(release.packages), sort_keys=True),
        "ostree.linux": release.kernel,
    }


class _Fields:
    """Typed access to commit metadata that collects what is wrong."""

    def __init__(self, metadata: Mapping[str, str]) -> None:
        self._metadata = metadata
        self.wrong: list[str] = []

    def text(self, name: str, shape: re.Pattern[str]) -> str:
        value = self._metadata.get(name, "")
        if not shape.fullmatch(value):
            self.wrong.append(name)
        return value

    def number(self, name: str) -> int:
        value = self.text(name, re.compile(r"[0-9]{1,15}"))
        return int(value) if value.isdigit() else 0

    def texts(self, name: str, shape: re.Pattern[str], *, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        if default is not None and name not in self._metadata:
            return default
        items = self._json(name)
        if not isinstance(items, list) or not all(isinstance(item, str) and shape.fullmatch(item) for item in items):
            self.wrong.append(name)
            return ()
        return tuple(items)

    def mapping(self, name: str) -> dict[str, str]:
        items = self._json(name) if name in self._metadata else {}
        if not isinstance(items, dict):
            self.wrong.append(name)
            return {}
        return {str(key): str(value) for key, value in items.items()}

    def _json(self, name: str) -> object:
        try:
            return json.loads(self._metadata.get(name, ""))
        except ValueError:
            return None


@dataclass(frozen=True, kw_only=True)
class Situation:
    """What a node has: the running release, the one that boots next if it is another, and those that failed here."""

    booted: Deployment
    pending: Deployment | None
    denied: Mapping[str, Denial]


class Verdict(StrEnum):
    """What an offered release is to a node."""

    UNCHANGED = "unchanged"
    STAGED = "staged"
    UPDATE = "update"


def judge(
    offered: Release, situation: Situation, *, allow_downgrade: bool = False, allow_denied: bool = False
) -> Verdict:
    """What ``offered`` is to the node.

    Raises ``StateError`` of kind ``downgrade`` for one that is older than what runs or boots next (a repository that
    went back in time, or an attacker replaying it), and of kind ``denied`` for one that failed on this node.
    """
    booted, pending = situation.booted, situation.pending
    if offered.commit == (pending or booted).commit:
        return Verdict.UNCHANGED if pending is None else Verdict.STAGED
    denial = situation.denied.get(offered.commit)
    if denial is not None and not allow_denied:
        raise StateError(
            f"{offered.version} failed on this node and is not tried again: {denial.reason} ({denial.time})",
            hint="wait for a newer release, or take it all the same with --allow-denied",
            kind="denied",
        )
    if offered.commit == booted.commit:
        return Verdict.UNCHANGED
    newest = max((item for item in (booted, pending) if item is not None), key=_age)
    if not allow_downgrade and _is_older(offered, newest):
        raise StateError(
            f"the repository went back in time: it offers {offered.version} of {rfc3339(offered.timestamp)}, this node"
            f" has {newest.version} of {newest.timestamp or 'an unknown date'}",
            hint="if that is meant, say so with --allow-downgrade",
            kind="downgrade",
        )
    return Verdict.UPDATE


def _is_older(offered: Release, known: Deployment) -> bool:
    """By the commit's time; of two made at one time, by version. Both are what the signature vouches for."""
    then = _age(known)[0]
    if offered.timestamp != then:
        return offered.timestamp < then
    return sort_key(offered.version) < sort_key(known.version)


def _age(deployment: Deployment) -> tuple[datetime, object]:
    try:
        when = datetime.fromisoformat(deployment.timestamp)
    except ValueError:
        when = datetime.fromtimestamp(0, UTC)
    return when if when.tzinfo else when.replace(tzinfo=UTC), sort_key(deployment.version)


def kargs_for(offered: Release, *, booted: Deployment, booted_release_kargs: tuple[str, ...] | None) -> tuple[str, ...]:
    """The kernel arguments of the next boot: the release's, and behind them what this node has besides its release's.

    ``booted_release_kargs`` is none where the running release's commit is not known; then all it boots with is kept.
    """
    local = [item for item in booted.kargs if item not in (booted_release_kargs or ())]
    return (*offered.kargs, *(item for item in local if item not in offered.kargs))


def same_image_tools(offered: Release, running: Mapping[str, str] | None) -> bool:
    """True if the running system's mkfs.erofs gives the bytes that the offered release's own would give."""
    if running is None or not offered.packages:
        return False
    return all(running.get(name) == offered.packages.get(name) for name in _IMAGE_PACKAGES)


def rfc3339(moment: datetime) -> str:
    """The moment in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
