from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from nestos.base.errors import BusyError, StateError
from nestos.lab import registry
from nestos.lab.registry import Running


def put(machines: Path, name: str, *, pid: int = 0, started: str = "") -> Running:
    """Records this very process as the machine ``name``."""
    pid = pid or os.getpid()
    began = started or registry._started(pid)
    running = Running(
        name=name,
        pid=pid,
        started=began,
        image="/images/node.qcow2",
        qmp=str(machines / "gone" / "qmp"),
        console=str(machines / "gone" / "console"),
        serial_log="/logs/serial.log",
        ports={"22": 2200, "80": 8080},
    )
    (machines / name).mkdir(parents=True)
    (machines / name / "machine.json").write_text(json.dumps(asdict(running)))
    return running


def test_a_running_machine_is_found_by_its_name(tmp_path: Path) -> None:
    running = put(tmp_path, "one")
    assert registry.find(tmp_path, "one") == running
    assert running.ssh_port == 2200


def test_all_that_run_are_listed(tmp_path: Path) -> None:
    put(tmp_path, "two")
    put(tmp_path, "one")
    assert [item.name for item in registry.every(tmp_path)] == ["one", "two"]
    assert list(registry.every(tmp_path / "none")) == []


def test_an_unknown_machine_is_told_with_those_that_run(tmp_path: Path) -> None:
    put(tmp_path, "one")
    with pytest.raises(StateError, match="no machine two is running") as caught:
        registry.find(tmp_path, "two")
    assert caught.value.hint == "running: one"


def test_a_process_id_that_now_belongs_to_another_counts_as_nothing(tmp_path: Path) -> None:
    put(tmp_path, "one", started="1")
    assert registry.load(tmp_path / "one") is None
    assert not (tmp_path / "one" / "machine.json").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"name": "one"}'], ids=["empty", "torn", "a list", "old"])
def test_a_damaged_record_counts_as_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "machine.json").write_text(text)
    assert registry.load(tmp_path) is None


def test_a_name_in_use_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "one")
    with pytest.raises(BusyError, match="a machine one is running already"):
        registry.claim(tmp_path, "one")


def test_a_free_name_gets_its_folder(tmp_path: Path) -> None:
    assert registry.claim(tmp_path / "machines", "one").is_dir()
