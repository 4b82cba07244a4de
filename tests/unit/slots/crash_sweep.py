"""Cuts the power at every operation of every transaction, boots from everything that could be left, and judges.

A boot is the real ``bootstate.choose`` (GRUB), a look whether the chosen slot is whole, and the real
``install.mark_good``. What must hold: invariants 1 to 4 of the design, and that what a transaction promised is there.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from nestos.base.errors import StateError
from nestos.slots import bootstate, install
from nestos.slots.bootstate import BootState, Slot, SlotState
from nestos.slots.disk import Disk
from tests.unit.slots.releases import Releases, Version
from tests.unit.slots.simulated_disk import PARTITION_BYTES, Left, PowerCutError, SimulatedDisk

BOOTS = 9
"""Enough to spend every try of both slots, to fall back, and to stay there for a while."""

VOUCHED = {SlotState.LOCKED, SlotState.TRYING, SlotState.GOOD}
"""States that promise a whole slot: it boots, or one sector write lets it."""


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A disk, a transaction on it, and what may come of it.

    ``endings``: the versions on which the node may settle when the power was cut, once every version is healthy;
    ``done``: the one on which it must once the transaction returned. ``sick`` and ``sick_endings``: versions that never
    reach boot-complete, and where the node then settles. ``promised``: what must be on the disk once it returned.
    """

    name: str
    booted: Slot
    state: BootState
    contents: Mapping[Slot, Version]
    etc: Mapping[Slot, bytes]
    operate: Callable[[Disk], object]
    promised: Callable[[Left, BootState], bool]
    endings: frozenset[str]
    done: str
    sick: frozenset[str] = frozenset()
    sick_endings: frozenset[str] = frozenset()
    prepare: Callable[[Disk], object] = lambda disk: None
    """Runs before the first cut; what it leaves unflushed belongs to the scenario (a killed process)."""


@dataclass(kw_only=True)
class Result:
    """What a sweep saw. ``endings`` counts on which version each followed node settled."""

    operations: list[str] = field(default_factory=list)
    barriers: list[str] = field(default_factory=list)
    cut_points: int = 0
    disks: int = 0
    lives: int = 0
    endings: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)

    def __iadd__(self, other: Result) -> Result:
        self.cut_points += other.cut_points
        self.disks += other.disks
        self.lives += other.lives
        self.endings += other.endings
        self.violations += other.violations
        return self

    def __str__(self) -> str:
        endings = ", ".join(f"{name} {count}" for name, count in sorted(self.endings.items()))
        return (
            f"{self.cut_points} cut points, {self.disks} different disks left behind,"
            f" {self.lives} nodes followed over {BOOTS} boots, which settled on {endings};"
            f" violations: {len(self.violations)}"
        )


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """How hard to look. ``random_disks``: per cut, beside the enumerated ones. ``enough``: violations to stop at."""

    releases: Releases
    random_disks: int = 6
    without_barrier: int = 0
    enough: int = 1000
    seed: int = 1

    def run(self, scenario: Scenario) -> Result:
        """Cuts ``scenario`` at every operation, and once after its end."""
        result = self.rehearse(scenario)
        first = len(self._start(scenario, cut_at=0).operations)
        for cut_at in range(first + 1, len(result.operations) + 2):
            result.cut_points += 1
            self._cut(scenario, cut_at, result)
            if len(result.violations) >= self.enough:
                break
        return result

    def rehearse(self, scenario: Scenario) -> Result:
        """What ``scenario`` does when nothing happens to it."""
        machine = self._start(scenario, cut_at=0)
        scenario.operate(machine.disk(passive=scenario.booted.other))
        return Result(operations=machine.operations, barriers=machine.barriers)

    def _start(self, scenario: Scenario, *, cut_at: int) -> SimulatedDisk:
        machine = SimulatedDisk(initial(scenario), without_barrier=self.without_barrier)
        scenario.prepare(machine.disk(passive=scenario.booted.other))
        machine.cut_at = cut_at
        return machine

    def _cut(self, scenario: Scenario, cut_at: int, result: Result) -> None:
        machine = self._start(scenario, cut_at=cut_at)
        where = f"{scenario.name}, cut {cut_at}"
        machine.before_partition_write = lambda slot: result.violations.extend(
            f"{where}: {sentence}" for sentence in forbidden_write(machine, slot)
        )
        is_done = False
        try:
            scenario.operate(machine.disk(passive=scenario.booted.other))
            is_done = True
        except PowerCutError as cut:
            where += f" ({cut})"
        chance = random.Random(f"{self.seed} {cut_at}")
        for left in machine.survivors(chance, count=self.random_disks):
            result.disks += 1
            faults = list(self._judge(scenario, left, is_done=is_done, result=result))
            result.violations += [f"{where}: {fault}" for fault in faults]
            if len(result.violations) >= self.enough:
                break

    def _judge(self, scenario: Scenario, left: Left, *, is_done: bool, result: Result) -> Iterator[str]:
        try:
            state = bootstate.parse(left.environment)
        except StateError:
            yield "the environment block is torn"
            return
        whole = {slot: content(left, slot, self.releases) for slot in Slot}
        for slot in Slot:
            if state.of(slot).state in VOUCHED and whole[slot] is None:
                yield f"slot {slot} is {state.of(slot).state}, and is not whole"
        if not any(state.of(slot).state is SlotState.GOOD and whole[slot] for slot in Slot):
            yield "no slot is good and whole"
        if is_done and not scenario.promised(left, state):
            yield f"the transaction returned, and its promise is lost: {state}"
        healthy = frozenset({scenario.done}) if is_done else scenario.endings
        yield from self._follow(left, endings=healthy, sick=frozenset(), interrupted=0, result=result)
        interrupted = scenario.endings | healthy
        yield from self._follow(left, endings=interrupted, sick=frozenset(), interrupted=1, result=result)
        if scenario.sick:
            endings = scenario.sick_endings
            yield from self._follow(left, endings=endings, sick=scenario.sick, interrupted=0, result=result)

    def _follow(
        self, left: Left, *, endings: frozenset[str], sick: frozenset[str], interrupted: int, result: Result
    ) -> Iterator[str]:
        found = (content(left, slot, self.releases) for slot in Slot)
        life = live(
            left.environment,
            contents=tuple(version.name if version else "" for version in found),
            loadable=tuple(slot for slot in Slot if is_loadable(left, slot)),
            sick=sick,
            interrupted=interrupted,
        )
        result.lives += 1
        result.endings[life.settled[-1] if life.settled else "nothing"] += 1
        if not life.settled:
            yield f"no boot reached boot-complete: {life.attempts}"
        elif len(set(life.settled)) > 1:
            yield f"a healthy node changed its version without being asked: {life.attempts}"
        elif life.settled[-1] not in endings:
            yield f"the node settled on {life.settled[-1]}, not on {sorted(endings)}: {life.attempts}"
        elif len(life.settled) < BOOTS - bootstate.MAXIMUM_TRIES - interrupted:
            yield f"the node was down too long: {life.attempts}"


@dataclass(frozen=True, kw_only=True)
class Life:
    """Many boots in a row: what each one came to, and the versions that reached boot-complete."""

    attempts: tuple[str, ...]
    settled: tuple[str, ...]


@cache
def live(
    environment: bytes, *, contents: tuple[str, ...], loadable: tuple[Slot, ...], sick: frozenset[str], interrupted: int
) -> Life:
    """Boots a node many times. ``contents``: the version that each slot holds whole, or nothing.

    ``interrupted`` boots are cut short before boot-complete. A version in ``sick`` never reaches it.
    """
    block = Block(environment)
    settled: list[str] = []
    attempts: list[str] = []
    for _ in range(BOOTS):
        slot = grub_boots(block, loadable)
        if slot is None:
            attempts.append("nothing can be loaded")
            continue
        version = contents[list(Slot).index(slot)]
        attempts.append(version or f"broken {slot}")
        if interrupted:
            interrupted -= 1
        elif version and version not in sick:
            install.mark_good(block, booted=slot)
            settled.append(version)
    return Life(attempts=tuple(attempts), settled=tuple(settled))


class Block:
    """An environment block that forgets nothing: between the cuts, every write comes to its end."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self) -> bytes:
        return self._data

    def write(self, block: bytes) -> None:
        self._data = block

    def flush(self) -> None:
        pass


def grub_boots(block: Block, loadable: tuple[Slot, ...]) -> Slot | None:
    """The slot whose kernel GRUB starts, its choice saved; none if it can load neither."""
    try:
        state = bootstate.parse(block.read())
    except StateError:
        return Slot.A if Slot.A in loadable else None
    unloadable: list[Slot] = []
    while len(unloadable) < len(Slot):
        slot, after = bootstate.choose(state, unloadable=unloadable)
        block.write(bootstate.render(after))
        if slot in loadable:
            return slot
        unloadable.append(slot)
    return None


def is_loadable(left: Left, slot: Slot) -> bool:
    """True if GRUB finds files to load; whether they are whole shows only afterwards."""
    return all(
        f"{slot.boot_folder}/{name}" in left.boot for name in (install.KERNEL, install.INITRAMFS, install.CONFIG)
    )


def initial(scenario: Scenario) -> Left:
    """The disk that a scenario starts from."""
    partitions = {slot: bytes(PARTITION_BYTES) for slot in Slot}
    boot: dict[str, bytes] = {}
    for slot, version in scenario.contents.items():
        partitions[slot] = version.image.ljust(PARTITION_BYTES, b"\xff")
        boot |= {f"{slot.boot_folder}/{name}": data for name, data in version.files.items()}
    return Left(
        partitions=partitions,
        environment=bootstate.render(scenario.state),
        boot=boot,
        etc={str(slot): data for slot, data in scenario.etc.items()},
    )


def content(left: Left, slot: Slot, releases: Releases) -> Version | None:
    """The version that ``slot`` holds whole: partition, boot files and ``/etc``; none if any byte is another's."""
    for version in releases:
        files = {name: left.boot.get(f"{slot.boot_folder}/{name}") for name in version.files}
        if files[install.RECORD] == version.pinned:
            files[install.RECORD] = version.files[install.RECORD]
        image = left.partitions[slot][: len(version.image)]
        if image == version.image and files == version.files and left.etc.get(slot) in version.etc:
            return version
    return None


def forbidden_write(machine: SimulatedDisk, slot: Slot) -> Iterator[str]:
    """Why ``slot``'s partition must not be written now: invariants 2 and 3, for whatever the disk may remember."""
    for block in machine.possible_environments():
        state = bootstate.parse(block)
        if state.of(slot).state in VOUCHED:
            yield f"partition {slot} is written while the disk may say that it is {state.of(slot).state}"
        if state.of(slot.other).state is not SlotState.GOOD:
            yield f"partition {slot} is written while the other slot is {state.of(slot.other).state}"
        if state.pointer is slot:
            yield f"partition {slot} is written while the boot pointer is on it"
