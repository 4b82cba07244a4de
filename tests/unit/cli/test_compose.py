from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.cli import compose
from nestos.compose import images, pipeline, tools
from nestos.compose.artifacts import qemu_img
from nestos.compose.pipeline import Composed, Options
from nestos.compose.workspace import Workspace
from nestos.host.toolbox import Toolbox
from nestos.wire.lockfile import Locked, Lockfile
from tests.unit.compose.test_images import RELEASE

LOCK = Lockfile(packages={"less": Locked(evra="668-1.amd64")})


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nestos")
    compose.register(parser.add_subparsers())
    return parser.parse_args(["compose", *words])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[tuple[Path, Options]]:
    """What the pipeline was asked for."""
    found: list[tuple[Path, Options]] = []

    def composed(path: Path, *, workspace: Workspace, options: Options, progress: object) -> Composed:
        found.append((path, options))
        return Composed(release=RELEASE, folder=tmp_path, lock=LOCK)

    monkeypatch.setenv("NESTOS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(pipeline, "compose", composed)
    return found


def test_without_words_it_is_the_default_edition_for_this_machine(
    asked: list[tuple[Path, Options]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert compose.handle(parse()) == 0
    ((path, options),) = asked
    assert path == compose.checkout() / "editions/debian/manifest.yaml"
    assert path.is_file()
    assert options == Options(arch="x86_64", variables={})
    printed = capsys.readouterr().out
    assert all(word in printed for word in (RELEASE.version, RELEASE.ref, RELEASE.commit, RELEASE.root_hash))


def test_options_reach_the_pipeline(asked: list[tuple[Path, Options]], tmp_path: Path) -> None:
    lock = tmp_path / "lock.json"
    lock.write_text(json.dumps({"packages": {"less": {"evra": "668-1.amd64"}}}))
    words = ["my.yaml", "--refresh", f"--lock={lock}", "--variable=a=1", "--variable=b=x=y", "--arch=aarch64"]
    compose.handle(parse(*words))
    variables = {"a": "1", "b": "x=y"}
    assert asked == [(Path("my.yaml"), Options(arch="aarch64", refresh=True, lock=LOCK, variables=variables))]


def test_the_packages_taken_are_written_as_a_lock_file(asked: list[tuple[Path, Options]], tmp_path: Path) -> None:
    compose.handle(parse(f"--write-lock={tmp_path / 'new.json'}"))
    assert json.loads((tmp_path / "new.json").read_text())["packages"] == {"less": {"evra": "668-1.amd64"}}


def test_a_disk_image_is_made_where_asked_for(
    asked: list[tuple[Path, Options]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.setattr(tools, "ensure", lambda cache, progress: Toolbox(Path("/tools")))
    monkeypatch.setattr(images, "ensure_disk", lambda release, folder, **given: tmp_path / f"{given['platform']}.raw")
    monkeypatch.setattr(qemu_img, "convert", lambda raw, *, output, form, runner: output.write_bytes(b"QFI"))
    (tmp_path / "qemu.raw").touch()
    compose.handle(parse())
    assert "qemu.raw" not in capsys.readouterr().out
    compose.handle(parse("--image"))
    assert "qemu.raw" in capsys.readouterr().out
    compose.handle(parse("--image", "--format=qcow2"))
    assert "qemu.qcow2" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--variable=x"], "--variable=x: expected NAME=VALUE"),
        (["--lock=/none/lock.json"], "cannot read /none/lock.json: No such file"),
        (["--write-lock=/none/lock.json"], "there is no folder /none"),
    ],
    ids=["half a pair", "no lock file", "no folder"],
)
def test_wrong_options_are_named_before_any_work(
    asked: list[tuple[Path, Options]], words: list[str], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        compose.handle(parse(*words))
    assert asked == []


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"\xff\xfe\x00", "not a lock file: it is not text"),
        (b"{", "not valid JSON"),
        (b'{"packages": {"a": {}}, "pakages": 1}', r"(?s)needs exactly one of evra.*|.*unknown key"),
    ],
    ids=["not text", "not JSON", "wrong keys"],
)
def test_a_lock_file_that_is_none_is_named(
    asked: list[tuple[Path, Options]], tmp_path: Path, content: bytes, sentence: str
) -> None:
    (tmp_path / "lock").write_bytes(content)
    with pytest.raises(InputError, match=sentence):
        compose.handle(parse(f"--lock={tmp_path / 'lock'}"))
    assert asked == []
