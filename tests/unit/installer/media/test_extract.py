"""What is taken out of an ISO is what a compose makes; a minimal ISO is the ISO without its root."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from nestos.base.errors import StateError
from nestos.compose.artifacts import live as compose_live
from nestos.installer.media import editing, extract
from nestos.wire import cpio, gpt, iso9660, live, live_iso
from tests.unit.installer.media.made_up_iso import KERNEL, live_image, spec, write

URL = "http://boot.example/rootfs.img"


@pytest.fixture
def iso(tmp_path: Path) -> Path:
    return write(tmp_path / "live.iso")


def test_the_network_set_is_the_one_that_a_compose_makes(iso: Path, tmp_path: Path) -> None:
    (tmp_path / "live.img").write_bytes(live_image())
    composed = compose_live.build_network_set(spec(tmp_path / "pieces"), tmp_path / "live.img", folder=tmp_path)
    with editing.reading(iso) as opened:
        kernel, initramfs, rootfs = extract.network_set(opened, folder=tmp_path, prefix="x")
    assert kernel.read_bytes() == KERNEL
    assert initramfs.read_bytes() == composed.initramfs.read_bytes()
    assert rootfs.read_bytes() == composed.rootfs.read_bytes()


def test_the_initramfs_knows_the_root_that_belongs_to_it(iso: Path, tmp_path: Path) -> None:
    with editing.reading(iso) as opened:
        _, initramfs, rootfs = extract.network_set(opened, folder=tmp_path, prefix="x")
    held = cpio.unpack(initramfs.read_bytes()[-(-70_001 // 4) * 4 :])
    conf = live.parse_conf(held[live.CONF])
    assert conf.rootfs_sha256 == hashlib.sha256(rootfs.read_bytes()).hexdigest()
    assert (conf.rootfs_bytes, conf.label) == (rootfs.stat().st_size, "")
    with rootfs.open("rb") as file:
        assert live.opened(file).part(live.KERNEL) == KERNEL


def test_nothing_is_overwritten(iso: Path, tmp_path: Path) -> None:
    (tmp_path / "x-initrd.img").write_text("mine")
    with editing.reading(iso) as opened, pytest.raises(StateError, match="there already"):
        extract.network_set(opened, folder=tmp_path, prefix="x")
    assert not (tmp_path / "x-rootfs.img").exists()


def test_a_minimal_iso_has_all_but_the_root_and_knows_where_that_is(iso: Path, tmp_path: Path) -> None:
    output, root = tmp_path / "minimal.iso", tmp_path / "rootfs.img"
    with editing.reading(iso) as opened:
        extract.minimal(opened, output=output, rootfs=root, url=URL)
        default = opened.default_kargs()
    assert output.stat().st_size < iso.stat().st_size - 3_000_000
    with editing.reading(output) as small:
        assert small.kargs() == small.default_kargs() == [*default, f"nestos.live.rootfs_url={URL}"]
        assert small.volume.read(live_iso.KERNEL) == KERNEL
        assert small.volume.find(live_iso.IMAGE).size == 0
        assert small.volume.size_bytes == output.stat().st_size
        conf = live.parse_conf(cpio.unpack(small.volume.read(live_iso.CONF_ARCHIVE))[live.CONF])
        with pytest.raises(StateError, match="minimal"):
            extract.write_rootfs(small, tmp_path / "again")
    assert conf.rootfs_sha256 == hashlib.sha256(root.read_bytes()).hexdigest()


def test_the_partition_table_of_a_minimal_iso_ends_with_it(iso: Path, tmp_path: Path) -> None:
    output = tmp_path / "minimal.iso"
    with editing.reading(iso) as opened:
        extract.minimal(opened, output=output, rootfs=None, url="")
    data = output.read_bytes()
    table = gpt.parse(data[: gpt.ALIGNMENT_BYTES], sector_bytes=512, size_bytes=len(data))
    assert table is not None
    assert [one.name for one in table.partitions] == ["EFI boot partition"]
    assert data[:4] == b"BOOT", "the BIOS starts it as before"
    assert data[-512:].startswith(b"EFI PART")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["live.iso", "minimal.iso", "pieces"]
    with output.open("rb") as file:
        assert iso9660.opened(file).label == "nestos-13.1"
