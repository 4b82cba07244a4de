from __future__ import annotations

import io
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.base.log import Progress
from nestos.compose import foreign, tools
from nestos.compose.tools import Kind
from nestos.host import binfmt
from nestos.host.toolbox import Toolbox

PROGRESS = Progress(io.StringIO())


@pytest.fixture(autouse=True)
def host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """An x86_64 host; what was emulated on it, and by what."""
    done: list[str] = []

    def ensure(home: Path, *, progress: Progress, kind: Kind = Kind.BASE) -> Toolbox:
        return Toolbox(home / kind)

    @contextmanager
    def emulated(architecture: str, *, emulator: Path) -> Iterator[None]:
        done.append(f"{architecture} by {emulator}")
        yield
        done.append("ended")

    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(tools, "ensure", ensure)
    monkeypatch.setattr(binfmt, "emulated", emulated)
    return done


def test_programs_of_this_machine_need_nothing(host: list[str], tmp_path: Path) -> None:
    with foreign.programs("x86_64", home=tmp_path, progress=PROGRESS):
        pass
    assert host == []
    assert foreign.grub_modules("x86_64", home=tmp_path, progress=PROGRESS) is None


def test_programs_of_another_are_emulated_meanwhile(host: list[str], tmp_path: Path) -> None:
    with foreign.programs("aarch64", home=tmp_path, progress=PROGRESS):
        assert host == [f"aarch64 by {tmp_path}/aarch64/usr/bin/qemu-aarch64"]
    assert host[-1] == "ended"


def test_grub_has_modules_of_its_own_for_it(tmp_path: Path) -> None:
    found = foreign.grub_modules("aarch64", home=tmp_path, progress=PROGRESS)
    assert found == tmp_path / "aarch64/usr/lib/grub/arm64-efi"


def test_what_cannot_be_composed_here_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not compose for riscv64"):
        foreign.toolbox("riscv64", home=tmp_path, progress=PROGRESS)
