from __future__ import annotations

import json
from pathlib import Path

import pytest

from nestos.cli import locks, main
from nestos.locks import settings
from nestos.locks.store import Store, Synchronous
from nestos.wire.fleetlock import Client
from tests.unit.locks.fakes import FakeClock


@pytest.fixture
def arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A database in which ``a`` holds the only slot of ``g`` and ``b`` waits; the options that lead to it."""
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("one\n")
    monkeypatch.setattr(locks, "_BOOT_ID", boot_id)
    monkeypatch.setattr(locks, "SystemClock", FakeClock)
    config = tmp_path / "locks.toml"
    config.write_text(f"[server]\ndatabase = '{tmp_path}/db'\n[group.g]\nslots = 1\nslotts = 1\n")
    found, _ = settings.parse(config.read_text(), source="x")
    store = Store(tmp_path / "db", settings=found, clock=FakeClock(), boot_id="one", synchronous=Synchronous.OFF)
    for name in "ab":
        store.take(Client(id=name, group="g"))
    return [f"--config={config}"]


def test_the_list_shows_holders_and_waiters(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.program(["locks", "list", *arguments]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [
        "g: 1 of 1 slots taken",
        "  a  since 2026-11-23T12:00:00Z  3600 s left",
        "  b  waits since 2026-11-23T12:00:00Z",
    ]
    assert 'did you mean "slots"' in said.err
    assert main.program(["locks", "list", "--json", *arguments]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [(item["id"], item["lost"]) for item in document["holders"]] == [("a", False)]


def test_a_slot_is_freed_and_the_history_tells(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main.program(["locks", "release", *arguments, "--reason=gone", "g", "a"]) == 0
    assert main.program(["locks", "release", *arguments, "g", "a"]) == 1
    assert "holds no slot" in capsys.readouterr().err
    assert main.program(["locks", "history", *arguments]) == 0
    assert "forced" in capsys.readouterr().out
    assert main.program(["locks", "history", "--json", *arguments]) == 0
    assert [item["event"] for item in json.loads(capsys.readouterr().out)] == ["taken", "forced"]


def test_a_configuration_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.program(["locks", "list", f"--config={tmp_path}/none.toml"]) == 2
    assert "none.toml" in capsys.readouterr().err
