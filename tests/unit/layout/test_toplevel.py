from __future__ import annotations

from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.layout import toplevel
from tests.unit.compose.trees import Entry, Link, picture, plant

FRESH: dict[str, Entry] = {
    "usr/bin/true": "",
    "etc/hosts": "",
    "root/.bashrc": "",
    "root/.profile": "",
    "home": None,
    "opt": None,
    "srv": None,
    "mnt": None,
    "media": None,
    "usr/local/bin": None,
    "usr/local/man": Link("share/man"),
    "proc": None,
    "dev/null": "",
    "run/lock": None,
    "var/cache/x": "",
    "tmp/left": "",
}


def test_folders_that_a_node_writes_lead_into_var_and_mount_points_are_empty(tmp_path: Path) -> None:
    toplevel.settle(plant(tmp_path, FRESH))
    assert picture(tmp_path) == {
        "etc/hosts": "",
        "usr/bin/true": "",
        "home": "-> var/home",
        "root": "-> var/roothome",
        "opt": "-> var/opt",
        "srv": "-> var/srv",
        "mnt": "-> var/mnt",
        "media": "-> run/media",
        "usr/local": "-> ../var/usrlocal",
        "ostree": "-> run/nestos/ostree",
        **dict.fromkeys(("boot", "dev", "proc", "run", "sys", "tmp", "var", "sysroot")),
    }
    assert (tmp_path / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (tmp_path / "var").stat().st_mode & 0o7777 == 0o755


def test_settling_twice_changes_nothing(tmp_path: Path) -> None:
    toplevel.settle(plant(tmp_path, FRESH))
    once = picture(tmp_path)
    toplevel.settle(tmp_path)
    assert picture(tmp_path) == once


def test_files_that_would_be_lost_are_refused_all_at_once_before_anything_is_changed(tmp_path: Path) -> None:
    plant(tmp_path, FRESH | {"opt/vendor/bin/agent": "", "usr/local/bin/tool": Link("/bin/true")})
    before = picture(tmp_path)
    with pytest.raises(InputError) as caught:
        toplevel.settle(tmp_path)
    assert str(caught.value).splitlines()[1:] == ["  /opt/vendor/bin/agent", "  /usr/local/bin/tool"]
    assert picture(tmp_path) == before


def test_etc_becomes_the_releases_defaults(tmp_path: Path) -> None:
    plant(tmp_path, {"etc/hosts": "x", "usr": None})
    toplevel.move_etc(tmp_path)
    assert picture(tmp_path) == {"etc": None, "usr/etc/hosts": "x"}
