"""Users, groups and keys."""

from __future__ import annotations

import stat
from typing import Any

import pytest

from tests.unit.ignition.engine.bench import Bench


def provisioned(machine: Bench, **passwd: Any) -> list[str]:
    """The commands that a config with these accounts leads to."""
    machine.give({"passwd": passwd})
    assert machine.stage("fetch-offline") == 0, machine.said
    assert machine.stage("files") == 0, machine.said
    return [" ".join(command) for command in machine.tools.commands]


def test_a_new_user_has_a_home_and_no_password(machine: Bench) -> None:
    assert provisioned(machine, users=[{"name": "u"}]) == ["useradd --root=ROOT --password=* --create-home -- u"]


def test_every_field_of_a_new_user_is_passed_on(machine: Bench) -> None:
    user = {
        "name": "u",
        "uid": 1234,
        "gecos": "A User",
        "homeDir": "/srv/u",
        "primaryGroup": "adm",
        "groups": ["docker", "sudo"],
        "noUserGroup": True,
        "system": True,
        "noLogInit": True,
        "shell": "/bin/zsh",
    }

    assert provisioned(machine, users=[user]) == [
        "useradd --root=ROOT --password=* --uid=1234 --comment=A User --gid=adm --groups=docker,sudo --shell=/bin/zsh "
        "--home-dir=/srv/u --create-home --no-user-group --system --no-log-init -- u"
    ]


def test_a_user_that_is_there_is_modified(machine: Bench) -> None:
    users = [{"name": "daemon", "shell": "/bin/sh", "homeDir": "/var/d", "noCreateHome": True}]

    assert provisioned(machine, users=users) == [
        "usermod --root=ROOT --shell=/bin/sh --home=/var/d --move-home -- daemon"
    ]


def test_a_password_hash_is_given_as_a_secret(machine: Bench) -> None:
    commands = provisioned(machine, users=[{"name": "daemon", "passwordHash": "$y$x"}])

    assert commands == ["usermod --root=ROOT --password=$y$x -- daemon"] * 2
    assert machine.tools.secrets == ["$y$x"] * 2


def test_an_empty_password_hash_locks(machine: Bench) -> None:
    assert (
        provisioned(machine, users=[{"name": "daemon", "passwordHash": ""}])
        == ["usermod --root=ROOT --password=* -- daemon"] * 2
    )


def test_users_and_groups_that_should_not_exist_go(machine: Bench) -> None:
    gone = {"shouldExist": False}
    users = [{"name": "daemon", **gone}, {"name": "never-was", **gone}]
    groups = [{"name": "adm", **gone}, {"name": "never-was", **gone}]

    assert provisioned(machine, users=users, groups=groups) == [
        "groupdel --root=ROOT -- adm",
        "userdel --root=ROOT --remove -- daemon",
    ]


def test_groups_come_before_users(machine: Bench) -> None:
    groups = [{"name": "g", "gid": 77, "system": True}, {"name": "adm", "gid": 4}, {"name": "p", "passwordHash": "h"}]

    assert provisioned(machine, users=[{"name": "u", "groups": ["g"]}], groups=groups) == [
        "groupadd --root=ROOT --gid=77 --system -- g",
        "groupmod --root=ROOT --gid=4 -- adm",
        "groupadd --root=ROOT --password=h -- p",
        "useradd --root=ROOT --password=* --groups=g --create-home -- u",
    ]


def test_keys_are_written_as_the_user_into_a_fragment(machine: Bench) -> None:
    provisioned(machine, users=[{"name": "u", "sshAuthorizedKeys": ["ssh-ed25519 A", "ssh-ed25519 B\n"]}])

    path = machine.root / "home/u/.ssh/authorized_keys.d/ignition"
    assert path.read_text() == "ssh-ed25519 A\nssh-ed25519 B\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)] == [0o700, 0o700]
    assert machine.owners.acted_as == [(1000, 1000)]


def test_keys_go_to_the_ordinary_file_where_fragments_are_switched_off(machine: Bench) -> None:
    machine.environment["IGNITION_WRITE_AUTHORIZED_KEYS_FRAGMENT"] = "false"

    provisioned(machine, users=[{"name": "u", "sshAuthorizedKeys": ["k"]}])

    assert (machine.root / "home/u/.ssh/authorized_keys").read_text() == "k\n"


def test_a_link_in_a_home_does_not_lead_out_of_the_root(machine: Bench) -> None:
    outside = machine.folder / "outside"
    outside.mkdir()
    (machine.root / "home").symlink_to("/var/home")
    machine.give({"passwd": {"users": [{"name": "u", "sshAuthorizedKeys": ["k"]}]}})
    machine.stage("fetch-offline")

    assert machine.stage("files") == 0, machine.said
    assert (machine.root / "var/home/u/.ssh/authorized_keys.d/ignition").exists()
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("tool", ["useradd", "usermod"])
def test_a_tool_that_fails_fails_the_stage(tool: str, machine: Bench) -> None:
    machine.tools.failing = {tool}
    machine.give({"passwd": {"users": [{"name": "u", "passwordHash": "h"}]}})
    machine.stage("fetch-offline")

    assert machine.stage("files") == 1
    assert f"exit status 1 from: {tool}" in machine.said


def test_homes_that_were_made_for_mounting_are_given_to_their_users(machine: Bench) -> None:
    machine.give({"passwd": {"users": [{"name": "u"}, {"name": "daemon"}]}})
    machine.stage("fetch-offline")
    for name in ("home", "home/u", "home/u/data"):
        (machine.root / name).mkdir()
    noted = ["/home", "/home/u", "/home/u/data"]
    machine.job().write_state({**machine.job().read_state(), "notatedDirectories": noted})

    assert machine.stage("files") == 0, machine.said

    given = [machine.owners.of(machine.root / name.lstrip("/")) for name in noted]
    assert given == [None, (1000, 1000), (1000, 1000)]
    assert stat.S_IMODE((machine.root / "home/u").stat().st_mode) == 0o700


def test_a_home_behind_a_link_that_was_made_for_mounting_is_given_too(machine: Bench) -> None:
    machine.give({"passwd": {"users": [{"name": "u"}]}})
    machine.stage("fetch-offline")
    (machine.root / "var/home/u").mkdir(parents=True)
    (machine.root / "home").symlink_to("var/home")
    noted = ["/var/home", "/var/home/u"]
    machine.job().write_state({**machine.job().read_state(), "notatedDirectories": noted})

    assert machine.stage("files") == 0, machine.said

    given = [machine.owners.of(machine.root / name.lstrip("/")) for name in noted]
    assert given == [None, (1000, 1000)]
