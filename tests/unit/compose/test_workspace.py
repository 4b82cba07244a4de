from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import BusyError
from nestos.compose.workspace import Workspace
from tests.unit.compose.trees import picture, plant


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path / "cache")


@pytest.mark.parametrize(
    ("environment", "home"),
    [
        ({"NESTOS_CACHE": "/x", "XDG_CACHE_HOME": "/y", "HOME": "/z"}, "/x"),
        ({"XDG_CACHE_HOME": "/y", "HOME": "/z"}, "/y/nestos"),
        ({"HOME": "/z"}, "/z/.cache/nestos"),
        ({"XDG_CACHE_HOME": "", "HOME": "/z"}, "/z/.cache/nestos"),
    ],
    ids=["our own", "the desktop's", "the usual", "an empty one"],
)
def test_the_cache_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], home: str
) -> None:
    for name in ("NESTOS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert Workspace.default().home == Path(home)


def test_a_relative_cache_does_not_move_with_the_working_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Workspace(Path("cache")).home == tmp_path / "cache"


def test_the_repository_is_in_the_cache_unless_given(workspace: Workspace) -> None:
    assert workspace.repository == workspace.home / "repo"
    assert Workspace(workspace.home, repository=Path("/r")).repository == Path("/r")


def test_folders_are_made_on_first_use(workspace: Workspace) -> None:
    assert workspace.folder("lab", "x").is_dir()
    assert workspace.builds("nestos/x86_64/stable") == workspace.home / "builds/nestos-x86_64-stable"


def test_a_second_compose_is_refused_with_the_name_of_the_first(workspace: Workspace) -> None:
    with workspace.exclusively(), pytest.raises(BusyError, match=f"the cache {workspace.home} is in use by process"):
        workspace.exclusively(wait_seconds=0).__enter__()


HALF_DONE = {
    "roots/abc.part/usr/x": "",
    "builds/r/half/slot.img": "",
    "builds/r/half/tree/usr/x": "",
    "builds/r/whole/tree/usr/x": "",
}
WHOLE = {
    "roots/abc/usr/x": "",
    "builds/r/whole/release.json": "{}",
    "builds/r/whole/slot.img": "",
    "initramfs/k.img": "",
    "apt/download/x.deb": "half a file, to go on from",
}


def test_what_an_interrupted_compose_left_is_removed_and_results_stay(workspace: Workspace) -> None:
    plant(workspace.home, HALF_DONE | WHOLE)
    with workspace.exclusively():
        found = picture(workspace.home)
    del found["compose.lock"]
    assert found == WHOLE


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_compose_that_ends_early_leaves_nothing_half_done(workspace: Workspace, error: type[BaseException]) -> None:
    with pytest.raises(error), workspace.exclusively():
        plant(workspace.home, HALF_DONE | WHOLE)
        raise error
    assert picture(workspace.home) == WHOLE | {"compose.lock": ""}


def test_a_finished_compose_keeps_what_it_made(workspace: Workspace) -> None:
    with workspace.exclusively():
        plant(workspace.home, WHOLE)
    with workspace.exclusively():
        pass
    assert picture(workspace.home) == WHOLE | {"compose.lock": ""}
