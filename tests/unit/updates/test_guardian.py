"""The guardian over a real release folder and real reports."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pytest

from nestos.base.errors import StateError
from nestos.updates import model
from nestos.updates.fleet import Fleet
from nestos.updates.folder import Change, ReleaseFolder, Settings
from nestos.updates.guard import Guard
from nestos.updates.guardian import Guardian
from nestos.updates.model import Build, Release, Stream
from nestos.updates.service import State
from nestos.wire.report import Outcome
from tests.unit.updates.test_fleet import FixedClock, say, told

PLAN = Guard(canaries=("canary",), waves=(0.5,), stage_minutes=60)
HOUR = 3600


class Server:
    """A folder with two releases, of which the second is handed out, guarded."""

    def __init__(self, path: Path, *, plan: Guard = PLAN) -> None:
        self.clock = FixedClock()
        self.folder = ReleaseFolder(path, clock=self.clock)
        self.folder.init(
            Settings(base_url="https://a"), metadata={"1.root.json": b"{}"}, change=Change(who="a", action="init")
        )
        self.is_locked = False
        self.fleet = Fleet(path / "fleet.sqlite", clock=self.clock)
        self.guardian = Guardian(self.folder, self.fleet, seal=self.seal, clock=self.clock)
        for version in ("1", "2"):
            build = {"x86_64": Build(commit=version * 64)}
            self.change(partial(model.create, version=version, builds=build, now=self.now))
            self.change(partial(model.publish, version=version, now=self.now))
        self.change(lambda held: model.guarded_rollout(held, "2", plan, now=self.now))

    @property
    def now(self) -> int:
        return int(self.clock.now().timestamp())

    def seal(self, published: Mapping[str, bytes], known: Mapping[str, bytes]) -> dict[str, bytes]:
        if self.is_locked:
            raise StateError("no key")
        return {f"metadata/{name}": data for name, data in known.items()}

    def change(self, edit: Callable[[Stream], Stream]) -> None:
        self.folder.change(Change(who="a", action="x"), seal=self.seal, name="stable", edit=edit)

    def release(self) -> Release:
        return self.folder.read("stable").require("2")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr("os.fsync", lambda _: None)
    made = Server(tmp_path / "releases")
    yield made
    made.fleet.close()


def last_line(server: Server) -> dict[str, str]:
    return dict(json.loads((server.folder.path / "audit.jsonl").read_text().splitlines()[-1]))


def test_a_stage_that_proved_itself_is_followed_by_the_next_in_the_guards_name(server: Server) -> None:
    say(server.fleet, told(1, group="canary"))
    assert server.guardian.tick() == 0
    server.clock.sleep(HOUR)

    assert server.guardian.tick() == 1

    progress = server.release().progress
    assert progress is not None
    assert progress.stage == 1
    assert last_line(server) | {"serial": 0, "time": ""} == {
        "serial": 0,
        "time": "",
        "who": "guard",
        "action": "advance",
        "subject": "stable 2",
        "reason": "canaries: 1 nodes are well, 0 failed",
    }


def test_a_canary_that_fails_halts_the_release_and_a_person_lets_it_go_on(server: Server) -> None:
    say(server.fleet, told(1, Outcome.ROLLED_BACK, group="canary"))
    assert server.guardian.tick() == 1
    assert last_line(server)["action"] == "halt"
    assert server.guardian.tick() == 0

    server.clock.sleep(60)
    server.change(lambda held: model.resume(held, "2", now=server.now))
    assert server.guardian.tick() == 0
    say(server.fleet, told(2, Outcome.FAILED, group="canary", minutes=1))
    assert server.guardian.tick() == 1
    assert server.release().halted is not None


@pytest.mark.parametrize("goes_back", [True, False])
def test_nodes_go_back_only_where_the_guard_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, goes_back: bool
) -> None:
    monkeypatch.setattr("os.fsync", lambda _: None)
    server = Server(tmp_path / "releases", plan=Guard(canaries=("canary",), goes_back=goes_back))
    say(server.fleet, told(1, Outcome.ROLLED_BACK, group="canary"))
    server.guardian.tick()
    server.fleet.close()

    halted = server.release().halted
    assert halted is not None
    assert halted.back_to == ("1" if goes_back else "")


def test_a_halt_that_cannot_be_written_is_withheld_until_it_is(server: Server) -> None:
    state = State(server.folder.public, clock=server.clock, withheld=lambda: server.guardian.withheld)
    state.refresh()
    assert state.answers.scopes["stable", "x86_64", False].graph.edges == ((0, 1),)
    say(server.fleet, told(1, Outcome.ROLLED_BACK, group="canary"))
    server.is_locked = True

    assert server.guardian.tick() == 0
    state.refresh()

    assert "no key" in server.guardian.problem
    assert server.release().halted is None
    assert state.answers.scopes["stable", "x86_64", False].graph.edges == ()

    server.is_locked = False
    assert server.guardian.tick() == 1
    state.refresh()
    assert (server.guardian.problem, dict(server.guardian.withheld)) == ("", {})
    assert state.answers.scopes["stable", "x86_64", False].graph.edges == ()


def test_what_an_operator_changed_meanwhile_is_judged_again(server: Server) -> None:
    say(server.fleet, told(1, group="canary"))
    server.clock.sleep(HOUR)
    server.guardian._streams()
    # The guardian read the folder before this change, and acts after it.
    read = server.guardian._read
    server.change(lambda held: model.pause(held, "2", now=server.now))
    server.guardian._read = (server.folder.generation(), read[1])

    assert server.guardian.tick() == 0
    assert "changed meanwhile" in server.guardian.problem
    progress = server.release().progress
    assert progress is not None
    assert progress.stage == 0
