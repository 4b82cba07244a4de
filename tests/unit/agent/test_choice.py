from __future__ import annotations

from dataclasses import replace

import pytest

from nestos.agent import choice
from nestos.agent.choice import Choice, Wishes
from nestos.base.errors import InputError
from nestos.wire import graph as wire
from nestos.wire.graph import Graph
from tests.unit.agent.fakes import graph, payload

ALL = graph("1", "2", "3", "4")


def choose(shown: Graph = ALL, *, booted: str = "1", **wishes: object) -> Choice:
    return choice.choose(shown, booted=payload(booted), wishes=replace(Wishes(denied={}), **wishes))  # type: ignore[arg-type]


def versions(found: Choice) -> list[str]:
    return [release.version for release in found.releases]


def test_the_youngest_comes_first() -> None:
    assert versions(choose()) == ["4", "3", "2"]
    assert versions(choose(booted="4")) == []


def test_only_edges_from_what_runs_count() -> None:
    shown = graph("1", "2", "3", edges=(("1", "2"), ("2", "3")))
    assert versions(choose(shown)) == ["2"]


def test_age_counts_before_the_version() -> None:
    shown = graph("9", "10", "8")
    assert versions(choose(shown, booted="9")) == ["8", "10"]


def test_what_failed_here_is_left_out_with_its_reason() -> None:
    found = choose(denied={payload("4"): "it failed here: no web"})
    assert (versions(found), found.ignored) == (["3", "2"], {"4": "it failed here: no web"})


def test_the_operators_list_names_versions_and_payloads() -> None:
    assert versions(choose(deny=("4", payload("3")))) == ["2"]


def test_a_pin_is_a_limit_and_an_unknown_one_stops_everything() -> None:
    assert versions(choose(pin="3")) == ["3", "2"]
    found = choose(pin="7")
    assert (versions(found), len(found.ignored)) == ([], 3)


def test_older_releases_are_taken_only_if_that_is_allowed() -> None:
    shown = graph("1", "2", edges=(("2", "1"),))
    found = choose(shown, booted="2")
    assert versions(found) == []
    assert "allow_downgrade" in found.sentence
    assert versions(choose(shown, booted="2", allow_downgrade=True)) == ["1"]


def test_a_dead_end_is_told_with_its_reason() -> None:
    shown = graph("1", "2", edges=(), deadends={"1": "no more kernels"})
    found = choose(shown)
    assert (found.deadend, versions(found)) == ("no more kernels", [])
    assert "dead end" in found.sentence
    silent = graph("1", deadends={"1": ""})
    assert choose(silent).deadend == "(unknown reason)"


def test_a_node_that_is_not_in_the_graph_is_told_so() -> None:
    found = choose(booted="0")
    assert not found.is_known
    assert "does not know what runs here" in found.sentence


@pytest.mark.parametrize("key", [wire.SCHEME, wire.AGE_INDEX])
def test_a_graph_that_leaves_scheme_or_age_out_is_refused(key: str) -> None:
    node = replace(ALL.nodes[3], metadata={name: value for name, value in ALL.nodes[3].metadata.items() if name != key})
    with pytest.raises(InputError, match="no scheme or age") as caught:
        choose(replace(ALL, nodes=(*ALL.nodes[:3], node)))
    assert caught.value.kind == "client_failed_node_parsing"


def test_an_age_without_end_is_an_error_of_the_graph() -> None:
    shown = graph("1", "2")
    old, new = shown.nodes
    wrong = replace(new, metadata={**new.metadata, wire.AGE_INDEX: "9" * 5000})
    with pytest.raises(InputError, match="no scheme or age"):
        choose(replace(shown, nodes=(old, wrong)))
