from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest

from nestos.agent import staging
from nestos.agent.choice import Release
from nestos.agent.driver import read_outcome
from nestos.agent.identity import Identity
from nestos.agent.memory import Memory, MemoryFile
from nestos.agent.settings import Settings
from nestos.agent.staging import Judgement
from nestos.base.errors import VerificationError
from nestos.base.log import Progress
from nestos.deploy.records import Denial
from nestos.deploy.upgrade import Options, Upgrade
from nestos.slots.bootstate import Slot, SlotState, SlotStatus
from tests.unit.deploy.fakes import FakeMachine, FakeServer, made, node, running_a


def _who(ref: str) -> Identity:
    return Identity(node_uuid="0" * 32, group="g", basearch="x86_64", platform="metal", stream=ref.rpartition("/")[2])


class FakeVoucher:
    """Vouches for everything but ``refused``."""

    def __init__(self) -> None:
        self.refused: dict[str, str] = {}
        self.asked: list[tuple[str, str]] = []

    def require(self, release: Release, *, who: Identity) -> None:
        self.asked.append((who.stream, release.payload))
        if release.version in self.refused:
            raise VerificationError(self.refused[release.version], kind="wrong-target")


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
        self.voucher = FakeVoucher()
        self.upgrade = Upgrade(self.node, progress=Progress(io.StringIO()))

    def wants(self, version: str, payload: str) -> None:
        self.file.write(Memory(attempt=7, release=Release(version=version, payload=payload)))

    def stage(self, *, allow_downgrade: bool = False) -> str:
        chosen = replace(Settings(), allow_downgrade=allow_downgrade)
        judgement = Judgement(settings=chosen, voucher=self.voucher, who=_who)
        outcome = staging.stage(self.node, upgrade=self.upgrade, judgement=judgement, file=self.file)
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


def test_a_release_that_nobody_vouches_for_is_not_taken(here: World) -> None:
    commit = here.third.deployment.commit
    here.wants("3", commit)
    here.voucher.refused["3"] = "nobody vouches for it"
    assert here.stage() == "nobody vouches for it"
    assert here.voucher.asked == [("test", commit)]
    assert state_b(here) is SlotState.EMPTY


def test_what_the_agent_left_is_read_as_a_strangers(here: World, tmp_path: Path) -> None:
    """Root reads it: no link to another file, no pipe, nothing without end, no fields of another kind."""
    path = tmp_path / "agent/state.json"
    here.wants("3", here.third.deployment.commit)
    good = path.read_text()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text(good)
    path.unlink()
    path.symlink_to(elsewhere)
    assert "asks for no release" in here.stage()
    path.unlink()
    os.mkfifo(path)
    assert "asks for no release" in here.stage()
    path.unlink()
    for text in (good + " " * 2**20, good.replace('"3"', "3"), "[" * 100_000):
        path.write_text(text)
        assert "asks for no release" in here.stage()
    path.write_text(good)
    assert here.stage() == ""


def test_what_another_command_locked_is_left_to_it(here: World) -> None:
    here.wants("3", here.third.deployment.commit)
    here.upgrade.take(here.upgrade.examine(options=Options()), is_locked=True)
    assert "locked by another command" in here.stage()
    assert staging.drop(here.node, upgrade=here.upgrade) == ""
    assert state_b(here) is SlotState.LOCKED
