from __future__ import annotations

from pathlib import Path

import pytest

from nestos.cli import main

COMMIT = "c" * 64


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "releases"
    monkeypatch.setenv("NESTOS_RELEASES", str(path))
    monkeypatch.setattr("os.fsync", lambda _: None)
    return path


def test_the_graph_of_a_release_folder_is_exported(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (
        ("init", "--url=https://updates.example.org/"),
        ("create", "stable", "1", "--arch=x86_64", f"--commit={COMMIT}"),
        ("publish", "stable", "1"),
    ):
        assert main.program(["release", *words]) == 0
    capsys.readouterr()

    assert main.program(["updates", "export", str(tmp_path / "www"), "--class=calm=1"]) == 0

    assert capsys.readouterr().out == f"2 graphs in {tmp_path / 'www'}: 2 written, 0 removed\n"
    assert COMMIT in (tmp_path / "www/stable/x86_64/calm/v1/graph").read_text()


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("export", "www", "--class=calm"), 2, "expected NAME=WARINESS"),
        (("export", "www"), 1, "has no stream"),
        (("serve",), 1, "there is nothing to serve"),
        (("serve", "--refresh-seconds=0"), 2, "more than none"),
    ],
)
def test_what_cannot_be_done_is_told(
    words: tuple[str, ...], status: int, told: str, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    if words == ("export", "www", "--class=calm"):
        main.program(["release", "init", "--url=https://updates.example.org/"])

    assert main.program(["updates", *words]) == status
    assert told in capsys.readouterr().err
