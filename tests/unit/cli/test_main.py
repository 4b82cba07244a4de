from __future__ import annotations

import argparse
from collections.abc import Callable

import pytest

from nestos import __version__
from nestos.base.errors import InputError, InvariantError, NestosError
from nestos.cli import compose, main

COMMANDS = ("up", "down", "test", "bench", "compose", "run", "serve")


@pytest.fixture
def raising(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes ``nestos compose`` end with the error."""

    def install(error: BaseException) -> None:
        def handle(options: argparse.Namespace) -> int:
            raise error

        monkeypatch.setattr(compose, "handle", handle)

    return install


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.program([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: nestos {command}" in capsys.readouterr().out


def test_the_help_lists_the_commands_with_examples(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.program(["--help"])
    printed = capsys.readouterr().out
    assert {*COMMANDS, *main._PROGRAMS} <= {line.split()[0] for line in printed.splitlines() if line.strip()}
    assert "./nestos up" in printed


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.program(["--version"])
    assert capsys.readouterr().out == f"nestos {__version__}\n"


@pytest.mark.parametrize("words", [[], ["nonsense"], ["compose", "--nonsense"]], ids=["none", "a command", "an option"])
def test_unknown_words_are_wrong_input(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.program(words)
    assert ended.value.code == 2
    assert "usage: nestos" in capsys.readouterr().err


def test_a_commands_result_is_the_exit_status(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compose, "handle", lambda options: 7)
    assert main.program(["compose"]) == 7


@pytest.mark.parametrize(
    ("error", "status", "printed"),
    [
        (NestosError("it failed"), 1, "nestos: it failed\n"),
        (InputError("no such key", hint="write it so"), 2, "nestos: no such key\n  write it so\n"),
        (InvariantError("our bug"), 70, "nestos: our bug\n"),
        (PermissionError(13, "Permission denied", "/x"), 1, "nestos: /x: Permission denied\n"),
    ],
    ids=["a failure", "wrong input", "a bug", "a file"],
)
def test_an_error_is_a_sentence_and_an_exit_status(
    raising: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    status: int,
    printed: str,
) -> None:
    raising(error)
    assert main.program(["compose"]) == status
    assert capsys.readouterr() == ("", printed)


def test_an_interruption_ends_with_130_and_says_that_it_goes_on(
    raising: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    raising(KeyboardInterrupt())
    assert main.program(["compose"]) == 130
    assert "goes on from there" in capsys.readouterr().err


@pytest.mark.parametrize("error", [RuntimeError("x"), OSError("no name")], ids=["any", "a system error without a file"])
def test_a_bug_is_not_hidden(raising: Callable[[BaseException], None], error: Exception) -> None:
    raising(error)
    with pytest.raises(type(error)):
        main.program(["compose"])


@pytest.mark.parametrize("name", sorted(main._PROGRAMS))
def test_a_program_of_its_own_takes_its_own_options(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    given: list[str] = []

    def program(words: list[str]) -> int:
        given.extend(words)
        return 3

    monkeypatch.setitem(main._PROGRAMS, name, (program, ""))
    assert main.program([name, "--check", "--help"]) == 3
    assert main.program(["-v", name, "-"]) == 3
    assert given == ["--check", "--help", "-"]
