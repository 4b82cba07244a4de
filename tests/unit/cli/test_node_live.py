from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import StateError
from nestos.cli import node_packages
from nestos.deploy import change, live, upgrade
from nestos.deploy.live_changes import LiveChanges
from tests.unit.cli.test_node_packages import Bench


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    made_bench = Bench(tmp_path, capsys)
    for module in (change, upgrade, node_packages):
        monkeypatch.setattr(module, "backend_of", lambda _: made_bench.packages)
    return made_bench


def test_a_package_is_had_at_once_where_that_was_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    found = LiveChanges(problems=(), files=("/usr/etc/h",), etc=("/usr/etc/h",), units=("h.service",))
    monkeypatch.setattr(live, "apply", lambda *_, **__: found)
    status, out, _ = bench.compatible("install", "-A", "htop")
    assert status == 0
    assert "1 is in slot b and boots next" in out
    assert "1 files and folders" in out
    assert "/etc/h\n" in out
    assert "not started: h.service" in out


def test_what_needs_a_restart_stays_staged_and_ends_with_an_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> LiveChanges:
        raise StateError("this needs a restart:\n  /usr/bin/less changes", kind="restart")

    monkeypatch.setattr(live, "apply", refuse)
    status, _, error = bench("install", "--apply-live", "htop")
    assert (status, "/usr/bin/less changes" in error) == (1, True)
    assert bench.machine.state.pending is not None


def test_a_dry_run_says_what_would_come_or_what_needs_a_restart(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "plan", lambda _: LiveChanges(problems=("the package a is removed",)))
    assert bench("apply-live", "--dry-run")[1] == "needs a restart: the package a is removed\n"
    monkeypatch.setattr(live, "plan", lambda _: LiveChanges(problems=(), files=("/usr/bin/a",)))
    assert bench("apply-live", "--dry-run")[1] == "/usr/bin/a\n"


def test_nothing_staged_is_an_error_and_nothing_live_is_none(bench: Bench) -> None:
    assert "nothing is staged" in bench("apply-live")[2]
    assert bench("apply-live", "--reset")[1] == "nothing is live\n"


@pytest.mark.parametrize(
    "words", [("apply-live", "--allow-replacement"), ("usroverlay", "--hotfix")], ids=lambda it: it[0]
)
def test_what_a_verified_slot_cannot_do_is_refused_with_its_reason(bench: Bench, words: tuple[str, ...]) -> None:
    status, _, error = bench.compatible(*words)
    assert (status, len(error.splitlines())) == (2, 2)
    assert not bench.server.ran("mount", "/usr")


def test_usr_becomes_writable(bench: Bench) -> None:
    assert "gone after the restart" in bench.compatible("usroverlay")[1]
    assert bench.server.ran("mount", "nestos-usroverlay", "/usr")
