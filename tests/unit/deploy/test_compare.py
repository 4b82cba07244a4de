from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from nestos.base.errors import InputError, StateError
from nestos.deploy import compare
from nestos.deploy.node import Node
from nestos.slots.bootstate import Slot
from tests.unit.deploy.fakes import FakeMachine, FakeServer, made, node, running_a

OLD = {"bash": "5.2.37-2", "less": "668-1", "openssl": "3.5.1-1", "tar": "1.35"}
NEW = {"bash": "5.2.37-3", "openssl": "3.4.0-1", "tar": "1.35", "htop": "3.4"}


def test_two_trees_are_compared_by_name_and_version() -> None:
    found = compare.difference(OLD, NEW)
    assert (found.added, found.removed) == ({"htop": "3.4"}, {"less": "668-1"})
    assert found.upgraded == {"bash": ("5.2.37-2", "5.2.37-3")}
    assert found.downgraded == {"openssl": ("3.5.1-1", "3.4.0-1")}


def test_people_and_programs_read_a_difference() -> None:
    found = compare.difference(OLD, NEW)
    assert "Upgraded:\n  bash 5.2.37-2 -> 5.2.37-3" in "\n".join(compare.lines(found, is_block=True))
    assert compare.lines(found, is_block=True)[-4:] == ["Removed:", "  less-668-1", "Added:", "  htop-3.4"]
    assert compare.document(found)["downgraded"] == {"openssl": ["3.5.1-1", "3.4.0-1"]}
    assert compare.lines(compare.difference(OLD, OLD), is_block=True) == []


def test_scripts_read_a_difference_in_the_order_of_names() -> None:
    assert compare.lines(compare.difference(OLD, NEW), is_block=False) == [
        "!bash-5.2.37-2",
        "=bash-5.2.37-3",
        "+htop-3.4",
        "-less-668-1",
        "!openssl-3.5.1-1",
        "=openssl-3.4.0-1",
    ]


def test_programs_of_rpm_ostrees_read_its_form() -> None:
    document = compare.compatible_document(compare.difference(OLD, NEW), old="a", new="b")
    assert (document["ostree-commit-from"], document["ostree-commit-to"], document["advisories"]) == ("a", "b", [])
    assert [(name, kind) for name, kind, _ in document["pkgdiff"]] == [
        ("bash", 2),
        ("htop", 0),
        ("less", 1),
        ("openssl", 3),
    ]
    assert document["pkgdiff"][1][2] == {"NewPackage": ["htop", "3.4", ""]}


def test_a_digest_stands_for_names_and_versions() -> None:
    assert compare.digest(OLD) == compare.digest(dict(reversed(OLD.items())))
    assert compare.digest(OLD) != compare.digest(NEW)
    assert compare.digest(OLD).startswith("4:")


@pytest.fixture
def on(tmp_path: Path) -> Node:
    server = FakeServer()
    old = server.publish(made("1", day=1, metadata={"nestos.packages": '{"bash": "1"}'}))
    new = server.publish(made("2", day=2, metadata={"nestos.packages": '{"bash": "2"}'}))
    machine = FakeMachine(running_a())
    machine.put(Slot.A, old.deployment)
    machine.put(Slot.B, replace(new.deployment, version="2"))
    return node(tmp_path, machine, server)


@pytest.mark.parametrize(("word", "version"), [("booted", "1"), ("next", "1"), ("a", "1"), ("b", "2"), ("2", "2")])
def test_slots_and_versions_name_packages(on: Node, word: str, version: str) -> None:
    assert compare.packages(on, word) == {"bash": version}


def test_where_nothing_is_named_the_last_change_is_compared(on: Node) -> None:
    assert compare.usual(on) == ("b", "booted")
    machine = on.machine
    assert isinstance(machine, FakeMachine)
    machine.block = type(machine.block)(replace(running_a(), pointer=Slot.B))
    assert compare.usual(on) == ("booted", "next")


def test_the_base_is_compared_without_its_layers(on: Node) -> None:
    machine = on.machine
    assert isinstance(machine, FakeMachine)
    machine.put(Slot.B, replace(made("2", day=2).deployment, layered_commit="cd" * 32))
    assert compare.checksum_of(on, "b") == "cd" * 32
    assert compare.packages(on, "b", base=True) == {"bash": "2"}


def test_a_word_that_names_nothing_is_told(on: Node) -> None:
    with pytest.raises(InputError, match="neither a slot"):
        compare.packages(on, "c")


def test_packages_that_are_not_known_here_are_told(on: Node) -> None:
    on.runner.fail("ostree", "log", stderr="error: No such metadata object " + "ab" * 32 + ".commit")  # type: ignore[attr-defined]
    with pytest.raises(StateError, match="not known here"):
        compare.packages(on, "booted")
