from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nestos.deploy import rpm_ostree, status
from nestos.deploy.status import Status
from nestos.slots.bootstate import BootState, Slot, SlotState, SlotStatus
from nestos.wire.origin import Initramfs, Layers, Origin, PackageFile
from tests.unit.deploy.fakes import GOOD, FakeMachine, FakeServer, made, node, running_a

FILE = PackageFile(name="agent", version="1.2", architecture="amd64", sha256="ab" * 32)
ORIGIN = Origin(
    packages=("htop", "less"),
    local=(FILE,),
    removals=("nano",),
    replacements=(replace(FILE, name="bash"),),
    initramfs=Initramfs(regenerate=True, arguments=("--add=x",), etc=("/etc/x",)),
    pinned=True,
)
LAYERS = Layers(
    added={"htop": "3.4", "agent": "1.2", "libnl": "3"},
    removed={"nano": "8"},
    replaced={"bash": ("5.2", "1.2")},
    inactive=("less",),
)


@pytest.fixture
def found(tmp_path: Path) -> Status:
    """Slot a runs release 1, slot b holds release 2 with layers and boots next."""
    trying = SlotStatus(state=SlotState.TRYING, tries=3)
    machine = FakeMachine(BootState(pointer=Slot.B, booted=Slot.A, a=GOOD, b=trying))
    machine.put(Slot.A, made("1", day=1).deployment)
    layered = replace(made("2", day=2).deployment, layered_commit="cd" * 32, origin=ORIGIN, layers=LAYERS)
    machine.put(Slot.B, layered)
    return status.collect(node(tmp_path, machine, FakeServer()))


def test_what_boots_next_comes_first_and_is_staged(found: Status) -> None:
    deployments = rpm_ostree.document(found)["deployments"]
    assert [(item["version"], item["staged"], item["booted"]) for item in deployments] == [
        ("2", True, False),
        ("1", False, True),
    ]
    assert len(rpm_ostree.document(found, booted_only=True)["deployments"]) == 1


def test_base_and_layers_are_told_apart(found: Status) -> None:
    staged, booted = rpm_ostree.document(found)["deployments"]
    assert staged["checksum"] == "cd" * 32
    assert staged["base-checksum"] == made("2", day=2).deployment.commit
    assert "base-checksum" not in booted
    assert booted["checksum"] == made("1", day=1).deployment.commit
    assert staged["timestamp"] == 1767312000


def test_requested_active_inactive_removed_and_replaced_are_told_apart(found: Status) -> None:
    staged = rpm_ostree.document(found)["deployments"][0]
    assert staged["requested-packages"] == ["htop", "less"]
    assert staged["packages"] == ["htop"]
    assert staged["requested-local-packages"] == ["agent-1.2.amd64"]
    assert staged["requested-base-removals"] == ["nano"]
    assert staged["base-removals"] == [["nano-8", "nano"]]
    assert staged["requested-base-local-replacements"] == ["bash-1.2.amd64"]
    assert staged["base-local-replacements"] == [[["bash-1.2", "bash"], ["bash-5.2", "bash"]]]
    assert (staged["regenerate-initramfs"], staged["initramfs-args"], staged["initramfs-etc"], staged["pinned"]) == (
        True,
        ["--add=x"],
        ["/etc/x"],
        True,
    )


def test_zincati_finds_stream_and_architecture(found: Status) -> None:
    meta = rpm_ostree.document(found)["deployments"][1]["base-commit-meta"]
    assert (meta["fedora-coreos.stream"], meta["coreos-assembler.basearch"]) == ("test", "x86_64")


def test_people_read_the_same(found: Status) -> None:
    text = rpm_ostree.text(rpm_ostree.document(found), verbose=True)
    assert "● nestos:nestos/x86_64/test" in text
    assert "LayeredPackages: htop\n" in text
    assert "InactiveRequests: less" in text
    assert "RemovedBasePackages: nano-8" in text
    assert "ReplacedBasePackages: bash-5.2 -> bash-1.2" in text


def test_a_slot_that_failed_is_no_deployment(tmp_path: Path) -> None:
    machine = FakeMachine(running_a(b=SlotStatus(state=SlotState.BAD)))
    machine.put(Slot.A, made("1", day=1).deployment)
    machine.put(Slot.B, made("2", day=2).deployment)
    found = status.collect(node(tmp_path, machine, FakeServer()))
    assert [item["version"] for item in rpm_ostree.document(found)["deployments"]] == ["1"]
