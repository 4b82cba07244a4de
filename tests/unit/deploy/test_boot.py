from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

import pytest

from nestos.base.errors import BusyError, CommandError, NestosError, VerificationError
from nestos.deploy import boot
from nestos.deploy.boot import After
from nestos.deploy.config import Settings
from nestos.deploy.node import Node
from nestos.deploy.records import Cause, Denial, Event, Running
from nestos.deploy.transaction import exclusive
from nestos.host.process import Completed, RunOptions
from nestos.slots.bootstate import BootState, Slot, SlotState, SlotStatus
from nestos.wire.deployment import Deployment
from tests.unit.deploy.fakes import GOOD, FakeMachine, FakeServer, made, node, running_a

OLD, NEW = made("1", day=1).deployment, made("2", day=2).deployment
TRYING = SlotStatus(state=SlotState.TRYING, tries=2)
BAD = SlotStatus(state=SlotState.BAD)


def _node(folder: Path, state: BootState, *, booted: Slot = Slot.A, boot_id: str = "boot-1") -> Node:
    machine = FakeMachine(state, booted=booted)
    machine.put(Slot.A, OLD)
    machine.put(Slot.B, NEW)
    return node(folder, machine, FakeServer(), boot_id=boot_id)


def _machine(item: Node) -> FakeMachine:
    assert isinstance(item.machine, FakeMachine)
    return item.machine


def _fallen_back(*, b: SlotStatus = BAD) -> BootState:
    return BootState(pointer=Slot.B, booted=Slot.A, a=GOOD, b=b)


def _healthy(_running: Deployment) -> None:
    """A slot that reads as it should."""


def _damaged(_running: Deployment) -> None:
    raise VerificationError("root hash differs")


# mark-good


def test_a_release_on_trial_that_completes_is_good(tmp_path: Path) -> None:
    new = _node(tmp_path, BootState(pointer=Slot.B, booted=Slot.B, a=GOOD, b=TRYING), booted=Slot.B)
    outcome = boot.mark_good(new)
    assert (outcome.version, outcome.fallback) == ("2", None)
    assert _machine(new).state.b == GOOD
    assert [(record.event, record.version) for record in new.records.history()] == [(Event.GOOD, "2")]


def test_an_ordinary_boot_gives_the_tries_back_and_is_no_news(tmp_path: Path) -> None:
    same = _node(tmp_path, running_a(b=GOOD).with_status(Slot.A, SlotStatus(state=SlotState.GOOD, tries=1)))
    boot.mark_good(same)
    assert _machine(same).state.a == GOOD
    assert same.records.history() == []


def test_a_release_that_never_completed_is_denied_with_what_is_known(tmp_path: Path) -> None:
    back = _node(tmp_path, _fallen_back())
    outcome = boot.mark_good(back)
    assert outcome.denied
    assert outcome.failed_version == "2"
    assert "did not reach boot-complete in 2 tries" in outcome.reason
    assert back.records.denied()[NEW.commit].reason == outcome.reason
    assert back.records.reason_of(slot="b", commit=NEW.commit) == outcome.reason
    assert _machine(back).state.pointer is Slot.A


def test_the_reason_that_the_failed_boot_left_is_used(tmp_path: Path) -> None:
    new = _node(tmp_path, BootState(pointer=Slot.B, booted=Slot.B, a=GOOD, b=TRYING), booted=Slot.B)
    boot.fail(new, cause=Cause.HEALTH, reason="health check 10-x: no uplink")
    back = _node(tmp_path, _fallen_back(), boot_id="boot-2")
    assert boot.mark_good(back).reason == "health check 10-x: no uplink"
    assert back.records.boot_failures() == {}


def test_a_damaged_slot_does_not_condemn_its_release(tmp_path: Path) -> None:
    new = _node(tmp_path, BootState(pointer=Slot.B, booted=Slot.B, a=GOOD, b=GOOD), booted=Slot.B)
    boot.fail(new, cause=Cause.DAMAGE, reason="slot b is damaged")
    back = _node(tmp_path, _fallen_back(), boot_id="boot-2")
    outcome = boot.mark_good(back)
    assert not outcome.denied
    assert back.records.denied() == {}
    assert back.records.reason_of(slot="b", commit=NEW.commit) == "slot b is damaged"


def test_a_release_that_once_was_good_is_not_denied(tmp_path: Path) -> None:
    back = _node(tmp_path, _fallen_back(b=SlotStatus(state=SlotState.GOOD, tries=0)))
    outcome = boot.mark_good(back)
    assert not outcome.denied
    assert "3 tries" in outcome.reason
    assert _machine(back).state.b.state is SlotState.BAD


def test_marking_twice_tells_and_writes_nothing_new(tmp_path: Path) -> None:
    back = _node(tmp_path, _fallen_back())
    boot.mark_good(back)
    before = (_machine(back).block.block, back.records.history())
    assert boot.mark_good(back).fallback is None
    assert (_machine(back).block.block, back.records.history()) == before


def test_marking_again_after_a_cut_between_memory_and_state_loses_nothing(tmp_path: Path) -> None:
    back = _node(tmp_path, _fallen_back())
    boot.mark_good(back)
    again = _node(tmp_path, _fallen_back())  # the state as if the write had not happened
    assert boot.mark_good(again).denied
    assert len(again.records.history()) == 1


def test_a_staged_release_that_awaits_its_boot_is_left_alone(tmp_path: Path) -> None:
    waiting = _node(tmp_path, BootState(pointer=Slot.B, booted=Slot.A, a=GOOD, b=TRYING))
    assert boot.mark_good(waiting).fallback is None
    assert _machine(waiting).state.b == TRYING
    assert _machine(waiting).state.pointer is Slot.B


def test_a_damaged_environment_block_is_written_anew(tmp_path: Path) -> None:
    lost = _node(tmp_path, running_a())
    _machine(lost).block.block = b"\0" * 1024
    boot.mark_good(lost)
    assert _machine(lost).state.a == GOOD


def test_a_release_that_completes_after_all_is_pardoned(tmp_path: Path) -> None:
    same = _node(tmp_path, running_a())
    same.records.deny(Denial(version="1", commit=OLD.commit, reason="panic", time="then"))
    boot.mark_good(same)
    assert same.records.denied() == {}


def test_a_mark_waits_for_a_transaction_but_not_for_ever(tmp_path: Path) -> None:
    same = _node(tmp_path, running_a())
    with exclusive(same.lock, command="upgrade"), pytest.raises(BusyError, match="upgrade"):
        boot.mark_good(same)
    assert same.clock.monotonic() > 60


# health


def test_the_first_boot_after_an_orderly_end_reads_no_slot(tmp_path: Path) -> None:
    same = _node(tmp_path, running_a())
    boot.mark_good(same)
    boot.farewell(same)
    boot.check_health(_node(tmp_path, running_a(), boot_id="boot-2"), verify=_damaged)


def test_what_is_edited_after_staging_reaches_the_staged_release_at_shutdown(tmp_path: Path) -> None:
    staged = _node(tmp_path, BootState(pointer=Slot.B, booted=Slot.A, a=GOOD, b=TRYING))
    (staged.folder / "etc/a/upper").mkdir(parents=True)
    (staged.folder / "etc/a/upper/late").write_text("edited after the upgrade")
    staged.defaults_of(OLD).mkdir(parents=True)
    assert boot.farewell(staged) is None, "the defaults of another release would make another /etc"
    staged.defaults_of(NEW).mkdir()
    assert boot.farewell(staged) is not None
    assert (staged.folder / "etc/b/upper/late").read_text() == "edited after the upgrade"


def test_a_slot_that_is_not_staged_keeps_its_etc_at_shutdown(tmp_path: Path) -> None:
    both_good = _node(tmp_path, BootState(pointer=Slot.A, booted=Slot.A, a=GOOD, b=GOOD))
    (both_good.folder / "etc/b/upper").mkdir(parents=True)
    (both_good.folder / "etc/b/upper/mine").write_text("of slot b")
    (both_good.folder / "etc/a/upper").mkdir(parents=True)
    both_good.defaults_of(NEW).mkdir(parents=True)
    assert boot.farewell(both_good) is None
    assert (both_good.folder / "etc/b/upper/mine").read_text() == "of slot b"


def test_the_defaults_of_a_staged_release_go_once_it_runs(tmp_path: Path) -> None:
    new = _node(tmp_path, BootState(pointer=Slot.B, booted=Slot.B, a=GOOD, b=TRYING), booted=Slot.B)
    new.folder.mkdir(parents=True, exist_ok=True)
    new.defaults_of(NEW).mkdir(parents=True)
    boot.mark_good(new)
    assert not new.staged_defaults.exists()


def test_what_a_killed_transaction_left_in_var_goes_at_the_next_boot(tmp_path: Path) -> None:
    good = _node(tmp_path, running_a())
    (good.folder / "staging/tree").mkdir(parents=True)
    (good.folder / "staging/slot.img").write_bytes(b"hundreds of megabytes")
    boot.mark_good(good)
    assert not (good.folder / "staging").exists()


def test_a_locked_release_waits_over_boots_and_keeps_what_it_needs(tmp_path: Path) -> None:
    locked = _node(tmp_path, running_a(b=SlotStatus(state=SlotState.LOCKED)))
    locked.defaults_of(NEW).mkdir(parents=True)
    boot.mark_good(locked)
    assert boot.farewell(locked) is None
    assert _machine(locked).reboot() is Slot.A
    boot.mark_good(locked)
    assert _machine(locked).state.locked is Slot.B
    assert locked.defaults_of(NEW).is_dir()


def test_a_locked_release_that_a_person_boots_by_hand_proves_itself(tmp_path: Path) -> None:
    by_hand = BootState(pointer=Slot.A, booted=Slot.B, a=GOOD, b=SlotStatus(state=SlotState.LOCKED))
    chosen = _node(tmp_path, by_hand, booted=Slot.B)
    boot.mark_good(chosen)
    assert _machine(chosen).state.b == GOOD
    assert boot.after_failure(by_hand, Slot.B) is After.RESTART


def test_a_boot_after_one_that_ended_badly_finds_the_damage(tmp_path: Path) -> None:
    boot.mark_good(_node(tmp_path, running_a()))
    after = _node(tmp_path, running_a(), boot_id="boot-2")
    with pytest.raises(VerificationError, match="slot a is damaged: root hash differs"):
        boot.check_health(after, verify=_damaged)
    assert _machine(after).state.a.state is SlotState.BAD
    assert after.records.boot_failures()["a"].cause is Cause.DAMAGE
    assert _machine(after).reboot() is Slot.B


def test_an_io_error_is_damage_too(tmp_path: Path) -> None:
    boot.mark_good(_node(tmp_path, running_a()))
    after = _node(tmp_path, running_a(), boot_id="boot-2")

    def unreadable(_running: Deployment) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(VerificationError, match="Input/output error"):
        boot.check_health(after, verify=unreadable)


def test_a_partition_that_cannot_be_found_is_no_damage(tmp_path: Path) -> None:
    boot.mark_good(_node(tmp_path, running_a()))
    after = _node(tmp_path, running_a(), boot_id="boot-2")

    def missing(_running: Deployment) -> None:
        raise FileNotFoundError(errno.ENOENT, "No such file")

    assert boot.check_health(after, verify=missing) == []
    assert _machine(after).state.a == GOOD


def test_damage_without_another_good_slot_stays_the_only_slot(tmp_path: Path) -> None:
    boot.mark_good(_node(tmp_path, running_a(b=BAD)))
    after = _node(tmp_path, running_a(b=BAD), boot_id="boot-2")
    with pytest.raises(VerificationError):
        boot.check_health(after, verify=_damaged)
    assert _machine(after).state.a == GOOD


def test_a_slot_that_proves_whole_is_not_read_twice(tmp_path: Path) -> None:
    boot.mark_good(_node(tmp_path, running_a()))
    after = _node(tmp_path, running_a(), boot_id="boot-2")
    boot.check_health(after, verify=_healthy)
    boot.check_health(after, verify=_damaged)


def test_the_other_slots_bad_end_says_nothing_about_this_one(tmp_path: Path) -> None:
    boot.mark_good(_node(tmp_path, running_a()))
    other = _node(tmp_path, BootState(pointer=Slot.B, booted=Slot.B, a=GOOD, b=TRYING), booted=Slot.B, boot_id="2")
    boot.check_health(other, verify=_damaged)


def _required_check(folder: Path) -> Path:
    check = folder / "etc/nestos/health.d/required.d/10-x"
    check.parent.mkdir(parents=True)
    check.write_text("#!/bin/sh\n")
    check.chmod(0o755)
    return check


def test_a_failed_check_leaves_its_reason_for_the_next_boot(tmp_path: Path) -> None:
    new = _node(tmp_path, BootState(pointer=Slot.B, booted=Slot.B, a=GOOD, b=TRYING), booted=Slot.B)
    runner = new.runner
    assert isinstance(runner, FakeServer)
    runner.fail(str(_required_check(tmp_path)), stderr="no uplink")
    with pytest.raises(NestosError, match="health check 10-x: exit status 1: no uplink") as caught:
        boot.check_health(new, verify=_healthy)
    assert caught.value.kind == "unhealthy"
    failure = new.records.boot_failures()["b"]
    assert (failure.version, failure.cause, failure.boot_id) == ("2", Cause.HEALTH, "boot-1")


def test_the_unit_that_gives_up_does_not_overwrite_the_better_reason(tmp_path: Path) -> None:
    new = _node(tmp_path, BootState(pointer=Slot.B, booted=Slot.B, a=GOOD, b=TRYING), booted=Slot.B)
    boot.fail(new, cause=Cause.HEALTH, reason="health check 10-x")
    boot.fail(new, cause=Cause.UNIT, reason="a unit failed")
    assert new.records.boot_failures()["b"].reason == "health check 10-x"


# after a failure


@pytest.mark.parametrize(
    ("state", "after"),
    [
        pytest.param(running_a(b=GOOD), After.RESTART, id="there is a good slot to go back to"),
        pytest.param(running_a(b=BAD), After.RESTART, id="alone with tries left"),
        pytest.param(
            running_a(b=BAD).with_status(Slot.A, SlotStatus(state=SlotState.GOOD, tries=0)), After.STAY, id="alone"
        ),
        pytest.param(
            BootState(pointer=Slot.B, booted=Slot.B, a=GOOD, b=SlotStatus(state=SlotState.TRYING, tries=0)),
            After.RESTART,
            id="last try of a trial",
        ),
    ],
)
def test_a_failed_boot_restarts_only_if_that_helps(state: BootState, after: After) -> None:
    booted = state.booted
    assert booted is not None
    assert boot.after_failure(state, booted) is after


def test_a_node_alone_ends_its_restarts(tmp_path: Path) -> None:
    alone = _node(tmp_path, BootState(pointer=Slot.A, a=GOOD))
    restarts = 0
    while restarts < 10:
        _machine(alone).reboot()
        if boot.fail(alone, cause=Cause.HEALTH, reason="x") is After.STAY:
            break
        restarts += 1
    assert restarts == 2


def test_a_bad_release_ends_on_the_good_one(tmp_path: Path) -> None:
    waiting = _node(tmp_path, BootState(pointer=Slot.B, booted=Slot.A, a=GOOD, b=TRYING))
    machine, boots = _machine(waiting), []
    for _ in range(3):
        boots.append(machine.reboot())
        if machine.booted is Slot.B:
            assert boot.fail(waiting, cause=Cause.DEADLINE, reason="hung") is After.RESTART
    assert boots == [Slot.B, Slot.B, Slot.A]
    outcome = boot.mark_good(waiting)
    assert (outcome.failed_version, outcome.reason, outcome.denied) == ("2", "hung", True)


def test_the_verifier_reads_the_partition_of_the_command_line(tmp_path: Path) -> None:
    partition = tmp_path / "root-a"
    partition.write_bytes(b"no image at all")
    verify = boot.verifier(f"ro systemd.verity_root_data={partition} quiet")
    with pytest.raises(VerificationError):
        verify(OLD)


def test_a_running_mark_of_this_boot_is_no_doubt(tmp_path: Path) -> None:
    same = _node(tmp_path, running_a())
    same.records.begin_running(Running(slot="a", commit=OLD.commit, boot_id="boot-1"))
    boot.check_health(same, verify=_damaged)


class FailsLater(FakeServer):
    """A node whose health checks pass once and fail from then on."""

    def __call__(self, command: Sequence[str | os.PathLike[str]], /, **options: Unpack[RunOptions]) -> Completed:
        done = super().__call__(command, **options)
        if sum(line[0].endswith("10-web") for line in self.lines) > 1:
            raise CommandError("it failed", returncode=1, output="the web does not answer")
        return done


@pytest.mark.parametrize("soak_seconds", [0, 60])
@pytest.mark.parametrize("is_on_trial", [True, False])
def test_a_release_on_trial_is_checked_again_after_its_soak(
    tmp_path: Path, soak_seconds: int, *, is_on_trial: bool
) -> None:
    check = tmp_path / "etc/nestos/health.d/required.d/10-web"
    check.parent.mkdir(parents=True)
    check.write_text("#!/bin/sh\n")
    check.chmod(0o755)
    state = BootState(pointer=Slot.B, booted=Slot.B, a=GOOD, b=TRYING if is_on_trial else GOOD)
    machine = FakeMachine(state, booted=Slot.B)
    machine.put(Slot.B, NEW)
    here = node(tmp_path, machine, FailsLater(), settings=Settings(soak_seconds=soak_seconds))
    if is_on_trial and soak_seconds:
        with pytest.raises(NestosError, match="the web does not answer"):
            boot.check_health(here, verify=_damaged)
        assert here.clock.monotonic() == soak_seconds
    else:
        assert boot.check_health(here, verify=_damaged)[0].problem == ""
        assert here.clock.monotonic() == 0
