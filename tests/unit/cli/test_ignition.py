"""One program under three names."""

from __future__ import annotations

import pytest

from nestos.cli.ignition import program


@pytest.mark.parametrize(
    ("name", "arguments", "text"),
    [
        ("ignition", ["--help"], "-config-cache"),
        ("ignition", ["apply", "--help"], "--ignore-unsupported"),
        ("ignition", ["rmcfg", "--help"], "ignition-rmcfg"),
        ("ignition-apply", ["--help"], "--ignore-unsupported"),
        ("ignition-rmcfg", ["--help"], "ignition-rmcfg"),
    ],
)
def test_the_name_or_the_first_word_chooses(
    name: str, arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert program(arguments, name=name) == 0
    assert text in capsys.readouterr().err
