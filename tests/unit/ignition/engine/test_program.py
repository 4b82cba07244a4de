"""A run from arguments to exit code, and what a person sees when it fails."""

from __future__ import annotations

import io
import json

import pytest

from nestos.ignition.engine import parts
from nestos.ignition.engine.machine import Machine
from nestos.ignition.engine.program import TELLING_PLATFORMS, run
from tests.unit.ignition.engine.bench import Bench
from tests.unit.ignition.engine.cloud import Cloud, Page


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
    assert "file: error at $.storage.files.0.path, line 2 col 32: path not absolute" in lines
    assert "file: error at $.storage.files.0.mode, line 2 col 52: illegal file mode" in lines
    assert lines[-1].startswith("CRITICAL : Ignition failed: the config from file is not valid")
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
                "config": {"merge": [{"source": "data:,%7B%22ignition%22%3A%7B%22version%22%3A%223.0.0%22%7D%7D"}]},
            },
        }
    )
    (machine.root / "home").mkdir()

    assert machine.stage("fetch-offline") == machine.stage("files") == 0, machine.said

    assert not [secret for secret in secrets if secret in machine.said]


REPORTS_TO = "http://watch.example/nodes"
OCCUPIED = {
    "passwd": {"users": [{"name": "u", "passwordHash": "$6$hash"}]},
    "storage": {"files": [{"path": "/etc/passwd", "mode": 384, "contents": {"source": "data:,file-contents"}}]},
}


def watched(machine: Bench, config: object) -> list[dict[str, str]]:
    """What was sent about the stages that get the config and write files."""
    machine.network = cloud = Cloud(machine.clock, {})
    cloud.put(f"POST {REPORTS_TO}", Page(status=204))
    machine.give(config)  # type: ignore[arg-type]
    machine.stage("fetch-offline")
    machine.stage("files")
    return [json.loads(asked.body) for asked in cloud.asked]


def told(machine: Bench) -> None:
    (machine.folder / "cmdline").write_text(f"quiet ignition.report.url={REPORTS_TO}\n")


def test_a_failed_stage_shows_the_whole_config_without_its_secrets(machine: Bench) -> None:
    machine.give(OCCUPIED)
    machine.stage("fetch-offline")

    assert machine.stage("files") == 1

    assert "files failed\nFull config:\n{" in machine.said
    assert '"path": "/etc/passwd"' in machine.said
    assert not [secret for secret in ("$6$hash", "file-contents") if secret in machine.said]


def test_a_failure_is_told_where_the_command_line_says(machine: Bench) -> None:
    told(machine)
    machine.tools.failing = {"is-live-image"}

    (document,) = watched(machine, {"storage": {"files": [{"path": "/etc/passwd", "contents": {"source": "data:,x"}}]}})

    assert document.pop("ignition")
    assert document == {
        "status": "failure",
        "stage": "files",
        "message": "$.storage.files.0: /etc/passwd exists already, and overwrite is false",
        "platform": "file",
        "bootId": "01234567-89ab-cdef-0123-456789abcdef",
        "date": "2026-01-02T03:04:05Z",
    }


def test_success_is_told_once_where_a_file_of_the_image_says(machine: Bench) -> None:
    (machine.folder / "lib-ignition").mkdir()
    (machine.folder / "lib-ignition/report.url").write_text(f"{REPORTS_TO}\n")

    sent = watched(machine, {})

    assert [(document["status"], document["message"]) for document in sent] == [("success", "")]


def test_a_report_that_cannot_be_sent_changes_nothing(machine: Bench) -> None:
    told(machine)
    machine.network = Cloud(machine.clock, {})
    machine.give({})

    assert machine.stage("fetch-offline") == machine.stage("files") == 0
    assert "the outcome could not be reported" in machine.said


def test_a_dry_run_prints_the_plan_and_writes_nothing(machine: Bench) -> None:
    machine.give({"storage": {"files": [{"path": "/a"}]}})
    machine.stage("fetch-offline")
    stdout = io.StringIO()
    arguments = ["--platform=file", "--stage=files", f"--root={machine.root}", f"--config-cache={machine.cache}"]

    code = run(
        [*arguments, f"--state-file={machine.folder}/state", "--dry-run"],
        machine=machine.machine,
        stdout=stdout,
        stderr=machine.output,
    )

    assert (code, stdout.getvalue()) == (0, "file /a\n")
    assert not (machine.root / "a").exists()


@pytest.mark.parametrize("stage", sorted(parts.STAGES))
def test_every_stage_can_be_planned(stage: str, machine: Bench) -> None:
    machine.give({})
    machine.stage("fetch-offline")
    stdout = io.StringIO()
    arguments = ["--platform=file", f"--stage={stage}", f"--root={machine.root}", f"--config-cache={machine.cache}"]
    arguments += [f"--state-file={machine.folder}/state", "--dry-run"]

    assert run(arguments, machine=machine.machine, stdout=stdout, stderr=machine.output) == 0
    assert stdout.getvalue()


def test_exactly_the_platforms_that_want_to_know_are_told() -> None:
    telling = {name for name, part in parts.PROVIDERS.items() if hasattr(parts.load(part), "report_status")}

    assert telling == set(TELLING_PLATFORMS)


class Unspeakable:
    """A network that cannot encode a name."""

    def connect(self, *_words: object, **_options: object) -> None:
        raise UnicodeError("label empty or too long")


def test_text_that_cannot_be_encoded_is_a_failure_and_no_traceback(machine: Bench) -> None:
    machine.give({"ignition": {"version": "3.3.0", "config": {"replace": {"source": "http://x/"}}}})
    machine.network = Unspeakable()  # type: ignore[assignment]

    assert machine.stage("fetch") == 1
    assert "Ignition failed: label empty or too long" in machine.said


def test_the_hint_of_a_finding_follows_it(machine: Bench) -> None:
    machine.give('{"ignition": {"version": "3.3.0"}, "storage": {"files": 1}}')

    assert machine.stage("fetch-offline") == 1
    assert "hint: $.storage.files must be a list (line 1 col 57)" in machine.said
