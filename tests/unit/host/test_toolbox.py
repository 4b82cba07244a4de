from __future__ import annotations

from pathlib import Path

import pytest

from nestos.host import process
from nestos.host.toolbox import Toolbox
from tests.unit.host.scripted import Scripted

ROOT = Path("/cache/tools/root")


def pairs(line: list[str]) -> set[tuple[str, ...]]:
    """The options of a bwrap line with up to two values, for looking them up."""
    return {tuple(line[at : at + size]) for at in range(len(line)) for size in (1, 2, 3)}


def test_the_tools_tree_is_the_root_and_the_binds_keep_their_paths() -> None:
    line = Toolbox(ROOT, binds=[Path("/bench")]).wrap(["mkfs.erofs", Path("/bench/a b")])
    assert line[0] == "bwrap"
    assert {("--bind", str(ROOT), "/"), ("--bind", "/bench", "/bench")} <= pairs(line)
    assert line[line.index("--") :] == ["--", "mkfs.erofs", "/bench/a b"]


def test_binds_come_after_the_root_that_they_lie_in() -> None:
    line = Toolbox(ROOT, binds=[Path("/tmp/x")]).wrap(["true"])
    assert line.index(str(ROOT)) < line.index("/tmp") < line.index("/tmp/x")


def test_there_is_no_network_unless_asked_for() -> None:
    quiet, loud = Toolbox(ROOT).wrap(["x"]), Toolbox(ROOT, network=True).wrap(["x"])
    assert "--unshare-net" in quiet
    assert "--unshare-net" not in loud
    assert ("--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf") in pairs(loud)


def test_devices_of_the_machine_are_seen_only_where_asked_for() -> None:
    assert ("--dev", "/dev") in pairs(Toolbox(ROOT).wrap(["x"]))
    assert ("--dev-bind", "/dev", "/dev") in pairs(Toolbox(ROOT, devices=True).wrap(["x"]))


def test_it_ends_with_this_program_unless_it_outlives_it() -> None:
    box = Toolbox(ROOT)
    assert "--die-with-parent" in box.wrap(["x"])
    assert "--die-with-parent" not in box.wrap(["x"], outlives_us=True)


def test_more_binds_make_another_box_with_the_same_tools() -> None:
    small = Toolbox(ROOT, binds=[Path("/a")], devices=True)
    large = small.with_binds(Path("/b"), network=True)
    assert large.root == ROOT
    assert {("--bind", "/a", "/a"), ("--bind", "/b", "/b"), ("--dev-bind", "/dev", "/dev")} <= pairs(large.wrap(["x"]))
    assert "/b" not in small.wrap(["x"])
    assert "--unshare-net" not in large.with_binds(Path("/c")).wrap(["x"])


def test_a_command_runs_with_the_trees_own_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Scripted()
    monkeypatch.setattr(process, "run", run)
    Toolbox(ROOT)(["ostree", "--version"], environment={"X": "1"}, cwd=Path("/bench"))
    call = run.calls[0]
    assert call.environment["PATH"].startswith("/usr/local/sbin:")
    assert (call.environment["HOME"], call.environment["TMPDIR"], call.environment["X"]) == ("/root", "/tmp", "1")
    assert call.cwd is None  # the folder is one of the sandbox
    assert ("--chdir", "/bench") in pairs(call.line)
