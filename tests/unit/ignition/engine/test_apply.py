"""``ignition-apply``."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from nestos.ignition.engine.apply import run
from nestos.ignition.engine.program import Streams
from tests.unit.ignition.engine.bench import Bench


def applied(machine: Bench, *options: str, config: dict[str, Any]) -> tuple[int, str]:
    """Exit code, and all that was printed."""
    path = machine.folder / "given.ign"
    path.write_text(json.dumps({"ignition": {"version": "3.4.0"}, **config}))
    output = io.StringIO()
    streams = Streams(stdout=output, stderr=output)
    code = run([*options, f"--root={machine.root}", str(path)], machine=machine.machine, streams=streams)
    return code, output.getvalue()


def test_files_and_units_are_written_and_no_result(machine: Bench) -> None:
    config = {
        "storage": {"files": [{"path": "/a", "contents": {"source": "data:,x"}}]},
        "systemd": {"units": [{"name": "u.service", "contents": "[Unit]\n"}]},
    }

    code, said = applied(machine, config=config)

    assert code == 0, said
    assert (machine.root / "a").read_text() == "x"
    assert (machine.root / "etc/systemd/system/u.service").exists()
    assert not (machine.root / "etc/.ignition-result.json").exists()


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"kernelArguments": {"shouldExist": ["a"]}}, "cannot apply kargs modifications live"),
        ({"storage": {"disks": [{"device": "/dev/a"}]}}, "cannot apply disk modifications live"),
        ({"storage": {"filesystems": [{"device": "/dev/a"}]}}, "cannot apply disk modifications live"),
        ({"passwd": {"users": [{"name": "u"}]}}, "cannot apply passwd live"),
    ],
)
def test_what_cannot_be_applied_is_refused_or_left_out(config: dict[str, Any], problem: str, machine: Bench) -> None:
    storage = {**config.get("storage", {}), "files": [{"path": "/a"}]}
    config = {**config, "storage": storage}

    code, said = applied(machine, config=config)
    assert (code, problem in said, (machine.root / "a").exists()) == (1, True, False)

    code, said = applied(machine, "--ignore-unsupported", config=config)
    assert (code, (machine.root / "a").exists()) == (0, True), said
    assert machine.tools.commands == []


def test_offline_refuses_what_needs_a_network_before_anything_is_written(machine: Bench) -> None:
    files = [{"path": "/a"}, {"path": "/b", "contents": {"source": "https://h/x"}}]

    code, said = applied(machine, "--offline", config={"storage": {"files": files}})

    assert code == 1
    assert "resource requires networking" in said
    assert not (machine.root / "a").exists()


def test_configs_that_it_refers_to_are_merged(machine: Bench) -> None:
    other = (
        "data:;base64,"
        + b64encode(b'{"ignition": {"version": "3.0.0"}, "storage": {"files": [{"path": "/m"}]}}').decode()
    )

    code, said = applied(machine, config={"ignition": {"version": "3.4.0", "config": {"merge": [{"source": other}]}}})

    assert code == 0, said
    assert (machine.root / "m").exists()


def test_a_dry_run_prints_the_plan_and_writes_nothing(machine: Bench) -> None:
    code, said = applied(machine, "--dry-run", config={"storage": {"files": [{"path": "/a", "mode": 384}]}})

    assert code == 0
    assert "file /a: mode 0600\n" in said
    assert not (machine.root / "a").exists()


def test_a_config_that_is_not_valid_is_refused_with_its_findings(machine: Bench) -> None:
    code, said = applied(machine, config={"storage": {"files": [{"path": "a"}]}})

    assert code == 1
    assert "error at $.storage.files.0.path, line 1 col 67: path not absolute" in said


def test_a_running_host_is_refused_and_a_container_is_not(machine: Bench) -> None:
    path = machine.folder / "given.ign"
    path.write_text('{"ignition": {"version": "3.4.0"}}')
    output = io.StringIO()
    streams = Streams(stdout=output, stderr=output)

    assert run(["--root=/", str(path)], machine=machine.machine, streams=streams) == 1
    assert "not designed to run on a host system" in output.getvalue()

    machine.environment["container"] = "podman"
    assert run(["--root=/", "--dry-run", str(path)], machine=machine.machine, streams=streams) == 0


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        ((), 1, "Usage: ignition-apply"),
        (("a", "b"), 1, "Usage: ignition-apply"),
        (("--bogus", "a"), 2, "unknown flag: --bogus"),
        (("-x", "a"), 2, "unknown shorthand flag: -x"),
        (("a", "--root"), 2, "flag needs an argument: --root"),
        (("--offline=maybe", "a"), 2, 'invalid argument "maybe" for "--offline" flag'),
        (("--help",), 0, "--ignore-unsupported"),
        (("--version",), 0, "Ignition"),
        (("/nowhere.ign",), 1, "No such file"),
    ],
)
def test_the_command_line_is_the_originals(arguments: tuple[str, ...], code: int, text: str, machine: Bench) -> None:
    output = io.StringIO()

    assert run(arguments, machine=machine.machine, streams=Streams(stdout=output, stderr=output)) == code
    assert text in output.getvalue()


def test_a_dash_is_standard_input(machine: Bench, tmp_path: Path) -> None:
    text = io.TextIOWrapper(io.BytesIO(b'{"ignition": {"version": "3.4.0"}, "storage": {"files": [{"path": "/s"}]}}'))
    output = io.StringIO()
    streams = Streams(stdout=output, stderr=output)

    assert run(["-", "--root", str(machine.root)], machine=machine.machine, streams=streams, stdin=text) == 0
    assert (machine.root / "s").exists()
