from __future__ import annotations

from pathlib import Path

import pytest

from nestos.deploy.records import BootFailure, Cause, Denial, Event, Record, Records, Running


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "state")


def _record(version: str, *, time: str = "t", detail: str = "") -> Record:
    return Record(time=time, event=Event.FAILED, slot="b", version=version, commit=f"c{version}", detail=detail)


def _failure(slot: str, *, boot_id: str, reason: str) -> BootFailure:
    return BootFailure(slot=slot, version="2", boot_id=boot_id, cause=Cause.HEALTH, reason=reason, time="t")


def test_history_comes_back_in_order(records: Records) -> None:
    records.remember(_record("1"))
    records.remember(_record("2"))
    assert [record.version for record in records.history()] == ["1", "2"]


def test_a_step_that_ran_twice_is_told_once(records: Records) -> None:
    records.remember(_record("1", time="early"))
    records.remember(_record("1", time="late"))
    assert [record.time for record in records.history()] == ["early"]


def test_a_torn_line_of_history_is_left_out(records: Records, tmp_path: Path) -> None:
    records.remember(_record("1"))
    with (tmp_path / "state/history.jsonl").open("a") as file:
        file.write('{"time": "t", "event": "no such"}\n[]\n{"time": "t", "ev')
    assert [record.version for record in records.history()] == ["1"]


def test_the_reason_of_a_slot_is_that_of_its_own_release(records: Records) -> None:
    records.remember(_record("1", detail="old"))
    records.remember(_record("2", detail="panic"))
    assert records.reason_of(slot="b", commit="c2") == "panic"
    assert records.reason_of(slot="b", commit="c1") == "old"
    assert records.reason_of(slot="a", commit="c2") == ""


def test_a_denied_release_is_remembered_until_it_is_pardoned(records: Records) -> None:
    denial = Denial(version="2", commit="c2", reason="panic", time="t")
    records.deny(denial)
    assert records.denied() == {"c2": denial}
    records.pardon("other")
    records.pardon("c2")
    assert records.denied() == {}


@pytest.mark.parametrize("content", ["", "{", "[]", '{"denied": 1}', '{"denied": [{"x": 1}, 3]}'])
def test_a_damaged_memory_is_an_empty_one(records: Records, tmp_path: Path, content: str) -> None:
    (tmp_path / "state").mkdir()
    for name in ("denied.json", "boot-failure.json", "unclean"):
        (tmp_path / "state" / name).write_text(content)
    assert records.denied() == {}
    assert records.boot_failures() == {}
    assert records.running() is None


def test_the_first_cause_of_a_boots_failure_counts(records: Records) -> None:
    records.leave_boot_failure(_failure("b", boot_id="1", reason="health"))
    records.leave_boot_failure(_failure("b", boot_id="1", reason="deadline"))
    assert records.boot_failures()["b"].reason == "health"


def test_a_later_boots_failure_replaces_an_earlier_one_of_its_slot_only(records: Records) -> None:
    records.leave_boot_failure(_failure("b", boot_id="1", reason="first"))
    records.leave_boot_failure(_failure("a", boot_id="2", reason="other slot"))
    records.leave_boot_failure(_failure("b", boot_id="3", reason="second"))
    assert {slot: failure.reason for slot, failure in records.boot_failures().items()} == {
        "a": "other slot",
        "b": "second",
    }
    records.clear_boot_failures()
    assert records.boot_failures() == {}


def test_the_running_mark_lasts_until_the_farewell(records: Records) -> None:
    mark = Running(slot="a", commit="c", boot_id="1")
    records.begin_running(mark)
    assert records.running() == mark
    records.end_running()
    records.end_running()
    assert records.running() is None
