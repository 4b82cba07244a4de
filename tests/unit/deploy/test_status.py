from __future__ import annotations

import json
from pathlib import Path

from nestos.deploy import boot, status
from nestos.deploy.node import Node
from nestos.deploy.records import Cause, Denial, Event
from nestos.deploy.transaction import exclusive
from nestos.slots.bootstate import BootState, Slot, SlotState, SlotStatus
from tests.unit.deploy.fakes import GOOD, FakeMachine, FakeServer, made, node, running_a

OLD, NEW = made("1", day=1).deployment, made("2", day=2).deployment
TRYING = SlotStatus(state=SlotState.TRYING, tries=2)
BAD = SlotStatus(state=SlotState.BAD)


def _node(folder: Path, state: BootState) -> Node:
    machine = FakeMachine(state)
    machine.put(Slot.A, OLD)
    machine.put(Slot.B, NEW)
    return node(folder, machine, FakeServer())


def test_the_running_slot_stands_first_with_a_dot(tmp_path: Path) -> None:
    ready = _node(tmp_path, running_a())
    boot.mark_good(ready)
    lines = status.text(status.collect(ready)).splitlines()
    assert lines[0] == "State: idle"
    assert "● a: 1 (good, running)" in lines
    assert "  b: 2 (good)" in lines


def test_a_boot_that_has_not_completed_says_so(tmp_path: Path) -> None:
    found = status.collect(_node(tmp_path, running_a()))
    assert not found.healthy
    assert "this boot has not completed yet" in status.text(found)


def test_a_staged_release_is_what_boots_next(tmp_path: Path) -> None:
    found = status.collect(_node(tmp_path, BootState(pointer=Slot.B, booted=Slot.A, a=GOOD, b=TRYING)))
    assert found.next is Slot.B
    assert "b: 2 (trying, 2 tries left, boots next)" in status.text(found)


def test_a_bad_release_is_shown_with_its_reason(tmp_path: Path) -> None:
    back = _node(tmp_path, BootState(pointer=Slot.B, booted=Slot.A, a=GOOD, b=BAD))
    back.note(Event.FAILED, Slot.B, NEW, detail="health check 10-x: no uplink")
    back.records.deny(Denial(version="2", commit=NEW.commit, reason="health check 10-x: no uplink", time="then"))
    text = status.text(status.collect(back))
    assert "reason  health check 10-x: no uplink" in text
    assert f"2 ({NEW.commit[:12]}): health check 10-x: no uplink" in text


def test_a_half_written_slot_shows_no_release(tmp_path: Path) -> None:
    found = status.collect(_node(tmp_path, running_a(b=SlotStatus(state=SlotState.WRITING))))
    assert found.slots[Slot.B].deployment is None
    assert "an update was interrupted" in status.text(found)


def test_a_damaged_boot_state_is_told_not_raised(tmp_path: Path) -> None:
    lost = _node(tmp_path, running_a())
    machine = lost.machine
    assert isinstance(machine, FakeMachine)
    machine.block.block = b"?"
    text = status.text(status.collect(lost))
    assert "Problem: the GRUB environment block is damaged" in text
    assert "mark-good" in text


def test_who_changes_the_node_is_named(tmp_path: Path) -> None:
    busy = _node(tmp_path, running_a())
    with exclusive(busy.lock, command="upgrade"):
        assert "busy: upgrade (pid " in status.text(status.collect(busy))


def test_failed_boots_are_shown_until_one_completes(tmp_path: Path) -> None:
    failing = _node(tmp_path, running_a())
    boot.fail(failing, cause=Cause.DEADLINE, reason="held up by x.service")
    assert "Failed boot of slot a, 1: held up by x.service" in status.text(status.collect(failing))
    boot.mark_good(failing)
    assert "Failed boot" not in status.text(status.collect(failing))


def test_more_is_told_on_demand(tmp_path: Path) -> None:
    ready = _node(tmp_path, running_a())
    ready.note(Event.STAGED, Slot.B, NEW)
    text = status.text(status.collect(ready), verbose=True)
    for word in (OLD.root_hash, OLD.kernel_digest, "arguments  quiet", "3 tries left", "staged"):
        assert word in text


def test_the_json_has_the_documented_keys(tmp_path: Path) -> None:
    document = json.loads(json.dumps(status.document(status.collect(_node(tmp_path, running_a())))))
    assert document["schema"] == 1
    documented = {line.split("``")[1] for line in (status.__doc__ or "").splitlines() if line.startswith("- ``")}
    assert documented | {"schema", "next"} == set(document)
    assert document["slots"]["a"]["deployment"]["version"] == "1"
    assert (document["booted"], document["next"], document["slots"]["b"]["state"]) == ("a", "a", "good")


def test_an_empty_slot_has_no_deployment_in_json(tmp_path: Path) -> None:
    document = status.document(status.collect(_node(tmp_path, running_a(b=SlotStatus()))))
    assert document["slots"]["b"]["deployment"] is None
