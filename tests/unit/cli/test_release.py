"""``nestos release`` over a folder, by its command line."""

from __future__ import annotations

import json
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


def run(*words: str) -> int:
    return main.program(["release", *words])


def composed(tmp_path: Path) -> Path:
    folder = tmp_path / "build"
    folder.mkdir()
    document = {"version": "13.1", "ref": "nestos/x86_64/stable", "commit": COMMIT, "image": "/x"}
    (folder / "release.json").write_text(json.dumps(document))
    return folder


def test_what_a_compose_left_becomes_a_release_that_is_handed_out(
    tmp_path: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disk = tmp_path / "disk.raw"
    disk.write_bytes(b"disk")
    build = composed(tmp_path)

    assert run("init", "--url=https://updates.example.org/") == 0
    assert run("create", "stable", f"--compose={build}", f"--artifact=metal/raw/disk={disk}") == 0
    assert run("publish", "stable", "13.1") == 0
    assert run("rollout", "stable", "13.1", "--hours=0") == 0

    capsys.readouterr()
    assert run("list", "stable") == 0
    assert "13.1 " in (line := capsys.readouterr().out)
    assert "published  x86_64" in line
    assert "every node" in line
    newest = json.loads((folder / "current/public/streams/stable.json").read_text())
    assert newest["architectures"]["x86_64"]["artifacts"]["metal"]["formats"]["raw"]["disk"] == {
        "location": "https://updates.example.org/artifacts/stable/13.1/x86_64/disk.raw",
        "signature": "",
        "sha256": "1044dec7206e8d7c9fbb4ae8f766668406d2567fc7fc1a160a9d4700fcf8f8e9",
    }


def test_every_action_is_written_down_with_its_reason(folder: Path) -> None:
    run("init", "--url=https://updates.example.org/")
    run("create", "stable", "1", "--arch=x86_64", f"--commit={COMMIT}")
    run("publish", "stable", "1")
    run("rollout", "stable", "1", "--hours=24", "--share=0.1")
    run("pause", "stable", "1")
    run("resume", "stable", "1")
    run("barrier", "stable", "1", "--reason=keys")
    run("deadend", "stable", "1", "--reason=old")
    run("withdraw", "stable", "1", "--reason=broken")

    lines = [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]
    assert [line["action"] for line in lines[2:]] == [
        *("create", "publish", "rollout", "pause", "resume", "barrier", "deadend", "withdraw")
    ]
    assert [line["reason"] for line in lines[-3:]] == ["keys", "old", "broken"]
    assert {line["subject"] for line in lines[2:]} == {"stable 1"}


def test_a_rotation_is_one_command(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("init", "--url=https://updates.example.org/")
    (tmp_path / "usb").mkdir()
    (folder / "keys/root").rename(tmp_path / "usb/root")

    assert run("rotate-key", "snapshot") == 1
    assert "2 keys of the role root have to sign, 0 are here" in capsys.readouterr().err
    assert not (folder / "current/public/metadata/2.root.json").exists()

    assert run("rotate-key", "snapshot", f"--root-keys={tmp_path / 'usb'}") == 0
    assert (folder / "current/public/metadata/2.root.json").exists()


def test_a_refresh_says_when_metadata_expire(capsys: pytest.CaptureFixture[str]) -> None:
    run("init", "--url=https://updates.example.org/")
    capsys.readouterr()

    assert run("refresh", "--renew-root") == 0

    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [
        *("root", "targets", "snapshot", "timestamp")
    ]


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("create", "stable"), 2, "a version and an architecture are needed"),
        (("create", "stable", "1", "--arch=x86_64", "--artifact=disk"), 2, "expected PLATFORM/FORMAT/PART=FILE"),
        (("create", "stable", "1", "--arch=x86_64", "--commit=abc"), 2, "is no commit"),
        (("create", "stable", "--compose=/nowhere"), 2, "is no release of nestos compose"),
        (("rollout", "stable", "1", "--start=tomorrow"), 2, "not a time"),
        (("rollout", "stable", "1", "--start=2026-11-24T08:00:00"), 2, "the zone is missing"),
        (("show", "stable", "1"), 2, 'stable has no release "1"'),
        (("init", "--url=https://a.example.org/"), 1, "is a release folder already"),
        (("rotate-key", "mirror"), 2, "is no role"),
    ],
)
def test_what_cannot_be_done_is_told(
    words: tuple[str, ...], status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run("init", "--url=https://updates.example.org/")

    assert run(*words) == status
    assert told in capsys.readouterr().err


def test_without_a_folder_the_way_to_one_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 1
    assert "nestos release init" in capsys.readouterr().err


@pytest.mark.parametrize("share", ["2", "3/2", "0/1", "a/b"])
def test_a_share_of_keys_that_makes_no_sense_is_refused(share: str) -> None:
    assert run("init", "--url=https://updates.example.org/", f"--root-share={share}") == 2
