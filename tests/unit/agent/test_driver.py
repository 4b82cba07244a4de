from __future__ import annotations

import json
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import pytest

from nestos.agent import driver
from nestos.agent.driver import Outcome, SystemDriver
from nestos.agent.people import LoggedIn
from nestos.base.errors import CommandError, StateError
from nestos.base.paths import Root
from nestos.host.process import Completed


class Systemd:
    """Records commands; ``says`` is what they print, ``problem`` that they fail."""

    def __init__(self, says: str = "", *, problem: str = "") -> None:
        self.says, self.problem = says, problem
        self.lines: list[list[str]] = []

    def __call__(self, command: Sequence[str | PathLike[str]], /, **_options: Any) -> Completed:
        self.lines.append([str(part) for part in command])
        if self.problem:
            raise CommandError(self.problem, returncode=1, output="")
        return Completed(returncode=0, stdout=self.says, stderr="")


def snapshot(*, next: str = "a", state: str = "good", denied: list[dict[str, str]] | None = None) -> dict[str, Any]:
    def held(version: str) -> dict[str, str]:
        return {"version": version, "commit": f"c{version}", "ref": "n/x/stable", "timestamp": "2026-11-01T00:00:00Z"}

    slots = {"a": {"state": "good", "deployment": held("1")}, "b": {"state": state, "deployment": held("2")}}
    return {"document": {"booted": "a", "next": next, "slots": slots, "denied": denied or []}}


def test_the_nodes_status_is_what_roots_commands_left(tmp_path: Path) -> None:
    path = tmp_path / "run/nestos/status.json"
    path.parent.mkdir(parents=True)
    node = SystemDriver(Root(tmp_path), runner=Systemd())
    for text in (None, "", "[]", "{}"):
        if text is not None:
            path.write_text(text)
        with pytest.raises(StateError, match="not known yet"):
            node.look()
    denial = {"commit": "c9", "version": "9", "reason": "no web", "time": ""}
    path.write_text(json.dumps(snapshot(next="b", state="trying", denied=[denial])))
    found = node.look()
    assert (found.version, found.commit, found.ref) == ("1", "c1", "n/x/stable")
    assert (found.pending_version, found.pending_commit) == ("2", "c2")
    assert found.denied == {"c9": "it failed here: no web"}
    assert found.built is not None


def test_a_release_that_the_node_went_back_from_is_denied() -> None:
    found = driver.parse_status(snapshot())
    assert found.pending_commit == ""
    assert "went back" in found.denied["c2"]
    assert driver.parse_status(snapshot(state="empty")).denied == {}


def test_units_and_restart_are_asked_of_systemd(tmp_path: Path) -> None:
    systemd = Systemd("activating\n")
    node = SystemDriver(Root(tmp_path), runner=systemd)
    node.begin_staging()
    assert node.is_staging()
    node.drop()
    node.restart()
    assert [line[1] for line in systemd.lines] == ["start", "show", "start", "reboot"]
    systemd.says = "inactive\n"
    assert not node.is_staging()


def test_an_outcome_belongs_to_its_attempt(tmp_path: Path) -> None:
    node = SystemDriver(Root(tmp_path), runner=Systemd())
    assert node.outcome(1) is None
    driver.write_outcome(Root(tmp_path), Outcome(attempt=1, version="2", problem="no room"))
    assert node.outcome(1) == Outcome(attempt=1, version="2", problem="no room")
    assert node.outcome(2) is None


def test_people_are_those_with_a_terminal(tmp_path: Path) -> None:
    sessions = [{"user": "ann", "tty": "pts/0"}, {"user": "bot", "tty": None}, {"user": "eve", "tty": "../etc/x"}]
    (tmp_path / "pts").mkdir()
    (tmp_path / "pts/0").touch()
    people = LoggedIn(runner=Systemd(json.dumps(sessions)), devices=tmp_path)
    assert people.present() == ("ann",)
    people.tell("it restarts")
    assert "it restarts" in (tmp_path / "pts/0").read_text()
    (tmp_path / "pts/0").unlink()
    people.tell("nobody hears this")


@pytest.mark.parametrize(
    "systemd",
    [
        pytest.param(Systemd(problem="no bus"), id="fails"),
        pytest.param(Systemd("SESSION UID"), id="no JSON"),
        pytest.param(Systemd('[{"name": "ann"}]'), id="another form"),
        pytest.param(Systemd('{"sessions": []}'), id="an object"),
    ],
)
def test_if_it_is_not_known_who_is_there_somebody_may_be(systemd: Systemd, tmp_path: Path) -> None:
    people = LoggedIn(runner=systemd, devices=tmp_path)
    assert people.present() == ("people who could not be listed",)
    people.tell("nobody hears this")
