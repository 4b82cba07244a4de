from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nestos.base.errors import CommandError, InputError, SpaceError, StateError
from nestos.base.log import Progress
from nestos.deploy.change import Change, Goal
from nestos.deploy.layers import Permission
from nestos.deploy.node import Node
from nestos.deploy.upgrade import Options, Upgrade
from nestos.host import space
from nestos.slots import install
from nestos.slots.bootstate import Slot, SlotState, SlotStatus
from nestos.wire.deployment import Deployment
from nestos.wire.origin import Origin
from tests.unit.deploy.fakes import FakeMachine, FakeServer, Made, made, node, running_a
from tests.unit.deploy.layering import ACCOUNTS, MemoryPackages

HTOP = Goal(origin=Origin(packages=("htop",)))


@dataclass(kw_only=True)
class World:
    """A node that runs 1 in slot a, a server that has 1 and 2, and a package source."""

    node: Node
    machine: FakeMachine
    server: FakeServer
    old: Made
    new: Made
    packages: MemoryPackages

    @property
    def change(self) -> Change:
        return Change(self.node, progress=Progress(io.StringIO()), backend=self.packages)

    @property
    def upgrade(self) -> Upgrade:
        return Upgrade(self.node, progress=Progress(io.StringIO()), backend=self.packages)

    def held(self, slot: Slot = Slot.B) -> Deployment:
        found = install.read_deployment(self.machine.boot, slot)
        assert found is not None
        return found

    def reboot_good(self) -> None:
        """Boots what is staged, and it proves itself."""
        slot = self.machine.reboot()
        install.mark_good(self.machine.block, booted=slot)

    def untouched(self) -> bool:
        return self.machine.block.writes == 0 and not any(self.machine.partitions[Slot.B].content)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    server = FakeServer(etc=dict(ACCOUNTS))
    old = server.publish(made("1", day=1))
    new = server.publish(made("2", day=2, parent=old.deployment.commit))
    machine = FakeMachine(running_a(b=SlotStatus()))
    machine.put(Slot.A, old.deployment)
    on = node(tmp_path, machine, server)
    yield World(node=on, machine=machine, server=server, old=old, new=new, packages=MemoryPackages())


def test_a_package_is_staged_on_the_very_base_that_runs(world: World) -> None:
    taken = world.change.take(HTOP)
    held = world.held()
    assert (taken.slot, taken.layers.added) == (Slot.B, {"htop": "3"})
    assert (held.commit, held.version) == (world.old.deployment.commit, "1")
    assert held.layered_commit
    assert held.origin == HTOP.origin
    assert world.machine.state.b.state is SlotState.TRYING
    assert world.server.ran("ostree", "commit", "--link-checkout-speedup", "--branch=local/layered/b")
    assert list((world.node.folder / "staging").iterdir()) == []


def test_what_is_asked_for_twice_changes_nothing(world: World) -> None:
    world.change.take(HTOP)
    with pytest.raises(StateError, match="changes nothing") as caught:
        world.change.take(HTOP)
    assert caught.value.kind == "unchanged"


def test_commands_before_one_restart_add_up(world: World) -> None:
    world.change.take(HTOP)
    origin = world.change.current().origin.install(packages=["strace"])
    world.change.take(Goal(origin=origin))
    world.change.take(Goal(kargs=("quiet", "nosmt")))
    assert world.held().layers.added == {"htop": "3", "strace": "6"}
    assert world.held().kargs == ("quiet", "nosmt")


def test_without_layers_the_slot_holds_the_signed_release_again(world: World) -> None:
    world.change.take(HTOP)
    world.change.take(Goal(origin=Origin()))
    held = world.held()
    assert (held.root_hash, held.layered_commit) == (world.old.deployment.root_hash, "")


def test_a_package_of_the_base_is_inactive(world: World) -> None:
    world.change.take(Goal(origin=Origin(packages=("less", "htop"))))
    assert world.held().layers.inactive == ("less",)
    with pytest.raises(InputError, match="the release has already: less"):
        world.change.take(Goal(origin=Origin(packages=("less",)), permission=Permission(allow_inactive=False)))


def test_layers_are_laid_on_a_new_base(world: World) -> None:
    world.change.take(HTOP)
    world.reboot_good()
    world.machine.partitions[Slot.A] = type(world.machine.partitions[Slot.A])(1024 * 1024)
    world.packages.offered["htop"] = "4"
    world.upgrade.take(world.upgrade.examine(options=Options()))
    held = world.held(Slot.A)
    assert (held.version, held.commit) == ("2", world.new.deployment.commit)
    assert held.layers.added == {"htop": "4"}


def test_a_base_that_makes_a_layer_impossible_is_refused_with_the_way_out(world: World) -> None:
    world.change.take(HTOP)
    world.reboot_good()
    before = (world.machine.block.block, bytes(world.machine.partitions[Slot.A].content))
    del world.packages.offered["htop"]
    with pytest.raises(InputError, match="the layers of this node do not go onto it") as caught:
        world.upgrade.take(world.upgrade.examine(options=Options()))
    assert "htop" in str(caught.value)
    assert caught.value.hint == "nestos uninstall htop"
    assert (world.machine.block.block, bytes(world.machine.partitions[Slot.A].content)) == before


def test_a_script_that_fails_touches_no_slot_and_leaves_nothing(world: World) -> None:
    world.packages.broken = {"htop"}
    with pytest.raises(CommandError, match="the script of htop failed"):
        world.change.take(HTOP)
    assert world.untouched()
    assert not (world.node.folder / "staging").exists()


def test_an_interruption_leaves_nothing_half_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(world.packages, "apply", interrupt)
    with pytest.raises(KeyboardInterrupt):
        world.change.take(HTOP)
    assert world.untouched()
    assert not (world.node.folder / "staging").exists()


def test_a_full_disk_is_told_before_a_package_is_fetched(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(space, "free_bytes", lambda folder: 20)
    with pytest.raises(SpaceError, match="the packages need"):
        world.change.take(HTOP)
    assert world.packages.fetched == []
    assert world.untouched()


def test_a_preview_fetches_and_writes_nothing(world: World) -> None:
    plan = world.change.preview(HTOP)
    assert plan.layers.added == {"htop": "3"}
    assert world.packages.fetched == []
    assert world.untouched()


def test_packages_can_be_fetched_ahead(world: World) -> None:
    world.change.download(HTOP)
    assert world.packages.fetched == ["htop"]
    assert world.untouched()


def test_what_was_fetched_before_must_do_where_that_was_said(world: World) -> None:
    world.change.take(replace(HTOP, permission=Permission(cache_only=True)))
    assert world.packages.refreshed == []


def test_a_pinned_slot_is_not_written(world: World) -> None:
    world.change.take(HTOP)
    world.reboot_good()
    world.machine.put(Slot.A, world.old.deployment)
    assert world.change.pin(Slot.A, pinned=True)
    assert not world.change.pin(Slot.A, pinned=True)
    with pytest.raises(StateError, match="slot a, 1, is pinned") as caught:
        world.change.take(Goal(origin=Origin()))
    assert "unpin a" in caught.value.hint
    assert world.change.pin(Slot.A, pinned=False)
    assert world.held(Slot.A) == world.old.deployment


def test_what_is_staged_can_be_given_up(world: World) -> None:
    assert world.change.drop_pending() is None
    world.change.take(HTOP)
    dropped = world.change.drop_pending()
    assert dropped is not None
    assert dropped.slot is Slot.B
    assert world.machine.state.pending is None


def test_a_slot_that_is_not_good_yet_writes_no_other(world: World) -> None:
    world.change.take(HTOP)
    world.machine.reboot()
    with pytest.raises(StateError, match="not judged good yet"):
        world.change.take(Goal(kargs=("nosmt",)))


def test_commands_of_the_sandbox_that_fail_are_errors(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.server.fail("ostree", "commit", "--link-checkout-speedup", stderr="something else")
    with pytest.raises(CommandError):
        world.change.take(HTOP)
    assert world.untouched()


def test_a_transaction_cut_while_it_writes_over_a_staged_one_takes_no_wish_with_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    world.change.take(HTOP)
    more = Goal(origin=HTOP.origin.install(packages=["strace"]) if HTOP.origin else None)
    with monkeypatch.context() as patch:
        patch.setattr(world.machine.partitions[Slot.B], "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            world.change.take(more)
    assert world.machine.state.b.state is SlotState.WRITING
    assert world.change.current().origin == HTOP.origin
    world.change.take(more)
    assert world.held().layers.added == {"htop": "3", "strace": "6"}
    assert not world.node.replaced.exists()


def test_what_was_cut_can_be_given_up_with_the_wish_before_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    world.change.take(HTOP)
    with monkeypatch.context() as patch:
        patch.setattr(world.machine.partitions[Slot.B], "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            world.change.take(Goal(kargs=("nosmt",)))
    assert world.change.drop_pending() is not None
    assert world.change.drop_pending() is None
    assert not world.node.replaced.exists()
    assert world.change.current().origin == Origin()
