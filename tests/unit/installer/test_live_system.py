"""An offline installation rebuilds the very image from what the live system has."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from nestos.base.errors import StateError, VerificationError
from nestos.installer import live_system, options, sources
from nestos.installer.fetch import Fetcher
from nestos.installer.found import Found
from nestos.wire import live, packed
from tests.unit.installer.made_up import MIB, image, noise

CONF = live.Conf(version="13.1", root_hash="a" * 64, hash_offset=0, slot_bytes=MIB)
SLOT, KERNEL = noise("a", MIB), noise("boot", 3 * MIB)


@pytest.fixture(params=["medium", "network"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """What is at ``/run/nestos-live`` after a boot from an ISO, and after one over the network."""
    pieces = {"slot": SLOT, "kernel": KERNEL, "initramfs": b"i" * 5000}
    folder = tmp_path / "nestos-live"
    folder.mkdir()
    (folder / "conf").write_bytes(live.render_conf(CONF))
    parts = []
    for sector in (512, 4096):
        (tmp_path / "raw").write_bytes(image(sector_bytes=sector))
        with (tmp_path / "raw").open("rb") as raw:
            made = packed.pack(raw, references={n: io.BytesIO(d) for n, d in pieces.items()}, sector_bytes=sector)
        assert made.needs == {"slot", "kernel"}
        parts.append((f"disk{sector}", io.BytesIO(packed.render(made))))
    with (folder / "live.img").open("w+b") as file:
        file.write(SLOT)
        live.append(file, parts, known={"slot": (0, MIB)})
        if request.param == "network":
            more = [(name, io.BytesIO(pieces[name])) for name in ("kernel", "initramfs")]
            live.append(file, more, known=live.opened(file).contents)
    if request.param == "medium":
        boot = folder / "medium/images/pxeboot"
        boot.mkdir(parents=True)
        (boot / "vmlinuz").write_bytes(KERNEL)
        (boot / "initrd.img").write_bytes(pieces["initramfs"])
    return folder


def content(found: Found) -> bytes:
    with sources.Image(found) as opened:
        data = b"".join(opened.content)
        assert opened.size_bytes == opened.read_bytes == len(data)
        assert "by its checksum" in opened.verdict()
    return data


@pytest.mark.parametrize("sector", [512, 4096])
def test_the_image_is_the_one_that_was_composed(system: Path, sector: int) -> None:
    found = live_system.find(sector_bytes=sector, folder=system)
    assert found.name == "NestOS 13.1 of this live system"
    assert content(found) == image(sector_bytes=sector)


def test_a_root_that_reads_otherwise_is_found_out_before_the_table_is_written(system: Path) -> None:
    with (system / "live.img").open("r+b") as file:
        file.seek(MIB // 2)
        file.write(b"damage")
    with pytest.raises(VerificationError, match="another checksum"):
        content(live_system.find(sector_bytes=512, folder=system))


def test_a_medium_that_was_taken_out_is_named(system: Path) -> None:
    if not (system / "medium").exists():
        pytest.skip("there is no medium")
    (system / "medium/images/pxeboot/vmlinuz").unlink()
    with pytest.raises(StateError, match="is gone"):
        content(live_system.find(sector_bytes=512, folder=system))


def test_a_node_is_no_live_system(tmp_path: Path) -> None:
    assert not live_system.is_here(tmp_path / "none")
    with pytest.raises(StateError, match="no live system"):
        live_system.find(sector_bytes=512, folder=tmp_path)


def test_the_options_lead_here(monkeypatch: pytest.MonkeyPatch, system: Path) -> None:
    monkeypatch.setattr(
        live_system, "find", lambda *, sector_bytes: Found(name=f"live {sector_bytes}", open=lambda _: iter(()))
    )
    wanted = options.settings({"dest-device": "/dev/x"}, machine="x86_64", is_live=True)
    assert sources.find(wanted, sector_bytes=512, fetcher=Fetcher()).name == "live 512"
