from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import CommandError
from nestos.base.paths import Root
from nestos.deploy import health
from nestos.deploy.health import Kind
from nestos.host.process import Completed
from tests.unit.deploy.fakes import FakeServer

USR, ETC = health.FOLDERS


@pytest.fixture
def runner() -> FakeServer:
    return FakeServer()


def _check(root: Path, folder: str, kind: Kind, name: str, *, mode: int = 0o755) -> Path:
    path = root / folder.lstrip("/") / f"{kind}.d" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def _run(root: Path, runner: FakeServer) -> list[health.Result]:
    return health.run(Root(root), environment={}, limit_seconds=5, runner=runner)


def test_no_checks_is_a_healthy_boot(tmp_path: Path, runner: FakeServer) -> None:
    assert _run(tmp_path, runner) == []
    assert health.reason([]) == ""


def test_checks_of_both_folders_run_by_name_required_first(tmp_path: Path, runner: FakeServer) -> None:
    _check(tmp_path, USR, Kind.WANTED, "05-w")
    _check(tmp_path, ETC, Kind.REQUIRED, "10-b")
    _check(tmp_path, USR, Kind.REQUIRED, "20-a")
    assert [result.name for result in _run(tmp_path, runner)] == ["10-b", "20-a", "05-w"]


def test_one_in_etc_replaces_one_of_its_name(tmp_path: Path, runner: FakeServer) -> None:
    _check(tmp_path, USR, Kind.REQUIRED, "10-x")
    mine = _check(tmp_path, ETC, Kind.REQUIRED, "10-x")
    _run(tmp_path, runner)
    assert runner.lines == [[str(mine)]]


def test_a_link_to_dev_null_masks(tmp_path: Path, runner: FakeServer) -> None:
    _check(tmp_path, USR, Kind.REQUIRED, "10-x")
    folder = tmp_path / ETC.lstrip("/") / "required.d"
    folder.mkdir(parents=True)
    (folder / "10-x").symlink_to("/dev/null")
    assert _run(tmp_path, runner) == []


def test_every_required_check_that_fails_is_named_with_its_last_line(tmp_path: Path, runner: FakeServer) -> None:
    first = _check(tmp_path, USR, Kind.REQUIRED, "10-x")
    _check(tmp_path, USR, Kind.REQUIRED, "20-y")
    last = _check(tmp_path, USR, Kind.REQUIRED, "30-z")
    runner.fail(str(first), stderr="trying\nno uplink\n")
    runner.fail(str(last), stderr="")
    results = _run(tmp_path, runner)
    assert health.reason(results) == "health check 10-x: exit status 1: no uplink; health check 30-z: exit status 1"
    assert len(runner.lines) == 3


def test_a_wanted_check_that_fails_does_not_fail_the_boot(tmp_path: Path, runner: FakeServer) -> None:
    path = _check(tmp_path, USR, Kind.WANTED, "10-x")
    runner.fail(str(path), stderr="meh")
    results = _run(tmp_path, runner)
    assert health.reason(results) == ""
    assert [item.problem for item in health.failed(results, Kind.WANTED)] == ["exit status 1: meh"]


def test_a_check_that_hangs_has_failed(tmp_path: Path) -> None:
    _check(tmp_path, USR, Kind.REQUIRED, "10-x")

    class Hanging(FakeServer):
        def __call__(self, *_: object, timeout_seconds: float | None = None, **__: object) -> Completed:
            raise CommandError(f"no end after {timeout_seconds} s", returncode=-1, output="")

    assert health.reason(_run(tmp_path, Hanging())) == "health check 10-x: no end after 5 s"


def test_a_file_that_cannot_run_takes_no_node_down(tmp_path: Path, runner: FakeServer) -> None:
    _check(tmp_path, USR, Kind.REQUIRED, "10-x", mode=0o644)
    assert health.reason(_run(tmp_path, runner)) == ""
    assert runner.lines == []
