"""Live media are made once for what they are made of, and an attempt that broke off is never taken for whole."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from nestos.base.errors import CommandError
from nestos.base.log import Progress
from nestos.compose import images, live_media
from nestos.compose.artifacts import live
from nestos.compose.release import Release
from tests.unit.compose.test_images import RELEASE
from tests.unit.host.scripted import Scripted
from tests.unit.installer.media.made_up_iso import live_image


class Builds:
    """Stands in the place of the builders; counts the ISOs."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.isos = 0
        self.fails = False
        self.asked: list[str] = []
        self.folder = folder
        monkeypatch.setattr(images, "ensure_disk", self.disk)
        monkeypatch.setattr(live, "build_image", self.image)
        monkeypatch.setattr(live, "build_iso", self.iso)

    def disk(self, release: Release, folder: Path, **given: object) -> Path:
        self.asked.append(str(given["platform"]))
        return self.folder / f"{given['platform']}.raw"

    def image(self, spec: live.LiveSpec, *, output: Path) -> None:
        output.write_bytes(live_image())

    def iso(self, spec: live.LiveSpec, source: Path, *, output: Path, runner: object) -> None:
        if self.fails:
            raise CommandError("no", returncode=1, output="")
        self.isos += 1
        output.write_bytes(source.read_bytes())


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Builds:
    (tmp_path / "pieces").mkdir()
    return Builds(monkeypatch, tmp_path / "pieces")


def ensure(builds: Builds, folder: Path, **changes: str) -> live_media.LiveMedia:
    pieces = {name: str(builds.folder / name) for name in ("image", "vmlinuz", "initramfs")}
    for path in pieces.values():
        Path(path).write_bytes(b"piece" * 1000)
    release = replace(RELEASE, **{**pieces, **changes})  # type: ignore[arg-type]  # texts, all of them
    return live_media.ensure(release, folder, home=folder, runner=Scripted(), progress=Progress(io.StringIO()))


def test_they_are_made_once_with_a_disk_image_for_each_sector_size(builds: Builds, tmp_path: Path) -> None:
    folder = tmp_path / "build"
    folder.mkdir()
    first = ensure(builds, folder)
    assert ensure(builds, folder) == first
    assert builds.isos == 1
    assert builds.asked[:2] == ["metal", "metal4k"]
    assert all(path.is_file() for path in (first.iso, first.network.initramfs, first.network.rootfs))


def test_another_release_takes_the_place_of_the_old_media(builds: Builds, tmp_path: Path) -> None:
    folder = tmp_path / "build"
    folder.mkdir()
    first = ensure(builds, folder)
    second = ensure(builds, folder, version="14.1")
    assert second.iso.is_file()
    assert not first.iso.exists()


def test_what_broke_off_is_made_anew(builds: Builds, tmp_path: Path) -> None:
    folder = tmp_path / "build"
    folder.mkdir()
    builds.fails = True
    with pytest.raises(CommandError):
        ensure(builds, folder)
    assert list(folder.glob("live-*")) == []
    builds.fails = False
    assert ensure(builds, folder).iso.is_file()
