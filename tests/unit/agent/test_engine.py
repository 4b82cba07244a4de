from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from nestos.agent.calendar import Blackout, Calendar, Window
from nestos.agent.driver import NodeStatus
from nestos.agent.machine import State
from nestos.agent.memory import Memory, MemoryFile
from nestos.agent.orders import Approval, Hold
from nestos.agent.settings import Restart, Settings, Strategy
from nestos.base.errors import InputError, NestosError, NetworkError, StateError
from nestos.wire.fleetlock import Api, Refusal
from tests.unit.agent.fakes import START, Bench, graph, payload, write_text

DAY = 86400.0
LOCKED = Settings(strategies=(Strategy.FLEET_LOCK,))
FULL = Refusal(kind="failed_lock", value="all slots are taken", holders=("other",), retry_after_seconds=60)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


# The way of an update


def test_a_release_is_taken_restarted_into_and_accounted_for(bench: Bench) -> None:
    assert bench.settle() is State.RESTARTING
    assert (bench.driver.restarts, bench.driver.staged) == (1, ["2"])
    bench.reboot()
    assert bench.settle() is State.IDLE
    assert bench.driver.booted == "2"
    assert bench.history() == [("staged", "2"), ("updated", "2")]
    assert bench.engine.memory.release is None


def test_without_anything_newer_the_agent_asks_again_and_again(bench: Bench) -> None:
    bench.updates.shown = graph("1")
    assert bench.run(3600) is State.IDLE
    assert 10 <= bench.updates.asked <= 13
    assert bench.file.history() == []


def test_a_disabled_agent_does_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Settings(enabled=False))
    assert bench.run(DAY) is State.DISABLED
    assert (bench.updates.asked, bench.driver.staged) == (0, [])


def test_a_release_that_fails_here_is_not_taken_twice(bench: Bench) -> None:
    bench.driver.boots_badly = {"2"}
    bench.settle()
    bench.reboot()
    assert bench.run(3 * DAY) is State.IDLE
    assert (bench.driver.booted, bench.driver.restarts) == ("1", 1)
    assert bench.history() == [("staged", "2"), ("abandoned", "2")]
    assert "health check web" in bench.engine.memory.verdict


def test_a_restart_that_leads_nowhere_is_not_repeated_for_ever(bench: Bench) -> None:
    """The boot loader starts the old slot although the new one is neither bad nor denied."""
    for _ in range(6):
        bench.settle()
        if bench.engine.memory.state is not State.RESTARTING:
            break
        bench.clock.sleep(90)
        bench.driver.boot += 1
        bench.crash()
    assert bench.driver.restarts == 3
    assert bench.run(DAY / 2) is State.IDLE
    assert (bench.driver.restarts, bench.driver.pending) == (3, "")


def test_a_newer_release_takes_the_place_of_a_staged_one(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.locks.refusal = FULL
    assert bench.settle() is State.STAGED
    bench.updates.shown = graph("1", "2", "3")
    assert bench.run(600) is State.STAGED
    assert (bench.driver.staged, bench.driver.pending) == (["2", "3"], "3")


def test_a_staged_release_that_is_withdrawn_does_not_boot(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.locks.refusal = FULL
    bench.settle()
    bench.updates.shown = graph("1", "2", edges=())
    assert bench.run(600) is State.IDLE
    assert bench.driver.pending == ""
    assert bench.history()[-1] == ("withdrawn", "2")


def test_a_server_that_gives_no_answer_does_not_undo_what_is_staged(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.locks.refusal = FULL
    bench.settle()
    bench.updates.error = NetworkError("gone", kind="client_failed_request")
    assert bench.run(DAY) is State.STAGED
    assert bench.driver.pending == "2"


def test_what_a_person_undid_is_left_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.locks.refusal = FULL
    bench.settle()
    bench.driver.drop()
    assert bench.run(DAY / 2) is State.IDLE
    assert bench.driver.staged == ["2"]
    bench.run(DAY)
    assert bench.driver.staged == ["2", "2"]


# Trouble: the state that each ends in


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(NetworkError("refused", kind="client_failed_request"), id="gone"),
        pytest.param(NetworkError("Name or service not known", kind="client_failed_request"), id="no name"),
        pytest.param(NetworkError("no whole answer in time", kind="client_failed_request"), id="drips"),
        pytest.param(NetworkError("status 503", kind="generic_http_503"), id="overloaded"),
        pytest.param(InputError("no JSON", kind="client_failed_json_decoding"), id="talks nonsense"),
    ],
)
def test_a_server_in_trouble_is_asked_less_often_and_answered_when_it_is_back(bench: Bench, error: NestosError) -> None:
    bench.updates.error = error
    assert bench.run(DAY) is State.IDLE
    assert 24 <= bench.updates.asked <= 40
    assert (bench.kinds(), bench.engine.memory.failures) == (["server"], bench.updates.asked)
    assert bench.metrics.value("zincati_cincinnati_update_checks_errors_total", kind=error.kind) > 20
    bench.updates.error = None
    bench.run(4000)
    assert bench.driver.restarts >= 1


def test_a_back_off_outlives_the_agent(bench: Bench) -> None:
    bench.updates.error = NetworkError("gone")
    bench.run(DAY)
    asked = bench.updates.asked
    for _ in range(20):
        bench.crash()
        bench.run(30)
    assert bench.updates.asked <= asked + 1 + 20  # a start reports and asks once at most


def test_an_order_to_look_now_ends_a_back_off(bench: Bench) -> None:
    bench.updates.error = NetworkError("gone")
    bench.run(DAY)
    bench.updates.error = None
    bench.orders.ask_to_check(bench.clock.now() + timedelta(seconds=1))
    bench.settle()
    assert bench.driver.restarts == 1


def test_a_transaction_that_fails_is_tried_less_often_and_given_up_for_a_day(bench: Bench) -> None:
    bench.driver.problem = "there is not enough room"
    assert bench.run(7200) is State.AVAILABLE
    assert bench.engine.memory.problem == "there is not enough room"
    assert 4 <= bench.engine.memory.stage_failures <= 6
    bench.run(3 * DAY)
    assert bench.engine.memory.attempt <= 20
    assert ("abandoned", "2") in bench.history()
    bench.driver.problem = ""
    bench.run(2 * DAY)
    assert bench.driver.restarts >= 1


def test_a_transaction_that_ends_without_a_word_has_failed(bench: Bench) -> None:
    bench.driver.is_silent = True
    assert bench.run(60) is State.AVAILABLE
    assert "without a word" in bench.engine.memory.problem


def test_a_transaction_in_progress_is_waited_for(bench: Bench) -> None:
    bench.driver.is_slow = True
    assert bench.run(600) is State.STAGING
    assert bench.kinds() == ["transaction"]
    bench.crash()
    assert bench.run(60) is State.STAGING
    bench.driver.finish_staging()
    assert bench.run(60) is State.RESTARTING
    assert bench.driver.staged == ["2"]


def test_a_refused_restart_gives_the_lock_back_and_is_tried_later(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.driver.is_refusing = True
    assert bench.settle() is State.STAGED
    assert not bench.is_locked()
    assert "an inhibitor blocks it" in bench.engine.memory.problem
    bench.driver.is_refusing = False
    bench.run(600)
    assert bench.driver.restarts >= 1


class FullDisk(MemoryFile):
    is_full = False

    def write(self, memory: Memory) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")
        super().write(memory)


def test_on_a_full_disk_nothing_is_restarted_and_everything_goes_on_later(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.file = disk = FullDisk(tmp_path, write_text=write_text)
    bench.locks.refusal = FULL
    bench.crash()
    assert bench.settle() is State.STAGED
    bench.locks.refusal = None
    disk.is_full = True
    assert bench.run(DAY) is State.STAGED
    assert bench.driver.restarts == 0
    assert "No space left" in bench.engine.memory.problem
    disk.is_full = False
    bench.run(600)
    assert bench.driver.restarts >= 1


@pytest.mark.parametrize("days", [-20 * 365, -1, 1, 20 * 365])
def test_a_clock_that_was_set_holds_nothing_up(bench: Bench, days: int) -> None:
    bench.updates.error = NetworkError("gone")
    bench.run(DAY)
    bench.clock.wall += timedelta(days=days)
    bench.updates.error = None
    bench.run(7200)
    assert bench.driver.restarts >= 1


def test_a_clock_that_was_far_ahead_leaves_nothing_behind(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Settings(strategies=(Strategy.MANUAL,), soak_seconds=int(DAY)))
    bench.clock.wall += timedelta(days=20 * 365)
    bench.run(600)
    bench.driver.problem = "no room"
    bench.orders.approve(Approval(who="ann", since=bench.clock.now()))
    bench.run(2 * DAY)
    assert bench.engine.memory.abandoned
    bench.clock.wall, bench.driver.problem = START, ""
    bench.orders.withdraw_approval()
    assert bench.run(2 * DAY) is State.AVAILABLE
    assert bench.kinds() == ["approval"]
    bench.orders.approve(Approval(who="ann", since=bench.clock.now()))
    assert bench.run(600) is State.RESTARTING


def test_a_release_goes_on_soaking_while_its_rollout_pauses(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Settings(soak_seconds=int(3 * DAY)))
    bench.run(DAY)
    bench.updates.shown = graph("1", "2", edges=())
    assert bench.run(DAY) is State.IDLE
    bench.updates.shown = graph("1", "2")
    assert bench.run(DAY + 3600) is State.RESTARTING


def test_a_node_whose_status_is_not_known_waits_for_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> NodeStatus:
        raise StateError("what runs here is not known yet")

    monkeypatch.setattr(bench.driver, "look", unknown)
    assert bench.run(600) is State.START
    assert "not known yet" in bench.engine.memory.problem


# What has to allow it


def test_a_lock_that_is_taken_is_asked_for_again_as_the_server_wishes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.locks.refusal = FULL
    assert bench.run(3600) is State.STAGED
    assert 55 <= bench.locks.asked.count(Api.PRE_REBOOT) <= 70
    assert (bench.kinds(), bench.engine.waits[0].holders) == (["lock"], ("other",))
    bench.locks.refusal = None
    bench.run(120)
    assert bench.driver.restarts >= 1


def test_the_lock_is_given_back_after_the_restart(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.settle()
    assert bench.is_locked()
    bench.reboot()
    bench.settle()
    assert not bench.is_locked()


def test_a_node_is_not_updated_before_its_slot_is_taken_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.settle()
    bench.reboot()
    bench.locks.is_gone = True
    bench.updates.shown = graph("1", "2", "3")
    assert bench.run(DAY) is State.UNREPORTED
    assert bench.kinds() == ["server"]
    bench.locks.is_gone = False
    bench.run(1200)
    assert bench.driver.staged == ["2", "3"]


def test_a_grant_whose_answer_was_lost_is_asked_for_again(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.locks.refusal = FULL
    bench.settle()
    bench.locks.refusal, bench.locks.loses_answers = None, True
    assert bench.run(600) is State.STAGED
    assert bench.engine.memory.holds_lock
    bench.locks.loses_answers = False
    bench.run(600)
    assert bench.driver.restarts >= 1


def test_a_slot_that_was_lost_while_people_took_their_time_is_not_used(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.people.names = ("ann",)
    assert bench.settle() is State.LEAVING
    bench.locks.refusal, bench.locks.is_held = FULL, False
    bench.people.names = ()
    bench.clock.sleep(60)
    assert bench.settle() is State.STAGED
    assert bench.driver.restarts == 0
    bench.locks.refusal = None
    bench.run(600)
    assert bench.driver.restarts >= 1
    assert bench.is_locked()


def test_a_lock_that_came_too_late_for_the_window_is_given_back(tmp_path: Path) -> None:
    window = Window(day=0, start=time(12), length_minutes=30)
    both = Settings(strategies=(Strategy.PERIODIC, Strategy.FLEET_LOCK), calendar=Calendar(windows=(window,)))
    bench = Bench(tmp_path, both)
    bench.people.names = ("ann",)
    bench.set(postponements=100)
    assert bench.run(600) is State.LEAVING
    assert bench.is_locked()
    assert bench.run(3600) is State.STAGED
    assert not bench.is_locked()
    assert bench.kinds() == ["window"]
    assert bench.engine.waits[0].until == datetime(2026, 11, 30, 12, tzinfo=UTC)


def test_the_lock_is_not_asked_for_outside_of_the_window(tmp_path: Path) -> None:
    window = Window(day=1, start=time(3), length_minutes=60)
    both = Settings(strategies=(Strategy.FLEET_LOCK, Strategy.PERIODIC), calendar=Calendar(windows=(window,)))
    bench = Bench(tmp_path, both)
    assert bench.run(10 * 3600) is State.STAGED
    assert Api.PRE_REBOOT not in bench.locks.asked
    assert bench.run(6 * 3600) is State.RESTARTING


def test_people_who_are_logged_in_are_told_twice_and_then_it_happens(bench: Bench) -> None:
    bench.people.names = ("ann",)
    assert bench.settle() is State.LEAVING
    assert bench.kinds() == ["people"]
    assert bench.run(10 * 60 + 5) is State.RESTARTING
    assert [message.split(" in ")[1].split(",")[0] for message in bench.people.told] == ["10 minutes", "60 seconds"]
    assert bench.metrics.value("zincati_update_agent_postponed_finalizations_total") == 10


def test_when_everybody_has_left_it_happens_at_once(bench: Bench) -> None:
    bench.people.names = ("ann",)
    bench.settle()
    bench.people.names = ()
    bench.clock.sleep(60)
    assert bench.settle() is State.RESTARTING


def test_a_hold_stops_everything_until_it_ends(bench: Bench) -> None:
    bench.orders.place_hold(Hold(who="ann", since=START, reason="sales", until=START + timedelta(hours=5)))
    assert bench.run(4 * 3600) is State.AVAILABLE
    assert (bench.kinds(), bench.engine.waits[0].holders) == (["hold"], ("ann",))
    bench.run(2 * 3600)
    assert bench.driver.restarts >= 1


def test_a_hold_and_a_black_out_count_for_what_is_staged_too(tmp_path: Path) -> None:
    dark = Blackout(start=datetime(2026, 11, 23, 13), end=datetime(2026, 11, 23, 15))
    bench = Bench(tmp_path, replace(LOCKED, calendar=Calendar(blackouts=(dark,))))
    bench.locks.refusal = FULL
    bench.settle()
    bench.locks.refusal = None
    bench.orders.place_hold(Hold(who="ann", since=START))
    assert bench.run(1800) is State.STAGED
    assert bench.kinds() == ["hold"]
    bench.clock.wall = START + timedelta(hours=1, minutes=10)
    bench.orders.end_hold()
    assert bench.run(3600) is State.STAGED
    assert bench.kinds() == ["blackout"]
    bench.run(3600)
    assert bench.driver.restarts >= 1


def test_a_damaged_hold_holds(bench: Bench) -> None:
    (bench.folder / "orders").mkdir()
    (bench.folder / "orders/hold.json").write_text('{"who": "a')
    assert bench.run(3600) is State.AVAILABLE
    assert bench.kinds() == ["hold"]
    bench.orders.end_hold()
    bench.run(600)
    assert bench.driver.restarts >= 1


def test_manual_updates_wait_for_the_approval_of_that_version(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Settings(strategies=(Strategy.MANUAL,)))
    assert bench.run(DAY) is State.AVAILABLE
    assert bench.kinds() == ["approval"]
    bench.orders.approve(Approval(who="ann", since=bench.clock.now(), version="7"))
    assert bench.run(600) is State.AVAILABLE
    bench.orders.approve(Approval(who="ann", since=bench.clock.now(), version="2"))
    assert bench.run(600) is State.RESTARTING


def test_an_approval_of_whatever_is_next_counts_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Settings(strategies=(Strategy.MANUAL,)))
    bench.orders.approve(Approval(who="ann", since=bench.clock.now()))
    bench.run(600)
    bench.reboot()
    bench.updates.shown = graph("1", "2", "3")
    assert bench.run(DAY) is State.AVAILABLE
    assert bench.kinds() == ["approval"]


def test_an_approval_for_now_does_not_wait_for_windows_or_people(tmp_path: Path) -> None:
    window = Window(day=4, start=time(3), length_minutes=60)
    bench = Bench(tmp_path, Settings(strategies=(Strategy.PERIODIC,), calendar=Calendar(windows=(window,))))
    bench.people.names = ("ann",)
    assert bench.settle() is State.STAGED
    bench.orders.approve(Approval(who="ann", since=bench.clock.now(), skips_windows=True))
    assert bench.settle() is State.RESTARTING


def test_an_approval_for_now_passes_over_a_black_out(tmp_path: Path) -> None:
    dark = Blackout(start=datetime(2026, 11, 20), end=datetime(2026, 11, 27))
    bench = Bench(tmp_path, Settings(calendar=Calendar(blackouts=(dark,))))
    assert bench.settle() is State.AVAILABLE
    bench.orders.approve(Approval(who="ann", since=bench.clock.now()))
    assert bench.settle() is State.AVAILABLE
    bench.orders.approve(Approval(who="ann", since=bench.clock.now(), skips_windows=True))
    assert bench.settle() is State.RESTARTING


def test_a_release_soaks_and_a_younger_one_does_not_push_it_out(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Settings(soak_seconds=int(7 * DAY)))
    assert bench.run(5 * DAY) is State.AVAILABLE
    assert bench.kinds() == ["soak"]
    bench.updates.shown = graph("1", "2", "3")
    bench.run(2 * DAY + 3600)
    assert bench.driver.staged == ["2"]
    bench.reboot()
    bench.run(5 * DAY)
    assert bench.driver.staged == ["2", "3"]


def test_what_is_staged_does_not_give_way_to_what_has_to_soak(tmp_path: Path) -> None:
    bench = Bench(tmp_path, replace(LOCKED, soak_seconds=int(DAY)))
    bench.locks.refusal = FULL
    assert bench.run(DAY + 3600) is State.STAGED
    bench.updates.shown = graph("1", "2", "3")
    bench.run(DAY / 2)
    assert bench.driver.pending == "2"
    bench.run(DAY)
    assert bench.driver.pending == "3"


def test_a_hold_does_not_undo_what_is_staged_when_something_newer_comes(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.locks.refusal = FULL
    bench.settle()
    bench.orders.place_hold(Hold(who="ann", since=START))
    bench.updates.shown = graph("1", "2", "3")
    assert bench.run(3600) is State.STAGED
    assert bench.driver.pending == "2"


def test_a_staged_release_that_is_withdrawn_for_one_that_soaks_does_not_boot(tmp_path: Path) -> None:
    bench = Bench(tmp_path, replace(LOCKED, soak_seconds=int(DAY)))
    bench.locks.refusal = FULL
    bench.run(DAY + 3600)
    bench.updates.shown = graph("1", "2", "3", edges=(("1", "3"),))
    assert bench.run(3600) is State.AVAILABLE
    assert bench.driver.pending == ""


def test_black_outs_keep_a_release_out_of_its_slot(tmp_path: Path) -> None:
    dark = Blackout(start=datetime(2026, 11, 20), end=datetime(2026, 11, 27), reason="sales")
    bench = Bench(tmp_path, Settings(calendar=Calendar(blackouts=(dark,))))
    assert bench.run(3 * DAY) is State.AVAILABLE
    assert bench.kinds() == ["blackout"]
    assert bench.engine.waits[0].until is not None
    assert bench.engine.waits[0].until.date() == date(2026, 11, 27)
    assert bench.run(DAY) is State.RESTARTING


def test_a_marker_file_allows_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Settings(strategies=(Strategy.MARKER_FILE,)))
    assert bench.run(DAY) is State.STAGED
    assert bench.kinds() == ["marker-file"]
    bench.marker = "{}"
    assert bench.run(600) is State.RESTARTING


def test_the_operator_restarts_if_that_is_wished(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Settings(restart=Restart.NEXT))
    assert bench.run(5 * DAY) is State.STAGED
    assert bench.kinds() == ["operator"]
    bench.reboot()
    assert bench.settle() is State.IDLE
    assert bench.history() == [("staged", "2"), ("updated", "2")]


def test_a_pinned_node_goes_no_further(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Settings(pin="2"), shown=graph("1", "2", "3"))
    bench.settle()
    bench.reboot()
    assert bench.run(DAY) is State.IDLE
    assert bench.driver.booted == "2"
    assert "updates.pin" in bench.engine.ignored["3"]


def test_a_clock_before_the_running_release_opens_no_window(tmp_path: Path) -> None:
    window = Window(day=0, start=time(0), length_minutes=7 * 1440)
    bench = Bench(tmp_path, Settings(strategies=(Strategy.PERIODIC,), calendar=Calendar(windows=(window,))))
    bench.clock.wall = datetime(1970, 1, 2, tzinfo=UTC)
    assert bench.run(3600) is State.STAGED
    assert bench.kinds() == ["clock"]
    bench.clock.wall = START
    assert bench.run(600) is State.RESTARTING


# Crashes


WRITES = 13
"""As many as an undisturbed update makes, with its restart."""


class Cut(BaseException):
    """The power is cut."""


class CutFile(MemoryFile):
    """Cuts the power at the write of the given number, before or after it."""

    def __init__(self, folder: Path, *, at: int, is_written: bool) -> None:
        super().__init__(folder, write_text=write_text)
        self.left, self.is_written = at, is_written

    def write(self, memory: Memory) -> None:
        self.left -= 1
        if self.left == 0 and not self.is_written:
            raise Cut
        super().write(memory)
        if self.left == 0:
            raise Cut


@pytest.mark.parametrize("power", ["process", "machine"])
@pytest.mark.parametrize("is_written", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(1, WRITES + 1))
def test_wherever_it_is_cut_off_the_update_is_made_and_the_lock_given_back(
    tmp_path: Path, at: int, is_written: bool, power: str
) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.file = CutFile(tmp_path, at=at, is_written=is_written)
    bench.crash()
    cuts = 0
    for _ in range(12):
        try:
            bench.run(400)
        except Cut:
            cuts += 1
            if power == "machine":
                bench.driver.restart_now()
            bench.crash()
        if bench.driver.restarts and bench.engine.memory.state is State.RESTARTING:
            assert bench.is_locked(), "the node restarts without the lock"
            bench.reboot()
    assert cuts == 1
    assert (bench.driver.booted, bench.is_locked()) == ("2", False)
    assert bench.engine.memory.state is State.IDLE
    assert bench.driver.staged.count("2") <= 2


def test_the_cuts_above_reach_every_write_of_an_update(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.file = file = CutFile(tmp_path, at=1000, is_written=True)
    bench.crash()
    bench.run(400)
    bench.reboot()
    bench.run(400)
    assert (bench.driver.booted, 1000 - file.left) == ("2", WRITES)


def test_an_agent_that_is_started_again_while_the_node_goes_down_keeps_the_lock(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.settle()
    bench.crash()
    assert bench.settle() is State.RESTARTING
    assert bench.is_locked()
    assert Api.STEADY_STATE not in bench.locks.asked[1:]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2}', '{"schema": 1, "state": "x"}'])
def test_a_damaged_memory_is_begun_anew(bench: Bench, text: str) -> None:
    (bench.folder / "state.json").write_text(text)
    bench.crash()
    assert bench.settle() is State.RESTARTING
    assert bench.driver.look().pending_commit == payload("2")


def test_a_staged_release_that_is_withdrawn_does_not_boot_though_its_successor_cannot_be_staged(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Settings(strategies=(Strategy.MARKER_FILE,)), shown=graph("1", "2"))
    assert bench.settle() is State.STAGED
    bench.updates.shown = graph("1", "3")
    bench.driver.problem = "no room"
    bench.run(400)
    assert bench.driver.pending == ""


def test_a_withdrawn_release_that_could_not_be_dropped_is_not_restarted_into(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Settings(strategies=(Strategy.MARKER_FILE,)), shown=graph("1", "2"))
    assert bench.settle() is State.STAGED
    bench.updates.shown = graph("1")
    bench.driver.is_undroppable = True
    bench.run(400)
    assert "another transaction runs" in bench.engine.memory.problem
    bench.marker = "{}"
    bench.run(3000)
    assert bench.driver.restarts == 0
    bench.driver.is_undroppable = False
    bench.run(1000)
    assert (bench.driver.pending, bench.engine.memory.state) == ("", State.IDLE)


def test_a_step_that_fails_gives_the_slot_back_says_why_and_waits_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.people.names = ("anna",)
    assert bench.settle() is State.LEAVING
    assert bench.is_locked()
    monkeypatch.setattr(bench.driver, "look", _unknown)
    pauses = [bench.engine.step() for _ in range(6)]
    assert not bench.is_locked()
    assert bench.kinds() == ["retry"]
    assert "nestos status" in bench.engine.waits[0].what
    assert 60 <= pauses[0] < pauses[2] < pauses[-1] <= 660
    monkeypatch.undo()
    bench.settle()
    assert bench.engine.memory.problem == ""


def test_an_agent_that_is_disabled_while_it_holds_a_slot_gives_it_back(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.people.names = ("anna",)
    assert bench.settle() is State.LEAVING
    bench.locks.is_gone = True
    bench.set(enabled=False)
    bench.settle()
    assert bench.is_locked()
    bench.locks.is_gone = False
    assert bench.run(120) is State.DISABLED
    assert not bench.is_locked()


def test_a_lease_is_renewed_while_people_take_their_time(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.people.names = ("anna",)
    bench.settle()
    before = len(bench.locks.asked)
    bench.run(300)
    assert bench.locks.asked[before:].count(Api.PRE_REBOOT) >= 4


def test_a_restart_that_did_not_happen_is_not_counted(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.driver.is_refusing = True
    bench.run(6 * 3600)
    assert bench.engine.memory.restarts == 0
    bench.driver.is_refusing = False
    bench.run(2 * 3600)
    assert bench.driver.restarts >= 1
    assert bench.engine.memory.restarts == 1


def test_a_lock_server_does_not_put_the_agent_off_for_long(tmp_path: Path) -> None:
    bench = Bench(tmp_path, LOCKED)
    bench.locks.refusal = Refusal(kind="failed_lock", value="full", retry_after_seconds=10**400)
    bench.settle()
    assert bench.engine.step() <= 660


def _unknown() -> NodeStatus:
    raise StateError("what runs here is not known yet: nestos status")
