"""Commands about packages and kernel arguments, under both names of the program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nestos.cli import node as cli
from nestos.cli import node_packages, rpm_ostree
from nestos.deploy import change, upgrade
from nestos.deploy.node import Node
from nestos.slots.bootstate import Slot, SlotStatus
from tests.unit.deploy.fakes import FakeMachine, FakeServer, made, node, running_a
from tests.unit.deploy.layering import ACCOUNTS, MemoryPackages


class Bench:
    """A node that runs 1 in slot a, a server that offers 2, a package source, and both programs on them."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str]) -> None:
        self.server = FakeServer(etc=dict(ACCOUNTS))
        self.old = self.server.publish(made("1", day=1))
        self.new = self.server.publish(made("2", day=2, parent=self.old.deployment.commit))
        self.machine = FakeMachine(running_a(b=SlotStatus()))
        self.machine.put(Slot.A, self.old.deployment)
        self.node = node(folder, self.machine, self.server)
        self.packages = MemoryPackages()
        self._capture = capture

    def find(self, *, lenient: bool) -> Node:
        return self.node

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        return self._told(cli.main(arguments, find_node=self.find, root=self.node.root, user=0))

    def compatible(self, *arguments: str, user: int = 0) -> tuple[int, str, str]:
        return self._told(rpm_ostree.main(arguments, find_node=self.find, root=self.node.root, user=user))

    def _told(self, status: int) -> tuple[int, str, str]:
        said = self._capture.readouterr()
        return status, said.out, said.err


@pytest.fixture
def bench(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Bench:
    made_bench = Bench(tmp_path, capsys)
    for module in (change, upgrade, node_packages):
        monkeypatch.setattr(module, "backend_of", lambda _: made_bench.packages)
    return made_bench


def test_a_package_is_installed_and_the_status_tells_it(bench: Bench) -> None:
    status, out, _ = bench("install", "htop")
    assert status == 0
    assert "Added:\n  htop 3" in out
    assert "1 is in slot b and boots next" in out
    assert "layered  htop 3" in bench("status")[1]
    assert json.loads(bench("status", "--json")[1])["slots"]["b"]["deployment"]["origin"]["packages"] == ["htop"]


def test_a_dry_run_tells_the_solvers_answer_and_writes_nothing(bench: Bench) -> None:
    status, out, _ = bench("install", "--dry-run", "htop")
    assert (status, "htop 3" in out) == (0, True)
    assert bench.machine.block.writes == 0


def test_what_is_asked_for_already_is_an_error_unless_idempotent(bench: Bench) -> None:
    bench("install", "htop")
    assert bench("install", "htop")[0] == 2
    assert bench("install", "--idempotent", "htop")[0] == 77


def test_ansible_is_told_a_change_and_no_change(bench: Bench) -> None:
    words = ("--allow-inactive", "--idempotent", "--unchanged-exit-77")
    assert bench.compatible("install", *words, "htop")[0] == 0
    assert bench.compatible("install", *words, "htop")[0] == 77
    assert bench.compatible("uninstall", *words, "htop")[0] == 0
    assert bench.compatible("uninstall", *words, "htop")[0] == 77


def test_no_change_is_success_for_who_did_not_ask(bench: Bench) -> None:
    bench.compatible("install", "htop")
    status, out, _ = bench.compatible("install", "--idempotent", "htop")
    assert (status, "No change." in out) == (0, True)


def test_no_upgrade_is_told_in_the_words_that_scripts_look_for(bench: Bench) -> None:
    bench.server.head = bench.old.deployment.commit
    status, out, _ = bench.compatible("upgrade")
    assert (status, out) == (0, "No upgrade available.\n")
    assert bench.compatible("upgrade", "--unchanged-exit-77")[0] == 77
    assert bench.compatible("upgrade", "--check")[0] == 77


def test_a_revision_is_deployed_as_zincati_asks_for_it(bench: Bench) -> None:
    commit = bench.new.deployment.commit
    words = ("deploy", "--skip-branch-check", f"revision={commit}", "--disallow-downgrade")
    assert bench.compatible(*words)[0] == 0
    staged = json.loads(bench.compatible("status", "--json")[1])["deployments"][0]
    assert (staged["staged"], staged["checksum"]) == (True, commit)
    assert bench.compatible("cleanup", "-p")[0] == 0
    assert json.loads(bench.compatible("status", "--json")[1])["deployments"][0]["booted"] is True


def test_everyone_may_read_the_compatible_status(bench: Bench) -> None:
    bench("install", "htop")
    status, out, _ = bench.compatible("status", "--json", "--booted", user=1000)
    assert status == 0
    assert [item["version"] for item in json.loads(out)["deployments"]] == ["1"]
    assert "LayeredPackages: htop" in bench.compatible("status", user=1000)[1]
    assert bench.compatible("status", "--pending-exit-77", user=1000)[0] == 77


def test_local_files_are_taken_over(bench: Bench, tmp_path: Path) -> None:
    file = tmp_path / "agent_1.deb"
    file.write_text("package")
    assert bench("install", str(file))[0] == 0
    kept = bench.node.folder / "packages/local/agent.deb"
    assert kept.read_text() == "package"
    assert bench("uninstall", "agent")[0] == 0
    assert not kept.exists()
    assert bench("install", "./no-such.deb")[0] == 2


def test_overrides_are_made_and_given_up(bench: Bench) -> None:
    assert "Removed:\n  less 1" in bench("override", "remove", "less")[1]
    assert bench("override", "remove", "less")[0] == 77
    assert bench("override", "reset", "--all")[0] == 0
    assert bench("override", "reset", "less")[0] == 2
    assert bench("override", "replace", "less")[0] == 2


def test_a_reset_gives_up_everything(bench: Bench) -> None:
    bench("install", "htop")
    bench("override", "remove", "less")
    bench("reset", "--overlays")
    assert "removed  less 1" in bench("status")[1]
    assert "layered" not in bench("status")[1]
    bench("reset")
    assert bench("reset")[0] == 77


def test_an_upgrade_may_bring_and_drop_packages(bench: Bench) -> None:
    bench("install", "htop")
    assert bench("upgrade", "--install=strace", "--uninstall=htop")[0] == 0
    staged = json.loads(bench("status", "--json")[1])["slots"]["b"]["deployment"]
    assert (staged["version"], staged["origin"]["packages"]) == ("2", ["strace"])


def test_kernel_arguments_are_shown_and_changed_in_order(bench: Bench) -> None:
    assert bench("kargs")[1] == "quiet\n"
    assert bench("kargs", "--append=nosmt", "--delete=quiet", "--append-if-missing=nosmt")[0] == 0
    assert bench("kargs")[1] == "nosmt\n"
    assert bench("kargs", "--append-if-missing=nosmt")[0] == 77
    assert bench("kargs", "--delete=gone")[0] == 2


def test_slots_are_pinned_and_freed(bench: Bench) -> None:
    assert bench("pin", "a")[0] == 0
    assert "pinned  yes" in bench("status")[1]
    assert bench("pin", "a")[0] == 77
    assert bench("unpin", "a")[0] == 0
    assert bench("pin", "c")[0] == 2


def test_a_search_says_what_the_sources_have(bench: Bench) -> None:
    assert bench("search", "hto")[1] == "htop : a tool\n"
    assert bench("search", "nothing")[0] == 1


def test_history_is_read_by_programs(bench: Bench) -> None:
    bench("install", "htop")
    assert [item["event"] for item in json.loads(bench("history", "--json")[1])] == ["staged"]
    assert "staged" in bench.compatible("ex", "history")[1]


def test_a_cleanup_says_what(bench: Bench) -> None:
    assert bench("cleanup")[0] == 2
    assert "nothing is staged" in bench("cleanup", "--pending")[1]
    assert bench("cleanup", "--repomd", "--base")[0] == 0


def test_there_is_nothing_to_cancel_without_a_transaction(bench: Bench) -> None:
    assert bench("cancel")[1] == "no transaction runs\n"


def test_a_downgrade_is_refused_where_that_was_said(bench: Bench) -> None:
    bench.machine.put(Slot.A, made("3", day=3).deployment)
    commit = bench.new.deployment.commit
    assert bench.compatible("deploy", f"revision={commit}", "--disallow-downgrade")[0] == 1
    assert bench.compatible("deploy", f"revision={commit}")[0] == 0


def test_a_rebase_follows_another_branch(bench: Bench) -> None:
    other = made("3", day=3)
    bench.server.publish(other)
    bench.server.branches = {"nestos/x86_64/next": other.deployment.commit}
    assert "3 is in slot b and boots next" in bench.compatible("rebase", "nestos:nestos/x86_64/next")[1]
    staged = json.loads(bench.compatible("status", "--json")[1])["deployments"][0]
    assert (staged["origin"], staged["base-commit-meta"]["fedora-coreos.stream"]) == (
        "nestos:nestos/x86_64/next",
        "next",
    )
    assert json.loads(bench("status", "--json")[1])["update"]["ref"] == "nestos/x86_64/next"


def test_a_rebase_onto_an_image_says_what_is_supported(bench: Bench) -> None:
    status, _, error = bench.compatible("rebase", "ostree-unverified-image:docker://quay.io/example/os:stable")
    assert (status, "BRANCH" in error) == (2, True)
    assert bench.machine.block.writes == 0


def test_a_difference_is_told_in_rpm_ostrees_form_to_its_programs(bench: Bench) -> None:
    bench("upgrade")
    old, new = bench.old.deployment.commit, bench.new.deployment.commit
    said = bench.compatible("db", "diff")[1]
    assert said.splitlines()[:2] == [
        f"ostree diff commit from: booted ({old})",
        f"ostree diff commit to:   next ({new})",
    ]
    assert json.loads(bench.compatible("db", "diff", "--format=json", "a", "b")[1])["ostree-commit-to"] == new
    assert json.loads(bench("db", "diff", "--format=json")[1])["added"] == {}
    assert bench("db", "diff", "a", "b", "a")[0] == 2


@pytest.mark.parametrize("option", ["--changelogs", "--advisories"])
def test_what_no_node_knows_of_packages_is_not_passed_over_in_silence(bench: Bench, option: str) -> None:
    status, out, error = bench.compatible("db", "diff", option)
    assert (status, out) == (2, "")
    assert "error: " in error
