from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from nestos.agent import staging
from nestos.agent.choice import Release
from nestos.agent.driver import read_outcome
from nestos.agent.memory import Memory, MemoryFile
from nestos.agent.settings import Settings
from nestos.base.log import Progress
from nestos.deploy.records import Denial
from nestos.deploy.upgrade import Upgrade
from nestos.slots.bootstate import Slot, SlotState, SlotStatus
from tests.unit.deploy.fakes import FakeMachine, FakeServer, made, node, running_a


class World:
    """A node that runs 2 and a repository with 1, 2 and 3; the agent asks for what is in its file."""

    def __init__(self, folder: Path) -> None:
        self.server = FakeServer()
        self.first = self.server.publish(made("1", day=1))
        self.second = self.server.publish(made("2", day=2, parent=self.first.deployment.commit))
        self.third = self.server.publish(made("3", day=3, parent=self.second.deployment.commit))
        self.machine = FakeMachine(running_a(b=SlotStatus()))
        self.machine.put(Slot.A, self.second.deployment)
        self.node = node(folder, self.machine, self.server)
        self.file = MemoryFile(folder / "agent")
        self.upgrade = Upgrade(self.node, progress=Progress(io.StringIO()))

    def wants(self, version: str, payload: str) -> None:
        self.file.write(Memory(attempt=7, release=Release(version=version, payload=payload)))

    def stage(self, *, allow_downgrade: bool = False) -> str:
        chosen = replace(Settings(), allow_downgrade=allow_downgrade)
        outcome = staging.stage(self.node, upgrade=self.upgrade, settings=chosen, file=self.file)
        assert outcome == read_outcome(self.node.root)
        assert outcome.attempt in (0, 7)
        return outcome.problem


def state_b(world: World) -> SlotState:
    return world.node.look().require_state().of(Slot.B).state


@pytest.fixture
def here(tmp_path: Path) -> World:
    return World(tmp_path)


def test_what_the_agent_asks_for_is_staged_and_told(here: World) -> None:
    here.wants("3", here.third.deployment.commit)
    assert here.stage() == ""
    assert state_b(here) is SlotState.TRYING
    assert here.stage() == ""  # it is there already
    assert staging.drop(here.node, upgrade=here.upgrade) == "3"
    assert state_b(here) is SlotState.EMPTY
    assert staging.drop(here.node, upgrade=here.upgrade) == ""


def test_another_commit_than_the_graphs_is_not_taken(here: World) -> None:
    here.wants("3", "0" * 64)
    assert "the update graph as" in here.stage()
    assert state_b(here) is SlotState.EMPTY


def test_the_agent_cannot_take_the_node_back(here: World) -> None:
    here.wants("1", here.first.deployment.commit)
    assert "1 is older than 2, which runs" in here.stage()
    assert state_b(here) is SlotState.EMPTY
    assert here.stage(allow_downgrade=True) == ""
    assert state_b(here) is SlotState.TRYING


def test_the_agent_cannot_take_what_failed_here(here: World) -> None:
    commit = here.third.deployment.commit
    here.node.records.deny(Denial(version="3", commit=commit, reason="no web", time="then"))
    here.wants("3", commit)
    assert "failed on this node" in here.stage()


def test_without_a_wish_nothing_is_taken(here: World) -> None:
    assert "asks for no release" in here.stage()
