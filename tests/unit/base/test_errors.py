from __future__ import annotations

import pytest

from nestos.base import errors
from nestos.base.errors import CommandError, InvariantError, NestosError


@pytest.mark.parametrize(
    ("error", "kind", "exit_code"),
    [
        (NestosError("x"), "error", 1),
        (errors.InputError("x"), "input", 2),
        (CommandError("x", returncode=3, output=""), "command", 1),
        (errors.VerificationError("x"), "verification", 1),
        (errors.SpaceError("x"), "space", 1),
        (errors.BusyError("x"), "busy", 1),
        (errors.NetworkError("x"), "network", 1),
        (errors.StateError("x"), "state", 1),
        (InvariantError("x"), "bug", 70),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_each_kind_has_its_word_and_exit_code(error: NestosError, kind: str, exit_code: int) -> None:
    assert (error.kind, error.exit_code, str(error), error.hint) == (kind, exit_code, "x", "")


def test_a_kind_of_its_own_belongs_to_the_one_error() -> None:
    assert errors.NetworkError("x", kind="http-404").kind == "http-404"
    assert errors.NetworkError("x").kind == "network"


def test_a_command_error_carries_status_output_and_hint() -> None:
    error = CommandError("x", returncode=3, output="words", hint="try")
    assert (error.returncode, error.output, error.hint) == (3, "words", "try")
