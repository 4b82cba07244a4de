from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from nestos.base.clock import SystemClock
from nestos.base.errors import CommandError, StateError
from nestos.host import process
from nestos.host.toolbox import Toolbox
from nestos.lab import tpm


class Time(SystemClock):
    """Only sleeping moves it."""

    seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, status: int | None, listens: bool) -> list[str]:
    """The command line that ``tpm.start`` starts, when it ends with ``status`` or listens."""
    lines: list[list[str]] = []
    socket = tmp_path / "s" / "tpm"
    socket.parent.mkdir()

    def start(command: Sequence[str], /, **_: Any) -> object:
        lines.append(list(command))
        if listens:
            socket.touch()
        return SimpleNamespace(poll=lambda: status, kill=lambda: None, wait=lambda: -9)

    monkeypatch.setattr(process, "start", start)
    log = io.BytesIO()
    log.name = "qemu.log"
    tpm.start(tmp_path / "memory", socket=socket, tools=Toolbox(tmp_path), log=log, clock=Time())
    return lines[0]


def test_it_listens_beside_qemu_and_remembers_in_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    line = started(tmp_path, monkeypatch, status=None, listens=True)
    assert line[line.index("swtpm") :] == [
        "swtpm",
        "socket",
        "--tpm2",
        f"--tpmstate=dir={tmp_path / 'memory'}",
        f"--ctrl=type=unixio,path={tmp_path / 's' / 'tpm'}",
        "--terminate",
    ]
    assert (tmp_path / "memory").is_dir()


def test_a_tpm_that_ends_or_never_listens_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match=r"status 1; see qemu\.log"):
        started(tmp_path, monkeypatch, status=1, listens=False)
    (tmp_path / "s").rmdir()
    with pytest.raises(StateError, match="does not listen after 60 s"):
        started(tmp_path, monkeypatch, status=None, listens=False)
