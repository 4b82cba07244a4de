from __future__ import annotations

import json
from dataclasses import replace

import pytest

from nestos.base.errors import InputError, StateError
from nestos.wire import origin as origins
from nestos.wire.origin import Initramfs, Layers, Origin, PackageFile

FILE = PackageFile(name="agent", version="1.2", architecture="amd64", sha256="ab" * 32)
NEWER = replace(FILE, version="1.3", sha256="cd" * 32)
FULL = Origin(
    packages=("htop",),
    local=(FILE,),
    removals=("less",),
    replacements=(replace(FILE, name="bash"),),
    initramfs=Initramfs(regenerate=True, arguments=("--add=nvme",), etc=("/etc/lvm",)),
    pinned=True,
)


def through_json(origin: Origin) -> Origin:
    return origins.parse(json.loads(json.dumps(origins.document(origin))), source="x")


@pytest.mark.parametrize("origin", [Origin(), FULL], ids=["empty", "full"])
def test_a_wish_survives_its_file(origin: Origin) -> None:
    assert through_json(origin) == origin


def test_what_a_newer_program_asked_for_is_carried_on() -> None:
    given = origins.document(FULL) | {"version": 9, "modules": ["postgresql:16"]}
    read = origins.parse(given, source="x")
    assert origins.document(read.install(packages=["strace"]))["modules"] == ["postgresql:16"]


def test_the_outcome_survives_its_file() -> None:
    layers = Layers(added={"a": "1"}, removed={"b": "2"}, replaced={"c": ("1", "2")}, inactive=("d",))
    assert origins.parse_layers(json.loads(json.dumps(origins.layers_document(layers))), source="x") == layers


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([], "x is not a JSON object"),
        ({"packages": "htop"}, '"packages" is not a list of texts'),
        ({"local": [{"name": "a"}]}, '"local" has an entry without'),
        ({"initramfs": 1}, "initramfs is not a JSON object"),
    ],
)
def test_a_damaged_wish_is_named(given: object, said: str) -> None:
    with pytest.raises(StateError, match=said):
        origins.parse(given, source="x")


def test_only_what_changes_the_tree_makes_a_slot_of_its_own() -> None:
    assert not Origin(pinned=True).changes_tree
    assert Origin(initramfs=Initramfs(etc=("/etc/x",))).changes_tree
    assert not Origin(initramfs=Initramfs(regenerate=True)).has_packages
    assert Origin(removals=("less",)).has_packages


def test_a_package_is_asked_for_once_and_a_file_takes_the_place_of_an_older_one() -> None:
    origin = FULL.install(packages=("htop", "strace"), files=(NEWER,))
    assert origin.packages == ("htop", "strace")
    assert origin.local == (NEWER,)


def test_what_was_never_asked_for_cannot_be_taken_out() -> None:
    emptied = FULL.uninstall(["htop", "agent"])
    assert (emptied.packages, emptied.local) == ((), ())
    with pytest.raises(InputError, match="not layered on this node: less, tar") as caught:
        FULL.uninstall(["tar", "less", "htop"])
    assert "override remove" in caught.value.hint


def test_a_package_is_either_removed_or_replaced() -> None:
    removed = FULL.override_remove(["bash"])
    assert (removed.removals, removed.replacements) == (("less", "bash"), ())
    replaced = FULL.override_replace([replace(FILE, name="less")])
    assert replaced.removals == ()
    assert [file.name for file in replaced.replacements] == ["bash", "less"]


def test_an_override_is_given_up_by_its_name() -> None:
    assert FULL.override_reset(["less", "bash"]) == replace(FULL, removals=(), replacements=())
    with pytest.raises(InputError, match="no override on this node for: tar"):
        FULL.override_reset(["tar"])
