"""Whole commands, killed in the middle: what is left boots and is what it is called, and the command can be run again.

A kill is an exception that nothing handles, after which no cleaning up happens either, as after SIGKILL. The node then
goes on at once, or loses its power and boots. Every call of a program, of the package source and every write to the
disk is a place to be killed at, before it or behind it. ``NESTOS_CUT_COMMANDS`` sets how many places of each command
are tried (default 3, chosen by a seed; 0: all).
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from nestos.base import durable
from nestos.base.errors import VerificationError
from nestos.cli import node_packages
from nestos.deploy import change, upgrade
from nestos.slots import install, verity
from nestos.slots.bootstate import Slot, SlotState
from nestos.wire.deployment import Deployment
from tests.unit.cli.test_node_packages import Bench

TRIED = int(os.environ.get("NESTOS_CUT_COMMANDS", "3"))
COMMIT_OF_2 = "revision={new}"


class KilledError(BaseException):
    """The process is gone."""


@dataclass
class Knife:
    """Kills at operation ``at`` (from 1; 0: never), before it or ``behind`` it; ``names`` are those that began."""

    at: int = 0
    behind: bool = False
    dead: bool = False
    names: list[str] = field(default_factory=list)

    def over(self, name: str, act: Callable[..., Any]) -> Callable[..., Any]:
        def cut(*arguments: Any, **options: Any) -> Any:
            if self.dead:
                raise KilledError(name)
            self.names.append(name)
            if len(self.names) != self.at:
                return act(*arguments, **options)
            if self.behind:
                act(*arguments, **options)
            self.dead = True
            raise KilledError(name)

        return cut

    def put_away(self) -> None:
        self.at, self.dead = 0, False


@dataclass
class Cutting:
    """A node whose every operation passes the knife."""

    bench: Bench
    knife: Knife

    def put_knife_in(self, monkeypatch: pytest.MonkeyPatch) -> None:
        knife, bench = self.knife, self.bench
        bench.node = replace(bench.node, runner=knife.over("a program", bench.server))
        machine = bench.machine
        places: list[tuple[object, str]] = [(machine.block, "write"), (machine.boot, "write_file")]
        places += [(partition, "write") for partition in machine.partitions.values()]
        places += [(bench.packages, name) for name in ("refresh", "solve", "fetch", "apply")]
        places += [(durable, "write_text")]
        for thing, name in places:
            monkeypatch.setattr(thing, name, knife.over(name, getattr(thing, name)))
        remove = shutil.rmtree
        monkeypatch.setattr(shutil, "rmtree", lambda *a, **o: None if knife.dead else remove(*a, **o))

    def run(self, *words: str) -> int:
        return self.bench(*(word.format(new=self.bench.new.deployment.commit) for word in words))[0]

    def killed(self, *words: str) -> bool:
        try:
            self.run(*words)
        except KilledError:
            return True
        finally:
            self.knife.put_away()
        return False

    def lose_power(self) -> None:
        self.bench.machine.reboot()
        assert self.run("boot", "mark-good") == 0

    def held(self, slot: Slot) -> Deployment | None:
        return install.read_deployment(self.bench.machine.boot, slot)

    def require_whole(self) -> None:
        """Every slot that is called locked, trying or good holds what its record says; one of them is good."""
        machine = self.bench.machine
        state = machine.state
        assert any(state.of(slot).state is SlotState.GOOD for slot in Slot)
        for slot in Slot:
            content = machine.partitions[slot].content
            written = any(content)  # what runs at the beginning was never written by anyone
            if not written or state.of(slot).state not in (SlotState.LOCKED, SlotState.TRYING, SlotState.GOOD):
                continue
            held = self.held(slot)
            assert held is not None
            verity.verify(
                machine.partitions[slot].read,
                root_hash=held.root_hash,
                hash_offset=held.hash_offset,
                size=held.image_size,
            )
            files = [f"{slot.boot_folder}/{name}" for name in (install.KERNEL, install.INITRAMFS)]
            assert machine.boot.digest(*files) == held.kernel_digest

    def outcome(self) -> tuple[object, ...]:
        """What the node is bound for, in whichever slot."""
        view = self.bench.node.look()
        bound = view.follows
        is_locked = view.require_state().locked is not None
        return bound.version, dict(bound.layers.added), bound.kargs, bound.root_hash, is_locked


def cutting(folder: Path, capture: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cutting:
    bench = Bench(folder, capture)
    for module in (change, upgrade, node_packages):
        monkeypatch.setattr(module, "backend_of", lambda _: bench.packages)
    return Cutting(bench=bench, knife=Knife())


COMMANDS: dict[str, tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]] = {
    "a layer": ((), ("install", "--idempotent", "htop")),
    "a second layer": ((("install", "htop"),), ("install", "--idempotent", "strace")),
    "a release under a layer": ((("install", "htop"),), ("upgrade",)),
    "a locked release": ((), ("deploy", "--lock-finalization", COMMIT_OF_2)),
    "finalizing it": ((("upgrade", "--lock-finalization"),), ("finalize-deployment", "{new}")),
    "kernel arguments": ((), ("kargs", "--append-if-missing=nosmt")),
    "an override": ((), ("override", "remove", "less")),
}


@pytest.mark.parametrize(("before", "words"), COMMANDS.values(), ids=COMMANDS.keys())
def test_a_command_killed_anywhere_leaves_a_whole_node_and_can_be_run_again(
    before: tuple[tuple[str, ...], ...],
    words: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    chance = random.Random(" ".join(words))

    def begun(name: str, patch: pytest.MonkeyPatch) -> Cutting:
        found = cutting(tmp_path / name, capsys, patch)
        for earlier in before:
            assert found.run(*earlier) == 0
        found.put_knife_in(patch)
        return found

    with monkeypatch.context() as patch:
        rehearsal = begun("rehearsal", patch)
        assert rehearsal.run(*words) == 0
        operations, expected = len(rehearsal.knife.names), rehearsal.outcome()
    places = range(1, operations + 1)
    for at in chance.sample(places, TRIED) if 0 < TRIED < operations else places:
        with monkeypatch.context() as patch:
            node = begun(f"cut-{at}", patch)
            node.knife.at, node.knife.behind = at, chance.random() < 0.5
            assert node.killed(*words)
            node.require_whole()
            assert node.run("status") == 0
            if chance.random() < 0.5:
                node.lose_power()
            again = node.run(*words)
            runs = node.held(node.bench.machine.booted)
            assert again in (0, 77) or (words[0] == "finalize-deployment" and runs is not None and runs.version == "2")
            node.require_whole()
            assert node.outcome() == expected
            node.lose_power()
            assert not any((node.bench.node.folder / "staging").glob("*"))


def test_a_node_that_called_a_slot_good_before_it_was_whole_would_be_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    node = cutting(tmp_path, capsys, monkeypatch)
    assert node.run("install", "htop") == 0
    node.require_whole()
    node.bench.machine.partitions[Slot.B].content[100] ^= 1
    with pytest.raises(VerificationError):
        node.require_whole()
