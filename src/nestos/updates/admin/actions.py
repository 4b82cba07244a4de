"""What operators can do with a release from the admin address. Whether it can be done now, the model itself says."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nestos.base.errors import InputError, NestosError
from nestos.base.report import nearest
from nestos.updates import model
from nestos.updates.admin.tokens import Role
from nestos.updates.guard import EMERGENCY
from nestos.updates.model import Stream


@dataclass(frozen=True, kw_only=True)
class Action:
    """One thing to do with a release."""

    name: str
    role: Role
    label: str
    """On the button."""
    sentence: str
    """What it will do, for whoever confirms it."""
    needs_reason: bool = False
    edit: Callable[[Stream, str, str, int], Stream]
    """From a stream, a version, a reason and the time to the stream's next state."""


ACTIONS = (
    Action(
        name="pause",
        role=Role.OPERATE,
        label="Pause",
        sentence="The rollout stays at the share it has reached. Canaries, and nodes of wariness 0, go on getting it.",
        edit=lambda held, version, _, now: model.pause(held, version, now=now),
    ),
    Action(
        name="resume",
        role=Role.OPERATE,
        label="Resume",
        sentence="The rollout goes on from the share it has reached. Failures that halted it no longer count.",
        edit=lambda held, version, _, now: model.resume(held, version, now=now),
    ),
    Action(
        name="advance",
        role=Role.OPERATE,
        label="Next stage",
        sentence="The next stage begins now, however little this one has proved.",
        edit=lambda held, version, _, now: model.advance(held, version, now=now),
    ),
    Action(
        name="halt",
        role=Role.OPERATE,
        label="Halt",
        sentence="No node is led to the release any more, canaries included. Nodes that run it stay.",
        needs_reason=True,
        edit=lambda held, version, reason, now: model.halt(held, version, reason=reason, now=now),
    ),
    Action(
        name="go-back",
        role=Role.OPERATE,
        label="Halt and go back",
        sentence="No node is led to the release any more; nodes that run it and allow downgrades go back.",
        needs_reason=True,
        edit=lambda held, version, reason, now: model.halt(held, version, reason=reason, now=now, goes_back=True),
    ),
    Action(
        name="emergency",
        role=Role.ADMIN,
        label="Emergency speed",
        sentence="A tenth of all nodes now, all within an hour and a quarter; the budget of failures still holds.",
        edit=lambda held, version, _, now: model.guarded_rollout(held, version, EMERGENCY, now=now),
    ),
    Action(
        name="withdraw",
        role=Role.ADMIN,
        label="Withdraw",
        sentence="The release is taken back for good and loses its signature.",
        needs_reason=True,
        edit=lambda held, version, reason, _: model.withdraw(held, version, reason=reason),
    ),
)


def require(name: str) -> Action:
    """The action of that name. Raises ``InputError`` naming the nearest one."""
    for action in ACTIONS:
        if action.name == name:
            return action
    raise InputError(f'there is no action "{name}"{nearest(name, [action.name for action in ACTIONS])}')


def possible(held: Stream, version: str, *, role: Role, now: int) -> list[Action]:
    """What may be done with the release now, by that role: what would not be refused."""
    found = []
    for action in ACTIONS:
        try:
            action.edit(held, version, "a reason", now)
        except NestosError:
            continue
        if action.role <= role:
            found.append(action)
    return found
