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
        (["--raw-errors", "warned.bu"], 0, True, "warning at $.xyz, line 4 col 1: unused key xyz\n"),
        (["-c", "good.bu"], 0, False, ""),
        (["-r", "good.bu"], 0, True, ""),
        (
            ["-s", "--raw-errors", "warned.bu"],
            1,
            False,
            "warning at $.xyz, line 4 col 1: unused key xyz\nConfig produced warnings and --strict was specified\n",
        ),
        (
            ["wrong.bu"],
            1,
            False,
            "Error translating config: yaml: unmarshal errors:\n"
            "  line 4: cannot unmarshal !!int `3` into v0_4.Passwd\n",
        ),
        (["none.bu"], 1, False, "failed to open none.bu: open none.bu: no such file or directory\n"),
        (
            ["-o", "no/such/folder", "good.bu"],
            1,
            False,
            "failed to open no/such/folder: open no/such/",
        ),
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
    assert butane.program(["--raw-errors", "a.bu"]) == 1
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
    assert (
        capfd.readouterr().err
        == "Error translating config: Error unmarshaling yaml: yaml: invalid leading UTF-8 octet\n"
    )


PRETTY = """\
warning[$.xyz]:
  --> warned.bu:4:1
   |
 2 | version: 1.0.0
 3 | systemd: {units: [{name: a.service, mask: true}]}
 4 | xyz: 1
   | ^^^^ unused key xyz
 5 |{blank}
   |
"""


def test_findings_are_shown_with_their_lines(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert butane.program(["warned.bu"]) == 0
    assert capfd.readouterr().err == PRETTY.replace("{blank}", " ")


@pytest.mark.parametrize(
    ("arguments", "colored"),
    [(["--color"], True), (["--color=never"], False), (["--colour=always"], True), ([], False)],
)
def test_colors_are_used_when_asked_for(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], *, colored: bool
) -> None:
    assert butane.program([*arguments, "warned.bu"]) == 0
    assert ("\033[1;33mwarning\033[0m[$.xyz]" in capfd.readouterr().err) is colored


def test_a_switch_may_have_a_value_as_in_the_original(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert butane.program(["--strict=false", "--check=true", "warned.bu"]) == 0
    assert capfd.readouterr().out == ""


def test_a_machine_config_is_written_in_yaml_unless_only_ignition_is_wanted(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "mc.bu").write_text(
        "variant: openshift\nversion: 4.22.0\n"
        "metadata: {name: a, labels: {machineconfiguration.openshift.io/role: worker}}\n"
    )
    assert butane.program(["mc.bu"]) == 0
    assert capfd.readouterr().out == (
        "# Generated by Butane; do not edit\napiVersion: machineconfiguration.openshift.io/v1\nkind: MachineConfig\n"
        "metadata:\n  labels:\n    machineconfiguration.openshift.io/role: worker\n  name: a\n"
        "spec:\n  config:\n    ignition:\n      version: 3.5.0\n"
    )
    assert butane.program(["-r", "mc.bu"]) == 0
    assert json.loads(capfd.readouterr().out) == {"ignition": {"version": "3.5.0"}}


def test_a_key_is_explained(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert butane.program(["--explain", "storage.luks.cex", "--variant=fcos"]) == 0
    assert capfd.readouterr().out.startswith("$.storage.luks.cex (object)\n")
    assert butane.program(["--explain=storage.flies"]) == 1
    assert 'did you mean "files"?' in capfd.readouterr().err


def test_the_schema_is_printed_for_one_version_or_for_all(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert butane.program(["--schema", "--variant", "fcos", "--version", "1.5.0"]) == 0
    assert json.loads(capfd.readouterr().out)["title"] == "Butane config, fcos 1.5.0"
    assert butane.program(["--schema", "--output=schema.json"]) == 0
    assert "openshift" in json.loads((folder / "schema.json").read_text())["properties"]["variant"]["enum"]
    assert butane.program(["--schema", "--variant=fcos", "--version=9.9.9"]) == 1
    assert capfd.readouterr().err == "No translator exists for variant fcos with version 9.9.9\n"
