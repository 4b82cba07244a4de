from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from nestos.base import durable, lock
from nestos.base.errors import BusyError, InputError, StateError
from nestos.updates import model, publication
from nestos.updates.folder import Change, ReleaseFolder, Settings
from nestos.updates.model import Build, Stream
from nestos.wire import releases, stream
from nestos.wire.stream import Artifact

WHY = Change(who="ana", action="publish", subject="stable 1", reason="first")
COMMIT = "c" * 64


@dataclass
class FixedClock:
    """Time that moves only by hand."""

    moment: datetime = field(default_factory=lambda: datetime(2026, 11, 23, 12, tzinfo=UTC))

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def seal(published: Mapping[str, bytes], known: Mapping[str, bytes]) -> dict[str, bytes]:
    return {f"metadata/{name}": data for name, data in known.items()} | {
        "metadata/timestamp.json": json.dumps(sorted(published)).encode()
    }


def created(tmp_path: Path) -> ReleaseFolder:
    folder = ReleaseFolder(tmp_path / "releases", clock=FixedClock())
    settings = Settings(base_url="https://updates.example.org/")
    folder.init(settings, metadata={"1.root.json": b"{}"}, change=Change(who="ana", action="init"))
    return folder


def publish(held: Stream) -> Stream:
    disk = Artifact(location="https://example.org/disk", sha256="a" * 64)
    build = Build(commit=COMMIT, artifacts={"metal": {"raw.xz": {"disk": disk}}})
    held = model.publish(model.create(held, "1", {"x86_64": build}, now=0), "1", now=10)
    return model.rollout(held, "1", now=20, duration_minutes=60)


def audit(folder: ReleaseFolder) -> list[Any]:
    return [json.loads(line) for line in (folder.path / "audit.jsonl").read_text().splitlines()]


def test_a_change_publishes_what_tools_of_the_field_read(tmp_path: Path) -> None:
    folder = created(tmp_path)

    folder.change(WHY, seal=seal, name="stable", edit=publish)

    public = folder.public
    index = releases.parse_index((public / "prod/streams/stable/releases.json").read_text(), source="index")
    updates = releases.parse_updates((public / "updates/stable.json").read_text(), source="updates")
    newest = stream.parse((public / "streams/stable.json").read_text(), source="stream")
    own = stream.parse_release((public / "prod/streams/stable/builds/1/release.json").read_text(), source="release")
    assert index.releases[0].commits[0].checksum == COMMIT
    address = "https://updates.example.org/prod/streams/stable/builds/1/release.json"
    assert index.releases[0].metadata_url == address
    assert updates.releases[0].rollout is not None
    assert newest.architectures["x86_64"].artifacts["metal"].release == "1"
    assert own.architectures["x86_64"].commit == COMMIT


def test_what_was_changed_is_read_again(tmp_path: Path) -> None:
    folder = created(tmp_path)

    edited = folder.change(WHY, seal=seal, name="stable", edit=publish)

    assert folder.streams() == ("stable",)
    assert folder.read("stable") == edited
    assert folder.read("testing") == Stream(name="testing")


def test_every_change_leaves_a_line_of_who_did_what(tmp_path: Path) -> None:
    folder = created(tmp_path)
    folder.change(WHY, seal=seal, name="stable", edit=publish)

    assert audit(folder) == [
        {"serial": 1, "time": "2026-11-23T12:00:00Z", "who": "ana", "action": "init", "subject": "", "reason": ""},
        {
            "serial": 2,
            "time": "2026-11-23T12:00:00Z",
            "who": "ana",
            "action": "publish",
            "subject": "stable 1",
            "reason": "first",
        },
    ]


def test_the_signer_sees_every_published_file_of_every_stream(tmp_path: Path) -> None:
    folder = created(tmp_path)
    folder.change(WHY, seal=seal, name="stable", edit=publish)
    folder.change(WHY, seal=seal, name="next", edit=publish)

    signed = json.loads((folder.public / "metadata/timestamp.json").read_text())
    found = {str(p.relative_to(folder.public)) for p in folder.public.rglob("*.json") if p.parent.name != "metadata"}
    assert set(signed) == found
    assert len(signed) == 8


def test_a_change_of_one_stream_leaves_the_bytes_of_another(tmp_path: Path) -> None:
    clock = FixedClock()
    folder = ReleaseFolder(created(tmp_path).path, clock=clock)
    folder.change(WHY, seal=seal, name="stable", edit=publish)
    before = (folder.public / "updates/stable.json").read_bytes()
    clock.sleep(3600)

    folder.change(WHY, seal=seal, name="next", edit=publish)
    folder.change(WHY, seal=seal)

    assert (folder.public / "updates/stable.json").read_bytes() == before


def test_a_release_taken_back_is_no_longer_vouched_for(tmp_path: Path) -> None:
    folder = created(tmp_path)
    folder.change(WHY, seal=seal, name="stable", edit=publish)

    folder.change(WHY, seal=seal, name="stable", edit=lambda held: model.withdraw(held, "1", reason="broken"))

    assert not (folder.public / "prod/streams/stable/builds/1/release.json").exists()
    listed = releases.parse_index((folder.public / "prod/streams/stable/releases.json").read_text(), source="index")
    assert [release.version for release in listed.releases] == ["1"]
    newest = stream.parse((folder.public / "streams/stable.json").read_text(), source="stream")
    assert newest.architectures == {}


def test_an_edit_that_is_refused_leaves_no_trace(tmp_path: Path) -> None:
    folder = created(tmp_path)
    before = sorted(folder.path.rglob("*"))

    with pytest.raises(InputError):
        folder.change(WHY, seal=seal, name="stable", edit=lambda held: model.publish(held, "9", now=0))

    assert sorted(folder.path.rglob("*")) == before


class PowerCutError(Exception):
    pass


@pytest.mark.parametrize("steps", range(1, 40))
def test_a_power_cut_leaves_the_old_state_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    folder = created(tmp_path)
    old = folder.read("stable")
    left = steps

    def cut(*_: object) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            raise PowerCutError

    monkeypatch.setattr(durable, "sync_directory", cut)
    try:
        folder.change(WHY, seal=seal, name="stable", edit=publish)
        is_cut = False
    except PowerCutError:
        is_cut = True
    monkeypatch.undo()

    found = folder.read("stable")
    assert found in (old, publish(old))
    assert is_cut or found == publish(old)
    assert (folder.public / "updates/stable.json").exists() == (found != old)
    folder.change(Change(who="bo", action="refresh"), seal=seal)
    serials = [line["serial"] for line in audit(folder)]
    assert serials == list(range(1, len(serials) + 1))
    assert ("publish" in [line["action"] for line in audit(folder)]) == (found != old)


def test_a_line_of_the_audit_log_that_was_cut_is_written_again(tmp_path: Path) -> None:
    folder = created(tmp_path)
    log = folder.path / "audit.jsonl"
    folder.change(WHY, seal=seal)
    whole = log.read_bytes()
    log.write_bytes(whole[:-10])

    folder.change(Change(who="bo", action="refresh"), seal=seal)

    assert log.read_bytes().startswith(whole)
    assert [line["serial"] for line in audit(folder)] == [1, 2, 3]


def test_old_generations_are_cleared_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nestos.updates.folder._KEPT_GENERATIONS", 2)
    folder = created(tmp_path)
    for _ in range(3):
        folder.change(WHY, seal=seal)

    assert sorted(path.name for path in (folder.path / "generations").iterdir()) == ["00000003", "00000004"]
    assert len(audit(folder)) == 4


def test_what_did_not_change_is_shared_by_generations(tmp_path: Path) -> None:
    folder = created(tmp_path)
    folder.change(WHY, seal=seal, name="stable", edit=publish)
    before = (folder.public / "prod/streams/stable/builds/1/release.json").stat().st_ino
    folder.change(WHY, seal=seal, name="stable", edit=lambda held: model.barrier(held, "1", reason="keys", now=0))

    assert (folder.public / "prod/streams/stable/builds/1/release.json").stat().st_ino == before
    old = folder.path / "generations/00000002/public/updates/stable.json"
    assert old.read_bytes() != (folder.public / "updates/stable.json").read_bytes()


def test_a_second_change_meanwhile_is_refused_with_the_holders_name(tmp_path: Path) -> None:
    folder = created(tmp_path)

    with lock.held(folder.path / "lock", what="it", command="nestos release x"), pytest.raises(BusyError, match="x"):
        folder.change(WHY, seal=seal)


def test_a_folder_is_made_once(tmp_path: Path) -> None:
    folder = created(tmp_path)

    with pytest.raises(StateError, match="already"):
        folder.init(Settings(base_url="https://a"), metadata={}, change=WHY)


def test_what_is_no_release_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="is not a release folder") as refused:
        ReleaseFolder(tmp_path, clock=FixedClock()).read("stable")

    assert "nestos release init" in refused.value.hint


def test_the_name_of_a_stream_leads_nowhere_else(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        created(tmp_path).read("../settings")


def test_a_state_of_a_newer_program_is_refused() -> None:
    with pytest.raises(StateError, match="newer program"):
        publication.parse_state('{"format": 3, "stream": "a", "releases": []}', source="a.json")


@pytest.mark.parametrize("damage", [b"\0\0\0\0", b"{}", b"[1]", b"[" * 90_000], ids=["zeros", "empty", "list", "deep"])
def test_a_damaged_last_line_of_the_audit_log_does_not_end_all_change(tmp_path: Path, damage: bytes) -> None:
    folder = created(tmp_path)
    log = folder.path / "audit.jsonl"
    folder.change(WHY, seal=seal)
    lines = log.read_bytes().splitlines()
    log.write_bytes(lines[0] + b"\n" + damage + b"\n")

    folder.change(Change(who="bo", action="refresh"), seal=seal)

    assert [line["serial"] for line in audit(folder)] == [1, 2, 3]
