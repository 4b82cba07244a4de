"""A node against a keeper's folder and against those who stand between: each attack is refused, with its reason."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nestos.base.errors import NetworkError, StateError, VerificationError
from nestos.trust import releases
from nestos.trust.releases import Checked, Settings
from nestos.updates import signing
from nestos.updates.keys import KeyFolder
from nestos.updates.signing import Policy
from nestos.wire import stream
from nestos.wire.stream import ReleaseArchitecture, ReleaseMetadata

URL = "https://updates.example.org"
# Expiry is judged by the machine's clock, which a test must not depend on: ahead of every clock, and behind.
AHEAD = datetime(2999, 1, 1, tzinfo=UTC)
BEHIND = datetime(1999, 1, 1, tzinfo=UTC)
COMMIT = "c" * 64
POLICY = Policy()


def release(version: str, commit: str = COMMIT, *, told: str = "") -> dict[str, bytes]:
    """The published file of one release; ``told`` is the version inside it, if another."""
    path = f"prod/streams/stable/builds/{version}/release.json"
    architectures = {"x86_64": ReleaseArchitecture(commit=commit)}
    document = ReleaseMetadata(release=told or version, stream="stable", architectures=architectures)
    return {path: stream.render_release(document).encode()}


@dataclass
class Keeper:
    """Who publishes, with the keys; ``files`` is what its server holds."""

    folder: Path
    now: datetime = AHEAD
    files: dict[str, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = KeyFolder(self.folder)
        started = signing.start(self.keys, policy=POLICY, now=self.now)
        self.files = {f"metadata/{name}": data for name, data in started.items()}

    @property
    def known(self) -> dict[str, bytes]:
        prefix = "metadata/"
        return {path.removeprefix(prefix): data for path, data in self.files.items() if path.startswith(prefix)}

    def publish(self, *published: Mapping[str, bytes], known: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
        together = {path: data for files in published for path, data in files.items()}
        sealed = signing.seal(together, known or self.known, keys=self.keys, policy=POLICY, now=self.now)
        self.files = dict(sealed)
        return copy.copy(self.files)

    def rotate(self, role: str) -> None:
        rotated = signing.rotate(self.known, role, keys=self.keys, policy=POLICY, now=self.now)
        self.publish(release("1"), known=rotated)


@dataclass
class Server:
    """Whatever answers at the address: honest, a mirror that lies, or one that never ends."""

    files: Mapping[str, bytes]
    endless: str = ""
    fetched: list[str] = field(default_factory=list)
    sent_bytes: int = 0

    def __call__(self, url: str) -> Iterator[bytes]:
        path = url.removeprefix(f"{URL}/")
        self.fetched.append(path)
        if self.endless and self.endless in path:
            while True:
                self.sent_bytes += 1 << 16
                yield b" " * (1 << 16)
        if path not in self.files:
            raise FileNotFoundError(url)
        yield self.files[path]


@pytest.fixture
def keeper(tmp_path: Path) -> Keeper:
    made = Keeper(tmp_path / "keys")
    (tmp_path / "root.json").write_bytes(made.known["1.root.json"])
    made.publish(release("1"))
    return made


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(url=f"{URL}/", root=tmp_path / "root.json", state=tmp_path / "state")


def refused(settings: Settings, files: Mapping[str, bytes], *, endless: str = "") -> str:
    """The kind of the refusal of what a server with these files sends."""
    with pytest.raises(VerificationError) as error:
        releases.refresh(settings, transport=Server(files, endless=endless))
    return error.value.kind


def commit_of(checked: Checked, version: str) -> str:
    return releases.release(checked, name="stable", version=version).architectures["x86_64"].commit


def test_what_the_keepers_signed_is_believed(keeper: Keeper, settings: Settings) -> None:
    checked = releases.refresh(settings, transport=Server(keeper.files))

    assert commit_of(checked, "1") == COMMIT
    releases.require_commit(checked, name="stable", version="1", architecture="x86_64", commit=COMMIT)


def test_a_second_look_fetches_only_what_moves(keeper: Keeper, settings: Settings) -> None:
    commit_of(releases.refresh(settings, transport=Server(keeper.files)), "1")
    server = Server(keeper.files)

    commit_of(releases.refresh(settings, transport=server), "1")

    assert server.fetched == ["metadata/2.root.json", "metadata/timestamp.json"]


def test_news_are_followed(keeper: Keeper, settings: Settings) -> None:
    releases.refresh(settings, transport=Server(keeper.files))
    keeper.publish(release("1"), release("2", "d" * 64))

    assert commit_of(releases.refresh(settings, transport=Server(keeper.files)), "2") == "d" * 64


# Rollback


def test_a_server_that_goes_back_to_an_older_state_is_refused(keeper: Keeper, settings: Settings) -> None:
    before = dict(keeper.files)
    keeper.publish(release("1"), release("2"))
    releases.refresh(settings, transport=Server(keeper.files))

    assert refused(settings, before) == "rollback"


def test_going_back_is_noticed_after_a_restart_of_the_program_too(keeper: Keeper, settings: Settings) -> None:
    before = dict(keeper.files)
    keeper.publish(release("2"))
    releases.refresh(settings, transport=Server(keeper.files))

    assert refused(Settings(url=URL, root=settings.root, state=settings.state), before) == "rollback"


# Freeze


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "root"])
def test_metadata_beyond_their_time_are_refused(keeper: Keeper, settings: Settings, role: str) -> None:
    """Each role in turn is as old as a mirror that stands still would leave it; the others are fresh."""
    lifetimes = {name: (BEHIND - AHEAD).days if name == role else 3 for name in signing.ROLES}
    old = Policy(lifetime_days=lifetimes)
    known = keeper.known
    if role == "root":
        known = signing.renew_root(known, keys=keeper.keys, policy=old, now=AHEAD)
    sealed = signing.seal(release("2"), known, keys=keeper.keys, policy=old, now=AHEAD)

    assert refused(settings, sealed) == "expired"


# Mix and match


def test_a_snapshot_of_another_time_is_refused(keeper: Keeper, settings: Settings) -> None:
    before = dict(keeper.files)
    after = keeper.publish(release("2"))
    mixed = after | {"metadata/2.snapshot.json": before["metadata/1.snapshot.json"]}

    assert refused(settings, mixed) == "rollback"


def test_targets_of_another_time_are_refused(keeper: Keeper, settings: Settings) -> None:
    before = dict(keeper.files)
    after = keeper.publish(release("2"))
    mixed = after | {"metadata/2.targets.json": before["metadata/1.targets.json"]}

    assert refused(settings, mixed) == "rollback"


def test_a_file_of_another_time_is_refused(keeper: Keeper, settings: Settings) -> None:
    keeper.publish(release("1"), release("2"))
    path = next(path for path in keeper.files if path.startswith("targets/") and "/2/" in path)
    other = next(data for name, data in keeper.files.items() if name.startswith("targets/") and "/1/" in name)
    checked = releases.refresh(settings, transport=Server(keeper.files | {path: other}))

    with pytest.raises(VerificationError) as error:
        commit_of(checked, "2")
    assert error.value.kind == "mixed"


# Endless data


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "2.root"])
def test_metadata_without_end_are_left_soon(keeper: Keeper, settings: Settings, role: str) -> None:
    server = Server(keeper.files, endless=f"metadata/{role}" if role != "snapshot" else "snapshot")
    if role == "targets":
        server.endless = "1.targets"

    with pytest.raises(VerificationError) as error:
        releases.refresh(settings, transport=server)

    assert error.value.kind == "endless"
    assert server.sent_bytes <= 9 << 20


def test_a_file_without_end_is_left_at_its_length(keeper: Keeper, settings: Settings) -> None:
    checked = releases.refresh(settings, transport=(server := Server(keeper.files, endless="release.json")))

    with pytest.raises(VerificationError) as error:
        commit_of(checked, "1")
    assert error.value.kind == "endless"
    assert server.sent_bytes <= 1 << 17


# Wrong target


def test_a_file_that_nobody_vouches_for_is_refused(keeper: Keeper, settings: Settings) -> None:
    checked = releases.refresh(settings, transport=Server(keeper.files | release("2")))

    with pytest.raises(VerificationError) as error:
        commit_of(checked, "2")
    assert error.value.kind == "wrong-target"


def test_a_release_taken_back_is_no_longer_believed(keeper: Keeper, settings: Settings) -> None:
    keeper.publish(release("2"))

    with pytest.raises(VerificationError, match="nobody vouches"):
        commit_of(releases.refresh(settings, transport=Server(keeper.files)), "1")


def test_a_release_filed_under_another_version_is_refused(keeper: Keeper, settings: Settings) -> None:
    keeper.publish(release("2", told="1"))

    with pytest.raises(VerificationError, match="speaks of stable 1, not of stable 2"):
        commit_of(releases.refresh(settings, transport=Server(keeper.files)), "2")


@pytest.mark.parametrize(
    ("architecture", "commit", "told"),
    [("x86_64", "d" * 64, "do not agree|is c"), ("aarch64", COMMIT, "not made for aarch64")],
)
def test_a_commit_that_the_release_is_not_is_refused(
    keeper: Keeper, settings: Settings, architecture: str, commit: str, told: str
) -> None:
    checked = releases.refresh(settings, transport=Server(keeper.files))

    with pytest.raises(VerificationError, match=told):
        releases.require_commit(checked, name="stable", version="1", architecture=architecture, commit=commit)


# Forgery


@pytest.mark.parametrize("name", ["timestamp.json", "1.snapshot.json", "1.targets.json"])
def test_changed_metadata_are_refused(keeper: Keeper, settings: Settings, name: str) -> None:
    document: dict[str, Any] = json.loads(keeper.files[f"metadata/{name}"])
    document["signed"]["expires"] = "2999-12-31T00:00:00Z"

    assert refused(settings, keeper.files | {f"metadata/{name}": json.dumps(document).encode()}) == "unsigned"


def test_metadata_of_other_keepers_are_refused(keeper: Keeper, settings: Settings, tmp_path: Path) -> None:
    stranger = Keeper(tmp_path / "stranger")
    stranger.publish(release("1", "e" * 64))

    assert refused(settings, stranger.files) == "unsigned"


def test_a_root_that_too_few_keys_signed_is_refused(keeper: Keeper, settings: Settings) -> None:
    keeper.rotate("timestamp")
    document = json.loads(keeper.files["metadata/2.root.json"])
    document["signatures"] = document["signatures"][:1]

    assert refused(settings, keeper.files | {"metadata/2.root.json": json.dumps(document).encode()}) == "unsigned"


@pytest.mark.parametrize("garbage", [b"", b"{", b"[]", b"\xff\xfe", b'{"signed": {}, "signatures": []}'])
def test_garbage_is_refused(keeper: Keeper, settings: Settings, garbage: bytes) -> None:
    assert refused(settings, keeper.files | {"metadata/timestamp.json": garbage}) == "malformed"


# Rotation


@pytest.mark.parametrize("role", signing.ROLES)
def test_a_node_follows_a_rotation_and_then_refuses_the_old_keys(
    keeper: Keeper, settings: Settings, role: str, tmp_path: Path
) -> None:
    releases.refresh(settings, transport=Server(keeper.files))
    before = keeper.known
    keeper.rotate(role)
    assert commit_of(releases.refresh(settings, transport=Server(keeper.files)), "1") == COMMIT

    if role in ("timestamp", "snapshot", "targets"):
        thief = Keeper(tmp_path / "unused")
        thief.keys, thief.files = keeper.keys, {f"metadata/{name}": data for name, data in before.items()}
        forged = [thief.publish(release("3", str(number) * 64)) for number in range(5)][-1]
        assert refused(settings, forged | {"metadata/2.root.json": keeper.files["metadata/2.root.json"]}) == "unsigned"


def test_a_node_that_slept_through_many_rotations_follows_them_all(keeper: Keeper, settings: Settings) -> None:
    for role in ("root", "timestamp", "root", "snapshot", "targets", "root"):
        keeper.rotate(role)

    assert commit_of(releases.refresh(settings, transport=Server(keeper.files)), "1") == COMMIT


# What is missing


def test_a_server_that_has_nothing_is_a_matter_of_the_network(settings: Settings, keeper: Keeper) -> None:
    with pytest.raises(NetworkError):
        releases.refresh(settings, transport=Server({}))


def test_a_server_that_cannot_be_reached_is_a_matter_of_the_network(settings: Settings, keeper: Keeper) -> None:
    def broken(url: str) -> Iterator[bytes]:
        yield from ()
        raise NetworkError(f"no route to {url}")

    with pytest.raises(NetworkError):
        releases.refresh(settings, transport=broken)


def test_files_torn_by_a_power_cut_are_fetched_again(keeper: Keeper, settings: Settings) -> None:
    commit_of(releases.refresh(settings, transport=Server(keeper.files)), "1")
    for path in settings.state.rglob("*"):
        if path.is_file():
            path.write_bytes(b"")

    assert commit_of(releases.refresh(settings, transport=Server(keeper.files)), "1") == COMMIT


@pytest.mark.parametrize("content", [None, b"", b"{"])
def test_without_a_root_in_the_image_nothing_is_believed(
    keeper: Keeper, settings: Settings, content: bytes | None
) -> None:
    settings.root.unlink()
    if content is not None:
        settings.root.write_bytes(content)

    with pytest.raises(StateError, match="root of all trust"):
        releases.refresh(settings, transport=Server(keeper.files))


def test_without_the_library_the_package_is_named(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> object:
        raise ModuleNotFoundError("no", name="tuf")

    monkeypatch.setattr("importlib.import_module", missing)

    with pytest.raises(StateError, match="tuf is missing") as error:
        releases.refresh(settings, transport=Server({}))
    assert "python3-tuf" in error.value.hint


def test_a_rotation_of_old_keys_cannot_lengthen_a_timestamp(keeper: Keeper, settings: Settings) -> None:
    """A far future is bounded by the signature only: what the keepers did not sign does not count."""
    document = json.loads(keeper.files["metadata/timestamp.json"])
    later = datetime.fromisoformat(document["signed"]["expires"]) + timedelta(days=365)
    document["signed"]["expires"] = later.strftime("%Y-%m-%dT%H:%M:%SZ")

    assert refused(settings, keeper.files | {"metadata/timestamp.json": json.dumps(document).encode()}) == "unsigned"


def test_a_node_needs_no_library_beside_the_metadata_framework_itself(
    keeper: Keeper, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Debian's python3-tuf brings no python3-cryptography; Ed25519, which the keepers' keys are, is checked without."""
    stranger = Keeper(settings.state.parent / "strangers")
    stranger.publish(release("1"))
    monkeypatch.setattr("securesystemslib.signer._key.CRYPTO_IMPORT_ERROR", "it is missing")
    assert commit_of(releases.refresh(settings, transport=Server(keeper.files)), "1") == COMMIT
    assert refused(settings, stranger.files) == "unsigned"
