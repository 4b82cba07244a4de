from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from nestos.base.errors import CommandError
from nestos.host import process


class Child:
    """Stands in for ``subprocess.run``: keeps what it was given and ends as told."""

    def __init__(self, *, returncode: int = 0, stdout: bytes = b"", stderr: bytes = b"") -> None:
        self.done = (returncode, stdout, stderr)
        self.error: Exception | None = None
        self.given: dict[str, Any] = {}

    def __call__(self, command: list[str], **given: Any) -> subprocess.CompletedProcess[bytes]:
        self.given = given | {"command": command}
        if self.error is not None:
            raise self.error
        return subprocess.CompletedProcess(command, *self.done)


def use(monkeypatch: pytest.MonkeyPatch, child: Child) -> Child:
    monkeypatch.setattr(subprocess, "run", child)
    return child


def test_a_child_gets_no_input_and_a_short_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    monkeypatch.setenv("http_proxy", "proxy:3128")
    monkeypatch.delenv("PATH")
    child = use(monkeypatch, Child())
    process.run(["true", Path("/x")], environment={"SOURCE_DATE_EPOCH": "0"})
    assert child.given["command"] == ["true", "/x"]
    assert child.given["stdin"] is subprocess.DEVNULL
    environment = child.given["env"]
    assert "SECRET_TOKEN" not in environment
    assert environment["LANG"] == environment["LC_ALL"] == "C.UTF-8"
    assert environment["http_proxy"] == "proxy:3128"
    assert environment["SOURCE_DATE_EPOCH"] == "0"
    assert "/usr/sbin" in environment["PATH"]


def test_input_is_handed_over_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    child = use(monkeypatch, Child())
    process.run(["cat"], stdin="é")
    assert (child.given["input"], child.given["stdin"]) == ("é".encode(), None)


def test_output_comes_back_as_text_with_bad_bytes_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Child(stdout=b"a\xff", stderr=b"b"))
    done = process.run(["x"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "a�", "b")


def test_an_open_file_gets_both_streams(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    child = use(monkeypatch, Child())
    with (tmp_path / "log").open("wb") as log:
        process.run(["x"], output=log)
        assert (child.given["stdout"], child.given["stderr"]) == (log, subprocess.STDOUT)


@pytest.mark.parametrize(
    ("child", "sentence", "output"),
    [
        (Child(returncode=3, stderr=b"broken\n"), "exit status 3 from: tool 'a b'\nbroken", "broken"),
        (Child(returncode=1, stdout=b"said here\n"), "exit status 1 from: tool 'a b'\nsaid here", "said here"),
        (Child(returncode=-9), "killed by signal 9 from: tool 'a b'", ""),
    ],
    ids=["with words", "words on the other stream", "killed"],
)
def test_a_failure_says_how_what_and_why(
    monkeypatch: pytest.MonkeyPatch, child: Child, sentence: str, output: str
) -> None:
    use(monkeypatch, child)
    with pytest.raises(CommandError) as caught:
        process.run(["tool", "a b"])
    assert str(caught.value) == sentence
    assert (caught.value.returncode, caught.value.output) == (child.done[0], output)


def test_other_exit_statuses_may_be_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Child(returncode=1))
    assert process.run(["grep"], accepted=(0, 1)).returncode == 1


def test_an_error_keeps_the_end_of_long_output(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Child(returncode=1, stderr=b"start" + b"x" * 5000 + b"end"))
    with pytest.raises(CommandError) as caught:
        process.run(["x"])
    assert len(caught.value.output) == 4000
    assert caught.value.output.endswith("end")


@pytest.mark.parametrize(
    ("error", "sentence", "status"),
    [
        (FileNotFoundError(2, "No such file", "mkfs.erofs"), "mkfs.erofs was not found, needed for: x", 127),
        (PermissionError(13, "Permission denied", "x"), "Permission denied from: x", 126),
        (OSError(8, "Exec format error", "x"), "Exec format error from: x", 126),
        (subprocess.TimeoutExpired("x", 5), r"no end after 5.0 s: x", -1),
    ],
    ids=["missing", "not a program", "of another machine", "too slow"],
)
def test_a_child_that_cannot_run_or_does_not_end_is_a_command_error(
    monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str, status: int
) -> None:
    use(monkeypatch, Child()).error = error
    with pytest.raises(CommandError) as caught:
        process.run(["x"], timeout_seconds=5.0)
    assert str(caught.value) == sentence
    assert caught.value.returncode == status


def test_secrets_reach_neither_log_nor_error_nor_output(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    use(monkeypatch, Child(returncode=1, stdout=b"hunter2", stderr=b"login hunter2 refused"))
    with pytest.raises(CommandError) as caught:
        process.run(["login", "--password=hunter2"], secrets=["hunter2", ""])
    assert "hunter2" not in caplog.text + str(caught.value) + caught.value.output
    assert "login '--password=***'" in str(caught.value)
    use(monkeypatch, Child(stdout=b"hunter2"))
    assert process.run(["x"], secrets=["hunter2"]).stdout == "***"


def test_a_secret_that_a_shell_would_quote_is_blanked_too() -> None:
    assert process.printable(["login", "it's me"], secrets=["it's me"]) == "login '***'"


def test_the_log_has_the_line_as_a_shell_takes_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    use(monkeypatch, Child())
    process.run(["sh", "-c", "echo $HOME"])
    assert "sh -c 'echo $HOME'" in caplog.text


def test_a_long_running_child_has_a_session_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def popen(command: list[str], **options: Any) -> str:
        given.update(options, command=command)
        return "started"

    monkeypatch.setattr(subprocess, "Popen", popen)
    assert process.start(["qemu", Path("/disk")], pass_fds=[5]) == "started"  # type: ignore[comparison-overlap]
    assert given["command"] == ["qemu", "/disk"]
    assert given["start_new_session"] is True
    assert (given["stdin"], given["stdout"], given["pass_fds"]) == (subprocess.DEVNULL, subprocess.DEVNULL, (5,))
