from __future__ import annotations

import io
from pathlib import Path, PurePosixPath

import pytest

from nestos.base.errors import CommandError, InputError
from nestos.base.log import Progress
from nestos.compose import tree
from nestos.compose.keys import SigningKey
from nestos.compose.tree import add_files, run_scripts
from nestos.host import process
from nestos.host.packages.backend import Resolution
from nestos.layout import initramfs
from nestos.wire.manifest.model import AddedFile, Manifest, RemovedFromPackage, Script, SystemUser
from tests.unit.compose.trees import Entry, Link, picture, plant
from tests.unit.host.scripted import Call, Scripted


def manifest(**changes: object) -> Manifest:
    return Manifest(ref="nestos/x86_64/test", arch="x86_64", **changes)  # type: ignore[arg-type]


def added(source: Path, target: str, *, mode: int = 0o644, link: str | None = None) -> AddedFile:
    return AddedFile(source=source, target=PurePosixPath(target), mode=mode, link=link)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return plant(tmp_path, {"source": "content"}) / "source"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return plant(tmp_path / "tree", {"usr/bin/true": "", "etc/hosts": "old"})


# add-files


def test_files_and_links_are_added_with_their_modes(root: Path, source: Path) -> None:
    entries = (added(source, "/usr/lib/x/tool", mode=0o755), added(source, "/usr/lib/link", link="x/tool"))
    add_files(root, manifest(add_files=entries))
    assert picture(root, "usr/lib") == {"usr/lib/link": "-> x/tool", "usr/lib/x/tool": "content"}
    assert (root / "usr/lib/x/tool").stat().st_mode & 0o777 == 0o755


def test_a_later_entry_replaces_a_file_or_link_and_never_writes_through_it(root: Path, source: Path) -> None:
    plant(root, {"etc/link": Link("hosts")})
    add_files(root, manifest(add_files=(added(source, "/etc/link"),)))
    assert picture(root, "etc") == {"etc/hosts": "old", "etc/link": "content"}


def test_a_link_in_the_tree_leads_nowhere_outside_it(root: Path, source: Path) -> None:
    plant(root, {"usr/out": Link("/etc"), "usr/up": Link("../../..")})
    add_files(root, manifest(add_files=(added(source, "/usr/out/a"), added(source, "/usr/up/b"))))
    assert picture(root)["etc/a"] == "content"
    assert picture(root)["b"] == "content"


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        ("/usr/bin", "add-files: /usr/bin cannot be put into the tree: Is a directory"),
        ("/etc/hosts/x", "add-files: /etc/hosts/x cannot be put into the tree"),
    ],
    ids=["on a folder", "below a file"],
)
def test_a_place_that_is_taken_is_named(root: Path, source: Path, target: str, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        add_files(root, manifest(add_files=(added(source, target),)))


def test_a_source_that_is_gone_is_named(root: Path, source: Path) -> None:
    source.unlink()
    with pytest.raises(InputError, match=f"add-files: {source} cannot be read: No such file"):
        add_files(root, manifest(add_files=(added(source, "/usr/x"),)))


# Scripts


def test_scripts_run_in_their_order_inside_and_leave_no_trace(root: Path) -> None:
    texts = []
    inside = Scripted()
    inside.on(does=lambda call: texts.append((root / call.line[0].lstrip("/")).read_text()))
    before = picture(root)
    run_scripts(root, manifest(scripts=(Script(text="#!/bin/sh\none"), Script(text="#!/bin/sh\ntwo"))), inside=inside)
    assert texts == ["#!/bin/sh\none", "#!/bin/sh\ntwo"]
    assert picture(root) == before


def test_a_script_can_be_executed(root: Path) -> None:
    inside = Scripted()
    modes: list[int] = []
    inside.on(does=lambda call: modes.append((root / call.line[0].lstrip("/")).stat().st_mode & 0o777))
    run_scripts(root, manifest(scripts=(Script(text="#!/bin/sh\n"),)), inside=inside)
    assert modes == [0o755]


def test_a_script_that_fails_is_named_by_where_it_was_written(root: Path) -> None:
    inside = Scripted()
    noise = "\n".join(map(str, range(100)))
    inside.on("/usr/.nestos-script-1", returncode=7, stderr=f"{noise}\nthe last words")
    scripts = tuple(Script(text="#!/bin/sh\n", origin=f"base.yaml:{line}") for line in (3, 9, 12))
    with pytest.raises(CommandError) as caught:
        run_scripts(root, manifest(scripts=scripts), inside=inside)
    sentence = str(caught.value)
    assert sentence.startswith("the postprocess script from base.yaml:9 failed with exit status 7:")
    assert sentence.endswith("the last words")
    assert len(sentence.splitlines()) == 21
    assert len(inside.calls) == 2
    assert not list(root.glob("usr/.nestos*"))


def test_a_script_without_an_origin_is_counted(root: Path) -> None:
    inside = Scripted()
    inside.on(returncode=1)
    with pytest.raises(CommandError, match="script from number 1 failed"):
        run_scripts(root, manifest(scripts=(Script(text="#!/bin/sh\n"),)), inside=inside)


# Accounts


def test_a_user_brings_a_group_of_the_same_id() -> None:
    users = {"sshd": SystemUser(uid=989, gid=65534), "polkitd": SystemUser(uid=988, gid=988)}
    table = tree.accounts_of(manifest(system_users=users, system_groups={"docker": 102}))
    assert table.groups == {"docker": 102, "polkitd": 988}
    assert table.users["sshd"] == (989, 65534, "", "/nonexistent", "/usr/sbin/nologin")


# Removals, through the whole composition

KERNEL = "6.12.1"
INSTALLED: dict[str, Entry] = {
    **{name: Link(f"usr/{name}") for name in ("bin", "sbin", "lib")},
    "boot/vmlinuz-6.12.1": "kernel",
    f"usr/lib/modules/{KERNEL}/modules.dep": "",
    "usr/bin/env": "",
    "usr/share/x/keep": "",
    "usr/share/x/drop.1": "",
    "usr/share/games": None,
    "usr/lib/os-release": "ID=debian\n",
    "usr/lib/systemd/system/ssh.service": "",
    "etc/passwd": "root:x:0:0::/root:/bin/sh\nnestos-agent:x:99:99::/:/x\n",
    "etc/group": "root:x:0:\nnestos-agent:x:99:\n",
    "etc/ssh/ssh_host_rsa_key": "secret",
    "var/lib/dpkg/status": "",
    "var/cache/x": "",
}


class World:
    """Everything a composition needs, in memory or below one folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = plant(folder / "root", INSTALLED)
        self.target = folder / "build/tree"
        self.public = plant(folder, {"key.gpg": "public"}) / "key.gpg"
        self.caches = folder / "caches"
        self.inside = Scripted()
        self.inside.on("dracut", does=self._dracut)
        self.inside.on("lsinitrd", stdout="\n".join(initramfs._PROOFS))
        self.outside = Scripted()
        self.outside.on("cp", does=self._copy)
        self.said = io.StringIO()
        monkeypatch.setattr(process, "run", self.outside)
        monkeypatch.setattr(tree, "Toolbox", lambda target: self.inside)

    def _copy(self, call: Call) -> None:
        for name, entry in INSTALLED.items():
            plant(self.target, {name: entry})

    def _dracut(self, call: Call) -> None:
        plant(self.target, {f"usr/lib/modules/{KERNEL}/initramfs.img": "image"})

    def compose(self, **changes: object) -> tree.Tree:
        key = SigningKey(home=self.public.parent, fingerprint="F", public=self.public)
        return tree.compose(
            manifest(**changes),
            Resolution(packages=(), timestamp=0),
            version="1.0",
            root=self.root,
            target=self.target,
            key=key,
            backend=_Backend(),
            caches=self.caches,
            packages_digest="p",
            progress=Progress(self.said),
        )


class _Backend:
    """Knows one package."""

    name = "fake"

    def installed(self, target: Path) -> dict[str, str]:
        assert (target / "usr/lib/sysimage/dpkg/status").exists()
        return {"x": "1"}

    def resolve(self, request: object) -> Resolution:
        raise AssertionError

    def fetch(self, resolution: object) -> Path:
        raise AssertionError

    def install(self, resolution: object, *, target: Path, accounts: object) -> None:
        raise AssertionError

    def files(self, target: Path, package: str) -> list[str]:
        assert (target / "usr").is_dir()
        if package != "x":
            raise InputError(f"the package {package!r} is not in the tree")
        return ["/usr/share/x/keep", "/usr/share/x/drop.1", "/usr/share/x"]


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return World(tmp_path, monkeypatch)


def test_an_installed_root_becomes_a_tree_without_a_finding(world: World) -> None:
    made = world.compose()
    assert (made.path, made.kernel, made.packages) == (world.target, KERNEL, {"x": "1"})
    assert (world.target / "usr/share/nestos/keys/nestos.gpg").read_text() == "public"
    assert (world.target / f"usr/lib/modules/{KERNEL}/vmlinuz").read_text() == "kernel"
    assert not (world.target / "usr/etc/ssh/ssh_host_rsa_key").exists()
    assert picture(world.root)["boot/vmlinuz-6.12.1"] == "kernel"  # the root stays as it is
    assert "error" not in world.said.getvalue()


def test_what_was_left_of_an_earlier_attempt_is_gone(world: World) -> None:
    plant(world.target, {"usr/old": ""})
    world.compose()
    assert not (world.target / "usr/old").exists()


def test_named_paths_are_removed_and_of_packages_the_files_that_match(world: World) -> None:
    world.compose(
        remove_files=("usr/share/games", "/usr/bin/env", "/usr/none"),
        remove_from_packages=(RemovedFromPackage(package="x", patterns=(r"/usr/share/x.*\d",)),),
    )
    assert picture(world.target, "usr/share/x") == {"usr/share/x/keep": ""}
    assert not (world.target / "usr/share/games").exists()
    assert not (world.target / "usr/bin/env").exists()


def test_a_pattern_matches_whole_paths_and_folders_stay(world: World) -> None:
    world.compose(remove_from_packages=(RemovedFromPackage(package="x", patterns=("/usr/share/x", "drop")),))
    assert set(picture(world.target, "usr/share/x")) == {"usr/share/x/keep", "usr/share/x/drop.1"}


@pytest.mark.parametrize("path", ["/", "usr/..", "/usr/../../"])
def test_the_whole_tree_is_not_removed(world: World, path: str) -> None:
    with pytest.raises(InputError, match=f"remove-files: {path} is the whole tree"):
        world.compose(remove_files=(path,))


def test_removing_from_a_package_that_is_not_there_names_it(world: World) -> None:
    with pytest.raises(InputError, match="remove-from-packages: the package 'z' is not in the tree"):
        world.compose(remove_from_packages=(RemovedFromPackage(package="z", patterns=("/x",)),))


def test_an_account_that_a_script_made_is_checked_too(world: World) -> None:
    passwd = "root:x:0:0::/root:/bin/sh\nodd:x:500:0::/:/bin/sh\n"
    world.inside.on("/usr/.nestos-script-0", does=lambda call: plant(world.target, {"etc/passwd": passwd}))
    with pytest.raises(InputError, match="user odd: 500"):
        world.compose(scripts=(Script(text="#!/bin/sh\n"),))


def test_a_tree_with_errors_is_not_a_release_and_all_are_told(world: World) -> None:
    spoil: dict[str, Entry] = {"etc/ssh/ssh_host_x_key": "", "etc/x.dpkg-old": "", "data": None}
    world.inside.on("/usr/.nestos-script-0", does=lambda call: plant(world.target, spoil))
    with pytest.raises(InputError, match="the tree is not fit for a release") as caught:
        world.compose(scripts=(Script(text="#!/bin/sh\n"),))
    assert all(name in str(caught.value) for name in ("ssh_host_x_key", "x.dpkg-old", "$.data"))
