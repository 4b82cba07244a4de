from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nestos.agent import explain, memory, orders, service
from nestos.agent.memory import MemoryFile
from nestos.agent.orders import OrderBook
from nestos.agent.settings import Settings, Strategy
from nestos.base.errors import InputError
from nestos.base.paths import Root
from nestos.cli import agent
from tests.unit.agent.fakes import FakeClock
from tests.unit.agent.test_service import WHO

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    (tmp_path / "var/lib/nestos").mkdir(parents=True)
    return Root(tmp_path)


def say(root: Root, **changes: object) -> None:
    """What the agent left for everyone."""
    document = {
        "state": "idle",
        "doing": "asking the update server",
        "since": "",
        "booted": {"version": "1", "commit": "c1"},
        "release": None,
        "waits": [],
        "next_step": "2026-11-23T12:05:00Z",
        "written": "2026-11-23T12:00:00Z",
        "last_check": "2026-11-23T12:00:00Z",
        "verdict": "the update server offers nothing newer to this node",
        "ignored": {},
        "deadend": "",
        "problem": "",
        "abandoned": [],
        "strategies": ["immediate"],
        "group": "default",
        "warnings": [],
    } | changes
    path = root.join(explain.STATUS)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))


def test_status_and_explain_speak_to_people_and_programs(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    say(root)
    assert agent.main(["status"], root=root) == 0
    assert "Agent: idle: asking the update server" in capsys.readouterr().out
    assert agent.main(["explain"], root=root) == 0
    assert "offers nothing newer" in capsys.readouterr().out
    for command in ("status", "explain"):
        assert agent.main([command, "--json"], root=root) == 0
        assert json.loads(capsys.readouterr().out)["state"] == "idle"


def test_an_agent_that_never_spoke_is_explained_by_its_configuration(
    root: Root, capsys: pytest.CaptureFixture[str]
) -> None:
    assert agent.main(["explain"], root=root) == 1
    assert "systemctl status nestos-agent" in capsys.readouterr().err
    path = root.join("/etc/nestos/agent.d/50.toml")
    path.parent.mkdir(parents=True)
    path.write_text("[updates]\nenabled = 3\n")
    assert agent.main(["explain"], root=root) == 2
    assert "neither true nor false" in capsys.readouterr().err


def test_orders_are_written_whether_the_agent_runs_or_not(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    book = OrderBook(root.join(orders.FOLDER))
    assert agent.main(["hold", "--for=2d", "--reason=sales"], root=root) == 0
    assert "it will see this when it starts" in capsys.readouterr().out
    hold = book.read().hold
    assert hold is not None
    assert (hold.reason, hold.until is not None and hold.until - hold.since) == ("sales", timedelta(days=2))
    assert agent.main(["apply", "--now", "2"], root=root) == 0
    approval = book.read().approval
    assert approval is not None
    assert (approval.version, approval.skips_windows) == ("2", True)
    assert agent.main(["release"], root=root) == 0
    assert agent.main(["release"], root=root) == 77
    assert agent.main(["check"], root=root) == 0
    assert book.read().check is not None


def test_only_root_gives_orders(
    root: Root, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "access", lambda _path, _mode: False)
    for command in (["hold"], ["release"], ["apply"], ["check"]):
        assert agent.main(command, root=root) == 1
        assert "use sudo" in capsys.readouterr().err


def test_the_history_is_told(root: Root, capsys: pytest.CaptureFixture[str]) -> None:
    MemoryFile(root.join(memory.FOLDER)).note(time="t", event="failed", version="2", detail="no room")
    assert agent.main(["history"], root=root) == 0
    assert capsys.readouterr().out == "t  failed     2  no room\n"
    assert agent.main(["history", "--json"], root=root) == 0
    assert json.loads(capsys.readouterr().out)[0]["event"] == "failed"


def test_a_check_waits_for_the_answer(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "wake", lambda _root: True)
    say(root)
    found = agent.wait_for_check(root, asked=NOW, clock=FakeClock())
    assert found is not None
    assert agent.wait_for_check(root, asked=NOW + timedelta(hours=1), clock=FakeClock()) is None
    say(root, problem="gone", last_check="")
    assert agent.wait_for_check(root, asked=NOW, clock=FakeClock()) is not None


@pytest.mark.parametrize(("text", "seconds"), [("45m", 2700), ("12h", 43200), ("2d", 172800), ("1w", 604800)])
def test_spans_of_time_are_read(text: str, seconds: int) -> None:
    assert agent.span(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "2", "d", "0d", "-1d", "2.5h", "2y"])
def test_other_spans_are_refused(text: str) -> None:
    with pytest.raises(InputError):
        agent.span(text)


def test_a_marker_file_counts_only_if_not_everyone_may_write_it(tmp_path: Path) -> None:
    path = tmp_path / "allow.json"
    assert agent.marker(path) is None
    path.write_text("{}")
    path.chmod(0o644)
    assert agent.marker(path) == "{}"
    path.chmod(0o646)
    assert agent.marker(path) is None
    (tmp_path / "link").symlink_to(path)
    assert agent.marker(tmp_path / "link") is None
    assert agent.marker(tmp_path) is None


def test_who_this_node_is_comes_from_its_files(root: Root) -> None:
    for name, text in {
        "etc/machine-id": "ad432f2cb0c28bbcd1f87a20199237f9\n",
        "proc/cmdline": "ignition.platform.id=aws\n",
    }.items():
        root.join(name).parent.mkdir(parents=True, exist_ok=True)
        root.join(name).write_text(text)
    who = agent.identify(root, Settings(group="web"), ref="nestos/x86_64/next")
    assert (who.node_uuid, who.platform, who.stream, who.group) == (
        "8121764139b84941ba5ccb83ccae1f98",
        "aws",
        "next",
        "web",
    )


def test_metrics_tell_the_settings() -> None:
    chosen = Settings(strategies=(Strategy.PERIODIC, Strategy.FLEET_LOCK))
    metrics = agent.measured(chosen, WHO, version="1", now=NOW)
    assert metrics.value("zincati_updates_strategy_mode", strategy="fleet_lock") == 1
    assert (
        'zincati_identity_os_info{basearch="x86_64",os_version="1",platform="qemu",stream="stable"} 1' in metrics.text()
    )
