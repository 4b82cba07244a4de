from __future__ import annotations

from pathlib import Path

import pytest

from nestos.agent import diagram, machine
from nestos.agent.machine import ACTIVITIES, TABLE, Action, Event, State
from nestos.base.errors import InvariantError

DOCUMENT = Path(__file__).parents[3] / "docs" / "agent.md"


def test_the_document_holds_the_diagram_and_the_table_that_the_code_makes() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"```mermaid\n{diagram.mermaid()}```" in text, f"put this into {DOCUMENT.name}:\n{diagram.mermaid()}"
    assert diagram.table() in text, f"put this into {DOCUMENT.name}:\n{diagram.table()}"


@pytest.mark.parametrize("state", State)
def test_what_is_not_in_the_table_does_not_happen(state: State) -> None:
    known = {rule.event for rule in TABLE if rule.state is state}
    for event in Event:
        if event in known:
            assert machine.after(state, event).state is state
        else:
            with pytest.raises(InvariantError):
                machine.after(state, event)


def test_every_row_is_there_once_and_every_word_is_used() -> None:
    assert len({(rule.state, rule.event) for rule in TABLE}) == len(TABLE)
    assert {rule.event for rule in TABLE} == set(Event)
    assert {rule.action for rule in TABLE} == set(Action)
    assert ACTIVITIES.keys() == set(State)


def test_every_state_is_reached_and_left() -> None:
    reached = {State.START}
    for _ in State:
        reached |= {rule.next for rule in TABLE if rule.state in reached}
    assert reached == set(State)
    assert {rule.state for rule in TABLE if rule.next is not rule.state} == set(State) - {State.DISABLED}


def test_a_restart_is_reached_only_by_leave_or_by_one_that_was_begun() -> None:
    ways = {(rule.state, rule.event) for rule in TABLE if rule.next is State.RESTARTING and rule.state is not rule.next}
    assert ways == {(State.LEAVING, Event.ALONE), (State.START, Event.RESTART_BEGUN)}
    assert {rule.state for rule in TABLE if rule.next is State.LEAVING} == {State.STAGED, State.LEAVING}
