"""The engine's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from nestos.ignition.engine.settings import Settings, UsageError, parse, seconds


@pytest.mark.parametrize(
    "arguments",
    [
        ["--platform=qemu", "--stage=files", "--root=/sysroot"],
        ["-platform", "qemu", "-stage", "files", "-root", "/sysroot"],
        ["--platform", "qemu", "-stage=files", "--root=/sysroot", "ignored", "--root=/other"],
        ["--platform=metal", "--platform=qemu", "--stage=files", "--root=/sysroot", "--", "--bogus"],
    ],
)
def test_flags_are_read_as_go_reads_them(arguments: list[str]) -> None:
    assert parse(arguments) == Settings(platform="qemu", stage="files", root=Path("/sysroot"))


def test_the_defaults_are_those_of_the_original() -> None:
    settings = parse(["--platform=qemu", "--stage=fetch", "--log-to-stdout"])

    assert settings.config_cache == Path("/run/ignition.json")
    assert settings.neednet == Path("/run/ignition/neednet")
    assert settings.state_file == Path("/run/ignition/state")
    assert (settings.root, settings.fetch_timeout_seconds, settings.log_to_stdout) == (Path("/"), 120, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "'--platform' must be provided"),
        (["--platform=qemu"], "'--stage' must be provided"),
        (["--stage=files", "--platform=zork"], 'invalid value "zork" for flag -platform'),
        (["--platform=qemu", "--stage=zork"], 'invalid value "zork" for flag -stage'),
        (["--bogus"], "flag provided but not defined: -bogus"),
        (["--stage"], "flag needs an argument: -stage"),
        (["--log-to-stdout=maybe"], 'invalid boolean value "maybe"'),
        (["--platform=qemu", "--stage=files", "--fetch-timeout=soon"], 'invalid value "soon" for flag -fetch-timeout'),
    ],
)
def test_a_wrong_command_line_is_told(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}"):
        parse(arguments)


@pytest.mark.parametrize(
    ("text", "value"), [("2m0s", 120), ("1h30m", 5400), ("250ms", 0.25), ("0", 0), ("1.5s", 1.5), ("0s", 0)]
)
def test_durations_are_go_durations(text: str, value: float) -> None:
    assert seconds(text) == value
