"""``ignition-rmcfg``."""

from __future__ import annotations

import io

import pytest

from nestos.base.errors import NestosError
from nestos.ignition.engine import parts
from nestos.ignition.engine.program import Streams
from nestos.ignition.engine.removal import run
from tests.unit.ignition.engine.bench import Bench


def removed(machine: Bench, *arguments: str) -> tuple[int, str]:
    output = io.StringIO()
    code = run(arguments, machine=machine.machine, streams=Streams(stdout=output, stderr=output))
    return code, output.getvalue()


def test_a_platform_where_nothing_can_be_deleted_is_done(machine: Bench) -> None:
    code, said = removed(machine, "--platform=qemu")

    assert code == 0
    assert "nothing to delete" in said


@pytest.mark.parametrize(("problem", "code"), [("", 0), ("no channel", 1)])
def test_the_provider_is_asked_to_delete(
    problem: str, code: int, machine: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def delete(_job: object) -> None:
        if problem:
            raise NestosError(problem)

    monkeypatch.setattr(parts.load(parts.PROVIDERS["vmware"]), "delete_config", delete)

    got, said = removed(machine, "--platform=vmware", "--log-to-stdout")

    assert got == code
    assert (f"couldn't delete config: {problem}" if problem else "Successfully deleted config") in said


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 2, "'--platform' must be provided"),
        (("--platform=nowhere",), 2, "nowhere"),
        (("--platform=qemu", "word"), 2, "Usage: ignition-rmcfg"),
        (("--version",), 0, "Ignition"),
        (("--help",), 0, "--log-to-stdout"),
    ],
)
def test_the_command_line_is_the_originals(arguments: tuple[str, ...], code: int, text: str, machine: Bench) -> None:
    got, said = removed(machine, *arguments)

    assert (got, text in said) == (code, True)
