"""Packages laid on a tree with the real apt, dpkg, overlayfs and bubblewrap."""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from nestos.base.errors import CommandError, InputError, NestosError, VerificationError
from nestos.base.log import Progress
from nestos.base.paths import Root
from nestos.deploy.layers import Layering, Permission, backend_of
from nestos.deploy.node import Node
from nestos.host.process import run
from nestos.wire.origin import Layers, Origin
from tests import debs
from tests.system.layers import bench
from tests.unit.deploy.fakes import FakeMachine, running_a

if bench.missing():
    pytest.skip(f"layering is left out: {bench.missing()}", allow_module_level=True)

GREETER = """\
mkdir -p /var/lib/greeter /var/log/greeter
echo state >/var/lib/greeter/state
useradd --system --no-create-home greeter
tail -n +3 /proc/net/dev | cut -d: -f1 >/usr/share/greeter/network
touch /usr/share/touched /proc/sys/kernel/hostname 2>/dev/null || true
invoke-rc.d ssh start || echo $? >/usr/share/greeter/service
"""


@dataclass
class World:
    """A base, a package source and a node; each test has a copy of the base of its own."""

    folder: Path
    base: Path
    source: bench.Source
    node: Node

    def layering(self) -> Layering:
        return Layering(self.node, backend=backend_of(self.node), progress=Progress(io.StringIO()))

    def lay(self, origin: Origin, *, name: str, permission: Permission | None = None) -> tuple[Path, Layers]:
        """Lays ``origin`` on a copy of the base; the tree and what came of it."""
        tree = self.folder / name
        run(["cp", "--archive", "--link", self.base, tree])
        layering, allowed = self.layering(), permission or Permission()
        plan = layering.plan(tree, origin, permission=allowed)
        files = layering.fetch(plan, permission=allowed)
        layering.lay(plan, files, origin, work=self.folder / f"{name}.work", timestamp=0)
        return tree, plan.layers


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("layers")
    root = Root(folder / "root")
    (folder / "root/var/lib/nestos").mkdir(parents=True)
    (folder / "root/etc").mkdir()
    (folder / "root/etc/passwd").write_text("root:x:0:0::/:/bin/sh\nearlier:x:777:777::/:/bin/false\n")
    (folder / "root/etc/group").write_text("root:x:0:\nearlier:x:777:\n")
    source = bench.Source(folder, root=root)
    debs.deb(source.folder, "greeter", depends="greeter-data", scripts={"postinst": GREETER})
    debs.deb(source.folder, "greeter-data", files={"/usr/share/greeter-data/x": "x\n", "/etc/greeter.conf": "loud\n"})
    debs.deb(source.folder, "needy", depends="no-such-package")
    debs.deb(source.folder, "modern", depends="libc6 (>= 99)")
    debs.deb(source.folder, "broken", scripts={"postinst": "echo the database does not answer >&2; exit 3"})
    debs.deb(source.folder, "homely", files={"/opt/homely/file": "x"})
    source.publish()
    node = Node(root=root, machine=FakeMachine(running_a()), boot_id="boot", runner=run)
    yield World(folder=folder, base=bench.base_tree(folder / "base"), source=source, node=node)
    source.keys.close()


def digest_of(tree: Path) -> str:
    """Names, kinds and contents of everything in a tree."""
    total = hashlib.sha256()
    for place, folders, files in os.walk(tree):
        folders.sort()
        for name in sorted(files):
            path = Path(place, name)
            content = os.fsencode(path.readlink()) if path.is_symlink() else path.read_bytes()
            total.update(f"{path.relative_to(tree)}\0{path.lstat().st_mode}\0".encode() + content)
    return total.hexdigest()


def test_a_package_is_laid_and_its_scripts_reach_nothing_but_the_tree(world: World) -> None:
    before = digest_of(world.base)
    tree, layers = world.lay(Origin(packages=("greeter", "dash")), name="plain")

    assert layers.added == {"greeter": "1.0", "greeter-data": "1.0"}
    assert layers.inactive == ("dash",)
    assert (tree / "usr/share/greeter-data/x").read_text() == "x\n"
    assert (tree / "usr/etc/greeter.conf").read_text() == "loud\n"
    accounts = (tree / "usr/etc/passwd").read_text()
    assert "greeter:x:" in accounts
    assert "earlier:x:777:777:" in accounts
    assert (tree / "usr/share/greeter/network").read_text().split() in ([], ["lo"])
    made = (tree / "usr/lib/tmpfiles.d/nestos-layers.conf").read_text()
    assert "d /var/lib/greeter 0755 root root -" in made
    assert "d /var/log/greeter 0755 root root -" in made
    assert "/var/cache/apt" not in made
    assert not any((tree / "var").iterdir())
    assert not (tree / "usr/sbin/policy-rc.d").exists()
    assert not (tree / "usr/etc/passwd-").exists()
    assert digest_of(world.base) == before, "a file of the base was written through its hard link"


def test_a_missing_dependency_and_a_base_that_is_too_old_are_told_in_apts_words(world: World) -> None:
    with pytest.raises(InputError, match="no-such-package") as missing:
        world.lay(Origin(packages=("needy",)), name="needy")
    assert "do not fit on this release" in str(missing.value)
    with pytest.raises(InputError, match=r"libc6 \(>= 99\)"):
        world.lay(Origin(packages=("modern",)), name="modern")
    with pytest.raises(InputError, match="no package source of this node has: nonsense"):
        world.lay(Origin(packages=("nonsense",)), name="nonsense")


def test_a_script_that_fails_is_told_with_its_words(world: World) -> None:
    with pytest.raises(CommandError, match="the database does not answer"):
        world.lay(Origin(packages=("broken",)), name="broken")


def test_files_where_a_nodes_own_data_is_are_refused(world: World) -> None:
    with pytest.raises(InputError, match="/var/opt/homely/file"):
        world.lay(Origin(packages=("homely",)), name="homely")


def test_packages_of_the_base_are_removed_and_replaced_by_files(world: World) -> None:
    own = backend_of(world.node).installed(world.base)
    file = debs.deb(world.folder, "hostname", "99.0", fields={"Essential": "yes"}, files={"/usr/share/new": "new"})
    replacement = world.layering().keep(file)
    added = world.layering().keep(debs.deb(world.folder, "local-tool"))
    tree, layers = world.lay(Origin(local=(added,), replacements=(replacement,)), name="replaced")

    assert layers.replaced == {"hostname": (own["hostname"], "99.0")}
    assert layers.added == {"local-tool": "1.0"}
    assert (tree / "usr/share/new").read_text() == "new"
    assert not (tree / "usr/bin/hostname").exists()
    assert (world.base / "usr/bin/hostname").exists()
    with pytest.raises(InputError, match="no package to replace: nonsense"):
        world.lay(Origin(replacements=(replace(replacement, name="nonsense"),)), name="absent")


def test_a_removal_takes_along_nothing_that_was_not_named(world: World) -> None:
    with pytest.raises(NestosError, match="apt"):
        world.lay(Origin(removals=("libapt-pkg7.0",)), name="too-much")


def test_a_source_without_signature_is_taken_only_where_that_was_said(world: World) -> None:
    world.source.publish(signed=False)
    try:
        with pytest.raises(VerificationError):
            world.lay(Origin(packages=("greeter-data",)), name="unsigned")
        allowed = Permission(allow_unsigned=True)
        assert world.lay(Origin(packages=("greeter-data",)), name="allowed", permission=allowed)[1].added
    finally:
        world.source.publish()
