from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from nestos.base.errors import CommandError, StateError
from nestos.host.process import Completed
from nestos.lab.ssh import Identity, Ssh, identity

KEY = Identity(private=Path("/cache/id"), public="ssh-ed25519 AAAA lab")


class Runner:
    """Gives the answers in turn, the last one for ever, and remembers the commands."""

    def __init__(self, *answers: Completed | CommandError) -> None:
        self.answers = list(answers)
        self.commands: list[list[str]] = []

    def __call__(self, command: Sequence[Any], /, **_: Any) -> Completed:
        self.commands.append([str(part) for part in command])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, CommandError):
            raise answer
        return answer


class Clock:
    time = 0.0

    def now(self) -> datetime:
        return datetime(2025, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


OK = Completed(returncode=0, stdout="", stderr="")
REFUSED = Completed(returncode=255, stdout="", stderr="Connection refused\n")


def ssh(runner: Runner) -> Ssh:
    return Ssh(port=2200, identity=KEY, runner=runner, clock=Clock())


def test_a_command_goes_to_the_forwarded_port_with_the_labs_key_and_nobody_elses_settings() -> None:
    runner = Runner(OK)
    ssh(runner)("uptime")
    (line,) = runner.commands
    assert line[:7] == ["ssh", "-F", "/dev/null", "-i", "/cache/id", "-p", "2200"]
    assert line[-3:] == ["nest@127.0.0.1", "--", "uptime"]
    assert "-oBatchMode=yes" in line


def test_a_shell_for_a_person_may_ask() -> None:
    line = ssh(Runner(OK)).command_line()
    assert line[-1] == "nest@127.0.0.1"
    assert "-oBatchMode=yes" not in line


def test_it_waits_until_the_machine_lets_us_in() -> None:
    slow = CommandError("no end after 60 s", returncode=-1, output="")
    runner = Runner(REFUSED, slow, OK)
    ssh(runner).wait(timeout_seconds=60)
    assert len(runner.commands) == 3


def test_it_gives_up_with_the_last_refusal() -> None:
    with pytest.raises(StateError, match="no way in over SSH in 10 s: Connection refused"):
        ssh(Runner(REFUSED)).wait(timeout_seconds=10)


def test_a_key_is_made_once(tmp_path: Path) -> None:
    class Maker(Runner):
        def __call__(self, command: Sequence[Any], /, **_: Any) -> Completed:
            private = Path(command[-1])
            private.write_text("private")
            private.with_suffix(".pub").write_text("ssh-ed25519 AAAA nestos-lab\n")
            return super().__call__(command)

    maker = Maker(OK)
    first = identity(tmp_path / "lab", runner=maker)
    assert identity(tmp_path / "lab", runner=maker) == first
    assert first.public == "ssh-ed25519 AAAA nestos-lab"
    assert len(maker.commands) == 1
