"""The kernel's folder is a folder of files here: what is written to ``register`` is what the kernel would be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import CommandError, InputError, StateError
from nestos.host import binfmt
from tests.unit.host.scripted import Scripted

EMULATOR = Path("/tools/usr/bin/qemu-aarch64")
# As /proc/sys/fs/binfmt_misc/qemu-aarch64 reads where Debian's qemu-user-binfmt made it.
PACKAGED = """\
enabled
interpreter /usr/libexec/qemu-binfmt/aarch64-binfmt-P
flags: POCF
offset 0
magic 7f454c460201010000000000000000000200b700
mask ffffffffffffff00fffffffffffffffffeffffff
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    (tmp_path / "register").write_text("")
    (tmp_path / "status").write_text("enabled\n")
    return tmp_path


def test_an_entry_is_made_and_taken_away(kernel: Path) -> None:
    with binfmt.emulated("aarch64", emulator=EMULATOR, folder=kernel):
        name, kind, offset, magic, mask, program, flags = (kernel / "register").read_text().removeprefix(":").split(":")
        assert (name, kind, offset, program, flags) == ("nestos-aarch64", "M", "", str(EMULATOR), "F")
        program_header = bytes.fromhex("7f454c460201010300000000000000000300b700")  # a shared object of another system
        bits = [bytes.fromhex(text.replace("\\x", "")) for text in (magic, mask)]
        assert all(byte & bit == wanted & bit for byte, wanted, bit in zip(program_header, *bits, strict=True))
    assert (kernel / "nestos-aarch64").read_text() == "-1"


def test_an_entry_goes_away_after_a_failure_too(kernel: Path) -> None:
    with pytest.raises(RuntimeError), binfmt.emulated("aarch64", emulator=EMULATOR, folder=kernel):
        raise RuntimeError
    assert (kernel / "nestos-aarch64").read_text() == "-1"


def test_what_a_killed_compose_left_is_replaced(kernel: Path) -> None:
    (kernel / "nestos-aarch64").write_text(PACKAGED)
    with binfmt.emulated("aarch64", emulator=EMULATOR, folder=kernel):
        assert (kernel / "nestos-aarch64").read_text() == "-1"
        assert str(EMULATOR) in (kernel / "register").read_text()


def test_the_hosts_own_entry_serves(kernel: Path) -> None:
    (kernel / "qemu-aarch64").write_text(PACKAGED)
    with binfmt.emulated("aarch64", emulator=EMULATOR, folder=kernel):
        assert (kernel / "register").read_text() == ""
    assert (kernel / "qemu-aarch64").read_text() == PACKAGED


@pytest.mark.parametrize(("old", "new"), [("POCF", "POC"), ("enabled", "disabled"), ("b700", "f300")])
def test_an_entry_that_is_of_no_use_in_other_roots_does_not_serve(kernel: Path, old: str, new: str) -> None:
    (kernel / "other").write_text(PACKAGED.replace(old, new))
    with binfmt.emulated("aarch64", emulator=EMULATOR, folder=kernel):
        assert (kernel / "register").read_text() != ""


def test_the_folder_is_mounted_where_it_is_not(tmp_path: Path) -> None:
    runner = Scripted()
    runner.on("mount", does=lambda _: (tmp_path / "register").write_text(""))
    with binfmt.emulated("aarch64", emulator=EMULATOR, folder=tmp_path, runner=runner):
        pass
    assert runner.calls[0].line[:3] == ["mount", "-t", "binfmt_misc"]


def test_a_kernel_without_it_is_named(tmp_path: Path) -> None:
    def refuse(_: object) -> None:
        raise CommandError("no such device", returncode=32, output="")

    runner = Scripted()
    runner.on("mount", does=refuse)
    with (
        pytest.raises(StateError, match="cannot be mounted"),
        binfmt.emulated("aarch64", emulator=EMULATOR, folder=tmp_path, runner=runner),
    ):
        pass


def test_an_architecture_that_nobody_emulates(kernel: Path) -> None:
    with pytest.raises(InputError, match="riscv64"), binfmt.emulated("riscv64", emulator=EMULATOR, folder=kernel):
        pass
