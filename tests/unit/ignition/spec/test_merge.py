"""A child config into its parent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nestos.ignition.spec.merge import merged

VERSION = {"ignition": {"version": "3.6.0"}}

CASES = json.loads(Path(__file__).with_name("data").joinpath("merges.json").read_text())
NAMES = [case["name"] for case in CASES]


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_a_child_is_merged(case: dict[str, Any]) -> None:
    assert merged(whole(case["parent"]), whole(case["child"])) == whole(case["merged"])


@pytest.mark.parametrize("case", CASES, ids=NAMES)
def test_merging_leaves_both_as_they_were(case: dict[str, Any]) -> None:
    parent, child = whole(case["parent"]), whole(case["child"])

    merged(parent, child)

    assert (parent, child) == (whole(case["parent"]), whole(case["child"]))


def whole(part: dict[str, Any]) -> Any:
    return {**part, "ignition": {**VERSION["ignition"], **part.get("ignition", {})}}
