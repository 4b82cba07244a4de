"""The agent's states, as one table: what may happen in each, what is done about it, and what comes next.

In each state the agent does one thing (``Activity``), and what comes of it is an event. A row of the table names the
action that follows and the next state. What is not in the table does not happen: it is a bug of ours.
``nestos.agent.diagram`` draws the table; ``nestos.agent.engine`` carries it out.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from nestos.base.errors import InvariantError


class State(StrEnum):
    """Where the agent stands. The value is the word in the state file, in JSON and in the diagram."""

    START = "start"
    UNREPORTED = "unreported"
    IDLE = "idle"
    AVAILABLE = "available"
    STAGING = "staging"
    STAGED = "staged"
    LEAVING = "leaving"
    RESTARTING = "restarting"
    DISABLED = "disabled"


class Activity(StrEnum):
    """What is done in a state, each time it is its turn; the value completes "the agent is ..."."""

    LOOK = "looking at the node"
    REPORT = "telling the lock server that this node is up, which gives its slot back"
    CHECK = "asking the update server"
    PREPARE = "waiting until the release may be taken, and asking for newer ones"
    STAGE = "having the release written into the other slot"
    ASK = "asking for leave to restart"
    WAIT_FOR_PEOPLE = "waiting for people who are logged in"
    RESTART = "restarting the node"
    REST = "doing nothing"


ACTIVITIES = {
    State.START: Activity.LOOK,
    State.UNREPORTED: Activity.REPORT,
    State.IDLE: Activity.CHECK,
    State.AVAILABLE: Activity.PREPARE,
    State.STAGING: Activity.STAGE,
    State.STAGED: Activity.ASK,
    State.LEAVING: Activity.WAIT_FOR_PEOPLE,
    State.RESTARTING: Activity.RESTART,
    State.DISABLED: Activity.REST,
}


class Event(StrEnum):
    """What came of an activity. The value is the word in the diagram."""

    ENABLED = "updates are enabled"
    DISABLED = "updates are disabled"
    RESTART_BEGUN = "a restart was begun in this boot"
    REPORTED = "reported"
    REPORTED_STAGED = "reported, a release is staged"
    REPORTED_BUSY = "reported, a release is being staged"
    UNREACHABLE = "no answer"
    NOTHING_NEW = "nothing new"
    OFFERED = "a release"
    OTHER = "another release"
    WITHDRAWN = "no longer offered"
    WAIT = "not yet"
    READY = "may be taken"
    RUNNING = "still at it"
    STAGED = "in its slot"
    FAILED = "failed"
    GAVE_UP = "failed too often"
    VANISHED = "someone else undid it"
    ALLOWED = "allowed"
    PEOPLE = "people are logged in"
    REVOKED = "no longer allowed"
    ALONE = "nobody is left, or they had their time"
    ASKED = "asked for"


class Action(StrEnum):
    """What is done on the way to the next state; each may be repeated after a crash."""

    NONE = "nothing"
    ACCOUNT = "note what the last restart led to"
    REMEMBER = "remember the release"
    FORGET = "forget the release"
    COUNT = "count the failure, wait longer"
    ABANDON = "leave the release alone for a day"
    NOTE_STAGED = "note that it is staged"
    GIVE_BACK = "give the lock back"


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row."""

    state: State
    event: Event
    action: Action
    next: State


def _rule(state: State, event: Event, next: State, action: Action = Action.NONE) -> Rule:
    return Rule(state=state, event=event, action=action, next=next)


TABLE: tuple[Rule, ...] = (
    _rule(State.START, Event.ENABLED, State.UNREPORTED),
    _rule(State.START, Event.DISABLED, State.DISABLED),
    # Whoever gives the lock back while the node is going down lets one node too many restart.
    _rule(State.START, Event.RESTART_BEGUN, State.RESTARTING),
    _rule(State.UNREPORTED, Event.UNREACHABLE, State.UNREPORTED, Action.COUNT),
    _rule(State.UNREPORTED, Event.REPORTED, State.IDLE, Action.ACCOUNT),
    _rule(State.UNREPORTED, Event.REPORTED_STAGED, State.STAGED),
    _rule(State.UNREPORTED, Event.REPORTED_BUSY, State.STAGING),
    _rule(State.IDLE, Event.NOTHING_NEW, State.IDLE),
    _rule(State.IDLE, Event.UNREACHABLE, State.IDLE, Action.COUNT),
    _rule(State.IDLE, Event.OFFERED, State.AVAILABLE, Action.REMEMBER),
    _rule(State.AVAILABLE, Event.WAIT, State.AVAILABLE),
    _rule(State.AVAILABLE, Event.OTHER, State.AVAILABLE, Action.REMEMBER),
    _rule(State.AVAILABLE, Event.WITHDRAWN, State.IDLE, Action.FORGET),
    _rule(State.AVAILABLE, Event.READY, State.STAGING),
    _rule(State.STAGING, Event.RUNNING, State.STAGING),
    _rule(State.STAGING, Event.STAGED, State.STAGED, Action.NOTE_STAGED),
    _rule(State.STAGING, Event.FAILED, State.AVAILABLE, Action.COUNT),
    _rule(State.STAGING, Event.GAVE_UP, State.IDLE, Action.ABANDON),
    _rule(State.STAGED, Event.WAIT, State.STAGED),
    _rule(State.STAGED, Event.OTHER, State.AVAILABLE, Action.REMEMBER),
    _rule(State.STAGED, Event.WITHDRAWN, State.IDLE, Action.FORGET),
    _rule(State.STAGED, Event.VANISHED, State.IDLE, Action.ABANDON),
    _rule(State.STAGED, Event.ALLOWED, State.LEAVING),
    _rule(State.LEAVING, Event.PEOPLE, State.LEAVING),
    _rule(State.LEAVING, Event.REVOKED, State.STAGED, Action.GIVE_BACK),
    _rule(State.LEAVING, Event.ALONE, State.RESTARTING),
    _rule(State.RESTARTING, Event.ASKED, State.RESTARTING),
    _rule(State.RESTARTING, Event.FAILED, State.STAGED, Action.GIVE_BACK),
    _rule(State.DISABLED, Event.WAIT, State.DISABLED),
)

_RULES = {(rule.state, rule.event): rule for rule in TABLE}


def after(state: State, event: Event) -> Rule:
    """The row for an event in a state. Raises ``InvariantError`` for a pair that the table does not have."""
    rule = _RULES.get((state, event))
    if rule is None:
        raise InvariantError(f"in the state {state} it cannot happen that “{event}”")
    return rule
