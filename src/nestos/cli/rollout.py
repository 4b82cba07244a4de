"""``nestos release rollout`` and what steers one: pause, resume, halt, advance."""

from __future__ import annotations

import argparse
from datetime import datetime

from nestos.base.errors import InputError
from nestos.cli import releasing
from nestos.updates import model
from nestos.updates.guard import EMERGENCY, Guard

_DEFAULTS = Guard()


def register(commands: releasing.Actions[argparse.ArgumentParser]) -> None:
    """Adds the actions."""
    rollout = releasing.add_release_action(
        commands, "rollout", "lead nodes to a release, more and more of them", _rollout
    )
    rollout.add_argument("--hours", type=float, help="until every node has it; 0: at once (default: 48; guarded: 0)")
    rollout.add_argument("--start", metavar="TIME", help="RFC 3339, such as 2026-11-24T08:00:00Z (default: now)")
    rollout.add_argument("--share", type=float, metavar="S", help="at the start, 0.0 to 1.0 (default: that reached)")
    _register_guard(rollout)
    for name, help_text, handler in (
        ("pause", "hold a rollout at the share it has reached", _pause),
        ("resume", "let a paused or halted rollout go on in the time that was left", _resume),
        ("advance", "begin the next stage of a guarded rollout now", _advance),
    ):
        releasing.add_release_action(commands, name, help_text, handler)
    halt = releasing.add_release_action(commands, "halt", "stop a release for every node, until resumed", _halt)
    halt.add_argument("--reason", default="", help="why; nodes that have it are told")
    halt.add_argument("--go-back", action="store_true", help="lead nodes that have it to the release before")


def _register_guard(rollout: argparse.ArgumentParser) -> None:
    guarded = rollout.add_argument_group(
        "guarded", "Any of these makes a guarded rollout: nestos updates serve --manage advances it, and halts it."
    )
    guarded.add_argument("--canaries", metavar="GROUP,...", help="groups of nodes that get it first")
    guarded.add_argument("--waves", metavar="SHARE,...", help="then these shares of all nodes, such as 1%%,10%%,50%%")
    guarded.add_argument(
        "--stage-hours", type=float, metavar="H", help="least time of each stage before --hours (default: 6)"
    )
    guarded.add_argument("--budget", type=int, metavar="N", help=f"nodes that may fail (default: {_DEFAULTS.failures})")
    guarded.add_argument(
        "--budget-share", metavar="SHARE", help="share of those that reported that may fail as well (default: 2%%)"
    )
    guarded.add_argument(
        "--canary-budget", type=int, metavar="N", help=f"canaries that may fail (default: {_DEFAULTS.canary_failures})"
    )
    guarded.add_argument("--quorum", metavar="SHARE", help="share of a stage that must be well (default: 50%%)")
    guarded.add_argument("--go-back", action="store_true", help="a halt leads nodes back to the release before")
    guarded.add_argument("--emergency", action="store_true", help="10%% for ten minutes, everyone an hour later")


def _rollout(options: argparse.Namespace) -> int:
    wanted = _guard(options)
    if wanted is not None:
        if options.start or options.share is not None:
            raise InputError("--start and --share are for rollouts without a guard")
        return releasing.carry_out(
            options,
            "rollout",
            lambda held: model.guarded_rollout(held, options.version, wanted, now=releasing.now()),
        )
    hours = 48.0 if options.hours is None else options.hours
    return releasing.carry_out(
        options,
        "rollout",
        lambda held: model.rollout(
            held,
            options.version,
            now=releasing.now(),
            start=_moment(options.start) if options.start else None,
            start_percentage=options.share,
            duration_minutes=round(hours * 60),
        ),
    )


def _guard(options: argparse.Namespace) -> Guard | None:
    """The guard that is asked for, or none."""
    base = EMERGENCY if options.emergency else _DEFAULTS
    asked = (
        *(options.canaries, options.waves, options.stage_hours, options.budget, options.budget_share),
        *(options.canary_budget, options.quorum),
    )
    if not options.emergency and not options.go_back and all(value is None for value in asked):
        return None
    return Guard(
        canaries=tuple(options.canaries.split(",")) if options.canaries else base.canaries,
        waves=tuple(map(_share, options.waves.split(","))) if options.waves else base.waves,
        stage_minutes=_minutes(options.stage_hours, default=base.stage_minutes),
        last_minutes=_minutes(options.hours, default=base.last_minutes),
        failures=base.failures if options.budget is None else options.budget,
        failure_share=_share(options.budget_share) if options.budget_share else base.failure_share,
        canary_failures=base.canary_failures if options.canary_budget is None else options.canary_budget,
        quorum=_share(options.quorum) if options.quorum else base.quorum,
        goes_back=options.go_back,
    )


def _minutes(hours: float | None, *, default: int) -> int:
    return default if hours is None else round(hours * 60)


def _share(text: str) -> float:
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError as error:
        raise InputError(f'"{text}" is no share: 5% or 0.05') from error


def _moment(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(f"--start={text}: not a time such as 2026-11-24T08:00:00Z") from error
    if moment.tzinfo is None:
        raise InputError(f"--start={text}: the zone is missing; Z for UTC")
    return int(moment.timestamp())


def _pause(options: argparse.Namespace) -> int:
    return releasing.carry_out(options, "pause", lambda held: model.pause(held, options.version, now=releasing.now()))


def _resume(options: argparse.Namespace) -> int:
    return releasing.carry_out(options, "resume", lambda held: model.resume(held, options.version, now=releasing.now()))


def _advance(options: argparse.Namespace) -> int:
    return releasing.carry_out(
        options, "advance", lambda held: model.advance(held, options.version, now=releasing.now())
    )


def _halt(options: argparse.Namespace) -> int:
    return releasing.carry_out(
        options,
        "halt",
        lambda held: model.halt(
            held, options.version, reason=options.reason, now=releasing.now(), goes_back=options.go_back
        ),
    )
