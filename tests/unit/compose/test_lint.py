from __future__ import annotations

import os
from pathlib import Path

import pytest

from nestos.base.report import Severity
from nestos.compose import lint
from nestos.layout.toplevel import LINKS
from tests.unit.compose.trees import Entry, Link, Program, plant

PASSWD, GROUP = "usr/etc/passwd", "usr/etc/group"
KERNEL = "usr/lib/modules/6.12.1"
GOOD: dict[str, Entry] = {
    **dict.fromkeys(("boot", "dev", "etc", "proc", "run", "sys", "sysroot", "tmp", "var")),
    **{name: Link(target) for name, target in LINKS.items()},
    "bin": Link("usr/bin"),
    "sbin": Link("usr/sbin"),
    "lib": Link("usr/lib"),
    "lib64": Link("usr/lib64"),
    "usr/bin/sudo": Program(0o4755),
    f"{KERNEL}/vmlinuz": "",
    f"{KERNEL}/initramfs.img": "",
    "usr/lib/sysimage/dpkg/status": "",
    "usr/lib/sysusers.d/ssh.conf": '# c\nu! sshd - "x"\ng docker 102 -\nm sshd docker\n',
    "usr/lib/tmpfiles.d/nestos.conf": "# c\n"
    + "".join(f"d /{target.removeprefix('../')} 0755 root root -\n" for target in LINKS.values()),
    "usr/etc/machine-id": "uninitialized\n",
    "usr/etc/passwd": "root:x:0:0::/root:/bin/sh\nsshd:x:989:65534::/:/x\nnobody:x:65534:65534::/:/x\n",
    "usr/etc/group": "root:x:0:\ndocker:x:102:\nnogroup:x:65534:\n",
    "usr/etc/resolv.conf": Link("../run/systemd/resolve/stub-resolv.conf"),
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree").mkdir()
    return plant(tmp_path / "tree", GOOD)


def findings(tree: Path) -> list[tuple[str, str]]:
    return [(str(item.path[0]), item.message) for item in lint.check(tree)]


def remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        for child in path.iterdir():
            remove(child)
        path.rmdir()
    else:
        path.unlink()


def test_a_tree_as_the_layout_makes_it_has_no_finding(tree: Path) -> None:
    assert findings(tree) == []


@pytest.mark.parametrize(
    ("entries", "place", "words"),
    [
        ({"usr/lib/modules/6.1/vmlinuz": ""}, "usr/lib/modules", "6.1, 6.12.1"),
        ({"boot/vmlinuz": ""}, "boot", "must be empty; it holds vmlinuz"),
        ({"var/lib/app": None}, "var", "must be empty; it holds lib"),
        ({"run/lock": Link("x")}, "run", "must be empty"),
        ({"etc/hosts": ""}, "etc", "must be empty"),
        ({f"dev/{number}": "" for number in range(7)}, "dev", "it holds 0, 1, 2, 3, 4 and 2 more"),
        ({"srv": Link("/var/srv")}, "srv", "must be a link to var/srv; it is /var/srv"),
        ({"lib64": Link("lib")}, "lib64", "must be a link to usr/lib64"),
        ({"data/x": ""}, "data", "outside the layout"),
        ({"vmlinuz": Link("boot/vmlinuz")}, "vmlinuz", "outside the layout"),
        ({"usr/etc/machine-id": "0123456789abcdef0123456789abcdef\n"}, "usr/etc/machine-id", "same machine id"),
        ({"usr/etc/ssh/ssh_host_rsa_key": ""}, "usr/etc/ssh/ssh_host_rsa_key", "same host key"),
        ({"usr/etc/ssh/ssh_host_rsa_key.pub": ""}, "usr/etc/ssh/ssh_host_rsa_key.pub", "same host key"),
        ({"usr/etc/pam.d/login.dpkg-old": ""}, "usr/etc/pam.d/login.dpkg-old", "back-up copy"),
        ({"usr/etc/hosts~": ""}, "usr/etc/hosts~", "back-up copy"),
        ({"usr/etc/sudo.conf.ucf-dist": ""}, "usr/etc/sudo.conf.ucf-dist", "back-up copy"),
        ({"usr/etc/passwd-": ""}, "usr/etc/passwd-", "left over"),
        ({"usr/etc/.pwd.lock": ""}, "usr/etc/.pwd.lock", "left over"),
        ({"usr/lib/x/open": Program(0o666)}, "usr/lib/x/open", "can be written by everyone (-rw-rw-rw-)"),
        ({PASSWD: "anna:x:1000:0::/:\n"}, PASSWD, "anna has the ordinary id 1000"),
        ({PASSWD: "root:x:0:7::/:\n"}, PASSWD, "root has the group 7, which does not exist"),
        ({GROUP: "root:x:0:\nbroken\n"}, GROUP, "names no account: 'broken'"),
        ({"usr/lib/sysusers.d/a.conf": "g tss 105\n"}, "usr/lib/sysusers.d/a.conf", 'has "g tss"'),
        ({"usr/lib/sysusers.d/a.conf": "u sshd 100:65534\n"}, "usr/lib/sysusers.d/a.conf", "the account files say 989"),
        ({"usr/lib/tmpfiles.d/nestos.conf": ""}, "usr/lib/tmpfiles.d", "nothing makes /var/home, where /home leads"),
    ],
    ids=[
        *("two kernels", "boot", "var", "run", "etc", "many", "a wrong link", "a wrong merge", "a folder", "a link"),
        *("machine id", "host key", "its public half", "dpkg", "editor", "ucf", "account back-up", "account lock"),
        *("writable", "a person", "no such group", "not an account", "sysusers name", "sysusers id", "tmpfiles"),
    ],
)  # fmt: skip
def test_what_a_release_must_not_hold_is_an_error_at_its_place(
    tree: Path, entries: dict[str, Entry], place: str, words: str
) -> None:
    plant(tree, entries)
    found = findings(tree)
    assert any(path == place and words in message for path, message in found), found
    assert lint.check(tree).is_fatal


@pytest.mark.parametrize(
    ("gone", "place", "words"),
    [
        (f"{KERNEL}/vmlinuz", f"{KERNEL}/vmlinuz", "a node boots from it"),
        (f"{KERNEL}/initramfs.img", f"{KERNEL}/initramfs.img", "a node boots from it"),
        (KERNEL, "usr/lib/modules", "here are: none"),
        ("proc", "proc", "must be an empty folder"),
        ("home", "home", "it is no link"),
        ("bin", "bin", "it is no link"),
        ("usr/lib/sysimage/dpkg/status", "usr/lib/sysimage", "belongs to the release"),
        ("usr/etc/machine-id", "usr/etc/machine-id", "is missing"),
        ("usr/etc/passwd", "usr/etc/passwd", "is missing or empty"),
    ],
)
def test_what_a_release_needs_is_missed(tree: Path, gone: str, place: str, words: str) -> None:
    remove(tree / gone)
    assert any(path == place and words in message for path, message in findings(tree))


@pytest.mark.parametrize("text", ["", "uninitialized\n"])
def test_a_machine_id_without_a_value_is_right(tree: Path, text: str) -> None:
    (tree / "usr/etc/machine-id").write_text(text)
    assert findings(tree) == []


@pytest.mark.parametrize("mode", [0o4755, 0o2755], ids=["setuid", "setgid"])
def test_an_unknown_privileged_program_is_reported_and_does_not_stop_the_compose(tree: Path, mode: int) -> None:
    plant(tree, {"usr/bin/odd": Program(mode)})
    (finding,) = lint.check(tree)
    assert (finding.severity, finding.path) == (Severity.WARNING, ("usr/bin/odd",))


def test_a_setgid_folder_is_no_program(tree: Path) -> None:
    plant(tree, {"usr/share/shared": None})
    (tree / "usr/share/shared").chmod(0o2755)
    assert findings(tree) == []


def test_a_name_that_is_not_utf8_is_found(tree: Path) -> None:
    with open(os.fsencode(tree) + b"/usr/bin/caf\xe9", "wb"):
        pass
    assert ("usr/bin/caf�", "the name is not UTF-8") in findings(tree)


def test_a_fifo_is_neither_file_nor_folder_nor_link(tree: Path) -> None:
    os.mkfifo(tree / "usr/lib/pipe")
    assert [path for path, _ in findings(tree)] == ["usr/lib/pipe"]


def test_links_are_not_followed_out_of_the_tree(tree: Path) -> None:
    plant(tree.parent, {"outside/open": Program(0o666)})
    plant(tree, {"usr/lib/out": Link("../../../outside")})
    assert findings(tree) == []


def test_every_finding_is_told_at_once(tree: Path) -> None:
    plant(tree, {"boot/x": "", "data/x": "", "usr/etc/x.bak": ""})
    assert [path for path, _ in findings(tree)] == ["boot", "data", "usr/etc/x.bak"]


def test_nothing_is_changed(tree: Path) -> None:
    before = sorted((path, path.lstat().st_mtime_ns) for path in tree.rglob("*"))
    lint.check(tree)
    assert sorted((path, path.lstat().st_mtime_ns) for path in tree.rglob("*")) == before
