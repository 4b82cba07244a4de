from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tuf.api.metadata import Metadata, Root, Targets

from nestos.base.errors import InputError, StateError
from nestos.updates import signing
from nestos.updates.keys import KeyFolder
from nestos.updates.signing import Policy, Share

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = Policy()
FILES = {"updates/stable.json": b"one", "prod/streams/stable/releases.json": b"two"}


def names(sealed: Mapping[str, bytes]) -> dict[str, bytes]:
    """The metadata of a sealed folder by file name, as the next transaction gets it."""
    return {path.removeprefix("metadata/"): data for path, data in sealed.items() if path.startswith("metadata/")}


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    return KeyFolder(tmp_path / "keys")


def started(keys: KeyFolder, *, policy: Policy = POLICY) -> dict[str, bytes]:
    return names(signing.seal(FILES, signing.start(keys, policy=policy, now=NOW), keys=keys, policy=policy, now=NOW))


def seal(known: Mapping[str, bytes], keys: KeyFolder, *, now: datetime = NOW, **files: bytes) -> dict[str, bytes]:
    return names(signing.seal(FILES | files, known, keys=keys, policy=POLICY, now=now))


def test_private_keys_are_read_by_their_owner_only(keys: KeyFolder, tmp_path: Path) -> None:
    started(keys)

    files = [path for path in (tmp_path / "keys").rglob("*") if path.is_file()]
    folders = [path for path in (tmp_path / "keys").rglob("*") if path.is_dir()]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in (*folders, tmp_path / "keys")} == {0o700}


def test_root_has_three_keys_of_which_two_must_sign_unless_told_otherwise(keys: KeyFolder) -> None:
    root = Metadata[Root].from_bytes(started(keys)["1.root.json"]).signed

    assert (len(root.roles["root"].keyids), root.roles["root"].threshold) == (3, 2)
    assert root.consistent_snapshot


def test_no_key_serves_two_roles(keys: KeyFolder) -> None:
    root = Metadata[Root].from_bytes(started(keys)["1.root.json"]).signed

    keyids = [keyid for role in root.roles.values() for keyid in role.keyids]
    assert len(keyids) == len(set(keyids)) == 6


def test_targets_vouch_for_exactly_the_published_files(keys: KeyFolder) -> None:
    targets = Metadata[Targets].from_bytes(started(keys)["1.targets.json"]).signed.targets

    assert sorted(targets) == sorted(FILES)
    assert targets["updates/stable.json"].length == 3


def test_published_files_are_there_under_their_checksum_too(keys: KeyFolder) -> None:
    sealed = signing.seal(FILES, started(keys), keys=keys, policy=POLICY, now=NOW)

    digest = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"
    assert sealed[f"targets/updates/{digest}.stable.json"] == b"one"


def test_sealing_again_moves_only_the_timestamp(keys: KeyFolder) -> None:
    first = started(keys)
    second = seal(first, keys)

    assert {name for name in second if second[name] != first.get(name)} == {"timestamp.json"}
    assert set(first) == set(second)


def test_a_changed_file_moves_targets_snapshot_and_timestamp(keys: KeyFolder) -> None:
    second = seal(started(keys), keys, new=b"three")

    assert {"2.targets.json", "2.snapshot.json"} <= set(second)


def test_metadata_is_signed_anew_when_half_its_life_is_over(keys: KeyFolder) -> None:
    first = started(keys)

    assert "2.snapshot.json" not in seal(first, keys, now=NOW + timedelta(days=6))
    assert "2.snapshot.json" in seal(first, keys, now=NOW + timedelta(days=8))
    assert "2.targets.json" in seal(first, keys, now=NOW + timedelta(days=46))


def test_only_the_last_versions_are_kept_but_every_root(keys: KeyFolder) -> None:
    known = started(keys)
    for number in range(4):
        known = names(signing.seal({"a": b"%d" % number}, known, keys=keys, policy=POLICY, now=NOW))
        known = signing.renew_root(known, keys=keys, policy=POLICY, now=NOW)

    assert sorted(name for name in known if "targets" in name) == ["3.targets.json", "4.targets.json", "5.targets.json"]
    assert sum(".root." in name for name in known) == 5


@pytest.mark.parametrize("role", signing.ROLES)
def test_a_role_gets_new_keys_in_one_go(keys: KeyFolder, role: str) -> None:
    known = started(keys)
    before = signing.newest_root(known)

    rotated = signing.rotate(known, role, keys=keys, policy=POLICY, now=NOW)
    sealed = seal(rotated, keys)

    after = signing.newest_root(sealed)
    assert after.version == 2
    assert not set(after.roles[role].keyids) & set(before.roles[role].keyids)
    assert after.roles[role].threshold == before.roles[role].threshold
    unchanged = set(signing.ROLES) - {role}
    assert all(after.roles[other].keyids == before.roles[other].keyids for other in unchanged)
    assert not set(before.roles[role].keyids) & set(after.keys)


def test_what_a_retired_key_signed_is_signed_by_the_new_one(keys: KeyFolder) -> None:
    rotated = signing.rotate(started(keys), "targets", keys=keys, policy=POLICY, now=NOW)
    sealed = seal(rotated, keys)

    fresh = Metadata[Targets].from_bytes(sealed["2.targets.json"])
    signing.newest_root(sealed).verify_delegate("targets", fresh.signed_bytes, fresh.signatures)


def test_a_new_root_is_signed_by_the_old_keys_and_the_new_ones(keys: KeyFolder) -> None:
    known = started(keys)
    rotated = signing.rotate(known, "root", keys=keys, policy=POLICY, now=NOW)

    old, fresh = signing.newest_root(known), Metadata[Root].from_bytes(rotated["2.root.json"])
    for root in (old, fresh.signed):
        root.verify_delegate("root", fresh.signed_bytes, fresh.signatures)


def test_publishing_needs_no_root_key(keys: KeyFolder, tmp_path: Path) -> None:
    known = started(keys)
    (tmp_path / "keys/root").rename(tmp_path / "safe")

    assert "2.targets.json" in seal(known, keys, new=b"three")


def test_rotating_needs_enough_root_keys_and_leaves_none_behind_without(keys: KeyFolder, tmp_path: Path) -> None:
    known = started(keys)
    (tmp_path / "away").mkdir()
    (tmp_path / "keys/root").rename(tmp_path / "away/root")
    count = len(list((tmp_path / "keys/timestamp").iterdir()))

    with pytest.raises(StateError, match="2 keys of the role root have to sign, 0 are here"):
        signing.rotate(known, "timestamp", keys=keys, policy=POLICY, now=NOW)
    assert len(list((tmp_path / "keys/timestamp").iterdir())) == count

    both = KeyFolder(tmp_path / "keys", tmp_path / "away")
    assert signing.newest_root(signing.rotate(known, "timestamp", keys=both, policy=POLICY, now=NOW)).version == 2


def test_a_lost_root_key_is_no_end_as_long_as_the_others_suffice(keys: KeyFolder, tmp_path: Path) -> None:
    known = started(keys)
    next((tmp_path / "keys/root").iterdir()).unlink()

    assert signing.newest_root(signing.rotate(known, "root", keys=keys, policy=POLICY, now=NOW)).version == 2


def test_without_the_key_of_a_role_nothing_is_sealed(keys: KeyFolder, tmp_path: Path) -> None:
    known = started(keys)
    for path in (tmp_path / "keys/snapshot").iterdir():
        path.unlink()

    with pytest.raises(StateError, match="1 keys of the role snapshot"):
        seal(known, keys, new=b"three")


@pytest.mark.parametrize("share", [Share(keys=1, threshold=2), Share(keys=0, threshold=0), Share(keys=2, threshold=0)])
def test_a_threshold_that_cannot_be_met_is_refused(keys: KeyFolder, share: Share) -> None:
    with pytest.raises(InputError):
        signing.start(keys, policy=Policy(root=share), now=NOW)


def test_a_role_that_is_none_is_not_rotated(keys: KeyFolder) -> None:
    with pytest.raises(InputError, match="they are: root, targets, snapshot, timestamp"):
        signing.rotate(started(keys), "mirror", keys=keys, policy=POLICY, now=NOW)


def test_expiries_are_those_of_the_policy(keys: KeyFolder) -> None:
    days = {role: (when - NOW).days for role, when in signing.expiries(started(keys)).items()}

    assert days == POLICY.lifetime_days
