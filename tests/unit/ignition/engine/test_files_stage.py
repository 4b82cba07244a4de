"""The files stage, by cases: what is in the root, a config, what is in the root then."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from tests.unit.ignition.engine.bench import Bench

CASES = json.loads(Path(__file__).with_name("data").joinpath("files.json").read_text())
OWN_UID, OWN_GID = os.getuid() or 1 << 32, os.getgid() or 1 << 32
ALWAYS = {"/etc", "/etc/passwd", "/etc/group", "/etc/.ignition-result.json"}


def make(root: Path, path: str, description: str) -> None:
    """Makes ``dir MODE``, ``file MODE CONTENTS`` or ``link TARGET``."""
    kind, _, rest = description.partition(" ")
    target = root / path.lstrip("/")
    if kind == "link":
        target.symlink_to(rest)
        return
    mode, _, contents = rest.partition(" ")
    if kind == "dir":
        target.mkdir()
    else:
        target.write_text(contents)
    target.chmod(int(mode, 8))


def described(machine: Bench, path: Path) -> str:
    """What is at ``path`` as the cases write it; the owner is ``-`` where it was never given."""
    owner = machine.owners.of(path)
    # What belongs to whoever runs the tests belongs to root on the machine.
    given = f"{owner[0] % OWN_UID}:{owner[1] % OWN_GID}" if owner else "-"
    mode = f"{stat.S_IMODE(path.lstat().st_mode):o}"
    if path.is_symlink():
        return f"link {given} {path.readlink()}"
    if path.is_dir():
        return f"dir {mode} {given}"
    return f"file {mode} {given} {path.read_text()}"


def tree(machine: Bench) -> dict[str, str]:
    root = machine.root
    found = {f"/{path.relative_to(root)}": path for path in root.rglob("*")}
    return {name: described(machine, path) for name, path in found.items() if name not in ALWAYS}


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_the_root_is_as_the_config_says(case: dict[str, Any], machine: Bench) -> None:
    for path, description in case.get("before", {}).items():
        make(machine.root, path, description)
    machine.give(case["config"])

    assert machine.stage("fetch-offline") == 0, machine.said
    code = machine.stage("files")

    assert code == (1 if "error" in case else 0), machine.said
    assert case.get("error", "") in machine.said
    assert tree(machine) == case["after"]


def test_the_result_tells_when_and_whether_there_was_a_config(machine: Bench) -> None:
    machine.give({})

    assert machine.stage("fetch-offline") == machine.stage("files") == 0

    result = machine.root / "etc/.ignition-result.json"
    assert json.loads(result.read_text()) == {
        "provisioningBootID": "01234567-89ab-cdef-0123-456789abcdef",
        "provisioningDate": "2026-01-02T03:04:05Z",
        "userConfigProvided": True,
    }
    assert stat.S_IMODE(result.stat().st_mode) == 0o600
    assert machine.synced == 1


def test_a_second_run_keeps_the_result_of_the_first_and_warns(machine: Bench) -> None:
    machine.give({})
    machine.stage("fetch-offline")
    machine.stage("files")

    assert machine.stage("files") == 0

    result = json.loads((machine.root / "etc/.ignition-result.json").read_text())
    assert "previousReport" not in result["previousReport"]
    assert "Ignition has run on this system before" in machine.said


def test_a_failed_write_leaves_no_temporary_file(machine: Bench) -> None:
    machine.give({"storage": {"files": [{"path": "/x/a", "contents": {"source": "data:,a", "compression": "gzip"}}]}})
    machine.stage("fetch-offline")

    assert machine.stage("files") == 1
    assert list((machine.root / "x").iterdir()) == []
