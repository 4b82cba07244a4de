from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from nestos.agent import vouching
from nestos.agent.choice import Release
from nestos.agent.identity import Identity
from nestos.agent.vouching import Keepers
from nestos.base.errors import NestosError, StateError, VerificationError
from nestos.base.paths import Root
from nestos.trust.releases import Checked, Settings
from nestos.wire import stream
from nestos.wire.stream import ReleaseArchitecture, ReleaseMetadata

COMMIT = "c" * 64
WHO = Identity(node_uuid="0" * 32, group="g", basearch="x86_64", platform="metal", stream="stable")
RELEASE = Release(version="2", payload=COMMIT)


@dataclass
class Metadata:
    """Checked metadata that vouch for version 2 of the stream stable."""

    asked: list[Settings] = field(default_factory=list)
    error: NestosError | None = None

    def __call__(self, settings: Settings) -> Checked:
        self.asked.append(settings)
        if self.error is not None:
            raise self.error
        return self

    def read(self, path: str) -> bytes:
        if path != "prod/streams/stable/builds/2/release.json":
            raise VerificationError(f"nobody vouches for {path}", kind="wrong-target")
        made = ReleaseMetadata(
            release="2", stream="stable", architectures={"x86_64": ReleaseArchitecture(commit=COMMIT)}
        )
        return stream.render_release(made).encode()


def _with_root(folder: Path, *places: str) -> Root:
    for place in places:
        path = folder / place.lstrip("/")
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    return Root(folder)


def test_without_a_root_of_trust_nobody_is_asked(tmp_path: Path) -> None:
    metadata = Metadata()
    Keepers(Root(tmp_path), url="http://u/", refresh=metadata).require(RELEASE, who=WHO)
    assert metadata.asked == []


def test_with_one_the_release_and_its_commit_have_to_be_named(tmp_path: Path) -> None:
    root, metadata = _with_root(tmp_path, vouching.ROOTS[1]), Metadata()
    keepers = Keepers(root, url="http://u/${stream}", refresh=metadata)
    keepers.require(RELEASE, who=WHO)
    (asked,) = metadata.asked
    assert (asked.url, asked.root) == ("http://u/stable", root.join(vouching.ROOTS[1]))
    assert asked.state == root.join(vouching.STATE)
    for wrong in (Release(version="3", payload=COMMIT), Release(version="2", payload="d" * 64)):
        with pytest.raises(NestosError, match="is not taken, because nobody vouches for it") as caught:
            keepers.require(wrong, who=WHO)
        assert caught.value.kind == "wrong-target"


def test_the_operators_root_counts_before_the_images(tmp_path: Path) -> None:
    root, metadata = _with_root(tmp_path, *vouching.ROOTS), Metadata()
    Keepers(root, url="http://u/", refresh=metadata).require(RELEASE, who=WHO)
    assert metadata.asked[0].root == root.join(vouching.ROOTS[0])


def test_metadata_that_cannot_be_had_or_believed_are_no_leave(tmp_path: Path) -> None:
    metadata = Metadata(error=VerificationError("too old", kind="expired"))
    with pytest.raises(NestosError, match="too old") as caught:
        Keepers(_with_root(tmp_path, vouching.ROOTS[0]), url="http://u/", refresh=metadata).require(RELEASE, who=WHO)
    assert caught.value.kind == "expired"


def test_a_root_without_an_address_takes_nothing(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="no address is set"):
        Keepers(_with_root(tmp_path, vouching.ROOTS[0]), url="", refresh=Metadata()).require(RELEASE, who=WHO)
