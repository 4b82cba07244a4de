"""What protects a fleet while a release is handed out: stages, and a budget of failures. Pure.

A guarded rollout goes through stages: first the groups of *canaries*, then *waves* that each reach a larger share of
the nodes, then everyone. A stage ends when its time is over and enough nodes have reported that the release is well;
before that the next one does not begin, however long it takes. When more nodes fail than the budget allows, the release
is halted: it is offered to nobody, until a person decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise
from math import floor

from nestos.base.errors import InputError

_MINUTE = 60
_MOST_WAVES = 100
_MOST_MINUTES = 60 * 24 * 366


@dataclass(frozen=True, kw_only=True)
class Guard:
    """How a rollout is guarded. Does not change while it goes on."""

    canaries: tuple[str, ...] = ()
    """Groups of nodes that get the release first; none: there is no such stage."""
    waves: tuple[float, ...] = ()
    """Shares of nodes that get it one after the other, rising, each below 1.0; none: from the canaries to everyone."""
    stage_minutes: int = 360
    """Least time of the canaries and of each wave: what shows itself only under load needs hours."""
    last_minutes: int = 0
    """From the last wave's share to every node, evenly; 0: at once."""
    failures: int = 2
    """So many nodes may fail, whatever the share: machines break by themselves."""
    failure_share: float = 0.02
    """This share of the nodes that reported may fail. Beyond both, the release is halted."""
    canary_failures: int = 0
    """So many of the canaries may fail while they are the only ones."""
    quorum: float = 0.5
    """A stage ends only when this share of the nodes that it reached, as far as they ever reported, are well."""
    goes_back: bool = False
    """True: when the budget halts the release, nodes that run it are led back; they must allow downgrades."""


EMERGENCY = Guard(waves=(0.1,), stage_minutes=10, last_minutes=60)
"""For a hole that is being used: everyone within an hour and a quarter, and still not all at once."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a guarded rollout stands."""

    stage: int
    """Index into ``stages``."""
    since: int
    """When it began, seconds since 1970."""
    counted_since: int
    """Failures before this are not held against the release: a person has seen them and let it go on."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One step of a guarded rollout."""

    name: str
    share: float
    """Of nodes that may take the release at the stage's beginning."""
    is_last: bool = False


@dataclass(frozen=True, kw_only=True)
class Tally:
    """What nodes reported, as far as it counts for one release."""

    good: int = 0
    """Nodes that run it and are well."""
    failed: int = 0
    """Nodes that could not take it or fell back, since ``Progress.counted_since``."""
    known: int = 0
    """Nodes of the stream that ever reported."""
    good_canaries: int = 0
    failed_canaries: int = 0
    known_canaries: int = 0


class Action(StrEnum):
    """What is to be done."""

    WAIT = "wait"
    ADVANCE = "advance"
    HALT = "halt"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What is to be done, and why, for people."""

    action: Action
    sentence: str


def check(guard: Guard) -> Guard:
    """The guard itself. Raises ``InputError`` for one that makes no sense."""
    shares = (0.0, *guard.waves, 1.0)
    if len(guard.waves) > _MOST_WAVES or not all(a < b for a, b in pairwise(shares)):
        raise InputError("the waves are shares that rise, each more than none and less than all")
    if not all(0 <= share <= 1 for share in (guard.failure_share, guard.quorum)):
        raise InputError("a share is from 0.0 to 1.0")
    if not all(0 <= minutes <= _MOST_MINUTES for minutes in (guard.stage_minutes, guard.last_minutes)):
        raise InputError("a stage takes from no time to a year")
    if guard.failures < 0 or guard.canary_failures < 0:
        raise InputError("the budget is a number of nodes")
    return guard


def stages(guard: Guard) -> tuple[Stage, ...]:
    """The stages in their order; the last one reaches everyone."""
    canaries = (Stage(name="canaries", share=0.0),) if guard.canaries else ()
    waves = tuple(
        Stage(name=f"wave {number} of {len(guard.waves)}", share=share) for number, share in enumerate(guard.waves, 1)
    )
    last = guard.waves[-1] if guard.waves else 0.0
    return (*canaries, *waves, Stage(name="everyone", share=last if guard.last_minutes else 1.0, is_last=True))


def judge(guard: Guard, progress: Progress, tally: Tally, *, now: int, is_paused: bool = False) -> Verdict:
    """What is to be done at ``now``. A rollout that a person paused is still halted, and never advanced."""
    stage = stages(guard)[progress.stage]
    if reason := _spent(guard, progress, tally):
        return Verdict(action=Action.HALT, sentence=reason)
    if is_paused:
        return _wait("it is paused")
    if stage.is_last:
        return _wait("the last stage goes on by itself")
    left = progress.since + guard.stage_minutes * _MINUTE - now
    if left > 0:
        return _wait(f"{stage.name}: {_span(left)} to go")
    if reason := _missing(guard, progress, tally, stage=stage):
        return _wait(f"{stage.name}: {reason}")
    return Verdict(action=Action.ADVANCE, sentence=f"{stage.name}: {tally.good} nodes are well, {tally.failed} failed")


def _wait(sentence: str) -> Verdict:
    return Verdict(action=Action.WAIT, sentence=sentence)


def _spent(guard: Guard, progress: Progress, tally: Tally) -> str:
    """Why the budget is spent; empty while it is not."""
    reported = tally.good + tally.failed
    if tally.failed > guard.failures and tally.failed > guard.failure_share * reported:
        allowed = f"{guard.failures} or {guard.failure_share:.3g} of all may"
        return f"{tally.failed} of {reported} nodes failed, {allowed}"
    if guard.canaries and progress.stage == 0 and tally.failed_canaries > guard.canary_failures:
        what = "canary" if tally.failed_canaries == 1 else "canaries"
        return f"{tally.failed_canaries} {what} failed, {guard.canary_failures} may"
    return ""


def _missing(guard: Guard, progress: Progress, tally: Tally, *, stage: Stage) -> str:
    """Why the stage has not proved enough; empty if it has.

    Wariness is spread evenly, so a share of the nodes is about that share of the ones known to report. It is rounded
    down: in a small fleet an early wave may reach nobody. Canaries are named by hand, so silence of all is no proof.
    """
    if guard.canaries and progress.stage == 0:
        good, wanted = tally.good_canaries, max(floor(guard.quorum * tally.known_canaries), 1)
    else:
        good, wanted = tally.good, floor(guard.quorum * stage.share * tally.known)
    return "" if good >= wanted else f"{good} of the {wanted} nodes that are wanted have reported well"


def _span(seconds: int) -> str:
    minutes = -(-seconds // _MINUTE)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
