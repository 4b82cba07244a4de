from __future__ import annotations

import pytest

from nestos.base.errors import InputError
from nestos.locks.settings import Group, Order, Settings, parse

TEXT = """
[server]
address = "0.0.0.0"
database = "locks.sqlite"

[group.workers]
slots = 3
lease_seconds = 60
order = "asked"

[group.control-plane]
after = ["workers"]
"""


def test_groups_and_the_server_are_read() -> None:
    settings, report = parse(TEXT, source="locks.toml")
    assert not list(report)
    assert (settings.address, settings.port, settings.database) == ("0.0.0.0", 9095, "locks.sqlite")
    assert settings.group("workers") == Group(name="workers", slots=3, lease_seconds=60, order=Order.ASKED)
    assert settings.group("control-plane") == Group(name="control-plane", after=("workers",))
    assert settings.group("default") is None


def test_without_a_file_there_is_one_group_with_one_slot() -> None:
    assert parse("", source="x")[0] == Settings()
    assert Settings().group("default") == Group(name="default")


def test_an_unknown_key_names_the_nearest_one() -> None:
    _, report = parse("[group.a]\nslot = 3\n", source="x")
    assert [str(finding) for finding in report] == [
        'warning at $.group.a.slot: "slot" is not known (did you mean "slots"?)'
    ]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        pytest.param("slots = ", "Invalid value", id="no TOML"),
        pytest.param("[group.a]\nslots = -1", "no whole number", id="less than none"),
        pytest.param("[group.a]\nslots = true", "no whole number", id="a truth"),
        pytest.param("[group.a]\nslots = '3'", "no whole number", id="a text"),
        pytest.param("[group.'a b']\nslots = 3", "letters, digits", id="a name with a space"),
        pytest.param("[group.a]\norder = 'best'", "is none of any, asked", id="an unknown order"),
        pytest.param("[group.a]\nafter = ['b']", "is no other group", id="after an unknown one"),
        pytest.param("[group.a]\nafter = 'b'", "is no list", id="a text for a list"),
        pytest.param("[group.a]\nafter=['b']\n[group.b]\nafter=['a']", "waits for itself", id="after each other"),
        pytest.param("[group.a]\naccepts_any = true", "only the group default", id="another for all"),
        pytest.param("group = 3", "is no table", id="no table"),
        pytest.param("[server]\naddress = 3", "is no text", id="no address"),
        pytest.param("[group.a]\naccepts_any = 1", "neither true nor false", id="no truth"),
    ],
)
def test_what_is_wrong_is_said(text: str, part: str) -> None:
    with pytest.raises(InputError, match=part):
        parse(text, source="locks.toml")
