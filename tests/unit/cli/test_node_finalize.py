"""Locked releases on the command line: what zincati says, word for word, and what people say."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nestos.cli import node_packages
from nestos.deploy import change, upgrade
from nestos.deploy.node import Node, View
from nestos.slots.bootstate import Slot
from tests.unit.cli.test_node_packages import Bench


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    made_bench = Bench(tmp_path, capsys)
    for module in (change, upgrade, node_packages):
        monkeypatch.setattr(module, "backend_of", lambda _: made_bench.packages)
    return made_bench


def deployments(bench: Bench, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(bench.compatible("status", "--json", *words)[1])["deployments"]
    return found


def restarted(bench: Bench) -> bool:
    return bench.server.ran("systemctl", "reboot")


def deploy(bench: Bench) -> tuple[int, str, str]:
    """coreos/zincati, src/rpm_ostree/cli_deploy.rs."""
    commit = bench.new.deployment.commit
    return bench.compatible(
        "deploy", "--lock-finalization", "--skip-branch-check", f"revision={commit}", "--disallow-downgrade"
    )


def test_zincatis_commands_take_a_node_from_one_release_to_the_next(bench: Bench) -> None:
    commit = bench.new.deployment.commit
    assert bench.compatible("deploy", "", "--register-driver=Zincati")[0] == 0
    assert [item["version"] for item in deployments(bench, "--booted")] == ["1"]
    assert deploy(bench)[0] == 0
    staged, booted = deployments(bench)
    assert (staged["checksum"], staged["staged"], staged["finalization-locked"]) == (commit, True, True)
    assert (booted["booted"], booted["staged"], "finalization-locked" in booted) == (True, False, False)
    assert not restarted(bench)
    assert bench.machine.reboot() is Slot.A
    assert bench.compatible("finalize-deployment", commit)[0] == 0
    assert restarted(bench)
    assert bench.machine.reboot() is Slot.B


def test_the_folder_that_zincati_watches_moves_with_every_change(bench: Bench) -> None:
    """coreos/zincati, src/rpm_ostree/cli_status.rs: without /ostree/deploy it never leaves its first state."""
    watched = bench.node.root.join("/run/nestos/ostree/deploy")
    bench.compatible("status")
    os.utime(watched, (0, 0))
    deploy(bench)
    assert watched.stat().st_mtime > 0


def test_asking_does_not_move_it_and_looks_at_the_slots_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """zincati asks whenever it moves: asking would go on for ever."""
    watched = bench.node.root.join("/run/nestos/ostree/deploy")
    bench.compatible("status")
    os.utime(watched, (0, 0))
    looks: list[Node] = []
    look = Node.look

    def counted(node: Node) -> View:
        looks.append(node)
        return look(node)

    monkeypatch.setattr(Node, "look", counted)
    bench.compatible("status")
    bench("status")
    assert watched.stat().st_mtime == 0
    assert len(looks) == 2


def test_asking_again_changes_nothing_and_a_cleanup_gives_it_up(bench: Bench) -> None:
    deploy(bench)
    writes = bench.machine.block.writes
    assert deploy(bench)[0] == 0
    assert bench.machine.block.writes == writes
    assert bench.compatible("cleanup", "-p")[0] == 0
    assert [item["version"] for item in deployments(bench)] == ["1"]
    assert bench.compatible("finalize-deployment", bench.new.deployment.commit)[0] == 1


def test_what_a_person_staged_is_locked_for_the_agent_and_finalized(bench: Bench) -> None:
    bench("upgrade")
    assert "finalization-locked" not in deployments(bench)[0]
    assert deploy(bench)[0] == 0
    assert deployments(bench)[0]["finalization-locked"] is True
    assert bench.compatible("finalize-deployment", bench.new.deployment.commit)[0] == 0


def test_a_persons_change_on_a_locked_release_does_not_stop_the_agent(bench: Bench) -> None:
    deploy(bench)
    assert bench("install", "htop")[0] == 0
    staged = deployments(bench)[0]
    assert (staged["base-checksum"], staged["packages"]) == (bench.new.deployment.commit, ["htop"])
    assert deploy(bench)[0] == 0
    assert bench.compatible("finalize-deployment", bench.new.deployment.commit)[0] == 0
    assert restarted(bench)


def test_a_version_in_the_other_good_slot_is_not_booted_under_a_lock(bench: Bench) -> None:
    bench("upgrade")
    bench.machine.reboot()
    bench("boot", "mark-good")
    bench.server.head = bench.new.deployment.commit
    status, out, _ = bench("deploy", "--lock-finalization", "1")
    assert (status, "locked" in out) == (0, True)
    assert bench.machine.state.locked is Slot.A
    assert bench.machine.state.pointer is Slot.B


@pytest.mark.parametrize(
    "words",
    [("finalize-deployment",), ("finalize-deployment", "ab" * 32, "--allow-missing-checksum")],
    ids=["nothing named", "both"],
)
def test_finalizing_needs_one_word_of_what_is_meant(bench: Bench, words: tuple[str, ...]) -> None:
    deploy(bench)
    assert bench.compatible(*words)[0] == 2
    assert not restarted(bench)


def test_whatever_is_staged_is_finalized_where_that_was_said(bench: Bench) -> None:
    bench("upgrade", "--lock-finalization")
    assert bench("finalize-deployment", "--allow-missing-checksum")[0] == 0
    assert bench("finalize-deployment", "--allow-missing-checksum")[0] == 1
    assert bench("finalize-deployment", "--allow-missing-checksum", "--allow-unlocked")[0] == 0


def test_an_upgrade_that_restarts_lets_a_locked_release_boot(bench: Bench) -> None:
    deploy(bench)
    assert "locked" in bench("upgrade")[1]
    assert not restarted(bench)
    assert bench("upgrade", "--reboot")[0] == 0
    assert restarted(bench)
    assert bench.machine.reboot() is Slot.B


LOCKING = {
    "install": ("install", "htop"),
    "override": ("override", "remove", "less"),
    "kargs": ("kargs", "--append=nosmt"),
    "initramfs-etc": ("initramfs-etc", "--track=/etc/nestos"),
}


@pytest.mark.parametrize("words", LOCKING.values(), ids=LOCKING.keys())
def test_every_change_can_be_locked(bench: Bench, words: tuple[str, ...]) -> None:
    assert bench(*words, "--lock-finalization", "--reboot")[0] == 2
    if "initramfs-etc" not in words:
        assert bench(*words, "--lock-finalization")[0] == 0
        assert bench.machine.state.locked is Slot.B
        assert "locked" in bench("status")[1]
    assert not restarted(bench)


def test_a_dry_run_tells_the_lock(bench: Bench) -> None:
    assert "from booting until it is finalized" in bench("upgrade", "--lock-finalization", "--dry-run")[1]
    assert bench.machine.block.writes == 0
