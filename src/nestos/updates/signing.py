"""Release metadata as The Update Framework defines it (specification 1.0), by python-tuf: made, signed, rotated.

Works on file contents by name; the release folder keeps them. Four roles: ``root`` (offline, several keys) says whose
keys count; ``targets`` vouches for the published files; ``snapshot`` and ``timestamp`` keep a mirror from mixing and
from freezing. Only ``nestos.cli`` imports this module, and late: python-tuf is an extra of the project.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from tuf.api.exceptions import UnsignedMetadataError
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

from nestos.base.errors import InputError, StateError
from nestos.updates.keys import KeyFolder

ROLES = ("root", "targets", "snapshot", "timestamp")
METADATA = "metadata"
TARGETS = "targets"
_KEPT_VERSIONS = 3
_SERIALIZER = JSONSerializer(compact=False)

S = TypeVar("S", Root, Timestamp, Snapshot, Targets)


@dataclass(frozen=True, kw_only=True)
class Share:
    """How many keys a role has, and how many of them must sign."""

    keys: int = 1
    threshold: int = 1


@dataclass(frozen=True, kw_only=True)
class Policy:
    """How metadata is made."""

    root: Share = field(default_factory=lambda: Share(keys=3, threshold=2))
    targets: Share = field(default_factory=Share)
    lifetime_days: Mapping[str, int] = field(
        default_factory=lambda: {"root": 365, "targets": 90, "snapshot": 14, "timestamp": 3}
    )
    """A node refuses metadata older than this. The shorter that of ``timestamp``, the sooner a frozen mirror is seen,
    and the more often ``nestos release refresh`` has to run: every lifetime's half at least."""


def start(keys: KeyFolder, *, policy: Policy, now: datetime) -> dict[str, bytes]:
    """New keys for every role, and the first root metadata, by file name."""
    root = Root(version=1, expires=_expiry("root", policy=policy, now=now))
    for role in ROLES:
        share = policy.root if role == "root" else policy.targets if role == "targets" else Share()
        if not 1 <= share.threshold <= share.keys:
            raise InputError(f"{share.threshold} of {share.keys} keys cannot be asked for")
        for _ in range(share.keys):
            root.add_key(keys.make(role), role)
        root.roles[role].threshold = share.threshold
    return {"1.root.json": _signed(Metadata(root), "root", authorities=[root], keys=keys)}


def seal(
    published: Mapping[str, bytes],
    known: Mapping[str, bytes],
    *,
    keys: KeyFolder,
    policy: Policy,
    now: datetime,
    skipped: int = 0,
) -> dict[str, bytes]:
    """Metadata that vouches for exactly the files ``published``, and those files by their checksum; paths to contents.

    ``known`` is the metadata so far, by file name; of ``skipped`` versions behind them, nodes may have seen some: those
    of a folder that was restored from a backup. Raises ``StateError`` naming the role whose keys are missing.
    """
    root = newest_root(known)
    targets = _next_targets(published, known, root=root, policy=policy, now=now, skipped=skipped)
    fresh = {name: data for name, data in known.items() if name.endswith(".root.json")}
    name = f"{targets.signed.version}.targets.json"
    fresh[name] = _kept_or_signed(targets, "targets", known.get(name), root=root, keys=keys)
    snapshot = _next_snapshot(known, targets.signed.version, root=root, policy=policy, now=now, skipped=skipped)
    name = f"{snapshot.signed.version}.snapshot.json"
    fresh[name] = _kept_or_signed(snapshot, "snapshot", known.get(name), root=root, keys=keys)
    timestamp = Timestamp(
        version=_version(known.get("timestamp.json")) + 1 + skipped,
        expires=_expiry("timestamp", policy=policy, now=now),
        snapshot_meta=MetaFile(version=snapshot.signed.version),
    )
    fresh["timestamp.json"] = _signed(Metadata(timestamp), "timestamp", authorities=[root], keys=keys)
    fresh |= _older(known, fresh)
    files = {f"{METADATA}/{name}": data for name, data in fresh.items()}
    for path, target in targets.signed.targets.items():
        folder, _, last = path.rpartition("/")
        for digest in target.hashes.values():
            files["/".join(part for part in (TARGETS, folder, f"{digest}.{last}") if part)] = published[path]
    return files


def rotate(
    known: Mapping[str, bytes], role: str, *, keys: KeyFolder, policy: Policy, now: datetime
) -> dict[str, bytes]:
    """Metadata, by file name, with a new root in which ``role`` has new keys only, as many as before.

    The old root's keys sign it, and the new one's if ``role`` is root; ``keys`` must have enough of them.
    """
    if role not in ROLES:
        raise InputError(f'"{role}" is no role; they are: {", ".join(ROLES)}')
    old = newest_root(known)
    metadata = _root_metadata(known)
    root = metadata.signed
    _require_keys(old, "root", keys=keys)
    retired = list(root.roles[role].keyids)
    for _ in retired:
        root.add_key(keys.make(role), role)
    for keyid in retired:
        root.revoke_key(keyid, role)
    root.version += 1
    root.expires = _expiry("root", policy=policy, now=now)
    data = _signed(metadata, "root", authorities=[old, root], keys=keys)
    return {**known, f"{root.version}.root.json": data}


def renew_root(known: Mapping[str, bytes], *, keys: KeyFolder, policy: Policy, now: datetime) -> dict[str, bytes]:
    """Metadata, by file name, with a root that says the same and expires later."""
    old, metadata = newest_root(known), _root_metadata(known)
    metadata.signed.version += 1
    metadata.signed.expires = _expiry("root", policy=policy, now=now)
    data = _signed(metadata, "root", authorities=[old], keys=keys)
    return {**known, f"{metadata.signed.version}.root.json": data}


def newest_root(known: Mapping[str, bytes]) -> Root:
    """The root metadata with the highest version. Raises ``StateError`` where there is none."""
    return _root_metadata(known).signed


def expiries(known: Mapping[str, bytes]) -> dict[str, datetime]:
    """When the newest metadata of each role expires."""
    found = {"root": newest_root(known).expires}
    for role in ("targets", "snapshot"):
        version = _newest(known, role)
        if version:
            found[role] = Metadata.from_bytes(known[f"{version}.{role}.json"]).signed.expires
    if "timestamp.json" in known:
        found["timestamp"] = Metadata.from_bytes(known["timestamp.json"]).signed.expires
    return found


def _next_targets(
    published: Mapping[str, bytes],
    known: Mapping[str, bytes],
    *,
    root: Root,
    policy: Policy,
    now: datetime,
    skipped: int,
) -> Metadata[Targets]:
    wanted = {path: TargetFile.from_data(path, data, ["sha256"]) for path, data in sorted(published.items())}
    version = _newest(known, "targets")
    if version and not skipped:
        last: Metadata[Targets] = Metadata.from_bytes(known[f"{version}.targets.json"])
        if last.signed.targets == wanted and _is_fresh(last, "targets", root=root, policy=policy, now=now):
            return last
    expires = _expiry("targets", policy=policy, now=now)
    return Metadata(Targets(version=version + 1 + skipped, expires=expires, targets=wanted))


def _next_snapshot(
    known: Mapping[str, bytes], targets: int, *, root: Root, policy: Policy, now: datetime, skipped: int
) -> Metadata[Snapshot]:
    version = _newest(known, "snapshot")
    if version and not skipped:
        last: Metadata[Snapshot] = Metadata.from_bytes(known[f"{version}.snapshot.json"])
        is_same = last.signed.meta["targets.json"].version == targets
        if is_same and _is_fresh(last, "snapshot", root=root, policy=policy, now=now):
            return last
    expires = _expiry("snapshot", policy=policy, now=now)
    meta = {"targets.json": MetaFile(version=targets)}
    return Metadata(Snapshot(version=version + 1 + skipped, expires=expires, meta=meta))


def _is_fresh(metadata: Metadata[S], role: str, *, root: Root, policy: Policy, now: datetime) -> bool:
    """True if more than half of its life is left and the keys of today's root signed it."""
    half = timedelta(days=policy.lifetime_days[role]) / 2
    return metadata.signed.expires - now > half and not _missing(metadata, role, root=root)


def _kept_or_signed(metadata: Metadata[S], role: str, before: bytes | None, *, root: Root, keys: KeyFolder) -> bytes:
    return before if before is not None else _signed(metadata, role, authorities=[root], keys=keys)


def _signed(metadata: Metadata[S], role: str, *, authorities: Iterable[Root], keys: KeyFolder) -> bytes:
    """The file, signed with all keys at hand. Raises ``StateError`` if ``authorities`` want more of them."""
    metadata.signatures.clear()
    for authority in authorities:
        for keyid in authority.roles[role].keyids:
            signer = keys.signer(authority.keys[keyid])
            if signer is not None and keyid not in metadata.signatures:
                metadata.sign(signer, append=True)
        _require_keys(authority, role, keys=keys)
        missing = _missing(metadata, role, root=authority)
        if missing:
            raise StateError(f"the {role} metadata could not be signed: {missing}")
    return metadata.to_bytes(_SERIALIZER)


def _require_keys(root: Root, role: str, *, keys: KeyFolder) -> None:
    held = root.roles[role]
    present = sum(keys.signer(root.keys[keyid]) is not None for keyid in held.keyids)
    if present < held.threshold:
        raise StateError(
            f"{held.threshold} keys of the role {role} have to sign, {present} are here",
            hint="keys of root are given with --root-keys=FOLDER, the others with --keys=FOLDER",
        )


def _missing(metadata: Metadata[S], role: str, *, root: Root) -> str:
    try:
        root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except UnsignedMetadataError as error:
        return str(error)
    return ""


def _older(known: Mapping[str, bytes], fresh: Mapping[str, bytes]) -> dict[str, bytes]:
    """Metadata of the versions just before: for nodes that asked a moment ago."""
    found = {}
    for role in ("targets", "snapshot"):
        newest = _newest(fresh, role)
        for version in range(max(newest - _KEPT_VERSIONS + 1, 1), newest):
            name = f"{version}.{role}.json"
            if name in known:
                found[name] = known[name]
    return found


def _root_metadata(known: Mapping[str, bytes]) -> Metadata[Root]:
    version = _newest(known, "root")
    if not version:
        raise StateError("there is no root metadata")
    return Metadata[Root].from_bytes(known[f"{version}.root.json"])


def _newest(known: Mapping[str, bytes], role: str) -> int:
    matches = (re.fullmatch(rf"([0-9]+)\.{role}\.json", name) for name in known)
    return max((int(match.group(1)) for match in matches if match), default=0)


def _version(data: bytes | None) -> int:
    return Metadata.from_bytes(data).signed.version if data else 0


def _expiry(role: str, *, policy: Policy, now: datetime) -> datetime:
    return (now + timedelta(days=policy.lifetime_days[role])).replace(microsecond=0)
