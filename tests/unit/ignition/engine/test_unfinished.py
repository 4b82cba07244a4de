"""A first boot that is cut off, and the next try, whose end is that of a first boot that was not cut."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nestos.ignition.engine import unfinished
from nestos.ignition.engine.files import leftovers
from nestos.ignition.engine.files.nodes import Work, Writer
from tests.unit.ignition.engine.bench import Bench

BOOT = "0a"
CONFIG: dict[str, Any] = {
    "passwd": {"users": [{"name": "ada"}]},
    "storage": {
        "directories": [{"path": "/var/lib/app/data", "mode": 0o700}],
        "files": [
            {"path": "/etc/app.conf", "contents": {"source": "data:,app"}},
            {"path": "/var/lib/app/data/one", "contents": {"source": "data:,one"}},
            {"path": "/var/lib/two", "contents": {"source": "data:,two"}},
            {"path": "/var/log/old", "append": [{"source": "data:,more"}]},
            {"path": "/var/lib/replaced", "overwrite": True, "contents": {"source": "data:,new"}},
        ],
        "links": [
            {"path": "/var/lib/link", "target": "two"},
            {"path": "/var/lib/hard", "target": "/var/lib/two", "hard": True},
        ],
    },
}
STEPS = 9


class PowerCutError(BaseException):
    """Nothing that a handler would catch."""


@pytest.fixture
def first_boot(machine: Bench) -> Bench:
    """A machine whose boot partition has the stamp, and whose /var has a user's files."""
    with (machine.folder / "cmdline").open("a") as file:
        file.write(f"nestos.boot={BOOT} ignition.firstboot\n")
    device = machine.folder / "top/dev/disk/by-partuuid" / BOOT
    device.parent.mkdir(parents=True)
    device.touch()
    stamp(machine).parent.mkdir(parents=True)
    stamp(machine).write_text("set ignition_network_kcmdline=ip=dhcp")
    for name, text in {"log/old": "old,", "lib/replaced": "a user's\n", "lib/mine": "mine\n"}.items():
        path = machine.root / "var" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (machine.root / "home").mkdir()
    shutil.copytree(machine.root / "etc", machine.folder / "release")
    machine.give(CONFIG)
    assert machine.stage("fetch") == 0
    return machine


def stamp(machine: Bench) -> Path:
    return machine.folder / "top/run/ignition/boot/ignition.firstboot"


def restart(machine: Bench) -> None:
    """What a restart as a first boot does: /etc is empty again."""
    shutil.rmtree(machine.root / "etc")
    shutil.copytree(machine.folder / "release", machine.root / "etc")


def tree(machine: Bench) -> dict[str, str]:
    found = {}
    for path in sorted(machine.root.rglob("*")):
        if path.name == ".ignition-result.json":
            continue
        what = path.readlink() if path.is_symlink() else path.read_text() if path.is_file() else "directory"
        found[str(path.relative_to(machine.root))] = f"{path.lstat().st_mode:o} {path.lstat().st_nlink} {what}"
    return found


def var(machine: Bench) -> dict[str, str]:
    return {name: text for name, text in tree(machine).items() if name.startswith("var/")}


def cutting(after: int, *, loses: bool) -> Callable[[Writer, Work], None]:
    """Does as many pieces of work, then the power goes; ``loses``: what was written last is empty on the disk."""
    put, left = Writer._put, [after]

    def cut(self: Writer, work: Work) -> None:
        if left[0] == 0:
            raise PowerCutError
        left[0] -= 1
        is_new = not os.path.lexists(work.path)
        put(self, work)
        if loses and left[0] == 0 and is_new and work.what == "file":
            Path(work.path).write_text("")

    return cut


@pytest.mark.parametrize("loses", [False, True], ids=["kept", "lost"])
@pytest.mark.parametrize("after", range(STEPS))
def test_a_cut_anywhere_in_the_files_stage_is_made_good_by_the_next_try(
    first_boot: Bench, monkeypatch: pytest.MonkeyPatch, after: int, loses: bool
) -> None:
    with monkeypatch.context() as patched, pytest.raises(PowerCutError):
        patched.setattr(Writer, "_put", cutting(after, loses=loses))
        first_boot.stage("files")
        raise PowerCutError  # after all of it
    (first_boot.root / "var/lib/.ignition.77.0").write_text("a temporary file of the run that was cut")
    restart(first_boot)

    assert first_boot.stage("files") == 0, first_boot.said

    found = tree(first_boot)
    assert found["var/lib/app/data"] == "40700 2 directory"
    assert {name: text.partition(" ")[2] for name, text in found.items() if name.startswith(("var/l", "etc/app"))} == {
        "etc/app.conf": "1 app",
        "var/lib": "3 directory",
        "var/lib/app": "3 directory",
        "var/lib/app/data": "2 directory",
        "var/lib/app/data/one": "1 one",
        "var/lib/hard": "2 two",
        "var/lib/link": "1 two",
        "var/lib/mine": "1 mine\n",
        "var/lib/replaced": "1 new",
        "var/lib/two": "2 two",
        "var/log": "2 directory",
        "var/log/old": "1 old,more",
    }
    assert "home/ada" in found


def test_without_notes_a_second_run_is_refused_as_ever(first_boot: Bench) -> None:
    assert first_boot.stage("files") == 0
    restart(first_boot)
    stamp(first_boot).write_text("")  # an operator asks for the node to be provisioned again
    before = var(first_boot)

    assert first_boot.stage("files") == 1
    assert "/var/lib/two exists already, and overwrite is false" in first_boot.said
    assert var(first_boot) == before


def test_a_half_made_home_is_made_anew(first_boot: Bench) -> None:
    assert first_boot.stage("files") == 0
    restart(first_boot)
    (first_boot.root / "home/ada/half").touch()

    assert first_boot.stage("files") == 0
    assert not (first_boot.root / "home/ada/half").exists()


def test_what_lies_on_another_file_system_now_is_not_touched(
    first_boot: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = first_boot.root / "var/lib/two"
    leftovers.note(first_boot.job(), [str(path)])
    path.write_text("a user's")
    real = os.statvfs

    class Other:
        f_fsid = real(path).f_fsid + 1

    monkeypatch.setattr(os, "statvfs", lambda _path: Other)
    leftovers.undo(first_boot.job())

    assert path.read_text() == "a user's"


def test_a_torn_line_is_no_note_and_spoils_none_after_it(first_boot: Bench) -> None:
    job = first_boot.job()
    unfinished.add(job, [{"path": "/var/a", "filesystem": 1}])
    with stamp(first_boot).open("a") as file:
        file.write('# unfinished: {"path": "/var/to')

    unfinished.add(job, [{"path": "/var/b", "filesystem": 1}])

    assert [note["path"] for note in unfinished.notes(job)] == ["/var/a", "/var/b"]
    lines = stamp(first_boot).read_text().splitlines()
    assert lines[0] == "set ignition_network_kcmdline=ip=dhcp"
    assert all(line.startswith("#") for line in lines[1:] if line)


@pytest.mark.parametrize("words", ["ignition.firstboot", f"nestos.boot={BOOT}"])
def test_nothing_is_noted_where_this_is_no_first_boot_of_an_image(first_boot: Bench, words: str) -> None:
    (first_boot.folder / "cmdline").write_text(words)

    unfinished.add(first_boot.job(), [{"path": "/var/a", "filesystem": 1}])

    assert unfinished.notes(first_boot.job()) == []
    assert "unfinished" not in stamp(first_boot).read_text()


def test_the_boot_partition_is_mounted_only_while_it_is_used(first_boot: Bench) -> None:
    unfinished.add(first_boot.job(), [{"path": "/var/a", "filesystem": 1}])

    words = [command[0] for command in first_boot.tools.commands]
    assert words == ["mount", "umount"]
    assert "--options=rw,nosuid,nodev,noexec" in first_boot.tools.commands[0]
