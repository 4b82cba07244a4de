"""The commands `iso` and `pxe`: exit status, what is printed, what is written."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from nestos.cli.installer import program
from nestos.wire import cpio
from tests.unit.installer.media.made_up_iso import write

CONFIG = b'{"ignition": {"version": "3.4.0"}}'


class Streams:
    """Standard input and output in bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[bytes]) -> None:
        self._monkeypatch, self._captured = monkeypatch, captured

    def give(self, data: bytes) -> None:
        self._monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))

    def taken(self) -> bytes:
        return self._captured.readouterr().out


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Streams:
    return Streams(monkeypatch, capsysbinary)


@pytest.fixture
def iso(tmp_path: Path) -> Path:
    return write(tmp_path / "live.iso")


def test_a_config_from_standard_input_is_embedded_shown_and_removed(iso: Path, streams: Streams) -> None:
    before = iso.read_bytes()
    streams.give(CONFIG)
    assert program(["iso", "ignition", "embed", str(iso)]) == 0
    assert program(["iso", "ignition", "show", str(iso)]) == 0
    assert streams.taken() == CONFIG
    streams.give(CONFIG)
    assert program(["iso", "ignition", "embed", str(iso)]) == 1, "it has one"
    assert program(["iso", "ignition", "remove", str(iso)]) == 0
    assert iso.read_bytes() == before
    assert program(["iso", "ignition", "show", str(iso)]) == 1


def test_kernel_arguments_are_modified_shown_and_reset(iso: Path, streams: Streams) -> None:
    before = iso.read_bytes()
    words = ["--append", "x=1", "--delete", "quiet", "--replace", "console=ttyS0=ttyS1"]
    assert program(["iso", "kargs", "modify", *words, str(iso)]) == 0
    assert program(["iso", "kargs", "show", str(iso)]) == 0
    shown = streams.taken().decode().split()
    assert (shown[0], shown[-1], "quiet" in shown) == ("console=ttyS1", "x=1", False)
    assert program(["iso", "kargs", "show", "--default", str(iso)]) == 0
    assert "quiet" in streams.taken().decode().split()
    assert program(["iso", "kargs", "reset", str(iso)]) == 0
    assert iso.read_bytes() == before


def test_network_files_are_embedded_and_extracted(iso: Path, streams: Streams, tmp_path: Path) -> None:
    (tmp_path / "a.network").write_text("[Match]\n")
    assert program(["iso", "network", "embed", "-k", str(tmp_path / "a.network"), str(iso)]) == 0
    (tmp_path / "out").mkdir()
    assert program(["iso", "network", "extract", "-C", str(tmp_path / "out"), str(iso)]) == 0
    assert (tmp_path / "out/a.network").read_text() == "[Match]\n"
    assert program(["iso", "network", "extract", "-C", str(tmp_path / "out"), str(iso)]) == 1, "it is there already"
    assert program(["iso", "network", "remove", str(iso)]) == 0
    assert program(["iso", "network", "extract", str(iso)]) == 1


def test_a_customized_iso_is_customized_again_only_by_force(iso: Path, streams: Streams, tmp_path: Path) -> None:
    (tmp_path / "n.ign").write_bytes(CONFIG)
    before = iso.read_bytes()
    words = ["iso", "customize", "--dest-ignition", str(tmp_path / "n.ign"), "--live-karg-append", "x=1"]
    assert program([*words, str(iso)]) == 0
    first = iso.read_bytes()
    assert program([*words, str(iso)]) == 1
    assert iso.read_bytes() == first
    assert program([*words, "--force", str(iso)]) == 0
    assert iso.read_bytes() == first
    assert program(["iso", "reset", str(iso)]) == 0
    assert iso.read_bytes() == before


def test_another_iso_goes_to_standard_output(iso: Path, streams: Streams, tmp_path: Path) -> None:
    before = iso.read_bytes()
    streams.give(CONFIG)
    assert program(["iso", "ignition", "embed", "--output", "-", str(iso)]) == 0
    (tmp_path / "other.iso").write_bytes(streams.taken())
    assert iso.read_bytes() == before
    assert program(["iso", "ignition", "show", str(tmp_path / "other.iso")]) == 0
    assert streams.taken() == CONFIG


def test_the_network_set_and_a_minimal_iso_are_extracted(iso: Path, streams: Streams, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    assert program(["iso", "extract", "pxe", "-o", str(tmp_path / "out"), str(iso)]) == 0
    names = ["live-initrd.img", "live-rootfs.img", "live-vmlinuz"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == names
    assert len(streams.taken().decode().splitlines()) == 3
    assert program(["iso", "extract", "minimal-iso", "--rootfs-url=http://e/r", str(iso)]) == 0
    (tmp_path / "minimal.iso").write_bytes(streams.taken())
    assert program(["iso", "kargs", "show", str(tmp_path / "minimal.iso")]) == 0
    assert streams.taken().decode().split()[-1] == "nestos.live.rootfs_url=http://e/r"


def test_a_wrapped_config_comes_back(streams: Streams, tmp_path: Path) -> None:
    streams.give(CONFIG)
    assert program(["pxe", "ignition", "wrap", "-o", str(tmp_path / "part")]) == 0
    assert (tmp_path / "part").stat().st_mode & 0o777 == 0o600
    assert program(["pxe", "ignition", "unwrap", str(tmp_path / "part")]) == 0
    assert streams.taken() == CONFIG
    assert program(["pxe", "network", "unwrap", str(tmp_path / "part")]) == 1
    streams.give(b'{"ignition": {}}')
    assert program(["pxe", "ignition", "wrap"]) == 2, "no version"
    assert streams.taken() == b""


def test_a_customized_initramfs_is_the_initramfs_with_a_part_behind_it(streams: Streams, tmp_path: Path) -> None:
    (tmp_path / "initramfs").write_bytes(b"zstd!")
    words = ["pxe", "customize", "--dest-device=/dev/vda", "-o", str(tmp_path / "out"), str(tmp_path / "initramfs")]
    assert program(words) == 0
    made = (tmp_path / "out").read_bytes()
    assert made.startswith(b"zstd!\0\0\0")
    assert list(cpio.unpack(made[8:])) == ["config.ign"]
    assert program(words) == 1, "it is there already"
    assert program([*words[:2], "--force", *words[2:]]) == 0


def test_half_a_command_is_wrong_usage() -> None:
    with pytest.raises(SystemExit, match="2"):
        program(["iso"])
