"""What the live media's builder asks of its tools, and what it hands them. tests/system runs the tools themselves."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from nestos.base.errors import CommandError
from nestos.compose.artifacts import live as compose_live
from nestos.wire import cpio, live, live_iso, packed
from tests.unit.host.bootloader.recording import Recorder
from tests.unit.installer.made_up import MIB, image
from tests.unit.installer.media.made_up_iso import INITRAMFS, KERNEL, SLOT, spec


class Tools(Recorder):
    """Leaves what the real tools would; keeps the tree that went onto the ISO."""

    def __init__(self, *, failing: str = "") -> None:
        super().__init__()
        self.tree: dict[str, bytes] = {}
        self.first: list[str] = []
        self._failing = failing

    def act(self, line: list[str]) -> None:
        if line[0] == self._failing:
            raise CommandError("no", returncode=1, output="")
        if line[0] == "grub-mkimage":
            given = dict(word.removeprefix("--").split("=", 1) for word in line if word.startswith("--"))
            Path(given["output"]).write_bytes(b"program")
            self.first.append(Path(given["config"]).read_text())
        elif line[0] == "xorriso":
            tree = Path(line[-1])
            files = [path for path in tree.rglob("*") if path.is_file()]
            self.tree = {str(path.relative_to(tree)): path.read_bytes() for path in files}
            Path(line[line.index("-o") + 1]).write_bytes(b"iso")


def built(folder: Path, tools: Tools, *, architecture: str = "x86_64", version: str = "13.1") -> Path:
    wanted = replace(spec(folder / "pieces"), architecture=architecture, version=version)
    (folder / "live.img").write_bytes(b"image")
    compose_live.build_iso(wanted, folder / "live.img", output=folder / "live.iso", runner=tools)
    return folder / "live.iso"


def test_the_iso_has_everything_a_live_system_and_an_installation_need(tmp_path: Path) -> None:
    tools = Tools()
    assert built(tmp_path, tools).read_bytes() == b"iso"
    tree = tools.tree
    assert (tree[live_iso.KERNEL], tree[live_iso.INITRAMFS], tree[live_iso.IMAGE]) == (KERNEL, INITRAMFS, b"image")
    assert tree[live_iso.IGNITION_AREA] == bytes(256 << 10)
    conf = live.parse_conf(cpio.unpack(tree[live_iso.CONF_ARCHIVE])[live.CONF])
    assert (conf.label, conf.slot_bytes, conf.root_hash) == ("nestos-13.1", len(SLOT), "ab" * 32)
    info = json.loads(tree[live_iso.KARGS_INFO])
    (place,) = info["files"]
    area = tree[place["path"]][place["offset"] : place["offset"] + info["size"]].decode()
    assert area.startswith(info["default"] + "\n#")
    assert area.endswith("#")
    assert "ignition.firstboot" in info["default"].split()
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["live.img", "live.iso", "pieces"]


def test_it_starts_by_both_firmwares_and_finds_itself_by_its_label(tmp_path: Path) -> None:
    tools = Tools()
    built(tmp_path, tools)
    assert tools.first == ["search.fs_label nestos-13.1 root\nset prefix=($root)/boot/grub\n"] * 2
    (line,) = (line for line in tools.lines if line[0] == "xorriso")
    assert line[line.index("-V") + 1] == "nestos-13.1"
    assert {"--grub2-mbr", "-efi-boot-part", "--protective-msdos-label"} <= set(line)
    assert line[line.index("--sort-weight") + 1 :][:2] == ["-1", f"/{live_iso.IMAGE}"], "the root is last"


def test_without_a_bios_there_is_nothing_for_one(tmp_path: Path) -> None:
    tools = Tools()
    built(tmp_path, tools, architecture="aarch64")
    (line,) = (line for line in tools.lines if line[0] == "xorriso")
    assert not {"--grub2-mbr", "-b"} & set(line)
    assert "boot/grub/eltorito.img" not in tools.tree


def test_a_version_with_unusual_characters_is_still_one_word(tmp_path: Path) -> None:
    tools = Tools()
    built(tmp_path, tools, version="13.20250101+very/long~version$of-something")
    assert tools.first[0].split()[1] == "nestos-13.20250101-very-long-ver"


@pytest.mark.parametrize("failing", ["xorriso", "mcopy"])
def test_an_iso_that_was_not_finished_is_not_there(tmp_path: Path, failing: str) -> None:
    with pytest.raises(CommandError):
        built(tmp_path, Tools(failing=failing))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["live.img", "pieces"]


def test_the_live_image_tells_each_disk_by_what_it_has(tmp_path: Path) -> None:
    pieces = spec(tmp_path / "pieces")
    disks = []
    for sector in (512, 4096):
        disks.append(tmp_path / f"{sector}.raw")
        disks[-1].write_bytes(image(sector_bytes=sector, boot=SLOT[: 2 * MIB]))
    compose_live.build_image(replace(pieces, disks=tuple(disks)), output=tmp_path / "live.img")
    with (tmp_path / "live.img").open("rb") as file, (tmp_path / "pieces/slot").open("rb") as slot:
        carried = live.opened(file)
        assert carried.part("slot") == SLOT
        for disk, sector in zip(disks, (512, 4096), strict=True):
            told = carried.image(sector)
            assert told.sector_bytes == sector
            assert b"".join(packed.unpack(told, references={"slot": slot})) == disk.read_bytes()
