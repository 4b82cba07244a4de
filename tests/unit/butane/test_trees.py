"""Folders that become entries of the config."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nestos.base.report import Finding, Severity
from nestos.butane.local_files import NO_FILES_DIR, OUTSIDE
from nestos.butane.nodes import NODE_EXISTS
from nestos.butane.trees import FILE_TYPE, NO_LOCAL, NOT_A_DIRECTORY
from tests.unit.butane.source import config, messages, nestos, write_files


def test_files_and_links_of_a_tree_are_added_in_order_of_their_names(tmp_path: Path) -> None:
    write_files(tmp_path, {"tree/etc/b": "bee", "tree/etc/a": "ay", "tree/usr-link": "->../usr", "tree/bin/run": "x"})
    (tmp_path / "tree/bin/run").chmod(0o700)
    assert config("storage: {trees: [{local: tree}]}", files_dir=tmp_path) == {
        "storage": {
            "files": [
                {"path": "/bin/run", "contents": {"source": "data:,x", "compression": ""}, "mode": 0o755},
                {"path": "/etc/a", "contents": {"source": "data:,ay", "compression": ""}, "mode": 0o644},
                {"path": "/etc/b", "contents": {"source": "data:,bee", "compression": ""}, "mode": 0o644},
            ],
            "links": [{"path": "/usr-link", "target": "../usr"}],
        }
    }


def test_a_tree_goes_below_its_path_and_files_follow_those_of_the_config(tmp_path: Path) -> None:
    write_files(tmp_path, {"x": "1"})
    body = "storage: {files: [{path: /first}], trees: [{local: ., path: /opt/}, {local: /, path: /srv/y}]}"
    files = config(body, files_dir=tmp_path)["storage"]["files"]
    assert [file["path"] for file in files] == ["/first", "/opt/x", "/srv/y/x"]


def test_an_entry_of_the_config_lends_its_owner_and_mode(tmp_path: Path) -> None:
    write_files(tmp_path, {"app": "1", "link": "->there"})
    body = """
        storage:
          files: [{path: /app, mode: 0600, user: {name: app}}]
          links: [{path: /link, group: {id: 5}}]
          trees: [{local: .}]
    """
    assert config(body, files_dir=tmp_path)["storage"] == {
        "files": [
            {
                "path": "/app",
                "mode": 0o600,
                "user": {"name": "app"},
                "contents": {"source": "data:,1", "compression": ""},
            }
        ],
        "links": [{"path": "/link", "group": {"id": 5}, "target": "there"}],
    }


def test_an_empty_tree_adds_nothing(tmp_path: Path) -> None:
    (tmp_path / "tree/empty").mkdir(parents=True)
    assert config("storage: {trees: [{local: tree}]}", files_dir=tmp_path) == {}


@pytest.mark.parametrize(
    "entry",
    ["files: [{path: /x, contents: {inline: a}}]", "links: [{path: /x}]", "directories: [{path: /x}]"],
    ids=["contents", "link", "directory"],
)
def test_a_file_does_not_take_the_place_of_something_else(tmp_path: Path, entry: str) -> None:
    write_files(tmp_path, {"x": "1"})
    found = messages(f"storage:\n  {entry}\n  trees:\n    - local: .", files_dir=tmp_path)
    assert found == [f"error at $.storage.trees.0, line 6 col 7: {NODE_EXISTS}"]


def test_a_link_does_not_take_the_place_of_a_link_with_a_target(tmp_path: Path) -> None:
    write_files(tmp_path, {"x": "->1"})
    (message,) = messages("storage: {links: [{path: /x, target: y}], trees: [{local: .}]}", files_dir=tmp_path)
    assert message.endswith(NODE_EXISTS)


def test_only_files_folders_and_links_may_be_in_a_tree(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (message,) = messages("storage: {trees: [{local: .}]}", files_dir=tmp_path)
    assert message.endswith(FILE_TYPE)


def test_a_name_that_is_not_utf_8_is_an_error(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"bad\xff")).write_text("")
    (message,) = messages("storage: {trees: [{local: .}]}", files_dir=tmp_path)
    assert message.endswith("the name 'bad\\udcff' is not UTF-8")


@pytest.mark.parametrize(
    ("tree", "reason"),
    [
        ("{path: /etc}", NO_LOCAL),
        ("{local: file}", NOT_A_DIRECTORY),
        ("{local: none}", "stat {folder}/none: no such file or directory"),
        ("{local: ..}", OUTSIDE),
    ],
)
def test_a_tree_must_be_a_folder_below_the_files_directory(tmp_path: Path, tree: str, reason: str) -> None:
    write_files(tmp_path, {"file": ""})
    assert messages(f"storage: {{trees: [{tree}]}}", files_dir=tmp_path) == [
        "error at $.storage.trees.0, line 3 col 19: " + reason.replace("{folder}", str(tmp_path))
    ]


def test_a_tree_needs_a_files_directory() -> None:
    assert messages("storage: {trees: [{local: a}]}") == [f"error at $.storage.trees.0, line 3 col 19: {NO_FILES_DIR}"]


@pytest.mark.parametrize("below", [(), ("path",), ("contents", "source")])
def test_findings_about_a_file_of_a_tree_lead_to_the_tree(tmp_path: Path, below: tuple[str, ...]) -> None:
    write_files(tmp_path, {"x": ""})
    finding = Finding(severity=Severity.ERROR, message="wrong", path=("storage", "files", 0, *below))
    report = nestos("storage: {trees: [{local: .}]}", files_dir=tmp_path, validate=lambda _: [finding]).report
    assert str(report) == "error at $.storage.trees.0, line 3 col 19: wrong"


def test_findings_about_what_a_tree_adds_to_an_entry_lead_to_the_tree(tmp_path: Path) -> None:
    write_files(tmp_path, {"x": ""})
    finding = Finding(severity=Severity.ERROR, message="wrong", path=("storage", "files", 0, "contents", "source"))
    body = "storage: {files: [{path: /x}], trees: [{local: .}]}"
    report = nestos(body, files_dir=tmp_path, validate=lambda _: [finding]).report
    assert str(report) == "error at $.storage.trees.0, line 3 col 40: wrong"


OWNED = {"user": {"name": "app"}, "group": {"id": 5}}


def test_a_tree_can_have_an_owner_and_modes_and_then_names_its_folders(tmp_path: Path) -> None:
    write_files(tmp_path, {"tree/sub/x": "1"})
    (tmp_path / "tree/link").symlink_to("sub")
    body = """
        storage:
          trees:
            - {local: tree, path: /opt, user: {name: app}, group: {id: 5}, file_mode: 0600, dir_mode: 0700}
    """
    assert config(body, variant="fcos", version="1.7.0", files_dir=tmp_path)["storage"] == {
        "directories": [{**OWNED, "path": "/opt", "mode": 0o700}, {**OWNED, "path": "/opt/sub", "mode": 0o700}],
        "files": [{**OWNED, "path": "/opt/sub/x", "mode": 0o600, "contents": {"source": "data:,1", "compression": ""}}],
        "links": [{**OWNED, "path": "/opt/link", "target": "sub"}],
    }


def test_a_folder_of_an_owned_tree_does_not_take_the_place_of_one_in_the_config(tmp_path: Path) -> None:
    write_files(tmp_path, {"tree/x": "1"})
    body = "storage: {directories: [{path: /opt}], trees: [{local: tree, path: /opt, dir_mode: 0700}]}"
    (message,) = messages(body, variant="fcos", version="1.7.0", files_dir=tmp_path)
    assert message.endswith(NODE_EXISTS)
