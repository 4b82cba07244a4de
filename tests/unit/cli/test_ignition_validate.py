"""The validator's command line."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from nestos.cli.ignition_validate import program

GOOD = b'{"ignition": {"version": "3.3.0"}}'
BAD = b'{"ignition": {"version": "3.3.0"}, "storage": {"files": [{"path": "x"}]}}'
Output = pytest.CaptureFixture[str]


@pytest.mark.parametrize(
    ("data", "code", "stdout", "stderr"),
    [
        (GOOD, 0, "", ""),
        (b'{"ignition": {"version": "3.3.0"}, "x": 1}', 0, "warning at $.x, line 1 col 36: unused key x\n", ""),
        (BAD, 1, "error at $.storage.files.0.path, line 1 col 67: path not absolute\n", ""),
        (
            b'{"ignition": {"version": "3.3.0"}, "passwds": 1}',
            0,
            "warning at $.passwds, line 1 col 36: unused key passwds\n",
            'hint: did you mean "passwd"?\n',
        ),
        (b"", 1, "", "couldn't parse config: not a config (empty)\n"),
    ],
)
def test_the_report_is_on_stdout_and_the_exit_code_tells(
    data: bytes, code: int, stdout: str, stderr: str, tmp_path: Path, capsys: Output
) -> None:
    path = tmp_path / "config.ign"
    path.write_bytes(data)

    assert program([str(path)]) == code
    assert capsys.readouterr() == (stdout, stderr)


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(GOOD)))

    assert program(["-"]) == 0


@pytest.mark.parametrize("arguments", [[], ["a", "b"]])
def test_anything_but_one_file_is_answered_with_the_usage(arguments: list[str], capsys: Output) -> None:
    assert program(arguments) == 1
    assert capsys.readouterr().err.startswith("Usage:")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, capsys: Output) -> None:
    assert program([str(tmp_path / "none")]) == 1
    assert "couldn't read config:" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["-version", "--version", "--help"])
def test_version_and_help_succeed(flag: str) -> None:
    assert program([flag]) == 0


def test_an_unknown_flag_is_refused(capsys: Output) -> None:
    assert program(["-foo"]) == 2
    assert capsys.readouterr().err.startswith("flag provided but not defined: -foo\nUsage:")
