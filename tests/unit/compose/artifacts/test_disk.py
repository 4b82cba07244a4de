"""What the disk image's builder asks of its tools and puts where. The tools themselves are run by the scenarios."""

from __future__ import annotations

import json
import os
import struct
from dataclasses import replace
from pathlib import Path

import pytest

from nestos.base.errors import CommandError, InputError
from nestos.compose.artifacts import disk, qemu_img
from nestos.slots import bootstate
from tests.unit.host.bootloader.recording import Recorder
from tests.unit.host.bootloader.test_grub_images import BOOT, core_of

DEPLOYMENT = disk.Deployment(
    version="13.1",
    commit="c" * 64,
    ref="nestos/x86_64/stable",
    root_hash="a" * 64,
    hash_offset=4096,
    image_size=8192,
    kernel_digest="d" * 64,
    kargs=("quiet",),
    timestamp="2025-01-01T00:00:00Z",
)
MIB = disk.MIB


class Tools(Recorder):
    """Leaves what the real tools would, as far as the builder looks at it; keeps the trees that were packed."""

    def __init__(self, *, failing: str = "") -> None:
        super().__init__()
        self.trees: dict[str, dict[str, bytes]] = {}
        self.times: set[float] = set()
        self._failing = failing

    def act(self, line: list[str]) -> None:
        if line[0] == self._failing:
            raise CommandError("no", returncode=1, output="")
        if line[0] == "grub-mkimage":
            output = next(word.removeprefix("--output=") for word in line if word.startswith("--output="))
            Path(output).write_bytes(core_of(sectors=4))
        elif line[0] == "cp":
            Path(line[2]).write_bytes(BOOT)
        elif line[0] == "mke2fs":
            tree = Path(line[line.index("-d") + 1])
            files = [path for path in tree.rglob("*") if path.is_file()]
            self.trees[line[line.index("-L") + 1]] = {str(path.relative_to(tree)): path.read_bytes() for path in files}
            self.times |= {path.stat().st_mtime for path in tree.rglob("*")}
        elif line[0] == "qemu-img":
            Path(line[-1]).write_bytes(b"qcow2")


@pytest.fixture
def spec(tmp_path: Path) -> disk.DiskSpec:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    (inputs / "slot").write_bytes(b"S" * MIB + bytes(MIB) + b"E" * 100)
    (inputs / "vmlinuz").write_bytes(b"kernel")
    (inputs / "initramfs").write_bytes(b"initramfs")
    return disk.DiskSpec(
        slot_image=inputs / "slot",
        kernel=inputs / "vmlinuz",
        initramfs=inputs / "initramfs",
        deployment=DEPLOYMENT,
        sizes=disk.Sizes(esp=4 * MIB, boot=40 * MIB, slot=4 * MIB, var=8 * MIB),
        epoch_seconds=1_700_000_000,
    )


def build(spec: disk.DiskSpec, tmp_path: Path, tools: Tools) -> Path:
    output = tmp_path / "out" / "disk.raw"
    output.parent.mkdir(exist_ok=True)
    disk.build(spec, output=output, runner=tools)
    return output


def test_partitions_have_the_agreed_order_because_grub_counts_them(spec: disk.DiskSpec) -> None:
    table = disk.layout(spec)
    assert [item.name for item in table.partitions] == ["bios", "esp", "boot", "root-a", "root-b", "var"]
    assert table["root-a"].size_bytes == table["root-b"].size_bytes == 4 * MIB
    assert (table["boot"].number, table["root-a"].number, table["root-b"].number, table["var"].number) == (3, 4, 5, 6)


def test_file_systems_are_made_inside_their_partitions(spec: disk.DiskSpec, tmp_path: Path) -> None:
    tools, table = Tools(), disk.layout(spec)
    build(spec, tmp_path, tools)
    made = {line[line.index("-L") + 1]: line for line in tools.lines if line[0] == "mke2fs"}
    for name, line in made.items():
        assert f"offset={table[name].offset_bytes}," in line[line.index("-E") + 1]
        assert line[-1] == f"{table[name].size_bytes // 1024}k"
    assert set(made) == {"boot", "var"}
    fat = next(line for line in tools.lines if line[0] == "mkfs.vfat")
    assert f"--offset={table['esp'].offset_bytes // 512}" in fat
    assert fat[-1] == str(table["esp"].size_bytes // 1024)
    copies = [line for line in tools.lines if line[0] == "mcopy"]
    assert copies[0][-1] == "::/EFI/BOOT/BOOTX64.EFI"
    assert copies[0][3].endswith(f"@@{table['esp'].offset_bytes}")


def test_every_tool_that_writes_is_told_the_time(spec: disk.DiskSpec, tmp_path: Path) -> None:
    tools = Tools()
    build(spec, tmp_path, tools)
    for line, environment in zip(tools.lines, tools.environments, strict=True):
        if line[0] in {"mke2fs", "mkfs.vfat", "mmd", "mcopy"}:
            assert environment["SOURCE_DATE_EPOCH"] == "1700000000", line[0]
    assert tools.times == {1_700_000_000}


def test_boot_partition_holds_slot_a_ready_to_start(spec: disk.DiskSpec, tmp_path: Path) -> None:
    tools = Tools()
    build(spec, tmp_path, tools)
    tree = tools.trees["boot"]
    assert set(tree) == {
        "grub/grub.cfg",
        "grub/grubenv",
        "ignition.firstboot",
        "slot-a/deployment.json",
        "slot-a/initramfs.img",
        "slot-a/slot.cfg",
        "slot-a/vmlinuz",
    }
    assert tree["slot-a/vmlinuz"] == b"kernel"
    assert tree["slot-a/initramfs.img"] == b"initramfs"
    assert b"set roothash=" + b"a" * 64 in tree["slot-a/slot.cfg"]
    assert json.loads(tree["slot-a/deployment.json"])["commit"] == "c" * 64
    assert bootstate.parse(tree["grub/grubenv"]) == bootstate.fresh()
    assert bootstate.choose(bootstate.fresh())[0] == "a"


def test_without_a_first_boot_there_is_no_stamp(spec: disk.DiskSpec, tmp_path: Path) -> None:
    tools = Tools()
    build(replace(spec, first_boot=False), tmp_path, tools)
    assert "ignition.firstboot" not in tools.trees["boot"]


def test_slot_image_lies_at_the_start_of_root_a(spec: disk.DiskSpec, tmp_path: Path) -> None:
    image = build(spec, tmp_path, Tools()).read_bytes()
    table = disk.layout(spec)
    content = spec.slot_image.read_bytes()
    start = table["root-a"].offset_bytes
    assert image[start : start + len(content)] == content
    assert not any(image[start + len(content) : start + table["root-a"].size_bytes])
    assert not any(image[table["root-b"].offset_bytes :][: 4 * MIB])
    assert len(image) == table.size_bytes


def test_a_bios_finds_grub_from_the_first_sector(spec: disk.DiskSpec, tmp_path: Path) -> None:
    image = build(spec, tmp_path, Tools()).read_bytes()
    (core_sector,) = struct.unpack_from("<Q", image, 0x5C)
    assert core_sector * 512 == disk.layout(spec)["bios"].offset_bytes
    assert struct.unpack_from("<QHH", image, core_sector * 512 + 500) == (core_sector + 1, 3, 0x820)


@pytest.mark.parametrize("change", [{"sector_bytes": 4096}, {"architecture": "aarch64"}], ids=["4096", "aarch64"])
def test_what_no_bios_can_boot_gets_no_bios_images(
    spec: disk.DiskSpec, tmp_path: Path, change: dict[str, object]
) -> None:
    tools = Tools()
    image = build(replace(spec, **change), tmp_path, tools).read_bytes()  # type: ignore[arg-type]
    assert not any(image[:440])
    assert not any("i386-pc" in word for line in tools.lines for word in line)


def test_var_grows_with_its_tree(spec: disk.DiskSpec, tmp_path: Path) -> None:
    tree = tmp_path / "var"
    tree.mkdir()
    (tree / "large").touch()
    os.truncate(tree / "large", 300 * MIB)
    assert disk.layout(spec)["var"].size_bytes == 8 * MIB
    assert disk.layout(replace(spec, var=tree))["var"].size_bytes >= 700 * MIB


def test_a_slot_image_that_does_not_fit_is_refused_before_anything_is_made(spec: disk.DiskSpec, tmp_path: Path) -> None:
    tools = Tools()
    with pytest.raises(InputError, match="a slot has 1048576"):
        build(replace(spec, sizes=disk.Sizes(slot=MIB)), tmp_path, tools)
    assert tools.lines == []


def test_a_boot_partition_without_room_for_an_update_is_refused(spec: disk.DiskSpec) -> None:
    with pytest.raises(InputError, match="three pairs do not fit"):
        disk.layout(replace(spec, sizes=disk.Sizes(boot=20 * MIB)))


def test_an_unknown_architecture_is_refused(spec: disk.DiskSpec) -> None:
    with pytest.raises(InputError, match="riscv64"):
        disk.layout(replace(spec, architecture="riscv64"))


@pytest.mark.parametrize("tool", ["grub-mkimage", "mkfs.vfat", "mcopy", "mke2fs", "cp"])
def test_a_failing_tool_leaves_the_old_image_and_nothing_else(spec: disk.DiskSpec, tmp_path: Path, tool: str) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "disk.raw").write_bytes(b"old")
    with pytest.raises(CommandError):
        build(spec, tmp_path, Tools(failing=tool))
    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("disk.raw", b"old")]


def test_two_builds_ask_for_the_same(spec: disk.DiskSpec, tmp_path: Path) -> None:
    first, second = Tools(), Tools()
    one = build(spec, tmp_path, first).read_bytes()
    two = build(spec, tmp_path, second).read_bytes()
    assert one == two
    assert first.trees == second.trees


def test_identifiers_grow_from_the_seed_or_else_from_the_commit(spec: disk.DiskSpec) -> None:
    table = disk.layout(spec)
    assert disk.layout(replace(spec, seed="c" * 64)).guid == table.guid
    assert disk.layout(replace(spec, seed="other")).guid != table.guid


def test_qcow2_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    raw, output = tmp_path / "disk.raw", tmp_path / "disk.qcow2"
    tools = Tools()
    qemu_img.convert(raw, output=output, form="qcow2", runner=tools)
    assert output.read_bytes() == b"qcow2"
    assert str(raw) in tools.lines[0]
    output.unlink()
    with pytest.raises(CommandError):
        qemu_img.convert(raw, output=output, form="qcow2", runner=Tools(failing="qemu-img"))
    assert list(tmp_path.iterdir()) == []
