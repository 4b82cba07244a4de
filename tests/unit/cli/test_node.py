from __future__ import annotations

import argparse
import importlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from nestos.cli import node as cli
from nestos.deploy.node import Node
from nestos.deploy.transaction import exclusive
from nestos.slots.bootstate import BootState, Slot, SlotState, SlotStatus
from tests.unit.deploy.fakes import GOOD, FakeMachine, FakeServer, made, node, running_a
from tests.unit.ostree import recorded


class Bench:
    """A node that runs 1 in slot a, a server that offers 2, and the program on them."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.server = FakeServer()
        self.old = self.server.publish(made("1", day=1))
        self.new = self.server.publish(made("2", day=2, parent=self.old.deployment.commit))
        self.machine = FakeMachine(running_a(b=SlotStatus()))
        self.machine.put(Slot.A, self.old.deployment)
        self.node = node(folder, self.machine, self.server)
        self._capture = capture
        self.lenient = False

    def find(self, *, lenient: bool) -> Node:
        self.lenient = lenient
        return self.node

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        return self.as_user(0, *arguments)

    def as_user(self, user: int, *arguments: str) -> tuple[int, str, str]:
        status = cli.main(arguments, find_node=self.find, root=self.node.root, user=user)
        said = self._capture.readouterr()
        return status, said.out, said.err


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Bench:
    return Bench(tmp_path, capsys)


def test_status_speaks_to_people_and_programs(bench: Bench) -> None:
    status, out, _ = bench("status")
    assert (status, "● a: 1" in out) == (0, True)
    status, out, _ = bench("status", "--json")
    assert json.loads(out)["slots"]["a"]["deployment"]["version"] == "1"


def test_everyone_may_read_the_status_that_roots_last_command_left(bench: Bench) -> None:
    status, _, err = bench.as_user(1000, "status")
    assert (status, "sudo nestos status" in err) == (1, True)
    bench("upgrade")
    status, out, _ = bench.as_user(1000, "status")
    assert (status, "b: 2 (trying" in out) == (0, True)
    assert json.loads(bench.as_user(1000, "status", "--json")[1]) == json.loads(bench("status", "--json")[1])
    assert "History:" in bench.as_user(1000, "status", "-v")[1]


def test_a_failed_command_is_in_the_status_too(bench: Bench) -> None:
    bench("boot", "failed", "--reason", "no uplink")
    assert "no uplink" in bench.as_user(1000, "status")[1]


def test_the_password_of_a_repository_is_not_for_everyone(bench: Bench) -> None:
    bench.node = replace(bench.node, settings=replace(bench.node.settings, update_url="http://me:secret@host/repo"))
    bench("status")
    out = bench.as_user(1000, "status", "--json")[1]
    assert json.loads(out)["update"]["url"] == "http://host/repo"


def test_only_root_changes_slots(bench: Bench) -> None:
    for command in (["upgrade"], ["rollback"], ["boot", "mark-good"]):
        status, _, err = bench.as_user(1000, *command)
        assert (status, "use sudo" in err) == (1, True)
    assert bench.machine.block.writes == 0


def test_a_check_names_what_is_available(bench: Bench) -> None:
    status, out, _ = bench("upgrade", "--check")
    assert status == 0
    assert f"available: 2 ({bench.new.deployment.commit})" in out


def test_a_check_without_news_ends_with_77(bench: Bench) -> None:
    bench.server.head = bench.old.deployment.commit
    assert bench("upgrade", "--check")[0] == 77
    assert bench("upgrade")[0] == 77


def test_an_upgrade_stages_and_says_how_to_switch(bench: Bench) -> None:
    status, out, _ = bench("upgrade")
    assert status == 0
    assert "2 is in slot b and boots next" in out
    assert "systemctl reboot" in out
    assert not bench.server.ran("systemctl")


def test_an_upgrade_restarts_when_asked(bench: Bench) -> None:
    assert bench("upgrade", "--reboot")[0] == 0
    assert bench.server.lines[-1] == ["systemctl", "reboot"]


def test_what_is_staged_is_not_staged_again_but_restarted_into(bench: Bench) -> None:
    bench("upgrade")
    status, out, _ = bench("upgrade")
    assert (status, "staged already" in out) == (77, True)
    assert bench("upgrade", "--check")[0] == 77
    assert bench("upgrade", "--reboot")[0] == 0
    assert bench.server.lines[-1] == ["systemctl", "reboot"]


def test_a_dry_run_prints_numbered_steps_and_changes_nothing(bench: Bench) -> None:
    status, out, _ = bench("upgrade", "--dry-run", "--reboot")
    assert status == 0
    assert out.startswith("1. check that /var")
    assert bench.machine.block.writes == 0
    assert not bench.server.ran("systemctl")


def test_a_version_that_a_good_slot_holds_is_not_fetched(bench: Bench) -> None:
    bench.machine.block = type(bench.machine.block)(running_a())
    bench.machine.put(Slot.B, bench.new.deployment)
    status, out, _ = bench("deploy", "2")
    assert (status, "slot b, 2, boots next" in out) == (0, True)
    assert bench.server.lines == []
    assert bench("deploy", "2")[0] == 77


def test_a_version_is_deployed_from_the_repository(bench: Bench) -> None:
    status, out, _ = bench("deploy", "2")
    assert (status, "2 is in slot b" in out) == (0, True)


def test_a_rollback_without_a_good_slot_fails_with_a_hint(bench: Bench) -> None:
    status, _, err = bench("rollback")
    assert status == 1
    assert "nothing to roll back to" in err
    assert "deploy a version" in err


def test_a_rollback_can_be_asked_about(bench: Bench) -> None:
    bench.machine.block = type(bench.machine.block)(running_a())
    bench.machine.put(Slot.B, bench.new.deployment)
    assert bench("rollback", "--dry-run")[1] == "slot b, 2, would boot next\n"
    assert bench.machine.block.writes == 0


@pytest.mark.parametrize(
    ("stderr", "status", "said"),
    [
        pytest.param(recorded.UNSIGNED, 1, "carries no signature", id="unsigned"),
        pytest.param(recorded.REFUSED, 1, "http://127.0.0.1:8765/summary.sig", id="server away"),
        pytest.param(recorded.NO_BRANCH, 2, 'no branch "nope"', id="no branch"),
    ],
)
def test_errors_are_one_sentence_and_an_exit_status(bench: Bench, stderr: str, status: int, said: str) -> None:
    bench.server.fail("pull", stderr=stderr)
    found, _, err = bench("upgrade")
    assert found == status
    assert said in err
    assert "Traceback" not in err


def test_a_second_transaction_is_refused_with_the_holders_name(bench: Bench) -> None:
    with exclusive(bench.node.lock, command="upgrade"):
        for command in (["upgrade"], ["deploy", "2"], ["rollback"]):
            status, _, err = bench(*command)
            assert (status, "another transaction is running: upgrade (pid" in err) == (1, True)


def test_conflicts_in_etc_are_reported(bench: Bench) -> None:
    upper = bench.node.folder / "etc/a/upper"
    upper.mkdir(parents=True)
    (upper / "motd").write_text("mine")
    bench.node.root.join("/usr/etc/motd").write_text("theirs, old")
    bench.server.etc = {"motd": "theirs, new"}
    assert "/etc/motd: changed here and by the release" in bench("upgrade")[1]


# What the boot's units call


def test_a_boots_commands_go_on_over_a_mistake_in_the_settings(bench: Bench) -> None:
    bench("boot", "mark-good")
    assert bench.lenient
    bench("upgrade", "--check")
    assert not bench.lenient


def test_marking_good_tells_what_the_node_went_back_from(bench: Bench) -> None:
    bad = SlotStatus(state=SlotState.BAD)
    bench.machine.block = type(bench.machine.block)(BootState(pointer=Slot.B, booted=Slot.A, a=GOOD, b=bad))
    bench.machine.put(Slot.B, bench.new.deployment)
    status, out, _ = bench("boot", "mark-good")
    assert status == 0
    assert "went back from slot b, 2: did not reach boot-complete" in out


def test_a_boot_that_is_given_up_restarts_without_stopping_units(bench: Bench) -> None:
    assert bench("boot", "failed", "--reason", "no uplink")[0] == 0
    assert bench.server.lines == [["systemctl", "reboot", "--force"]]
    assert bench.node.records.boot_failures()["a"].reason == "no uplink"


def test_a_boot_that_is_given_up_stays_where_a_restart_cannot_help(bench: Bench) -> None:
    spent = SlotStatus(state=SlotState.GOOD, tries=0)
    bench.machine.block = type(bench.machine.block)(BootState(pointer=Slot.A, booted=Slot.A, a=spent))
    status, out, _ = bench("boot", "failed")
    assert (status, "restarting would not help" in out) == (0, True)
    assert bench.server.lines == []


def test_a_deadline_after_boot_complete_is_nothing(bench: Bench) -> None:
    assert bench("boot", "deadline")[0] == 0
    assert not bench.server.ran("reboot")


def test_a_deadline_names_what_holds_the_boot_up(bench: Bench) -> None:
    bench.server.answer("is-active", returncode=3)
    bench.server.answer("list-jobs", stdout="  7 slow.service start running\n  8 multi-user.target start waiting\n")
    bench("boot", "deadline")
    assert bench.server.ran("systemctl", "reboot", "--force")
    assert bench.node.records.boot_failures()["a"].reason == (
        "did not reach boot-complete before the deadline, held up by slow.service"
    )


def test_farewell_ends_the_doubt_of_the_next_boot(bench: Bench) -> None:
    bench("boot", "mark-good")
    assert bench.node.records.running() is not None
    bench("boot", "farewell")
    assert bench.node.records.running() is None


def test_health_lists_its_checks(bench: Bench) -> None:
    check = bench.node.root.join("/etc/nestos/health.d/required.d/10-x")
    check.parent.mkdir(parents=True)
    check.write_text("#!/bin/sh\n")
    check.chmod(0o755)
    bench.machine.booted = Slot.A
    assert bench("boot", "health")[1] == "required 10-x: passed\n"
    bench.server.fail(str(check), stderr="no uplink")
    assert bench("boot", "health")[0] == 1


@pytest.mark.parametrize("command", ["status", "upgrade", "deploy", "rollback", "boot"])
def test_every_command_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([command, "--help"])
    assert ended.value.code == 0
    assert "examples:\n  nestos" in capsys.readouterr().out


def test_wrong_usage_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["upgrade", "--no-such"])
    assert ended.value.code == 2


def test_settings_of_the_node_reach_the_commands(bench: Bench) -> None:
    bench.node = replace(bench.node, settings=replace(bench.node.settings, update_url=""))
    status, _, err = bench("upgrade")
    assert (status, "no update source" in err) == (1, True)


def commands_of(parser: argparse.ArgumentParser) -> set[str]:
    (action,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return set(action.choices)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_table_of_commands_is_what_each_module_has(name: str) -> None:
    alone = argparse.ArgumentParser()
    importlib.import_module(f"nestos.cli.{name}").register(alone.add_subparsers())
    assert commands_of(alone) == set(cli.COMMANDS[name])


@pytest.mark.parametrize(
    ("arguments", "modules"),
    [
        (["boot", "health"], ["node_boot"]),
        (["--debug", "status"], ["node_status"]),
        (["--help"], list(cli.COMMANDS)),
        ([], list(cli.COMMANDS)),
        (["stauts"], list(cli.COMMANDS)),
    ],
    ids=["a command", "behind an option", "help", "nothing", "a mistake"],
)
def test_only_the_module_of_the_command_is_loaded(arguments: list[str], modules: list[str]) -> None:
    wanted = {command for name in modules for command in cli.COMMANDS[name]}
    assert commands_of(cli.parser(arguments)) == wanted
