from __future__ import annotations

import random
from datetime import timedelta
from pathlib import Path

import pytest

from nestos.base.errors import StateError
from nestos.locks.settings import Group, Order
from nestos.locks.store import Kind
from nestos.wire.fleetlock import Client
from tests.unit.locks.fakes import Bench

LEASE = 600


def group(name: str = "default", *, slots: int = 2, lost_allowed: int = 1, order: Order = Order.ANY) -> Group:
    return Group(name=name, slots=slots, lease_seconds=LEASE, lost_allowed=lost_allowed, order=order)


def test_as_many_slots_are_lent_as_there_are(tmp_path: Path) -> None:
    bench = Bench(tmp_path, group())
    assert [bench.takes(name) for name in "abc"] == [True, True, False]
    refusal = bench.take("c")
    assert refusal is not None
    assert (refusal.kind, refusal.holders) == (Kind.LOCKED, ("a", "b"))
    bench.give_back("a")
    assert bench.takes("c")


def test_asking_twice_takes_one_slot(tmp_path: Path) -> None:
    """The answer to the first question was lost on its way."""
    bench = Bench(tmp_path, group())
    assert [bench.takes("a") for _ in range(3)] == [True] * 3
    assert bench.holders() == ["a"]
    assert bench.takes("b")


def test_giving_back_what_one_does_not_have_is_fine(tmp_path: Path) -> None:
    bench = Bench(tmp_path, group(slots=1))
    bench.take("a")
    assert bench.give_back("b") is None
    assert bench.give_back("a") is None
    assert bench.give_back("a") is None
    assert bench.holders() == []


def test_ids_differ_by_case_and_groups_are_apart(tmp_path: Path) -> None:
    bench = Bench(tmp_path, group("x", slots=1), group("y", slots=1))
    assert bench.takes("a", "x")
    assert not bench.takes("A", "x")
    assert bench.takes("a", "y")


def test_an_unknown_group_is_refused_unless_a_default_stands_for_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, group())
    for refusal in (bench.take("a", "other"), bench.give_back("a", "other")):
        assert refusal is not None
        assert refusal.kind == Kind.UNKNOWN
    open_bench = Bench(tmp_path, Group(name="default", accepts_any=True))
    assert open_bench.takes("a", "other")
    assert not open_bench.takes("b", "other")
    assert open_bench.takes("b", "third")


def test_a_lease_that_ended_frees_the_slot_and_names_who_is_lost(tmp_path: Path) -> None:
    bench = Bench(tmp_path, group(slots=1))
    bench.take("a")
    bench.clock.sleep(LEASE - 1)
    assert not bench.takes("b")
    bench.clock.sleep(1)
    assert bench.takes("b")
    assert [(holder.id, holder.is_lost) for holder in bench.store.holders()] == [("a", True), ("b", False)]


def test_asking_again_lends_for_longer(tmp_path: Path) -> None:
    bench = Bench(tmp_path, group(slots=1))
    for _ in range(5):
        assert bench.takes("a")
        bench.clock.sleep(LEASE - 1)
    assert not bench.takes("b")


def test_who_comes_too_late_has_to_ask_like_everyone(tmp_path: Path) -> None:
    bench = Bench(tmp_path, group(slots=1))
    bench.take("a")
    bench.clock.sleep(LEASE)
    bench.take("b")
    assert not bench.takes("a")
    bench.give_back("b")
    assert bench.takes("a")


def test_nodes_that_do_not_come_back_stop_their_group(tmp_path: Path) -> None:
    bench = Bench(tmp_path, group(slots=1, lost_allowed=1))
    for name in "ab":
        assert bench.takes(name)
        bench.clock.sleep(LEASE)
    refusal = bench.take("c")
    assert refusal is not None
    assert (refusal.kind, refusal.holders) == (Kind.LOST, ("a", "b"))
    bench.give_back("a")  # it came back after all
    assert bench.takes("c")


def test_a_person_frees_a_slot_and_the_history_says_who(tmp_path: Path) -> None:
    bench = Bench(tmp_path, group(slots=1, lost_allowed=0))
    bench.take("a")
    bench.clock.sleep(LEASE)
    assert not bench.takes("b")
    bench.store.force(Client(id="a", group="default"), who="ann", reason="board replaced")
    assert bench.takes("b")
    assert [(record.event, record.id, record.detail) for record in bench.store.history()] == [
        ("taken", "a", ""),
        ("forced", "a", "by ann: board replaced"),
        ("taken", "b", ""),
    ]
    with pytest.raises(StateError, match="holds no slot"):
        bench.store.force(Client(id="z", group="default"), who="ann", reason="")


@pytest.mark.parametrize("days", [-3650, -1, 1, 3650])
def test_setting_the_wall_clock_neither_frees_nor_holds_a_slot(tmp_path: Path, days: int) -> None:
    bench = Bench(tmp_path, group(slots=1))
    bench.take("a")
    bench.clock.wall += timedelta(days=days)
    assert not bench.takes("b")
    bench.clock.sleep(LEASE)
    assert bench.takes("b")


def test_slots_outlive_the_server(tmp_path: Path) -> None:
    bench = Bench(tmp_path, group(slots=1))
    bench.take("a")
    bench.clock.sleep(LEASE / 2)
    bench.restart()
    assert not bench.takes("b")
    bench.clock.sleep(LEASE / 2)
    assert bench.takes("b")


@pytest.mark.parametrize("ticks", [0.0, 5.0, 1e7])
def test_leases_begin_anew_when_the_servers_machine_does(tmp_path: Path, ticks: float) -> None:
    bench = Bench(tmp_path, group(slots=1))
    bench.take("a")
    bench.clock.ticks = ticks
    bench.restart(boot_id="two")
    assert not bench.takes("b")
    bench.clock.sleep(LEASE)
    assert bench.takes("b")


def test_a_group_comes_after_another(tmp_path: Path) -> None:
    bench = Bench(tmp_path, group("workers", slots=1), Group(name="control", slots=1, after=("workers",)))
    assert bench.takes("w1", "workers")
    assert not bench.takes("w2", "workers")
    refusal = bench.take("c", "control")
    assert refusal is not None
    assert refusal.kind == Kind.ORDER
    bench.give_back("w1", "workers")
    assert not bench.takes("c", "control")  # w2 waits still
    assert bench.takes("w2", "workers")
    bench.give_back("w2", "workers")
    assert bench.takes("c", "control")


def test_in_the_order_of_asking_the_first_one_comes_first(tmp_path: Path) -> None:
    bench = Bench(tmp_path, group(slots=1, order=Order.ASKED))
    assert [bench.takes(name) for name in "abc"] == [True, False, False]
    bench.give_back("a")
    refusal = bench.take("c")
    assert refusal is not None
    assert (refusal.kind, refusal.value) == (Kind.QUEUED, "1 nodes asked before: b")
    assert [waiter.id for waiter in bench.store.waiters()] == ["b", "c"]
    assert bench.takes("b")


def test_who_stopped_asking_loses_the_place(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Group(name="default", slots=1, order=Order.ASKED, waiting_seconds=100))
    for name in "abc":
        bench.take(name)
    bench.clock.sleep(60)
    bench.take("c")
    bench.clock.sleep(60)
    bench.give_back("a")
    assert bench.takes("c")
    assert not bench.takes("b")


def test_who_stopped_asking_does_not_come_back_with_a_restart_of_the_machine(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Group(name="default", slots=1, order=Order.ASKED, waiting_seconds=100))
    for name in "ab":
        bench.take(name)
    bench.clock.sleep(1000)
    bench.take("c")
    bench.restart(boot_id="two")
    assert [waiter.id for waiter in bench.store.waiters()] == ["c"]
    bench.give_back("a")
    assert bench.takes("c")


def test_a_group_that_is_gone_from_the_configuration_is_still_listed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, group("old"))
    bench.take("a", "old")
    bench.settings = Bench(tmp_path, group("new")).settings
    bench.restart()
    assert [(holder.group, holder.id) for holder in bench.store.holders()] == [("old", "a")]


def test_a_folder_that_is_not_there_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="unable to open"):
        Bench(tmp_path / "missing")


@pytest.mark.parametrize("seed", range(3))
def test_never_more_are_out_than_there_are_slots(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    bench = Bench(tmp_path, group(slots=3, lost_allowed=100))
    ends: dict[str, float] = {}
    for _ in range(120):
        name = f"n{chance.randrange(12)}"
        if chance.random() < 0.6:
            if bench.takes(name):
                ends[name] = bench.clock.ticks + LEASE
        else:
            bench.give_back(name)
            ends.pop(name, None)
        bench.clock.sleep(chance.randrange(120))
        bench.clock.wall += timedelta(days=chance.randrange(-3, 3))
        now = bench.clock.ticks
        assert set(bench.holders()) == {name for name, end in ends.items() if end > now}
        assert len(bench.holders()) <= 3
