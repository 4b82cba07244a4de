from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

from nestos.slots.bootstate import Slot
from nestos.slots.disk import EtcReport
from nestos.slots.etc import OverlayEtc

Tree = dict[str, object]
ROOT = "root:x:0:0:root:/root:/bin/bash\n"


def grow(folder: Path, tree: Tree) -> Path:
    """Makes a folder: text becomes a file, a dict a folder, a tuple a symbolic link."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in tree.items():
        if isinstance(content, dict):
            grow(folder / name, content)
        elif isinstance(content, tuple):
            (folder / name).symlink_to(content[0])
        else:
            (folder / name).write_text(str(content))
    return folder


def harvest(folder: Path) -> Tree:
    tree: Tree = {}
    for path in sorted(folder.iterdir()):
        if path.is_symlink():
            tree[path.name] = (os.fspath(path.readlink()),)
        elif path.is_dir():
            tree[path.name] = harvest(path)
        else:
            tree[path.name] = path.read_text()
    return tree


class Place:
    """A store with what the running slot A changed, and the defaults of two releases."""

    def __init__(self, folder: Path, *, upper: Tree, old: Tree, new: Tree) -> None:
        self.folder = folder
        self.store = folder / "store"
        self.upper = grow(self.store / "a" / "upper", upper)
        grow(self.store / "a" / "work", {})
        self.old = grow(folder / "old", old)
        self.new = grow(folder / "new", new)
        self.etc = OverlayEtc(self.store, old_default=self.old, new_default=self.new)

    def follow(self) -> EtcReport:
        report = self.etc.stage(Slot.B)
        self.etc.sync()
        self.etc.publish(Slot.B)
        self.etc.sync_directory()
        return report

    @property
    def result(self) -> Tree:
        return harvest(self.store / "b" / "upper")


def test_the_passive_slot_gets_what_the_node_changed(tmp_path: Path) -> None:
    upper: Tree = {"hostname": "n1\n", "nestos": {"x.conf": "1"}, "localtime": ("../usr/share/zoneinfo/UTC",)}
    place = Place(tmp_path, upper=upper, old={}, new={})
    report = place.follow()
    assert place.result == upper
    assert report == EtcReport()
    assert sorted(path.name for path in place.store.iterdir()) == ["a", "b"]
    assert sorted(path.name for path in (place.store / "b").iterdir()) == ["upper", "work"]


def test_a_second_update_replaces_the_layer_and_leaves_the_running_one_alone(tmp_path: Path) -> None:
    place = Place(tmp_path, upper={"hostname": "n1\n", "gone": "x"}, old={}, new={})
    place.follow()
    (place.upper / "gone").unlink()
    (place.upper / "hostname").write_text("n2\n")
    place.follow()
    assert place.result == {"hostname": "n2\n"}
    assert harvest(place.upper) == {"hostname": "n2\n"}


def test_nothing_of_the_passive_slot_changes_before_it_is_published(tmp_path: Path) -> None:
    place = Place(tmp_path, upper={"hostname": "n1\n"}, old={}, new={})
    place.follow()
    (place.upper / "hostname").write_text("n2\n")
    place.etc.stage(Slot.B)
    place.etc.sync()
    assert place.result == {"hostname": "n1\n"}


def test_a_node_without_changes_gets_an_empty_layer(tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    layers = OverlayEtc(store, old_default=tmp_path / "old", new_default=tmp_path / "new")
    layers.stage(Slot.B)
    layers.publish(Slot.B)
    assert harvest(layers.upper(Slot.B)) == {}


def test_systemds_stamp_does_not_go_along_so_that_units_see_the_new_release(tmp_path: Path) -> None:
    place = Place(tmp_path, upper={".updated": "", "sub": {".updated": "kept"}}, old={}, new={})
    place.follow()
    assert place.result == {"sub": {".updated": "kept"}}


CONFLICTS: dict[str, tuple[Tree, Tree, Tree, tuple[str, ...]]] = {
    "changed here and by the release": ({"a": "mine"}, {"a": "1"}, {"a": "2"}, ("a",)),
    "changed here only": ({"a": "mine"}, {"a": "1"}, {"a": "1"}, ()),
    "changed by the release only": ({}, {"a": "1"}, {"a": "2"}, ()),
    "added by both": ({"a": "mine"}, {}, {"a": "2"}, ("a",)),
    "changed here, removed by the release": ({"d": {"a": "mine"}}, {"d": {"a": "1"}}, {"d": {}}, ("d/a",)),
    "a link of the release that points elsewhere": ({"a": "mine"}, {"a": ("x",)}, {"a": ("y",)}, ("a",)),
    "a folder here where the release now has a file": ({"d": {"x": "1"}}, {"d": {}}, {"d": "file"}, ("d",)),
}


@pytest.mark.parametrize(("upper", "old", "new", "conflicts"), CONFLICTS.values(), ids=CONFLICTS.keys())
def test_conflicts(upper: Tree, old: Tree, new: Tree, conflicts: tuple[str, ...], tmp_path: Path) -> None:
    place = Place(tmp_path, upper=upper, old=old, new=new)
    assert place.follow().conflicts == conflicts
    assert place.result == upper


def test_a_change_of_mode_by_the_release_is_a_change(tmp_path: Path) -> None:
    place = Place(tmp_path, upper={"a": "mine"}, old={"a": "1"}, new={"a": "1"})
    (place.new / "a").chmod(0o600)
    assert place.follow().conflicts == ("a",)


def test_a_file_that_has_become_the_releases_own_follows_it_again(tmp_path: Path) -> None:
    place = Place(tmp_path, upper={"a": "2", "l": ("x",)}, old={"a": "1"}, new={"a": "2", "l": ("x",)})
    report = place.follow()
    assert (report.released, report.conflicts) == (("a", "l"), ())
    assert place.result == {}
    assert harvest(place.upper) == {"a": "2", "l": ("x",)}


def test_a_folder_that_the_node_only_filled_follows_the_releases_mode(tmp_path: Path) -> None:
    place = Place(tmp_path, upper={"d": {"x": "1"}}, old={"d": {}}, new={"d": {}})
    (place.new / "d").chmod(0o700)
    assert place.follow().conflicts == ()
    assert stat.S_IMODE((place.store / "b/upper/d").stat().st_mode) == 0o700


def test_a_folder_whose_mode_both_changed_is_a_conflict(tmp_path: Path) -> None:
    place = Place(tmp_path, upper={"d": {}}, old={"d": {}}, new={"d": {}})
    (place.upper / "d").chmod(0o711)
    (place.new / "d").chmod(0o700)
    assert place.follow().conflicts == ("d",)
    assert stat.S_IMODE((place.store / "b/upper/d").stat().st_mode) == 0o711


def test_account_files_are_joined_and_are_no_conflict(tmp_path: Path) -> None:
    place = Place(
        tmp_path,
        upper={"passwd": ROOT + "ann:x:1000:1000::/home/ann:/bin/sh\n"},
        old={"passwd": ROOT},
        new={"passwd": ROOT + "new:x:980:980::/:/bin/false\n"},
    )
    report = place.follow()
    assert (report.merged, report.conflicts) == (("passwd",), ())
    assert [line.split(":")[0] for line in str(place.result["passwd"]).splitlines()] == ["root", "ann", "new"]


def test_modes_times_and_hard_links_are_copied(tmp_path: Path) -> None:
    place = Place(tmp_path, upper={"a": "x", "d": {}}, old={}, new={})
    os.link(place.upper / "a", place.upper / "d" / "b")
    (place.upper / "a").chmod(0o4750)
    os.utime(place.upper / "a", ns=(1, 123456789))
    os.utime(place.upper / "d", ns=(1, 987654321))
    os.mkfifo(place.upper / "pipe")
    place.follow()
    upper = place.store / "b" / "upper"
    copied = (upper / "a").stat()
    assert (stat.S_IMODE(copied.st_mode), copied.st_mtime_ns, copied.st_nlink) == (0o4750, 123456789, 2)
    assert (upper / "d" / "b").stat().st_ino == copied.st_ino
    assert (upper / "d").stat().st_mtime_ns == 987654321
    assert stat.S_ISFIFO((upper / "pipe").stat().st_mode)


def needs(error: OSError) -> None:
    if error.errno in {errno.EPERM, errno.ENOTSUP, errno.EACCES}:
        pytest.skip(f"not possible here: {error}")
    raise error


def test_whiteouts_go_along_and_conflict_if_the_release_changed_what_they_hide(tmp_path: Path) -> None:
    place = Place(tmp_path, upper={}, old={"a": "1", "b": "1"}, new={"a": "2", "b": "1"})
    try:
        for name in ("a", "b"):
            os.mknod(place.upper / name, stat.S_IFCHR, os.makedev(0, 0))
    except OSError as error:
        needs(error)
    assert place.follow().conflicts == ("a",)
    for name in ("a", "b"):
        status = (place.store / "b" / "upper" / name).lstat()
        assert stat.S_ISCHR(status.st_mode)
        assert status.st_rdev == 0


def test_a_folder_that_hides_the_releases_goes_along_and_marks_of_the_old_release_do_not(tmp_path: Path) -> None:
    place = Place(tmp_path, upper={"d": {"x": "1"}}, old={"d": {"y": "1"}}, new={"d": {"y": "2"}})
    marks = {"user.overlay.opaque": b"y", "user.overlay.origin": b"\0handle", "user.note": b"mine"}
    try:
        for name, value in marks.items():
            os.setxattr(place.upper / "d", name, value)
    except OSError as error:
        needs(error)
    assert place.follow().conflicts == ("d",)
    copied = place.store / "b" / "upper" / "d"
    assert {name: os.getxattr(copied, name) for name in os.listxattr(copied)} == {
        "user.overlay.opaque": b"y",
        "user.note": b"mine",
    }


def test_what_a_killed_update_left_is_cleared_away(tmp_path: Path) -> None:
    place = Place(tmp_path, upper={"a": "1"}, old={}, new={})
    grow(place.store / ".b.new" / "upper", {"half": "written"})
    place.follow()
    assert place.result == {"a": "1"}
