"""A run from arguments to exit code, and what a person sees when it fails."""

from __future__ import annotations

import io
import json

import pytest

from nestos.ignition.engine.machine import Machine
from nestos.ignition.engine.program import run
from tests.unit.ignition.engine.bench import Bench


def called(*arguments: str) -> tuple[int, str, str]:
    stdout, stderr = io.StringIO(), io.StringIO()
    return run(arguments, machine=Machine(), stdout=stdout, stderr=stderr), stdout.getvalue(), stderr.getvalue()


def test_a_wrong_command_line_is_exit_code_2_with_the_usage_on_stderr() -> None:
    code, stdout, stderr = called("--bogus")

    assert (code, stdout) == (2, "")
    assert "-config-cache" in stderr


def test_help_is_exit_code_0_and_has_examples() -> None:
    code, _, stderr = called("--help")

    assert code == 0
    assert "Examples:" in stderr


def test_the_version_needs_no_stage() -> None:
    assert called("--version")[0] == 0


def test_a_bad_config_stops_with_the_key_at_fault_and_leaves_nothing(machine: Bench) -> None:
    machine.give('{"ignition": {"version": "3.3.0"},\n"storage": {"files": [{"path": "relative", "mode": 99999}]}}')

    assert machine.stage("fetch-offline") == 1

    lines = machine.said.splitlines()
    assert "platform file: error at $.storage.files.0.path, line 2 col 32: path not absolute" in lines
    assert "platform file: error at $.storage.files.0.mode, line 2 col 52: illegal file mode" in lines
    assert lines[-1].startswith("CRITICAL : Ignition failed: the config from platform file is not valid")
    assert not machine.cache.exists()


@pytest.mark.parametrize("stage", ["kargs", "disks", "mount", "files", "umount"])
def test_a_stage_without_a_config_fails(stage: str, machine: Bench) -> None:
    assert machine.stage(stage) == 1
    assert "CRITICAL : Ignition failed: there is no config at" in machine.said


@pytest.mark.parametrize("stage", ["kargs", "disks", "mount", "umount"])
def test_a_stage_with_nothing_to_do_succeeds(stage: str, machine: Bench) -> None:
    machine.give({"storage": {"files": [{"path": "/a"}]}})
    machine.stage("fetch-offline")

    assert machine.stage(stage) == 0


@pytest.mark.parametrize(
    ("stage", "config", "path"),
    [
        ("kargs", {"kernelArguments": {"shouldExist": ["quiet"]}}, "$.kernelArguments"),
        ("disks", {"storage": {"disks": [{"device": "/dev/vda"}]}}, "$.storage.disks"),
        ("disks", {"storage": {"raid": [{"name": "r", "level": "raid1", "devices": ["/a"]}]}}, "$.storage.raid"),
        ("disks", {"storage": {"luks": [{"name": "r", "device": "/dev/vda"}]}}, "$.storage.luks"),
        ("disks", {"storage": {"filesystems": [{"device": "/d", "format": "xfs"}]}}, "$.storage.filesystems"),
        ("mount", {"storage": {"filesystems": [{"device": "/d", "format": "xfs"}]}}, "$.storage.filesystems"),
        ("umount", {"storage": {"filesystems": [{"device": "/d", "format": "xfs"}]}}, "$.storage.filesystems"),
    ],
)
def test_what_cannot_be_done_yet_is_refused_by_name(
    stage: str, config: dict[str, object], path: str, machine: Bench
) -> None:
    machine.give(config)
    assert machine.stage("fetch-offline") == 0

    assert machine.stage(stage) == 1
    assert f"not supported by this version: {path}" in machine.said


def test_a_state_file_that_cannot_be_read_is_exit_code_3(machine: Bench) -> None:
    machine.give({})
    machine.stage("fetch-offline")
    (machine.folder / "run/state").write_text("{")

    assert machine.stage("files") == 3


def test_with_the_log_on_stdout_the_reason_is_on_stderr_too(machine: Bench) -> None:
    stdout, stderr = io.StringIO(), io.StringIO()
    arguments = ["--platform=file", "--stage=disks", f"--config-cache={machine.cache}", "--log-to-stdout"]

    assert run(arguments, machine=machine.machine, stdout=stdout, stderr=stderr) == 1
    assert "CRITICAL" in stdout.getvalue()
    assert stderr.getvalue().startswith("CRITICAL : Ignition failed")


def test_under_systemd_lines_carry_their_priority(machine: Bench) -> None:
    machine.environment["JOURNAL_STREAM"] = "8:1"

    machine.stage("disks")

    assert machine.said.startswith("<6>INFO     : Ignition ")
    assert "<2>CRITICAL" in machine.said


def test_no_secret_reaches_the_log(machine: Bench) -> None:
    secrets = ["$6$hash", "ssh-ed25519 AAAAkey", "file-contents", "token=abc"]
    machine.give(
        {
            "passwd": {"users": [{"name": "u", "passwordHash": secrets[0], "sshAuthorizedKeys": [secrets[1]]}]},
            "storage": {"files": [{"path": "/a", "contents": {"source": f"data:,{secrets[2]}"}}]},
            "ignition": {
                "version": "3.6.0",
                "config": {"merge": [{"source": f"data:,{json.dumps({'ignition': {'version': '3.0.0'}})}"}]},
            },
        }
    )
    (machine.root / "home").mkdir()

    assert machine.stage("fetch-offline") == machine.stage("files") == 0, machine.said

    assert not [secret for secret in secrets if secret in machine.said]
