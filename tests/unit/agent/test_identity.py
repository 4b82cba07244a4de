from __future__ import annotations

import pytest

from nestos.agent import identity
from nestos.agent.identity import Identity
from nestos.base.errors import InputError

WHO = Identity(node_uuid="0", group="web", basearch="x86_64", platform="qemu", stream="stable")


@pytest.mark.parametrize(
    ("machine_id", "uuid"),
    [
        ("ad432f2cb0c28bbcd1f87a20199237f9", "8121764139b84941ba5ccb83ccae1f98"),
        ("ec210b3de22b7e2f65111257854e5299", "9114b9e5e9814aad9c44032bd0319397"),
        ("1c09ca98649c4c7abc779cd04c96812e\n", "978a225b3d7b40e9acd7ce9b62f68444"),
    ],
)
def test_a_node_is_known_by_the_id_that_zincati_gives_it(machine_id: str, uuid: str) -> None:
    assert identity.node_uuid(machine_id) == uuid


@pytest.mark.parametrize("machine_id", ["", "uninitialized", "ad43"])
def test_a_machine_without_an_id_is_no_node(machine_id: str) -> None:
    with pytest.raises(InputError, match="machine id"):
        identity.node_uuid(machine_id)


def test_the_platform_is_ignitions() -> None:
    assert identity.platform("quiet ignition.platform.id= ignition.platform.id=aws x") == "aws"
    assert identity.platform("quiet") == "metal"


def test_the_stream_is_the_end_of_the_branch() -> None:
    assert identity.stream("nestos/x86_64/stable") == "stable"


def test_variables_are_filled_in_and_others_refused() -> None:
    url = "https://u.example/${stream}/${basearch}/${group}/${platform}/"
    assert identity.filled_in(url, WHO) == "https://u.example/stable/x86_64/web/qemu/"
    with pytest.raises(InputError, match="node_uuid"):
        identity.filled_in("https://u.example/${node_uuid}", WHO)


@pytest.mark.parametrize(
    ("base", "joined"),
    [
        ("http://u/x/", "http://u/x/v1/graph"),
        ("http://u/x", "http://u/v1/graph"),
        ("http://u", "http://u/v1/graph"),
    ],
)
def test_addresses_are_joined_as_the_original_joins_them(base: str, joined: str) -> None:
    assert identity.address(base, "v1/graph") == joined
