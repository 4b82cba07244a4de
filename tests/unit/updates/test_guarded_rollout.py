"""A guarded rollout as a stream's operations make it, and as graphs show it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from nestos.base.errors import InputError, StateError
from nestos.updates import graph, model, publication
from nestos.updates.graph import Query
from nestos.updates.guard import Guard, Progress
from nestos.updates.model import Build, Stream
from nestos.wire import graph as wire
from nestos.wire import releases
from nestos.wire.releases import Halt

HOUR = 3600
PLAN = Guard(canaries=("canary",), waves=(0.1, 0.5), stage_minutes=60, last_minutes=600)


def stream_of(*versions: str) -> Stream:
    held = Stream(name="stable")
    for version in versions:
        held = model.create(held, version, {"x86_64": Build(commit=version * 64)}, now=0)
        held = model.publish(held, version, now=0)
    return held


def ways(held: Stream, *, wariness: str = "0.5", group: str = "default", now: int = 0) -> set[tuple[str, str]]:
    """The edges that a node sees, by version, through the published files."""
    files = publication.files(held, base_url="https://a", now=now)
    index = releases.parse_index(files[publication.index_path("stable")], source="index")
    updates = releases.parse_updates(files[publication.updates_path("stable")], source="updates")
    query = Query(stream="stable", basearch="x86_64", rollout_wariness=wariness, group=group)
    seen = wire.parse(wire.render(graph.answer(index, updates, query, now=now)), source="answer")
    return {(seen.nodes[source].version, seen.nodes[target].version) for source, target in seen.edges}


@pytest.fixture
def guarded() -> Stream:
    return model.guarded_rollout(stream_of("1", "2"), "2", PLAN, now=0)


def test_canaries_are_served_first_then_each_wave_then_everyone(guarded: Stream) -> None:
    assert ways(guarded, group="canary", wariness="1.0") == {("1", "2")}
    assert ways(guarded, wariness="0.01") == set()

    first = model.advance(guarded, "2", now=HOUR)
    assert (ways(first, wariness="0.1", now=HOUR), ways(first, wariness="0.11", now=HOUR)) == ({("1", "2")}, set())

    second = model.advance(first, "2", now=2 * HOUR)
    last = model.advance(second, "2", now=3 * HOUR)
    assert ways(last, wariness="0.74", now=8 * HOUR) == {("1", "2")}
    assert ways(last, wariness="0.76", now=8 * HOUR) == set()
    assert ways(last, wariness="1.0", now=13 * HOUR + 1) == {("1", "2")}
    with pytest.raises(StateError, match="last stage"):
        model.advance(last, "2", now=4 * HOUR)


def test_a_halted_release_is_offered_to_nobody_and_goes_on_where_it_was(guarded: Stream) -> None:
    wave = model.advance(guarded, "2", now=HOUR)
    halted = model.halt(wave, "2", reason="loses the network", now=2 * HOUR)

    for wariness, group in (("0.0", "default"), ("0.05", "default"), ("1.0", "canary")):
        assert ways(halted, wariness=wariness, group=group, now=2 * HOUR) == set()
    assert model.describe_rollout(halted.require("2"), now=2 * HOUR) == "halted: loses the network"

    going = model.resume(halted, "2", now=9 * HOUR)
    assert ways(going, wariness="0.1", now=9 * HOUR) == {("1", "2")}
    assert ways(going, wariness="0.11", now=9 * HOUR) == set()
    assert going.require("2").progress == Progress(stage=1, since=9 * HOUR, counted_since=9 * HOUR)


def test_nodes_of_a_halted_release_are_led_on_by_the_next_one_or_back_if_they_are_to_go() -> None:
    held = model.rollout(stream_of("1", "2", "3"), "2", now=0, duration_minutes=0)
    halted = model.halt(held, "2", reason="bad", now=1)
    assert ways(halted) == set()

    back = model.halt(halted, "2", reason="bad", now=2, goes_back=True)
    assert back.require("2").halted == Halt(reason="bad", back_to="1")
    assert ways(back) == {("2", "1")}

    assert ways(model.rollout(halted, "3", now=3, duration_minutes=0), now=3) == {("1", "3"), ("2", "3")}


def test_going_back_passes_over_what_is_itself_halted_withdrawn_or_a_dead_end() -> None:
    held = stream_of("1", "2", "3", "4", "5")
    for version in ("2", "5"):
        held = model.rollout(held, version, now=0, duration_minutes=0)
        held = model.halt(held, version, reason="bad", now=1)
    held = model.withdraw(model.deadend(held, "4", reason="x"), "3", reason="y")

    assert ways(model.halt(held, "5", reason="bad", now=2, goes_back=True)) == {("5", "1")}
    with pytest.raises(StateError, match="no older release"):
        model.halt(
            model.rollout(stream_of("1"), "1", now=0, duration_minutes=0), "1", reason="b", now=1, goes_back=True
        )


def test_a_halted_barrier_lets_nobody_in_and_nobody_past() -> None:
    held = model.rollout(stream_of("1", "2", "3"), "2", now=0, duration_minutes=0)
    held = model.barrier(held, "2", reason="keys", now=0)
    held = model.halt(held, "2", reason="bad", now=1)
    held = model.rollout(held, "3", now=1, duration_minutes=0)

    assert ways(held, wariness="0.0", now=2) == {("2", "3")}


def test_what_a_halt_does_to_a_rollout_by_time_alone() -> None:
    held = model.rollout(stream_of("1", "2"), "2", now=0, duration_minutes=600)
    halted = model.halt(held, "2", reason="bad", now=HOUR)
    going = model.resume(halted, "2", now=100 * HOUR)

    share = [graph.throttle(r, now=now) for now in (100 * HOUR, 109 * HOUR) if (r := going.require("2").rollout)]
    assert share == [pytest.approx(0.1), pytest.approx(1.0)]


def test_a_halt_needs_a_reason_and_something_to_stop() -> None:
    with pytest.raises(StateError, match="no node is led"):
        model.halt(stream_of("1"), "1", reason="bad", now=0)
    with pytest.raises(InputError, match="reason"):
        model.halt(model.rollout(stream_of("1"), "1", now=0, duration_minutes=0), "1", reason="", now=0)


def test_a_halted_release_is_not_handed_out_before_it_is_resumed(guarded: Stream) -> None:
    halted = model.halt(guarded, "2", reason="bad", now=0)

    attempts: list[Callable[[], Stream]] = [
        lambda: model.rollout(halted, "2", now=0, duration_minutes=0),
        lambda: model.guarded_rollout(halted, "2", PLAN, now=0),
        lambda: model.advance(halted, "2", now=0),
        lambda: model.pause(halted, "2", now=0),
    ]
    for attempt in attempts:
        with pytest.raises(StateError, match="is halted: bad"):
            attempt()


def test_a_paused_stage_begins_its_time_anew_and_keeps_counting(guarded: Stream) -> None:
    paused = model.pause(guarded, "2", now=10)
    with pytest.raises(StateError, match="paused"):
        model.advance(paused, "2", now=20)

    assert model.resume(paused, "2", now=50).require("2").progress == Progress(stage=0, since=50, counted_since=0)


def test_another_guard_goes_on_from_the_share_that_was_reached(guarded: Stream) -> None:
    wave = model.advance(model.advance(guarded, "2", now=1), "2", now=2)
    faster = model.guarded_rollout(wave, "2", Guard(waves=(0.1, 0.9)), now=5)

    assert faster.require("2").progress == Progress(stage=1, since=5, counted_since=0)
    assert ways(faster, wariness="0.9", now=5) == {("1", "2")}
    everyone = model.guarded_rollout(wave, "2", Guard(waves=(0.1,), last_minutes=60), now=5)
    assert ways(everyone, wariness="0.5", now=5) == {("1", "2")}


def test_guards_and_halts_are_kept(guarded: Stream) -> None:
    halted = model.halt(model.advance(guarded, "2", now=5), "2", reason="bad", now=9, goes_back=True)
    text = publication.render_state(halted)

    assert publication.parse_state(text, source="state") == halted


def test_a_finished_newer_release_ends_a_guarded_older_one(guarded: Stream) -> None:
    held = model.create(guarded, "3", {"x86_64": Build(commit="3" * 64)}, now=0)
    held = model.rollout(model.publish(held, "3", now=0), "3", now=0, duration_minutes=0)

    older = held.require("2")
    assert (older.rollout, older.guard, older.progress) == (None, None, None)
