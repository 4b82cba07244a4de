from __future__ import annotations

import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import pytest

from nestos.base.errors import CommandError, InputError
from nestos.base.log import Progress
from nestos.compose import release
from nestos.compose.keys import SigningKey
from nestos.compose.release import Release
from nestos.compose.tree import Tree
from nestos.slots import image
from nestos.slots.image import SlotImage
from nestos.wire.manifest.model import Compression, Manifest
from tests.unit.compose.trees import plant
from tests.unit.host.scripted import Scripted

KERNEL = "6.12.1"
COMMIT = "c" * 64
BUILT = SlotImage(root_hash="ab" * 32, hash_offset=8192, size=12288)
MANIFEST = Manifest(ref="nestos/x86_64/test", arch="x86_64", kargs=("quiet",), commit_metadata={"team": "os", "n": 3})


class Builder:
    """The tools of a publication: ostree answers, the slot image is what the test says."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder / "build"
        self.repository = folder / "repo"
        self.runner = Scripted()
        self.runner.on("commit", stdout=f"{COMMIT}\n")
        self.runner.on("init", does=lambda call: plant(self.repository, {"config": ""}))
        self.built = BUILT
        self.options: tuple[str, ...] = ()
        monkeypatch.setattr(image, "build", self._build)
        modules = f"tree/usr/lib/modules/{KERNEL}"
        plant(folder, {f"{modules}/vmlinuz": "kernel", f"{modules}/initramfs.img": "initramfs"})
        self.tree = Tree(path=folder / "tree", kernel=KERNEL, packages={"less": "668"})

    def _build(self, tree: Path, output: Path, *, options: tuple[str, ...], **given: object) -> SlotImage:
        output.write_text("slot")
        self.options = options
        return self.built

    def publish(self, manifest: Manifest = MANIFEST) -> Release:
        return release.publish(
            self.tree,
            manifest,
            version="1.2",
            digest="d" * 64,
            timestamp=1700000000,
            folder=self.folder,
            repository=self.repository,
            key=SigningKey(home=Path("/keys"), fingerprint="F", public=Path("/keys/F.gpg")),
            runner=self.runner,
            progress=Progress(io.StringIO()),
        )

    def metadata(self) -> dict[str, str]:
        words = [word for line in self.runner.lines if "commit" in line for word in line]
        pairs = (word.partition("=")[2] for word in words if word.startswith("--add-metadata-string="))
        return dict(pair.split("=", 1) for pair in pairs)


@pytest.fixture
def builder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Builder:
    return Builder(tmp_path, monkeypatch)


def test_the_commit_vouches_for_image_kernel_and_packages(builder: Builder) -> None:
    builder.publish()
    found = builder.metadata()
    assert json.loads(found.pop("nestos.erofs-options")) == list(builder.options)
    assert found == {
        "version": "1.2",
        "nestos.verity-root-hash": BUILT.root_hash,
        "nestos.verity-hash-offset": "8192",
        "nestos.verity-salt": image.identity("d" * 64).salt,
        "nestos.uuid": image.identity("d" * 64).uuid,
        "nestos.image-size": "12288",
        "nestos.kernel-digest": hashlib.sha256(b"kernelinitramfs").hexdigest(),
        "nestos.manifest-digest": "d" * 64,
        "nestos.kargs": '["quiet"]',
        "nestos.packages": '{"less": "668"}',
        "ostree.linux": KERNEL,
        "team": "os",
        "n": "3",
    }


def test_the_manifests_own_metadata_cannot_replace_what_the_commit_vouches_for(builder: Builder) -> None:
    builder.publish(replace(MANIFEST, commit_metadata={"nestos.verity-root-hash": "00", "version": "9"}))
    assert builder.metadata()["nestos.verity-root-hash"] == BUILT.root_hash
    assert builder.metadata()["version"] == "1.2"


def test_commit_and_summary_are_signed_in_this_order(builder: Builder) -> None:
    builder.publish()
    steps = [
        next(word for word in line if word in ("init", "config", "commit", "summary")) for line in builder.runner.lines
    ]
    assert steps == ["init", "config", "commit", "summary"]
    for line in builder.runner.lines[2:]:
        assert any("/keys" in word for word in line)
        assert any(word.endswith("=F") for word in line)


def test_an_existing_repository_is_added_to(builder: Builder) -> None:
    plant(builder.repository, {"config": ""})
    builder.publish()
    assert not [line for line in builder.runner.lines if "init" in line]


def test_a_release_is_stored_with_its_pieces_and_read_back(builder: Builder) -> None:
    made = builder.publish()
    assert (made.commit, made.version, made.ref, made.kargs) == (COMMIT, "1.2", MANIFEST.ref, ["quiet"])
    assert {path.name for path in builder.folder.iterdir()} == {"slot.img", "vmlinuz", "initramfs.img", "release.json"}
    assert Path(made.vmlinuz).read_text() == "kernel"
    assert release.load(builder.folder) == made


@pytest.mark.parametrize("step", ["commit", "summary"])
def test_a_release_that_was_not_committed_and_announced_is_none(builder: Builder, step: str) -> None:
    builder.runner.on(step, returncode=1, stderr="error: something")
    with pytest.raises(CommandError):
        builder.publish()
    assert release.load(builder.folder) is None


def test_an_image_that_no_slot_holds_is_refused_before_anything_is_committed(builder: Builder) -> None:
    builder.built = replace(BUILT, size=(10 << 20) + 1)
    with pytest.raises(InputError, match="the slot image has 10 MiB, a slot of these nodes only 10 MiB"):
        builder.publish(replace(MANIFEST, slot_size_bytes=10 << 20))
    assert builder.runner.lines == []
    builder.built = replace(BUILT, size=10 << 20)
    builder.publish(replace(MANIFEST, slot_size_bytes=10 << 20))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": "1"}', '{"unknown": 1}'])
def test_a_release_file_of_another_shape_is_none(builder: Builder, text: str) -> None:
    builder.publish()
    (builder.folder / "release.json").write_text(text)
    assert release.load(builder.folder) is None


@pytest.mark.parametrize("piece", ["slot.img", "vmlinuz", "initramfs.img", "release.json"])
def test_a_release_that_lost_a_piece_is_none(builder: Builder, piece: str) -> None:
    builder.publish()
    (builder.folder / piece).unlink()
    assert release.load(builder.folder) is None


@pytest.mark.parametrize(
    ("compression", "options"),
    [
        (Compression(), ["-zzstd,level=3", "-C65536"]),
        (Compression(algorithm="lz4", level=None, cluster_size_bytes=4096), ["-zlz4", "-C4096"]),
        (Compression(algorithm="none"), []),
    ],
    ids=["the default", "without a level", "none"],
)
def test_the_manifest_chooses_the_compression(compression: Compression, options: list[str]) -> None:
    found = release.erofs_options(replace(MANIFEST, compression=compression), kernel=KERNEL)
    assert [word for word in found if word.startswith(("-z", "-C"))] == options
    assert "-T0" in found


def test_boot_files_stay_out_of_the_slot() -> None:
    found = release.erofs_options(MANIFEST, kernel=KERNEL)
    assert {word for word in found if "exclude" in word} == {
        f"--exclude-path=usr/lib/modules/{KERNEL}/vmlinuz",
        f"--exclude-path=usr/lib/modules/{KERNEL}/initramfs.img",
    }
