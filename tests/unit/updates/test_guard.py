"""When a guarded rollout goes on, waits, and is halted."""

from __future__ import annotations

import pytest

from nestos.base.errors import InputError
from nestos.updates import guard
from nestos.updates.guard import Action, Guard, Progress, Tally

HOUR = 3600
PLAN = Guard(canaries=("canary",), waves=(0.1, 0.5), stage_minutes=60, failures=2, failure_share=0.02)
CANARIES, FIRST_WAVE, EVERYONE = 0, 1, 3
CALM = Tally(good=600, known=1000, good_canaries=10, known_canaries=10)


def judged(
    tally: Tally, *, stage: int = FIRST_WAVE, now: int = HOUR, plan: Guard = PLAN, is_paused: bool = False
) -> str:
    progress = Progress(stage=stage, since=0, counted_since=0)
    verdict = guard.judge(plan, progress, tally, now=now, is_paused=is_paused)
    assert verdict.sentence
    return verdict.action


def test_the_stages_are_canaries_waves_and_everyone() -> None:
    assert [(stage.name, stage.share, stage.is_last) for stage in guard.stages(PLAN)] == [
        ("canaries", 0.0, False),
        ("wave 1 of 2", 0.1, False),
        ("wave 2 of 2", 0.5, False),
        ("everyone", 1.0, True),
    ]
    assert [stage.share for stage in guard.stages(Guard(waves=(0.1,), last_minutes=60))] == [0.1, 0.1]
    assert [stage.name for stage in guard.stages(Guard())] == ["everyone"]


def test_a_stage_ends_when_its_time_is_over_and_enough_nodes_are_well() -> None:
    assert judged(CALM) == Action.ADVANCE
    assert judged(CALM, now=HOUR - 1) == Action.WAIT


@pytest.mark.parametrize(
    ("good", "action"), [(50, Action.ADVANCE), (49, Action.WAIT)], ids=["half of a tenth of 1000", "one less"]
)
def test_a_wave_that_is_silent_does_not_end(good: int, action: Action) -> None:
    assert judged(Tally(good=good, known=1000)) == action


def test_in_a_small_fleet_a_wave_that_reaches_nobody_ends() -> None:
    assert judged(Tally(good=1, known=3)) == Action.ADVANCE


def test_canaries_that_are_silent_hold_the_rollout_up_even_where_none_ever_reported() -> None:
    assert judged(Tally(known=1000), stage=CANARIES) == Action.WAIT
    assert judged(Tally(good=4, good_canaries=4, known=1000, known_canaries=10), stage=CANARIES) == Action.WAIT
    assert judged(Tally(good=5, good_canaries=5, known=1000, known_canaries=10), stage=CANARIES) == Action.ADVANCE


@pytest.mark.parametrize(
    ("good", "failed", "action"),
    [
        pytest.param(0, 2, Action.WAIT, id="as many as may, all of all"),
        pytest.param(0, 3, Action.HALT, id="one more"),
        pytest.param(197, 3, Action.ADVANCE, id="more, but few of many"),
        pytest.param(97, 3, Action.HALT, id="more, and many of these"),
    ],
)
def test_a_budget_is_spent_when_both_its_figures_are(good: int, failed: int, action: Action) -> None:
    assert judged(Tally(good=good, failed=failed, known=100)) == action


def test_one_canary_that_fails_is_enough_while_they_are_alone() -> None:
    failed = Tally(failed=1, failed_canaries=1, known=100, known_canaries=10)

    assert judged(failed, stage=CANARIES) == Action.HALT
    assert judged(failed, stage=FIRST_WAVE) == Action.WAIT


def test_a_paused_rollout_is_halted_and_never_advanced() -> None:
    assert judged(CALM, is_paused=True) == Action.WAIT
    assert judged(Tally(failed=3), is_paused=True) == Action.HALT


def test_the_last_stage_is_watched_too() -> None:
    assert judged(CALM, stage=EVERYONE) == Action.WAIT
    assert judged(Tally(failed=3), stage=EVERYONE) == Action.HALT


@pytest.mark.parametrize(
    "wrong",
    [
        Guard(waves=(0.5, 0.1)),
        Guard(waves=(0.0, 0.1)),
        Guard(waves=(0.1, 1.0)),
        Guard(waves=(float("nan"),)),
        Guard(quorum=1.5),
        Guard(failure_share=-0.1),
        Guard(failures=-1),
        Guard(stage_minutes=-1),
    ],
    ids=str,
)
def test_a_guard_that_makes_no_sense_is_refused(wrong: Guard) -> None:
    with pytest.raises(InputError):
        guard.check(wrong)
