from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nestos.base.errors import CommandError
from nestos.host.process import Completed
from nestos.host.toolbox import Toolbox
from nestos.lab import accelerator

VERSION = "QEMU emulator version 10.0.13 (Debian 1:10.0.13+ds-0+deb13u1)\n"


class Tools(Toolbox):
    """QEMU that only tells its version."""

    def __init__(self, root: Path, *, version: str = VERSION) -> None:
        super().__init__(root)
        self.version = version

    def __call__(self, command: Sequence[Any], /, **_: Any) -> Completed:
        assert list(command) == ["qemu-system-x86_64", "--version"]
        return Completed(returncode=0, stdout=self.version, stderr="")


@pytest.fixture
def device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A KVM device that can be opened."""
    path = tmp_path / "kvm"
    path.touch()
    monkeypatch.setattr(accelerator, "KVM_DEVICE", path)
    return path


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the coming probes say, in order."""
    answers: list[str] = []
    monkeypatch.setattr(accelerator, "probe", lambda tools: answers.pop(0))
    return answers


def test_the_probe_disk_is_a_boot_sector() -> None:
    disk = accelerator.probe_disk()
    assert len(disk) == 1 << 20
    assert disk[510:512] == b"\x55\xaa"
    assert b"guest-code-runs\n\0" in disk[:510]


def test_without_the_device_code_is_emulated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "KVM_DEVICE", tmp_path / "none")
    chosen = accelerator.choose(tools=Tools(tmp_path), cache=tmp_path / "answers.json")
    assert (chosen.name, chosen.argument, chosen.cpu) == ("tcg", "tcg,thread=multi", "max")


def test_a_device_that_runs_no_real_code_is_not_used(tmp_path: Path, device: Path, probes: list[str]) -> None:
    probes.append("KVM internal error")
    chosen = accelerator.choose(tools=Tools(tmp_path), cache=tmp_path / "answers.json")
    assert chosen.name == "tcg"
    assert "KVM internal error" in chosen.why


def test_kvm_is_used_where_the_probe_ran(tmp_path: Path, device: Path, probes: list[str]) -> None:
    probes.append("")
    chosen = accelerator.choose(tools=Tools(tmp_path), cache=tmp_path / "answers.json")
    assert (chosen.name, chosen.cpu) == ("kvm", "host")


def test_the_answer_is_kept_for_this_kernel_and_this_qemu(tmp_path: Path, device: Path, probes: list[str]) -> None:
    cache = tmp_path / "lab" / "answers.json"
    probes += ["broken", ""]
    assert accelerator.choose(tools=Tools(tmp_path), cache=cache).name == "tcg"
    assert accelerator.choose(tools=Tools(tmp_path), cache=cache).name == "tcg"
    assert probes == [""]
    newer = Tools(tmp_path, version="QEMU emulator version 11.0.0")
    assert accelerator.choose(tools=newer, cache=cache).name == "kvm"
    assert set(json.loads(cache.read_text())) == {f"{os.uname().release} 10.0.13", f"{os.uname().release} 11.0.0"}


def test_a_damaged_answer_is_asked_again(tmp_path: Path, device: Path, probes: list[str]) -> None:
    cache = tmp_path / "answers.json"
    cache.write_text("{")
    probes.append("")
    assert accelerator.choose(tools=Tools(tmp_path), cache=cache).name == "kvm"


def test_old_qemu_does_not_offer_the_instruction_it_gets_wrong() -> None:
    assert accelerator.software((7, 2, 19), why="").cpu == "max,-cx16"
    assert accelerator.software((8, 0, 0), why="").cpu == "max"


@pytest.mark.parametrize(("text", "version"), [(VERSION, (10, 0, 13)), ("nothing like it", (99,))])
def test_the_version_is_read_from_what_qemu_prints(text: str, version: tuple[int, ...]) -> None:
    assert accelerator.parse_version(text) == version


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        (Completed(returncode=33, stdout="guest-code-runs\n", stderr=""), ""),
        (Completed(returncode=134, stdout="", stderr="failed to set MSR 0x10a\nAssertion"), "failed to set MSR 0x10a"),
        (Completed(returncode=0, stdout="", stderr=""), "the probe ended without its answer"),
        (CommandError("no end", returncode=-1, output=""), "the probe did not end in 10 s"),
    ],
    ids=["ran", "refused", "silent", "hung"],
)
def test_what_a_probe_says(
    answer: Completed | CommandError, refusal: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def run(self: Toolbox, command: Sequence[Any], /, **_: Any) -> Completed:
        if isinstance(answer, CommandError):
            raise answer
        return answer

    monkeypatch.setattr(Toolbox, "__call__", run)
    assert accelerator.probe(Toolbox(tmp_path)) == refusal
