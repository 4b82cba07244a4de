"""The power may go at any moment of any transaction; and no barrier and no step is where it is for nothing.

``NESTOS_SWEEP_RANDOM`` sets how many random disks are tried at each cut beside the enumerated ones (default 4); some
thousands make the long run.
"""

from __future__ import annotations

import io
import logging
import os
import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from nestos.base.errors import VerificationError
from nestos.slots import bootstate, install
from nestos.slots.bootstate import Slot, SlotState
from nestos.slots.disk import Disk
from nestos.slots.install import STEPS, Step
from tests.unit.slots import scenarios
from tests.unit.slots.crash_sweep import Result, Scenario, Sweep, initial, is_loadable, live
from tests.unit.slots.releases import Releases, releases
from tests.unit.slots.simulated_disk import PowerCutError, SimulatedDisk

logger = logging.getLogger(__name__)

RANDOM_DISKS = int(os.environ.get("NESTOS_SWEEP_RANDOM", "4"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Releases:
    return releases(tmp_path_factory.mktemp("releases"))


def every_scenario(made: Releases) -> list[Scenario]:
    kinds = (scenarios.updates, scenarios.locked_updates, scenarios.others)
    return [it for booted in Slot for kind in kinds for it in kind(made, booted)]


def test_a_power_cut_at_any_operation_leaves_a_node_that_boots_and_keeps_its_invariants(made: Releases) -> None:
    total = Result()
    for scenario in every_scenario(made):
        total += Sweep(releases=made, random_disks=RANDOM_DISKS).run(scenario)
    logger.info("%s", total)
    assert total.violations == []
    assert total.cut_points > 350
    assert total.disks > 7000
    assert set(total.endings) == {"previous", "old", "new"}


def test_removing_any_one_barrier_makes_the_sweep_fail(made: Releases) -> None:
    """A barrier must matter from at least one of the states in which its transaction may begin."""
    idle: dict[tuple[str, int, str], bool] = {}
    for scenario in every_scenario(made):
        for number, barrier in enumerate(Sweep(releases=made).rehearse(scenario).barriers, start=1):
            key = (scenario.name.split(" over ")[0].replace("first update", "update"), number, barrier)
            if idle.get(key, True):
                sweep = Sweep(releases=made, without_barrier=number, random_disks=0, enough=1)
                idle[key] = not sweep.run(scenario).violations
    assert [key for key, is_idle in idle.items() if is_idle] == []
    # Per slot: an update, a locked one, the refresh of /etc, finalizing, eleven changes of state, two of a record.
    assert len(idle) == 2 * (6 + 6 + 2 + 3 + 11 + 2)


def moved(name: str, *, to: int) -> tuple[Step, ...]:
    step = next(it for it in STEPS if it.name == name)
    rest = [it for it in STEPS if it is not step]
    return (*rest[:to], step, *rest[to:])


def place(name: str) -> int:
    return [step.name for step in STEPS].index(name)


WRONG_ORDERS = {
    "marked after the image was written": moved("mark writing", to=place("write")),
    "marked after /etc was exchanged": moved("mark writing", to=place("etc")),
    "staged before the boot files": moved("stage", to=place("boot files")),
    "staged before /etc": moved("stage", to=place("etc")),
    "staged before the image": moved("stage", to=place("write")),
    "never marked as being written": tuple(step for step in STEPS if step.name != "mark writing"),
}


def updating_in(steps: tuple[Step, ...], made: Releases, *, booted: Slot) -> Callable[[Disk], object]:
    def without_guards(disk: Disk) -> object:
        plan = install.plan(disk, made.new.payload, booted=booted, chunk_bytes=scenarios.CHUNK_BYTES)
        # The table itself refuses to stage what was not marked: here only the order shall be judged.
        state = plan.state if steps[1].name == "mark writing" else bootstate.writing(plan.state, booted.other)
        return replace(plan, steps=steps, state=state).run()

    return without_guards


@pytest.mark.parametrize("steps", WRONG_ORDERS.values(), ids=WRONG_ORDERS.keys())
def test_a_wrong_order_of_steps_makes_the_sweep_fail(steps: tuple[Step, ...], made: Releases) -> None:
    scenario = next(scenarios.updates(made, Slot.A))
    broken = replace(scenario, operate=updating_in(steps, made, booted=Slot.A))
    assert Sweep(releases=made, random_disks=0, enough=1).run(broken).violations != []


def test_writing_over_a_record_makes_the_sweep_fail(made: Releases) -> None:
    scenario = next(it for it in scenarios.others(made, Slot.A) if it.name == "pinning the running slot a")

    def over(disk: Disk) -> None:
        disk.boot.write_file(f"{Slot.A.boot_folder}/{install.RECORD}", io.BytesIO(made.old.pinned))
        disk.boot.checkpoint()

    assert Sweep(releases=made, random_disks=0).run(scenario).violations == []
    assert Sweep(releases=made, random_disks=0, enough=1).run(replace(scenario, operate=over)).violations != []


class FlippingDisk(SimulatedDisk):
    """Changes one bit of every fourth block on its way to the partition, and says nothing."""

    def write(self, change: object, name: str) -> None:
        if name.startswith("write root-") and len(self.operations) % 4 == 0:
            change = replace(change, data=bytes([change.data[0] ^ 1]) + change.data[1:])  # type: ignore[type-var, attr-defined]
        super().write(change, name)  # type: ignore[arg-type]


def test_a_disk_that_writes_something_else_never_gets_the_slot_staged(made: Releases) -> None:
    scenario = next(scenarios.updates(made, Slot.A))
    machine = FlippingDisk(initial(scenario))
    with pytest.raises(VerificationError):
        scenario.operate(machine.disk(passive=Slot.B))
    state = bootstate.parse(machine.seen().left().environment)
    assert (state.b.state, state.pointer) == (SlotState.WRITING, Slot.A)


def test_an_update_cut_anywhere_can_be_run_again_to_its_end(made: Releases) -> None:
    scenario = next(scenarios.updates(made, Slot.A))
    for cut_at in range(1, len(Sweep(releases=made).rehearse(scenario).operations) + 1):
        machine = SimulatedDisk(initial(scenario), cut_at=cut_at)
        with pytest.raises(PowerCutError):
            scenario.operate(machine.disk(passive=Slot.B))
        for left in machine.survivors(random.Random(cut_at), count=0):
            again = SimulatedDisk(left)
            disk = again.disk(passive=Slot.B)
            scenario.operate(disk)
            after = again.seen().left()
            loadable = tuple(slot for slot in Slot if is_loadable(after, slot))
            life = live(after.environment, contents=("old", "new"), loadable=loadable, sick=frozenset(), interrupted=0)
            assert set(life.settled) == {"new"}
            assert scenario.promised(after, install.read_state(disk.environment))
