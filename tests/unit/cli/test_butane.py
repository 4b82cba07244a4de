"""The command line of ``butane``: exit codes, streams and files."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from nestos.cli import butane

GOOD = "variant: nestos\nversion: 1.0.0\nsystemd: {units: [{name: a.service, mask: true}]}\n"
WARNED = GOOD + "xyz: 1\n"
WRONG = GOOD + "passwd: 3\n"
RESULT = {"ignition": {"version": "3.3.0"}, "systemd": {"units": [{"name": "a.service", "mask": True}]}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with a config of each kind."""
    for name, text in {"good.bu": GOOD, "warned.bu": WARNED, "wrong.bu": WRONG}.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_config_goes_to_standard_output_in_one_line(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    assert butane.program(["good.bu"]) == 0
    out, err = capfdbinary.readouterr()
    assert json.loads(out) == RESULT
    assert out.count(b"\n") == 1
    assert err == b""


def test_standard_input_is_read_when_no_file_is_named(
    monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(GOOD.encode())))
    assert butane.program(["--pretty"]) == 0
    out = capfdbinary.readouterr().out
    assert json.loads(out) == RESULT
    assert out.startswith(b'{\n  "ignition": {\n    "version": "3.3.0"\n  },')


@pytest.mark.parametrize(
    ("arguments", "code", "written", "said"),
    [
        (["warned.bu"], 0, True, "warning at $.xyz, line 4 col 1: unused key xyz\n"),
        (["-c", "good.bu"], 0, False, ""),
        (["-r", "good.bu"], 0, True, ""),
        (
            ["-s", "warned.bu"],
            1,
            False,
            "warning at $.xyz, line 4 col 1: unused key xyz\nConfig produced warnings and --strict was specified\n",
        ),
        (
            ["wrong.bu"],
            1,
            False,
            "error at $.passwd, line 4 col 9: expected a mapping, found a value\n"
            "Error translating config: source config is invalid\n",
        ),
        (["none.bu"], 1, False, "failed to read none.bu: No such file or directory\n"),
        (["-o", "no/such/folder", "good.bu"], 1, False, "failed to write config to no/such/folder: "),
    ],
)
def test_the_exit_code_says_whether_the_config_can_be_used(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], code: int, *, written: bool, said: str
) -> None:
    assert butane.program(arguments) == code
    out, err = capfd.readouterr()
    assert bool(out) is written
    assert err.startswith(said) if said else err == ""


@pytest.mark.parametrize("arguments", [["a", "b"], ["--unknown"], ["-o"]])
def test_bad_arguments_exit_with_2(arguments: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        butane.program(arguments)
    assert caught.value.code == 2
    assert capfd.readouterr().err.startswith("usage: butane ")


@pytest.mark.parametrize(("option", "text"), [("--help", "examples:\n"), ("--version", "Butane ")])
def test_help_and_version_go_to_standard_output(option: str, text: str, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        butane.program([option])
    assert caught.value.code == 0
    assert text in capfd.readouterr().out


def test_a_failed_run_leaves_the_output_file_as_it_was(folder: Path) -> None:
    output = folder / "node.ign"
    assert butane.program(["--output=node.ign", "good.bu"]) == 0
    before = output.read_text()
    assert json.loads(before) == RESULT
    assert butane.program(["--output=node.ign", "wrong.bu"]) == 1
    assert output.read_text() == before


def test_an_output_that_is_a_link_stays_a_link(folder: Path) -> None:
    (folder / "link").symlink_to("real")
    assert butane.program(["-o", "link", "good.bu"]) == 0
    assert (folder / "link").is_symlink()
    assert json.loads((folder / "real").read_text()) == RESULT


def test_the_rules_of_ignition_are_checked_and_told_at_the_line_of_the_source(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "a.bu").write_text(
        "variant: nestos\nversion: 1.0.0\nstorage:\n  links:\n    - path: etc/a\n      target: b\n"
    )
    assert butane.program(["a.bu"]) == 1
    assert capfd.readouterr().err.startswith("error at $.storage.links.0.path, line 5 col 13: ")


def test_local_files_come_from_the_files_directory(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "motd").write_text("hello")
    (folder / "a.bu").write_text(
        "variant: nestos\nversion: 1.0.0\nstorage: {files: [{path: /etc/motd, contents: {local: motd}}]}\n"
    )
    assert butane.program(["a.bu"]) == 1
    assert "-d/--files-dir" in capfd.readouterr().err
    assert butane.program(["-d", ".", "a.bu"]) == 0
    assert '"source":"data:,hello"' in capfd.readouterr().out


def test_input_that_is_not_text_is_refused(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "bin.bu").write_bytes(b"variant: \xff")
    assert butane.program(["bin.bu"]) == 1
    assert capfd.readouterr().err == "failed to read bin.bu: it is not UTF-8 text (byte 9)\n"
