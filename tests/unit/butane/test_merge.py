"""A child laid over a parent, and where everything in the result came from."""

from __future__ import annotations

from typing import Any

from nestos.butane.local_files import LocalFiles
from nestos.butane.merge import Generated, lay_over
from nestos.butane.site import Level, Run


def run() -> Run:
    return Run(level=Level(language=7, ignition="3.6.0"), files=LocalFiles(None))


def generated(config: dict[str, Any]) -> Generated:
    found = Generated()
    found.config = config
    found.came_from(("sugar",), (), config)
    return found


def test_entries_with_the_same_key_become_one_in_the_parents_place() -> None:
    parent = generated({"storage": {"filesystems": [{"device": "a", "format": "ext4"}, {"device": "b"}]}})
    child = {"storage": {"filesystems": [{"device": "c"}, {"device": "a", "label": "x"}]}}
    merged = lay_over(run(), parent, child)
    assert merged == {
        "storage": {"filesystems": [{"device": "a", "format": "ext4", "label": "x"}, {"device": "b"}, {"device": "c"}]}
    }


def test_origins_lead_to_the_side_that_said_it() -> None:
    here = run()
    parent = generated({"systemd": {"units": [{"name": "a", "enabled": True, "contents": "x"}]}})
    lay_over(here, parent, {"systemd": {"units": [{"name": "z"}, {"name": "a", "enabled": False}]}})
    units = ("systemd", "units")
    assert here.origin((*units, 0, "contents")) == ("sugar",)
    assert here.origin((*units, 0, "enabled")) == (*units, 1, "enabled")
    assert here.origin((*units, 0)) == (*units, 1)
    assert here.origin((*units, 1, "name")) == (*units, 0, "name")


def test_an_entry_in_another_list_of_the_same_key_space_takes_the_parents_away() -> None:
    parent = generated({"storage": {"files": [{"path": "/a"}, {"path": "/b"}]}})
    merged = lay_over(run(), parent, {"storage": {"links": [{"path": "/a", "target": "x"}]}})
    assert merged == {"storage": {"files": [{"path": "/b"}], "links": [{"path": "/a", "target": "x"}]}}


def test_options_and_appended_pieces_are_joined() -> None:
    parent = generated({"storage": {"luks": [{"name": "a", "options": ["-x"]}]}})
    merged = lay_over(run(), parent, {"storage": {"luks": [{"name": "a", "options": ["-x", "-y"]}]}})
    assert merged["storage"]["luks"] == [{"name": "a", "options": ["-x", "-x", "-y"]}]


def test_partitions_are_told_apart_by_number_or_else_by_label() -> None:
    old = [{"number": 1, "label": "x"}, {"label": "y"}]
    new = [{"label": "y", "sizeMiB": 1}, {"number": 1, "sizeMiB": 2}, {"label": "x"}]
    parent = generated({"storage": {"disks": [{"device": "d", "partitions": old}]}})
    merged = lay_over(run(), parent, {"storage": {"disks": [{"device": "d", "partitions": new}]}})
    assert merged["storage"]["disks"][0]["partitions"] == [
        {"number": 1, "label": "x", "sizeMiB": 2},
        {"label": "y", "sizeMiB": 1},
        {"label": "x"},
    ]
