from __future__ import annotations

import os
from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.base.paths import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """A tree with links of every kind; beside it lies a file that no path may reach."""
    (tmp_path / "secret").write_text("outside")
    tree = tmp_path / "tree"
    (tree / "usr/etc").mkdir(parents=True)
    for name, target in {
        "etc": "usr/etc",
        "absolute": "/usr",
        "usr/inner": "/usr/etc",
        "climbs": "../../../secret",
        "usr/up": "../../../..",
        "chain": "absolute/etc",
        "loop": "pool",
        "pool": "loop",
    }.items():
        (tree / name).symlink_to(target)
    return Root(tree)


@pytest.mark.parametrize(
    ("path", "inside"),
    [
        ("/usr/etc/passwd", "usr/etc/passwd"),
        ("usr/etc/passwd", "usr/etc/passwd"),
        ("/etc/passwd", "usr/etc/passwd"),
        ("/absolute/etc", "usr/etc"),
        ("/chain/hosts", "usr/etc/hosts"),
        ("/usr/inner/hosts", "usr/etc/hosts"),
        ("/climbs", "secret"),
        ("/usr/up/secret", "secret"),
        ("/../../secret", "secret"),
        ("/usr/../../etc/x", "usr/etc/x"),
        ("/none/../etc", "usr/etc"),
        ("/", ""),
    ],
)
def test_a_path_is_resolved_as_a_process_in_the_root_would(root: Root, path: str, inside: str) -> None:
    assert root.join(path) == root.path / inside


def test_the_last_link_is_not_followed_where_that_is_asked(root: Root) -> None:
    assert root.join("/etc", follow_last=False) == root.path / "etc"
    assert root.join("/chain/etc", follow_last=False) == root.path / "usr/etc/etc"


def test_a_loop_of_links_is_an_error_that_names_the_path(root: Root) -> None:
    with pytest.raises(InputError, match=r"symbolic links in /loop/x"):
        root.join("/loop/x")


def test_a_root_is_a_path(root: Root) -> None:
    assert os.fspath(root) == str(root.path)
    assert repr(root) == f"Root('{root.path}')"


def test_a_relative_root_does_not_move_with_the_working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    root = Root("tree")
    monkeypatch.chdir("/")
    assert root.join("x") == tmp_path / "tree/x"
