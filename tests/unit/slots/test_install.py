from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest

from nestos.base.errors import InputError, NestosError, SpaceError, StateError, VerificationError
from nestos.slots import bootstate, install
from nestos.slots.bootstate import BootState, Slot, SlotState
from nestos.slots.disk import Disk, Payload
from nestos.wire.deployment import render
from tests.unit.slots import scenarios
from tests.unit.slots.crash_sweep import Block, initial
from tests.unit.slots.releases import Releases, releases
from tests.unit.slots.simulated_disk import SimulatedDisk


@pytest.fixture
def made(tmp_path: Path) -> Releases:
    return releases(tmp_path)


def machine(made: Releases) -> SimulatedDisk:
    """A node that runs ``old`` in A, with ``previous`` in B."""
    return SimulatedDisk(initial(next(scenarios.updates(made, Slot.A))))


def block(state: BootState) -> Block:
    return Block(bootstate.render(state))


def test_a_plan_tells_its_steps_and_writes_nothing(made: Releases) -> None:
    simulated = machine(made)
    plan = install.plan(simulated.disk(passive=Slot.B), made.new.payload, booted=Slot.A)
    assert plan.describe() == [
        "verify the image, kernel and initramfs of new",
        "mark slot b as being written",
        "write the image to partition root-b and flush it",
        "read partition root-b back and verify every block",
        "prepare the /etc layer of slot b from the running one",
        "write kernel, initramfs and settings of slot b",
        "read the boot files of slot b back",
        "let slot b boot next, with new",
    ]
    assert simulated.operations == []


def test_an_installed_release_can_be_read_back_with_everything_that_is_known_of_it(made: Releases) -> None:
    simulated = machine(made)
    disk = simulated.disk(passive=Slot.B)
    installed = install.install(disk, made.new.payload, booted=Slot.A, tries=3)
    assert installed.state == install.read_state(disk.environment)
    assert installed.state.of(Slot.B) == bootstate.SlotStatus(state=SlotState.TRYING, tries=3)
    assert install.read_deployment(disk.boot, Slot.B) == made.new.payload.deployment
    assert install.read_deployment(disk.boot, Slot.A) == made.old.payload.deployment


def test_progress_is_told_in_bytes_and_every_step_ends(made: Releases) -> None:
    told: list[tuple[str, int, int]] = []
    disk = machine(made).disk(passive=Slot.B)
    install.install(
        disk,
        made.new.payload,
        booted=Slot.A,
        chunk_bytes=8192,
        report=lambda name, done, total: told.append((name, done, total)),
    )
    size = made.new.payload.deployment.image_size
    assert [done for name, done, total in told if name == "write" and total == size] == [8192, 16384, 24576, 28672]
    assert [name for name, done, total in told if (done, total) == (1, 1)] == [step.name for step in install.STEPS]


def payload_with(payload: Payload, **changes: object) -> Payload:
    return replace(payload, deployment=replace(payload.deployment, **changes))  # type: ignore[arg-type]


DAMAGES = {
    "another root hash": {"root_hash": "0" * 64},
    "another kernel digest": {"kernel_digest": "0" * 64},
    "another size": {"image_size": 28672 - 4096},
    "another offset": {"hash_offset": 4096},
}


@pytest.mark.parametrize("changes", DAMAGES.values(), ids=DAMAGES.keys())
def test_what_the_commit_does_not_vouch_for_is_never_written(changes: dict[str, object], made: Releases) -> None:
    simulated = machine(made)
    with pytest.raises(VerificationError):
        install.install(simulated.disk(passive=Slot.B), payload_with(made.new.payload, **changes), booted=Slot.A)
    assert simulated.operations == []


def test_an_image_larger_than_the_partition_is_refused_before_anything_is_written(made: Releases) -> None:
    simulated = machine(made)
    with pytest.raises(SpaceError, match="root-b"):
        install.install(
            simulated.disk(passive=Slot.B), payload_with(made.new.payload, image_size=1 << 30), booted=Slot.A
        )
    assert simulated.operations == []


def test_a_full_boot_partition_is_refused_before_anything_is_written(
    made: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = machine(made)
    disk = simulated.disk(passive=Slot.B)
    monkeypatch.setattr(disk.boot, "free_bytes", lambda: 100)
    with pytest.raises(SpaceError, match="boot partition"):
        install.install(disk, made.new.payload, booted=Slot.A)
    assert simulated.operations == []


REFUSED = {
    "the running version was not judged good": ("trying", 2, StateError),
    "no tries": ("good", 0, InputError),
    "too many tries": ("good", 4, InputError),
}


@pytest.mark.parametrize(("own", "tries", "error"), REFUSED.values(), ids=REFUSED.keys())
def test_an_installation_is_refused(own: str, tries: int, error: type[Exception], made: Releases) -> None:
    scenario = next(scenarios.updates(made, Slot.A))
    state = scenario.state.with_status(Slot.A, bootstate.SlotStatus(state=SlotState(own), tries=1))
    simulated = SimulatedDisk(initial(replace(scenario, state=state)))
    with pytest.raises(error):
        install.install(simulated.disk(passive=Slot.B), made.new.payload, booted=Slot.A, tries=tries)
    assert simulated.operations == []


def test_kernel_arguments_that_cannot_be_written_are_refused_before_anything_is(made: Releases) -> None:
    simulated = machine(made)
    with pytest.raises(InputError):
        install.install(simulated.disk(passive=Slot.B), payload_with(made.new.payload, kargs=("a\nb",)), booted=Slot.A)
    assert simulated.operations == []


def test_an_error_of_the_disk_names_the_step_and_leaves_the_slot_unbootable(
    made: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = machine(made).disk(passive=Slot.B)

    def fail(path: str, source: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", path)

    monkeypatch.setattr(disk.boot, "write_file", fail)
    with pytest.raises(NestosError, match=r"boot files.*No space left"):
        install.install(disk, made.new.payload, booted=Slot.A)
    state = install.read_state(disk.environment)
    assert (state.b.state, state.pointer) == (SlotState.WRITING, Slot.A)


def test_boot_files_that_read_back_differently_are_never_staged(
    made: Releases, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = machine(made).disk(passive=Slot.B)
    monkeypatch.setattr(disk.boot, "digest", lambda *paths: "0" * 64)
    with pytest.raises(VerificationError, match="read back differently"):
        install.install(disk, made.new.payload, booted=Slot.A)
    assert install.read_state(disk.environment).b.state is SlotState.WRITING


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b'{"version": "1"}', b"\xff"])
def test_a_torn_record_is_as_good_as_none(content: bytes, made: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    disk: Disk = machine(made).disk(passive=Slot.B)
    monkeypatch.setattr(disk.boot, "read", lambda path: content)
    assert install.read_deployment(disk.boot, Slot.B) is None


def test_a_record_that_a_newer_version_wrote_can_be_read(made: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = machine(made).disk(passive=Slot.B)
    record = json.loads(render(made.new.payload.deployment)) | {"added": "later"}
    monkeypatch.setattr(disk.boot, "read", lambda path: json.dumps(record).encode())
    read = install.read_deployment(disk.boot, Slot.B)
    assert read == replace(made.new.payload.deployment, unknown={"added": "later"})


def test_a_judgement_over_a_damaged_block_writes_a_new_one() -> None:
    damaged = Block(b"\0" * 1024)
    judgement = install.mark_good(damaged, booted=Slot.B)
    assert judgement.fallback is None
    assert install.read_state(damaged) == replace(bootstate.fresh(Slot.B), booted=Slot.B)


def test_a_fallback_is_told_once() -> None:
    state = replace(bootstate.fresh(), booted=Slot.A, pointer=Slot.B)
    environment = block(state.with_status(Slot.B, bootstate.SlotStatus(state=SlotState.BAD)))
    assert install.mark_good(environment, booted=Slot.A).fallback == bootstate.Fallback(slot=Slot.B, was_good=False)
    assert install.mark_good(environment, booted=Slot.A).fallback is None


def test_what_the_kernel_says_is_booted_counts_more_than_what_grub_could_save() -> None:
    good = bootstate.SlotStatus(state=SlotState.GOOD, tries=3)
    environment = block(BootState(pointer=Slot.A, booted=Slot.B, a=good, b=good))
    assert install.rollback(environment, booted=Slot.A).booted is Slot.A


def test_there_is_nothing_to_drop_or_to_refresh_without_a_staged_release(made: Releases) -> None:
    simulated = machine(made)
    disk = simulated.disk(passive=Slot.B)
    assert install.refresh_etc(disk, booted=Slot.A) is None
    with pytest.raises(StateError):
        install.drop(disk.environment, booted=Slot.A)
    assert simulated.operations == []
