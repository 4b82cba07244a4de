"""A live ISO takes a config and other kernel arguments in place, and is byte for byte itself again after a reset."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import InputError, StateError
from nestos.installer.media import editing
from nestos.wire import live_iso
from tests.unit.installer.made_up import noise
from tests.unit.installer.media.made_up_iso import make, write

FILES = {"config.ign": b"{}", "etc/nestos-live-network/a.network": b"[Match]\n"}
KARGS = ["console=ttyS0", "quiet", "nestos.liveiso=nestos-13.1", "ignition.firstboot", "ignition.platform.id=metal"]


@pytest.fixture
def iso(tmp_path: Path) -> Path:
    return write(tmp_path / "live.iso")


def test_what_is_embedded_comes_back_and_goes_again(iso: Path) -> None:
    before = iso.read_bytes()
    with editing.changing(iso) as live:
        assert live.archive() == {}
        live.set_archive(FILES)
    assert len(iso.read_bytes()) == len(before)
    with editing.reading(iso) as live:
        assert live.archive() == FILES
    with editing.changing(iso) as live:
        live.set_archive({})
    assert iso.read_bytes() == before


def test_kernel_arguments_are_where_the_menu_has_them(iso: Path) -> None:
    before = iso.read_bytes()
    with editing.changing(iso) as live:
        assert live.kargs() == live.default_kargs() == KARGS
        live.set_kargs([*KARGS, "nestos.inst.install_dev=/dev/sda"])
    with editing.reading(iso) as live:
        assert live.kargs()[-1] == "nestos.inst.install_dev=/dev/sda"
        assert live.default_kargs() == KARGS
        menu = live.volume.read(live_iso.MENU).decode()
    (line,) = (line for line in menu.splitlines() if line.startswith("  linux "))
    assert line == f"  linux /{live_iso.KERNEL} $1 {' '.join(KARGS)} nestos.inst.install_dev=/dev/sda"
    with editing.changing(iso) as live:
        live.set_kargs(KARGS)
    assert iso.read_bytes() == before


@pytest.mark.parametrize("karg", ["a b", "x=$(y)", "x='y", "x;reboot", "#", "a\nb", "{", 'x="y z"'])
def test_an_argument_that_grub_would_read_otherwise_is_refused(iso: Path, karg: str) -> None:
    before = iso.read_bytes()
    with pytest.raises(InputError, match="cannot be a kernel argument"), editing.changing(iso) as live:
        live.set_kargs([*KARGS, karg])
    assert iso.read_bytes() == before


def test_more_than_the_room_is_refused_and_changes_nothing(iso: Path) -> None:
    before = iso.read_bytes()
    with pytest.raises(InputError, match="has room for 262144"), editing.changing(iso) as live:
        live.set_archive({"config.ign": noise("c", 300_000)})
    with pytest.raises(InputError, match="has room for 2048"), editing.changing(iso) as live:
        live.set_kargs(["x" * 100] * 30)
    assert iso.read_bytes() == before


def test_another_file_takes_the_changes_and_an_error_leaves_none(iso: Path, tmp_path: Path) -> None:
    before, other = iso.read_bytes(), tmp_path / "other.iso"
    with pytest.raises(InputError), editing.changing(iso, output=other) as live:
        live.set_kargs(["a b"])
    assert not other.exists()
    with editing.changing(iso, output=other) as live:
        live.set_archive(FILES)
    assert iso.read_bytes() == before
    with editing.reading(other) as live:
        assert live.archive() == FILES
    with pytest.raises(StateError, match="there already"), editing.changing(iso, output=other):
        pass


def test_an_iso_of_another_system_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.iso").write_bytes(make({"a": b"b"}))
    with pytest.raises(InputError, match="not a live ISO of this system"), editing.reading(tmp_path / "x.iso") as live:
        live.archive()
    with pytest.raises(InputError, match="cannot open"), editing.reading(tmp_path / "none.iso"):
        pass
