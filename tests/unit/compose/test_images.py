from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from nestos.base.log import Progress
from nestos.compose import images, product
from nestos.compose.artifacts import disk, qemu_img
from nestos.compose.artifacts.disk import DiskSpec
from nestos.compose.release import Release
from tests.unit.host.scripted import Scripted

RELEASE = Release(
    version="1.2",
    ref="nestos/x86_64/test",
    architecture="x86_64",
    commit="c" * 64,
    kernel="6.12.1",
    root_hash="ab" * 32,
    hash_offset=8192,
    image_size=12288,
    kernel_digest="e" * 64,
    timestamp=1700000000,
    manifest_digest="d" * 64,
    image="/build/slot.img",
    vmlinuz="/build/vmlinuz",
    initramfs="/build/initramfs.img",
    kargs=["quiet"],
    slot_size=1 << 30,
    packages={},
)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[DiskSpec]:
    """What was built; each build leaves a file."""
    specs: list[DiskSpec] = []

    def build(spec: DiskSpec, *, output: Path, **given: object) -> None:
        specs.append(spec)
        output.touch()

    monkeypatch.setattr(disk, "build", build)
    return specs


def ensure(folder: Path, release: Release = RELEASE, *, platform: str = "qemu") -> Path:
    return images.ensure_disk(
        release, folder, platform=platform, home=folder, runner=Scripted(), progress=Progress(io.StringIO())
    )


def test_the_image_is_of_the_release(tmp_path: Path, built: list[DiskSpec]) -> None:
    ensure(tmp_path)
    (spec,) = built
    assert (spec.slot_image, spec.platform, spec.sizes.slot) == (Path("/build/slot.img"), "qemu", 1 << 30)
    assert (spec.deployment.version, spec.deployment.commit, spec.deployment.kargs) == ("1.2", "c" * 64, ("quiet",))
    assert spec.deployment.timestamp == "2023-11-14T22:13:20+00:00"


def test_it_is_made_once(tmp_path: Path, built: list[DiskSpec]) -> None:
    assert ensure(tmp_path) == ensure(tmp_path)
    assert len(built) == 1


def test_another_shape_takes_the_place_of_the_old_one(tmp_path: Path, built: list[DiskSpec]) -> None:
    old = ensure(tmp_path)
    new = ensure(tmp_path, replace(RELEASE, slot_size=2 << 30))
    assert list(tmp_path.iterdir()) == [new]
    assert new != old


def test_changed_code_of_the_builder_makes_it_anew(
    tmp_path: Path, built: list[DiskSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    ensure(tmp_path)
    monkeypatch.setattr(product, "code_digest", lambda *folders: "other")
    ensure(tmp_path)
    assert len(built) == 2


def test_platforms_do_not_disturb_each_other(tmp_path: Path, built: list[DiskSpec]) -> None:
    ensure(tmp_path)
    ensure(tmp_path, platform="metal")
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"qemu", "metal"}


def test_the_qcow2_is_converted_once_and_goes_with_its_image(
    tmp_path: Path, built: list[DiskSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    def convert(raw: Path, *, output: Path, form: str, runner: Scripted) -> None:
        made.append(output)
        output.touch()

    monkeypatch.setattr(qemu_img, "convert", convert)
    for _ in range(2):
        images.ensure_format(ensure(tmp_path), form="qcow2", runner=Scripted(), progress=Progress(io.StringIO()))
    assert [path.suffix for path in made] == [".qcow2"]
    new = ensure(tmp_path, replace(RELEASE, slot_size=2 << 30))
    assert list(tmp_path.iterdir()) == [new]
