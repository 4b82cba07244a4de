from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from nestos.agent import explain, service
from nestos.agent.identity import Identity
from nestos.agent.metrics import Metrics
from nestos.agent.orders import Hold
from nestos.agent.service import Service
from nestos.agent.settings import Settings, Strategy
from nestos.base.notify import Notifier
from nestos.base.paths import Root
from nestos.wire.fleetlock import Refusal
from tests.unit.agent.fakes import START, Bench, graph

WHO = Identity(node_uuid="ab", group="web", basearch="x86_64", platform="qemu", stream="stable")


class Ear(Notifier):
    """Keeps what systemd would hear."""

    def __init__(self) -> None:
        super().__init__({"WATCHDOG_USEC": "60000000"})
        self.heard: list[str] = []

    def tell(self, *lines: str) -> None:
        self.heard += lines


def serving(bench: Bench, ear: Ear | None = None) -> Service:
    return Service(
        engine=bench.engine, who=WHO, root=Root(bench.folder), clock=bench.clock, notifier=ear or Ear(), warnings=("w",)
    )


def settled(bench: Bench) -> dict[str, Any]:
    made = serving(bench)
    for _ in range(20):
        if made.step() > 5:
            break
    found: dict[str, Any] = json.loads((bench.folder / explain.STATUS.removeprefix("/")).read_text())
    return found


def test_every_waiting_state_says_what_until_when_who_and_what_to_do(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Settings(strategies=(Strategy.FLEET_LOCK,)))
    bench.locks.refusal = Refusal(kind="failed_lock", value="all taken", holders=("n1", "n2"))
    found = settled(bench)
    (wait,) = found["waits"]
    assert (wait["kind"], wait["holders"], wait["until"]) == ("lock", ["n1", "n2"], None)
    assert wait["since"] == "2026-11-23T12:00:00Z"
    assert "nestos locks list" in wait["remedy"]
    text = explain.text(found, now=START)
    for part in ("It waits: the lock server lends no slot: all taken", "held by   n1, n2", "nobody knows; asked again"):
        assert part in text


def test_since_when_is_kept_over_steps_and_crashes(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.orders.place_hold(Hold(who="ann", since=START, until=START + timedelta(days=2)))
    settled(bench)
    bench.clock.sleep(3600)
    bench.crash()
    (wait,) = settled(bench)["waits"]
    assert (wait["since"], wait["until"]) == ("2026-11-23T12:00:00Z", "2026-11-25T12:00:00Z")


def test_a_failure_is_explained_as_a_wait_for_the_next_attempt(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.driver.problem = "there is not enough room"
    bench.run(60)
    found = settled(bench)
    assert found["waits"][-1]["kind"] == "retry"
    text = explain.text(found, now=START)
    assert "after 1 failures it is tried again: there is not enough room" in text
    assert "Last failure: there is not enough room" in explain.status_text(found, now=START)


def test_what_is_left_out_and_dead_ends_are_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Settings(deny=("2",)))
    text = explain.text(settled(bench), now=START)
    assert "left out  2: it is on the list updates.deny" in text
    assert "Configuration: w" in text
    bench.updates.shown = graph("1", edges=(), deadends={"1": "no more kernels"})
    bench.crash()
    assert "dead end, and no update will lead on from it: no more kernels" in explain.text(settled(bench), now=START)


def test_an_agent_that_is_late_is_not_believed(tmp_path: Path) -> None:
    found = settled(Bench(tmp_path, shown=graph("1")))
    assert explain.lateness(found, now=START + timedelta(minutes=10)) == ""
    assert "does it run?" in explain.text(found, now=START + timedelta(hours=1))
    assert "does it run?" in explain.status_text(found, now=START + timedelta(hours=1))


def test_systemd_hears_that_it_lives_and_what_it_does(tmp_path: Path) -> None:
    ear = Ear()
    made = serving(Bench(tmp_path, shown=graph("1")), ear)
    for _ in range(4):
        made.step()
    assert ear.heard.count("WATCHDOG=1") == 4
    assert ear.heard[-1] == "STATUS=idle: asking the update server"
    assert ear.watchdog_seconds == 60


def test_without_a_folder_for_it_the_agent_goes_on_without_a_view(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file")
    bench = Bench(tmp_path)
    made = serving(bench)
    for _ in range(10):
        made.step()
    assert bench.driver.restarts >= 1


def test_an_agent_that_does_not_run_is_not_woken(tmp_path: Path) -> None:
    assert not service.wake(Root(tmp_path))


def test_metrics_are_prometheus_text() -> None:
    metrics = Metrics()
    metrics.count("zincati_cincinnati_update_checks_errors_total", kind='a"b')
    metrics.count("zincati_cincinnati_update_checks_errors_total", kind='a"b')
    metrics.set("process_start_time_seconds", 1700000000)
    metrics.set_only("nestos_agent_state", "state", ["idle"])
    metrics.set_only("nestos_agent_state", "state", ["staged"])
    lines = metrics.text().splitlines()
    assert 'zincati_cincinnati_update_checks_errors_total{kind="a\\"b"} 2' in lines
    assert "process_start_time_seconds 1700000000" in lines
    assert [line for line in lines if line.startswith("nestos_agent_state")] == ['nestos_agent_state{state="staged"} 1']
    assert "# TYPE zincati_cincinnati_update_checks_errors_total counter" in lines
    with pytest.raises(KeyError):
        metrics.count("zincati_typo")
