from __future__ import annotations

from pathlib import Path

from nestos.deploy.imaging import ToolsOfTree
from nestos.deploy.store import BelowMounts
from tests.unit.deploy.fakes import FakeServer

STAGING = Path("/var/lib/nestos/staging")


class _Recorder(FakeServer):
    def _play(self, line: list[str]) -> str:
        return ""


def test_the_releases_own_mkfs_sees_staging_as_run() -> None:
    recorder = _Recorder()
    ToolsOfTree(recorder, staging=STAGING)(["mkfs.erofs", "-zlz4", STAGING / "slot.img", STAGING / "tree"])
    line = recorder.lines[0]
    assert line[:3] == ["unshare", "--mount", "--propagation=private"]
    assert line[-6:] == [str(STAGING), str(STAGING / "tree"), "mkfs.erofs", "-zlz4", "/run/slot.img", "/run/tree"]


def test_other_tools_run_as_they_are() -> None:
    recorder = _Recorder()
    ToolsOfTree(recorder, staging=STAGING)(["veritysetup", "format", STAGING / "slot.img"])
    assert recorder.lines == [["veritysetup", "format", f"{STAGING}/slot.img"]]


def test_what_only_looks_like_staging_is_not_translated() -> None:
    recorder = _Recorder()
    ToolsOfTree(recorder, staging=STAGING)(["mkfs.erofs", f"{STAGING}-other/x", "-x=/var/lib"])
    assert recorder.lines[0][-2:] == [f"{STAGING}-other/x", "-x=/var/lib"]


def test_the_root_below_its_mounts_is_seen_by_one_command_only() -> None:
    recorder = _Recorder()
    BelowMounts(recorder, view=STAGING / "running")(["ostree", "commit"])
    assert recorder.lines[0][:3] == ["unshare", "--mount", "--propagation=private"]
    assert 'mount --bind / "$1"' in recorder.lines[0][5]
    assert recorder.lines[0][-3:] == [str(STAGING / "running"), "ostree", "commit"]
