"""The update server as a process: guarded rollouts, being killed, being restored, keys that rotate meanwhile."""

from __future__ import annotations

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from nestos.base.errors import VerificationError
from nestos.trust import releases
from nestos.trust.releases import Settings
from nestos.wire.report import Outcome
from tests.system.updates.server import commit, copied, eventually, published, release, running, token

GUARD = ("--canaries=canary", "--waves=50%", "--stage-hours=0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "releases"
    release(path, "init", "--url=https://updates.example.org/")
    published(path, "1", "2")
    return path


def audit(folder: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (folder / "audit.jsonl").read_text().splitlines()]


def test_a_release_that_fails_on_a_canary_is_halted_by_the_server_itself(folder: Path) -> None:
    release(folder, "rollout", "stable", "2", *GUARD)
    with running(folder) as server:
        assert server.ways(group="canary") == {("1", "2")}
        assert server.ways(wariness="0.1") == set()

        assert server.report(1, to="2", outcome=Outcome.ROLLED_BACK, group="canary") == 200
        eventually("the canaries are told to stay", lambda: server.ways(group="canary", wariness="0.0") == set())

        assert (audit(folder)[-1]["who"], audit(folder)[-1]["action"]) == ("guard", "halt")
        operator = token(folder, "anna", "operate")
        status, said = server.api(
            "/v1/streams/stable/releases/2/resume", token=operator, body={"reason": "it was a disk"}
        )
        assert (status, said["halted"]) == (200, None)
        eventually("it goes on", lambda: server.ways(group="canary") == {("1", "2")})
        assert (audit(folder)[-1]["who"], audit(folder)[-1]["reason"]) == ("token:anna", "it was a disk")

        assert server.report(2, to="2", group="canary") == 200
        eventually("everyone gets it", lambda: server.ways(wariness="1.0") == {("1", "2")})


def test_what_nodes_reported_survives_a_kill(folder: Path) -> None:
    release(folder, "rollout", "stable", "2", "--budget=1", "--hours=0")
    with running(folder) as server:
        server.report(1, to="2", outcome=Outcome.ROLLED_BACK)
        assert server.ways() == {("1", "2")}
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()

    with running(folder) as server:
        server.report(2, to="2", outcome=Outcome.ROLLED_BACK)
        eventually("the budget is spent", lambda: server.ways() == set())
        assert "2 of 2 nodes failed" in audit(folder)[-1]["reason"]


def test_a_server_restored_from_a_backup_offers_nothing_until_told_and_nodes_believe_it(
    folder: Path, tmp_path: Path
) -> None:
    trust = Settings(url="", root=folder / "current/public/metadata/1.root.json", state=tmp_path / "state")
    release(folder, "rollout", "stable", "2", "--hours=0")
    with running(folder) as server:
        backup = copied(folder, tmp_path / "backup")
        release(folder, "halt", "stable", "2", "--reason=loses the network")
        eventually("it is halted", lambda: server.ways() == set())
        seen(folder, trust)
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
    shutil.rmtree(folder)
    shutil.copytree(backup, folder, symlinks=True)

    release(folder, "recover")
    with running(folder) as server:
        assert server.ways(wariness="0.0") == set()
        seen(folder, trust)
        release(folder, "resume", "stable", "2")
        eventually("it goes on", lambda: server.ways() == {("1", "2")})


def test_without_recovering_nodes_would_refuse_what_was_restored(folder: Path, tmp_path: Path) -> None:
    trust = Settings(url="", root=folder / "current/public/metadata/1.root.json", state=tmp_path / "state")
    backup = copied(folder, tmp_path / "backup")
    release(folder, "rollout", "stable", "2", "--hours=0")
    seen(folder, trust)

    with pytest.raises(VerificationError):
        seen(backup, trust)


def test_keys_rotate_during_a_rollout_and_nodes_follow(folder: Path, tmp_path: Path) -> None:
    trust = Settings(url="", root=folder / "current/public/metadata/1.root.json", state=tmp_path / "state")
    seen(folder, trust)
    release(folder, "rollout", "stable", "2", *GUARD)
    with running(folder) as server:
        for role in ("timestamp", "snapshot", "targets", "root"):
            release(folder, "rotate-key", role)
        seen(folder, trust)

        server.report(1, to="2", group="canary")
        eventually("the guard signs with the new keys", lambda: server.ways(wariness="1.0") == {("1", "2")})
        seen(folder, trust)


def seen(folder: Path, trust: Settings) -> None:
    """A node checks what is published; it must be believed, and vouch for the release's commit."""

    def transport(url: str) -> Iterator[bytes]:
        path = folder / "current/public" / url.lstrip("/")
        yield path.read_bytes()

    checked = releases.refresh(trust, transport=transport)
    releases.require_commit(checked, name="stable", version="2", architecture="x86_64", commit=commit("2"))
