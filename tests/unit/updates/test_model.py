from __future__ import annotations

from collections.abc import Callable

import pytest

from nestos.base.errors import InputError, NestosError, StateError
from nestos.updates import graph, model
from nestos.updates.model import Build, Phase, Release, Stream
from nestos.wire.releases import Rollout
from nestos.wire.stream import Artifact

COMMIT = "c" * 64
DAY = 1440
HOUR_SECONDS = 3600


def stream_of(*versions: str) -> Stream:
    """A stream with these releases published at 0."""
    held = Stream(name="stable")
    for version in versions:
        held = model.create(held, version, {"x86_64": Build(commit=COMMIT)}, now=0)
        held = model.publish(held, version, now=0)
    return held


def share(held: Stream, version: str, *, now: int) -> float:
    rollout = held.require(version).rollout
    return graph.throttle(rollout, now=now) if rollout else 0.0


def test_a_release_is_created_published_and_handed_out() -> None:
    held = model.create(Stream(name="stable"), "1", {"x86_64": Build(commit=COMMIT)}, now=5)
    assert held.listed() == ()

    held = model.publish(held, "1", now=7)
    assert [(r.version, r.phase, r.created, r.published) for r in held.listed()] == [("1", Phase.PUBLISHED, 5, 7)]

    held = model.rollout(held, "1", now=100, duration_minutes=DAY)
    assert held.require("1").rollout == Rollout(start_epoch=100, start_percentage=0.0, duration_minutes=DAY)


def test_architectures_and_artifacts_are_added_to_a_draft_one_by_one() -> None:
    disk, kernel = Artifact(location="d", sha256="1"), Artifact(location="k", sha256="2")
    held = Stream(name="stable")
    for build in (
        {"x86_64": Build(commit=COMMIT, artifacts={"metal": {"raw.xz": {"disk": disk}}})},
        {"x86_64": Build(artifacts={"metal": {"pxe": {"kernel": kernel}}})},
        {"aarch64": Build(commit=COMMIT)},
    ):
        held = model.create(held, "1", build, now=0)

    assert sorted(held.require("1").builds) == ["aarch64", "x86_64"]
    both = Build(commit=COMMIT, artifacts={"metal": {"raw.xz": {"disk": disk}, "pxe": {"kernel": kernel}}})
    assert held.require("1").builds["x86_64"] == both


def test_releases_are_in_the_order_of_their_publication() -> None:
    held = Stream(name="stable")
    for version in ("1", "2", "3"):
        held = model.create(held, version, {"x86_64": Build(commit=COMMIT)}, now=0)
    for version in ("2", "1"):
        held = model.publish(held, version, now=0)

    assert [release.version for release in held.releases] == ["2", "1", "3"]


def test_a_pause_holds_the_share_and_going_on_takes_the_time_that_was_left() -> None:
    held = model.rollout(stream_of("1"), "1", now=0, duration_minutes=DAY)

    held = model.pause(held, "1", now=6 * HOUR_SECONDS)
    assert share(held, "1", now=6 * HOUR_SECONDS) == 0.25
    assert share(held, "1", now=1000 * HOUR_SECONDS) == 0.25

    held = model.resume(held, "1", now=1000 * HOUR_SECONDS)
    assert share(held, "1", now=1000 * HOUR_SECONDS) == 0.25
    assert share(held, "1", now=1009 * HOUR_SECONDS) == pytest.approx(0.625)
    assert share(held, "1", now=1018 * HOUR_SECONDS) == 1.0
    assert held.require("1").paused is None


def test_a_pause_before_the_start_lets_nobody_have_it_when_the_start_passes() -> None:
    held = model.rollout(stream_of("1"), "1", now=0, start=100, start_percentage=0.5, duration_minutes=DAY)

    held = model.pause(held, "1", now=50)
    assert share(held, "1", now=10_000) == 0.0

    assert share(model.resume(held, "1", now=60), "1", now=99) == 0.0
    assert share(model.resume(held, "1", now=10_000), "1", now=10_000) == 0.5


def test_a_faster_rollout_goes_on_from_the_share_reached() -> None:
    held = model.rollout(stream_of("1"), "1", now=0, duration_minutes=DAY)
    held = model.rollout(held, "1", now=12 * HOUR_SECONDS, duration_minutes=60)

    assert share(held, "1", now=12 * HOUR_SECONDS) == 0.5
    assert share(held, "1", now=13 * HOUR_SECONDS) == 1.0


def test_an_emergency_gives_it_to_every_node_at_once() -> None:
    held = model.rollout(stream_of("1"), "1", now=10, duration_minutes=0)

    assert share(held, "1", now=10) == 1.0


def test_a_finished_rollout_ends_the_older_ones_and_leaves_the_barriers() -> None:
    held = stream_of("1", "2", "3", "4")
    held = model.barrier(held, "2", reason="keys", now=0)
    for version in ("1", "2"):
        held = model.rollout(held, version, now=0, duration_minutes=0)
    held = model.rollout(held, "3", now=0, duration_minutes=0)
    held = model.rollout(held, "4", now=10, duration_minutes=DAY)

    assert [release.version for release in held.releases if release.rollout] == ["3", "4"]
    assert held.require("2").barrier == "keys"


def test_a_rollout_goes_on_where_the_finished_one_has_nothing_for_an_architecture() -> None:
    held = Stream(name="stable")
    for version, names in (("1", ("x86_64", "aarch64")), ("2", ("x86_64", "aarch64")), ("3", ("x86_64",))):
        held = model.create(held, version, {name: Build(commit=COMMIT) for name in names}, now=0)
        held = model.publish(held, version, now=0)
    for version in ("1", "2", "3"):
        held = model.rollout(held, version, now=0, duration_minutes=0)

    assert [release.version for release in held.releases if release.rollout] == ["2", "3"]


def test_a_barrier_that_is_held_stays_held_when_a_newer_release_goes_to_every_node() -> None:
    held = stream_of("1", "2", "3")
    held = model.rollout(held, "1", now=0, duration_minutes=0)
    held = model.rollout(model.barrier(held, "2", reason="keys", now=0), "2", now=0, duration_minutes=DAY)
    held = model.pause(held, "2", now=6 * HOUR_SECONDS)

    held = model.rollout(held, "3", now=7 * HOUR_SECONDS, duration_minutes=0)

    assert share(held, "2", now=8 * HOUR_SECONDS) == 0.25
    assert share(held, "1", now=8 * HOUR_SECONDS) == 1.0


def test_a_release_that_becomes_a_barrier_before_its_rollout_waits_for_it() -> None:
    held = model.rollout(stream_of("1", "2"), "1", now=0, duration_minutes=0)

    held = model.barrier(held, "2", reason="keys", now=5)

    assert held.require("2").rollout == Rollout(start_percentage=0.0)
    assert share(model.rollout(held, "2", now=10, duration_minutes=0), "2", now=10) == 1.0


def test_an_old_release_that_becomes_a_barrier_is_open_to_every_node() -> None:
    held = model.rollout(stream_of("1", "2"), "2", now=0, duration_minutes=0)

    assert model.barrier(held, "1", reason="keys", now=5).require("1").rollout is None


def test_a_withdrawn_release_stays_listed_without_any_way_to_it() -> None:
    held = model.rollout(model.barrier(stream_of("1", "2"), "2", reason="keys", now=0), "2", now=0, duration_minutes=0)

    gone = model.withdraw(held, "2", reason="does not boot").require("2")

    assert (gone.phase, gone.withdrawn) == (Phase.WITHDRAWN, "does not boot")
    assert (gone.rollout, gone.paused, gone.barrier) == (None, None, None)


def test_a_withdrawn_draft_is_gone() -> None:
    held = model.create(Stream(name="stable"), "1", {}, now=0)

    assert model.withdraw(held, "1", reason="").releases == ()


def test_marks_can_be_taken_away() -> None:
    held = model.barrier(model.deadend(stream_of("1"), "1", reason="a"), "1", reason="b", now=0)
    held = model.barrier(model.deadend(held, "1", reason=None), "1", reason=None, now=0)

    assert (held.require("1").barrier, held.require("1").deadend) == (None, None)


def draft(held: Stream) -> Stream:
    return model.create(held, "9", {"x86_64": Build(commit=COMMIT)}, now=0)


def rolled(held: Stream) -> Stream:
    return model.rollout(held, "1", now=0, duration_minutes=DAY)


REFUSED: list[tuple[str, Callable[[Stream], Stream]]] = [
    ('no release "8"', lambda held: model.publish(held, "8", now=0)),
    ("published already", lambda held: model.publish(held, "1", now=0)),
    ("changes no more", lambda held: model.create(held, "1", {}, now=0)),
    ("has no commit", lambda held: model.publish(model.create(held, "9", {}, now=0), "9", now=0)),
    (
        "has no commit for aarch64",
        lambda held: model.publish(model.create(draft(held), "9", {"aarch64": Build()}, now=0), "9", now=0),
    ),
    ("is no commit", lambda held: model.create(held, "9", {"x86_64": Build(commit="abc")}, now=0)),
    ("is not usable as version", lambda held: model.create(held, "../9", {}, now=0)),
    ("is not usable as architecture", lambda held: model.create(held, "9", {"a/b": Build()}, now=0)),
    ("not published yet", lambda held: model.rollout(draft(held), "9", now=0, duration_minutes=1)),
    ("not published yet", lambda held: model.barrier(draft(held), "9", reason="", now=0)),
    ("not published yet", lambda held: model.deadend(draft(held), "9", reason="")),
    ("not from 0.0 to 1.0", lambda held: model.rollout(held, "1", now=0, start_percentage=50, duration_minutes=1)),
    ("not from none to a year", lambda held: model.rollout(held, "1", now=0, duration_minutes=-1)),
    ("not being rolled out", lambda held: model.pause(held, "1", now=0)),
    ("paused already", lambda held: model.pause(model.pause(rolled(held), "1", now=0), "1", now=0)),
    ("is over", lambda held: model.pause(rolled(held), "1", now=10**9)),
    ("is not paused", lambda held: model.resume(rolled(held), "1", now=0)),
    ("a reason is needed", lambda held: model.withdraw(held, "1", reason="")),
    ("withdrawn already: a", lambda held: model.withdraw(model.withdraw(held, "1", reason="a"), "1", reason="b")),
    (
        "is withdrawn",
        lambda held: model.rollout(model.withdraw(held, "1", reason="a"), "1", now=0, duration_minutes=1),
    ),
]


@pytest.mark.parametrize(("told", "act"), [pytest.param(*row, id=f"{n}: {row[0]}") for n, row in enumerate(REFUSED)])
def test_what_a_release_is_not_ready_for_is_refused(told: str, act: Callable[[Stream], Stream]) -> None:
    with pytest.raises(NestosError) as refused:
        act(stream_of("1"))

    assert isinstance(refused.value, (StateError, InputError))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    ("rollout", "now", "text"),
    [
        (None, 0, "no rollout"),
        (Rollout(start_epoch=600, duration_minutes=DAY), 0, "begins in 10 min"),
        (Rollout(start_epoch=0, duration_minutes=DAY), 6 * HOUR_SECONDS, "25%, every node in 18 h 0 min"),
        (Rollout(start_epoch=0, start_percentage=0.3), 5, "held at 30%"),
        (Rollout(start_epoch=0, duration_minutes=1), 90, "every node"),
    ],
)
def test_how_far_a_rollout_is_is_told(rollout: Rollout | None, now: int, text: str) -> None:
    assert model.describe_rollout(Release(version="1", created=0, rollout=rollout), now=now) == text
