from __future__ import annotations

from pathlib import Path

import pytest

from nestos.layout import variable
from tests.unit.compose.trees import Entry, Link, picture, plant


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    me = tmp_path.stat()
    return plant(
        tmp_path,
        {
            "etc/passwd": f"me:x:{me.st_uid}:0::/:\nsame:x:{me.st_uid}:0::/:\n",
            "etc/group": f"us:x:{me.st_gid}:\n",
            "var": None,
        },
    )


def lines(tree: Path) -> list[str]:
    return (tree / "usr/lib/tmpfiles.d/nestos-packages.conf").read_text().splitlines()[1:]


def test_the_package_database_belongs_to_the_release_without_its_locks(tree: Path) -> None:
    plant(
        tree,
        {
            "var/lib/dpkg/status": "Package: x",
            "var/lib/dpkg/status-old": "",
            "var/lib/dpkg/lock": "",
            "var/lib/dpkg/lock-frontend": "",
            "var/lib/dpkg/info/x.list": "/.",
            "var/lib/ucf/hashfile": "",
            "var/lib/systemd/deb-systemd-helper-enabled/x": "",
        },
    )
    assert variable.settle(tree) == []
    assert picture(tree, "usr/lib/sysimage") == {
        "usr/lib/sysimage/deb-systemd-helper-enabled/x": "",
        "usr/lib/sysimage/dpkg/info/x.list": "/.",
        "usr/lib/sysimage/dpkg/status": "Package: x",
        "usr/lib/sysimage/ucf/hashfile": "",
    }
    assert not any((tree / "var").iterdir())


def test_folders_and_links_are_made_on_every_node_with_their_owners(tree: Path) -> None:
    plant(
        tree, {"var/mail": None, "var/lib/app/data": None, "var/spool/mail": Link("../mail"), "var/run": Link("/run")}
    )
    (tree / "var/mail").chmod(0o2775)
    (tree / "var/lib/app/data").chmod(0o700)
    variable.settle(tree)
    assert lines(tree) == [
        "d /var/lib/app 0755 me us -",
        "d /var/lib/app/data 0700 me us -",
        "d /var/mail 2775 me us -",
        "L /var/spool/mail - - - - ../mail",
    ]


def test_an_owner_without_a_name_keeps_its_number(tree: Path) -> None:
    plant(tree, {"etc/passwd": "", "etc/group": "", "var/x": None})
    variable.settle(tree)
    me = (tree / "etc").stat()
    assert lines(tree) == [f"d /var/x 0755 {me.st_uid} {me.st_gid} -"]


@pytest.mark.parametrize(
    ("entries", "line"),
    [
        ({"var/a b": None}, 'd "/var/a b" 0755 me us -'),
        ({"var/100%": None}, "d /var/100%% 0755 me us -"),
        ({"var/link": Link("to 50%")}, "L /var/link - - - - to 50%%"),
        ({'var/say "x"': None}, 'd "/var/say \\"x\\"" 0755 me us -'),
    ],
    ids=["a space", "a specifier", "a specifier in a target", "quotes"],
)
def test_odd_names_mean_themselves(tree: Path, entries: dict[str, Entry], line: str) -> None:
    variable.settle(plant(tree, entries))
    assert lines(tree) == [line]


def test_caches_and_logs_go_in_silence_and_other_files_are_told(tree: Path) -> None:
    plant(tree, {"var/cache/apt/x.bin": "", "var/log/dpkg.log": "", "var/lib/apt/lists/x": "", "var/lib/app/seed": ""})
    assert variable.settle(tree) == ["/var/lib/app/seed"]
    assert not any((tree / "var").iterdir())
