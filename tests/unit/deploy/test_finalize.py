from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from nestos.base.errors import InputError, StateError
from nestos.base.log import Progress
from nestos.deploy import finalize
from nestos.deploy.change import Change, Goal
from nestos.deploy.node import Node
from nestos.deploy.records import Event
from nestos.deploy.release import Verdict
from nestos.deploy.upgrade import Offer, Options, Upgrade
from nestos.slots import install
from nestos.slots.bootstate import BootState, Slot, SlotState, SlotStatus
from nestos.wire.origin import Origin
from tests.unit.deploy.fakes import GOOD, FakeMachine, FakeServer, Made, made, node, running_a
from tests.unit.deploy.layering import ACCOUNTS, MemoryPackages


@dataclass(kw_only=True)
class World:
    """A node that runs 1 in slot a, and a server that offers 2."""

    node: Node
    machine: FakeMachine
    old: Made
    new: Made
    packages: MemoryPackages

    @property
    def upgrade(self) -> Upgrade:
        return Upgrade(self.node, progress=Progress(io.StringIO()), backend=self.packages)

    @property
    def change(self) -> Change:
        return Change(self.node, progress=Progress(io.StringIO()), backend=self.packages)

    def offer(self) -> Offer:
        return self.upgrade.examine(options=Options())

    def lock(self) -> None:
        self.upgrade.take(self.offer(), is_locked=True)

    def edit(self, text: str) -> None:
        place = self.node.folder / "etc/a/upper"
        place.mkdir(parents=True, exist_ok=True)
        (place / "edited").write_text(text)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    server = FakeServer(etc=dict(ACCOUNTS))
    old = server.publish(made("1", day=1))
    new = server.publish(made("2", day=2, parent=old.deployment.commit))
    machine = FakeMachine(running_a(b=SlotStatus()))
    machine.put(Slot.A, old.deployment)
    yield World(node=node(tmp_path, machine, server), machine=machine, old=old, new=new, packages=MemoryPackages())


def test_a_locked_release_is_whole_in_its_slot_and_no_boot_takes_it(world: World) -> None:
    world.lock()
    assert world.machine.state == BootState(pointer=Slot.A, booted=Slot.A, a=GOOD, b=SlotStatus(state=SlotState.LOCKED))
    assert install.read_deployment(world.machine.boot, Slot.B) is not None
    assert bytes(world.machine.partitions[Slot.B].content).startswith(world.new.blocks[0])
    assert [world.machine.reboot() for _ in range(9)] == [Slot.A] * 9
    assert world.machine.state.locked is Slot.B


def test_finalizing_lets_it_boot_with_the_configured_tries_and_the_newest_etc(world: World) -> None:
    world.edit("before")
    world.lock()
    world.edit("days later")
    taken = finalize.finalize(world.node, checksum=world.new.deployment.commit, allow_unlocked=False)
    assert (taken.version, taken.slot) == ("2", Slot.B)
    assert world.machine.state.b == SlotStatus(state=SlotState.TRYING, tries=2)
    assert (world.node.folder / "etc/b/upper/edited").read_text() == "days later"
    assert world.machine.reboot() is Slot.B
    assert [record.event for record in world.node.records.history()] == [Event.LOCKED, Event.FINALIZED]


def test_another_release_than_the_expected_one_is_not_finalized(world: World) -> None:
    world.lock()
    with pytest.raises(StateError, match="staged is") as caught:
        finalize.finalize(world.node, checksum=world.old.deployment.commit, allow_unlocked=True)
    assert caught.value.kind == "mismatch"
    assert world.machine.state.locked is Slot.B


def test_what_boots_next_already_needs_no_finalizing(world: World) -> None:
    """An agent that names what it staged gets through although a person lifted the lock."""
    world.upgrade.take(world.offer())
    before = world.machine.state
    finalize.finalize(world.node, checksum=world.new.deployment.commit, allow_unlocked=False)
    finalize.finalize(world.node, checksum="", allow_unlocked=True)
    with pytest.raises(StateError, match="not locked"):
        finalize.finalize(world.node, checksum="", allow_unlocked=False)
    assert world.machine.state == before


def test_nothing_staged_or_a_requested_rollback_cannot_be_finalized(world: World) -> None:
    with pytest.raises(StateError, match="no release is staged"):
        finalize.finalize(world.node, checksum="", allow_unlocked=True)
    world.machine.block = type(world.machine.block)(BootState(pointer=Slot.B, booted=Slot.A, a=GOOD, b=GOOD))
    world.machine.put(Slot.B, world.new.deployment)
    with pytest.raises(StateError, match="no release is staged"):
        finalize.finalize(world.node, checksum=world.new.deployment.commit, allow_unlocked=True)


def test_a_running_version_that_is_not_good_yet_lets_no_other_boot(world: World) -> None:
    world.lock()
    trying = SlotStatus(state=SlotState.TRYING, tries=1)
    world.machine.block = type(world.machine.block)(world.machine.state.with_status(Slot.A, trying))
    with pytest.raises(StateError, match="judged good"):
        finalize.finalize(world.node, checksum="", allow_unlocked=False)


def test_an_etc_that_cannot_be_brought_up_to_date_keeps_the_lock(world: World) -> None:
    world.lock()
    shutil.rmtree(world.node.staged_defaults)
    with pytest.raises(StateError, match="default /etc of 2 is lost"):
        finalize.finalize(world.node, checksum="", allow_unlocked=False)
    assert world.machine.state.locked is Slot.B


@pytest.mark.parametrize(("checksum", "allow_missing"), [("", False), ("ab" * 32, True)])
def test_a_command_says_which_release_it_means(checksum: str, allow_missing: bool) -> None:
    with pytest.raises(InputError):
        finalize.require_meant(checksum, allow_missing=allow_missing)


def test_what_is_staged_can_be_locked_afterwards(world: World) -> None:
    world.upgrade.take(world.offer())
    assert finalize.lock(world.node).is_locked
    assert finalize.lock(world.node).is_locked
    assert world.machine.state.locked is Slot.B
    assert world.machine.reboot() is Slot.A
    finalize.finalize(world.node, checksum="", allow_unlocked=False)
    assert world.machine.reboot() is Slot.B


def test_a_locked_release_is_not_fetched_again(world: World) -> None:
    world.lock()
    offer = world.offer()
    assert (offer.verdict, offer.is_locked, offer.need) == (Verdict.STAGED, True, None)


def test_a_change_goes_on_from_the_locked_release_and_lifts_the_lock(world: World) -> None:
    """As rpm-ostree does since ostree 2023.8: a lock that outlives what it was for keeps a person's change away."""
    world.lock()
    taken = world.change.take(Goal(origin=Origin(packages=("htop",))))
    assert (taken.version, taken.is_locked) == ("2", False)
    assert world.machine.state.pending is Slot.B
    taken = world.change.take(Goal(kargs=("nosmt",), is_locked=True))
    assert (taken.version, dict(taken.layers.added), taken.is_locked) == ("2", {"htop": "3"}, True)
    finalize.finalize(world.node, checksum=world.new.deployment.commit, allow_unlocked=False)


def test_a_locked_release_can_be_given_up(world: World) -> None:
    world.lock()
    dropped = world.change.drop_pending()
    assert dropped is not None
    assert (dropped.version, dropped.slot) == ("2", Slot.B)
    assert world.machine.state.b.state is SlotState.EMPTY
    world.lock()
    assert world.upgrade.rollback().slot is Slot.A
    assert world.machine.state.b.state is SlotState.EMPTY
    assert world.node.records.history()[-1].event is Event.DROPPED
