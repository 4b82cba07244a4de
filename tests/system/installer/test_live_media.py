"""Live media made and taken apart by the real tools: GRUB, xorriso, cpio; and real disk images of small sizes."""

from __future__ import annotations

import hashlib
import os
import platform
from dataclasses import dataclass
from pathlib import Path

import pytest

from nestos.compose import tools
from nestos.compose.artifacts import disk
from nestos.compose.artifacts import live as compose_live
from nestos.compose.artifacts.live import LiveSpec, NetworkSet
from nestos.compose.workspace import Workspace
from nestos.host.packages import sources
from nestos.host.toolbox import Toolbox
from nestos.installer import live_system
from nestos.installer.media import editing, extract
from nestos.installer.sources import Image
from nestos.wire import live, live_iso
from tests.unit.compose.artifacts.test_disk import DEPLOYMENT
from tests.unit.installer.made_up import MIB, noise

TIME = 1_750_000_000
KARGS = ("console=tty0", "console=ttyS0,115200n8")


def tools_root() -> Path:
    name = tools.digest(platform.machine(), sources.debian(tools.RELEASE))
    return Workspace.default().home / "tools" / name / "root"


pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the tools tree"),
    pytest.mark.skipif(not tools_root().exists(), reason="the tools tree is not in the cache yet; a compose makes it"),
]


@dataclass(frozen=True, kw_only=True)
class Made:
    folder: Path
    box: Toolbox
    spec: LiveSpec
    image: Path
    iso: Path
    network: NetworkSet


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("media")
    box = Toolbox(tools_root(), binds=[folder])
    for name, size in (("slot", 3 * MIB), ("vmlinuz", MIB), ("initramfs", 2 * MIB + 5)):
        (folder / name).write_bytes(noise(name, size))
    disks = []
    for sector in (512, 4096):
        wanted = disk.DiskSpec(
            slot_image=folder / "slot",
            kernel=folder / "vmlinuz",
            initramfs=folder / "initramfs",
            deployment=DEPLOYMENT,
            platform="metal",
            sizes=disk.Sizes(boot=96 * MIB, slot=8 * MIB, var=256 * MIB),
            sector_bytes=sector,
            epoch_seconds=TIME,
        )
        disks.append(folder / f"{sector}.raw")
        disk.build(wanted, output=disks[-1], runner=box)
    spec = LiveSpec(
        slot_image=folder / "slot",
        kernel=folder / "vmlinuz",
        initramfs=folder / "initramfs",
        disks=tuple(disks),
        version="13.1",
        root_hash="ab" * 32,
        hash_offset=2 * MIB,
        kargs=KARGS,
        epoch_seconds=TIME,
    )
    compose_live.build_image(spec, output=folder / "live.img")
    compose_live.build_iso(spec, folder / "live.img", output=folder / "live.iso", runner=box)
    network = compose_live.build_network_set(spec, folder / "live.img", folder=folder)
    return Made(folder=folder, box=box, spec=spec, image=folder / "live.img", iso=folder / "live.iso", network=network)


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def report(made: Made, iso: Path) -> str:
    """What xorriso says of an ISO's boot equipment."""
    command = ["xorriso", "-indev", str(iso), "-report_el_torito", "plain", "-report_system_area", "plain"]
    return made.box(command).stdout


def check_boot(text: str) -> None:
    lines = [line.split() for line in text.splitlines()]
    assert [line[6] for line in lines if line[:4] == ["El", "Torito", "boot", "img"]] == ["BIOS", "UEFI"]
    assert "boot-info-table grub2-boot-info" in text
    assert "MBR protective-msdos-label grub2-mbr" in text
    assert "GPT partition path :   2  /boot/efi.img" in text


def test_the_iso_starts_by_bios_and_uefi_from_a_disc_and_from_a_stick(made: Made) -> None:
    check_boot(report(made, made.iso))


def test_the_same_inputs_give_the_same_iso(made: Made) -> None:
    again = made.folder / "again.iso"
    compose_live.build_iso(made.spec, made.image, output=again, runner=made.box)
    assert digest(again) == digest(made.iso)


@pytest.mark.parametrize("sector", [512, 4096])
@pytest.mark.parametrize("boots_from", ["medium", "network"])
def test_the_disk_rebuilt_from_the_live_system_is_the_one_composed(
    made: Made, tmp_path: Path, sector: int, boots_from: str
) -> None:
    with editing.reading(made.iso) as iso:
        conf = iso.volume.read(live_iso.CONF_ARCHIVE)
        assert conf
        (tmp_path / "conf").write_bytes(live.render_conf(made.spec.conf))
        if boots_from == "network":
            (tmp_path / "live.img").symlink_to(made.network.rootfs)
        else:
            for name in (live_iso.IMAGE, live_iso.KERNEL, live_iso.INITRAMFS):
                target = tmp_path / "medium" / name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(iso.volume.read(name, limit_bytes=1 << 30))
            (tmp_path / "live.img").symlink_to(f"medium/{live_iso.IMAGE}")
    total = hashlib.sha256()
    with Image(live_system.find(sector_bytes=sector, folder=tmp_path)) as image:
        for piece in image.content:
            total.update(piece)
        image.verdict()
    assert total.hexdigest() == digest(made.folder / f"{sector}.raw")


def test_the_live_image_is_hardly_larger_than_its_slot(made: Made) -> None:
    assert made.image.stat().st_size - made.spec.slot_image.stat().st_size < MIB


def test_an_embedded_archive_is_one_that_cpio_reads(made: Made, tmp_path: Path) -> None:
    other = tmp_path / "other.iso"
    with editing.changing(made.iso, output=other) as iso:
        iso.set_archive({"config.ign": b"{}", "etc/nestos-live-network/a.network": b"[Match]\n"})
        entry = iso.volume.find(live_iso.IGNITION_AREA)
        iso.file.seek(entry.offset)
        data = iso.file.read(entry.size).rstrip(b"\0")
    check_boot(report(Made(**{**vars(made), "box": made.box.with_binds(tmp_path)}), other))
    part = made.folder / "part.xz"
    part.write_bytes(data + bytes(-len(data) % 4))
    listed = made.box(["sh", "-c", f"xz --decompress --stdout {part} | cpio --list --quiet"]).stdout.split()
    assert listed == ["config.ign", "etc", "etc/nestos-live-network", "etc/nestos-live-network/a.network"]


def test_a_minimal_iso_starts_as_the_whole_one_does(made: Made) -> None:
    small = made.folder / "minimal.iso"
    with editing.reading(made.iso) as iso:
        extract.minimal(iso, output=small, rootfs=None, url="http://boot.example/rootfs.img")
    assert small.stat().st_size < made.iso.stat().st_size - 3 * MIB
    check_boot(report(made, small))


def test_what_is_extracted_for_the_network_is_what_was_composed(made: Made, tmp_path: Path) -> None:
    with editing.reading(made.iso) as iso:
        kernel, initramfs, rootfs = extract.network_set(iso, folder=tmp_path, prefix="x")
    assert digest(kernel) == digest(made.network.kernel)
    assert digest(initramfs) == digest(made.network.initramfs)
    assert digest(rootfs) == digest(made.network.rootfs)
