"""Where the time of ``nestos install`` goes: a small package laid on the base edition, stage by stage.

The stages are those of a node's transaction up to the slot image and the commit; writing the slot is the benchmark
``slot-write``. The package is a file of one file, so that no mirror is measured. Beside it, apt installs the same file
in a chroot of a plain Debian root, over an overlay as ours: what the sandbox and its checks cost.
"""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import roots
from benchmarks.bench import Bench, Benchmark
from benchmarks.measure import Result
from nestos.base.errors import StateError
from nestos.base.paths import Root
from nestos.compose.release import Release
from nestos.deploy.layers import Layering, Permission, backend_of
from nestos.deploy.node import Node
from nestos.host import process
from nestos.ostree.repository import Repository
from nestos.slots import hardware, image
from nestos.slots.bootstate import Slot
from nestos.wire.origin import Origin

_LAY_OUT, _SOLVE, _INSTALL = "laying the tree out", "solving", "installing in the sandbox"
_IMAGE, _COMMIT, _WHOLE = "building the slot image", "keeping the layers (commit)", "all of it"
_UNLAYERED, _APT = "the release without layers: laying out, image", "apt-get install in a chroot"
_PROGRAMS = ("apt-get", "dpkg-deb", "bwrap", "unshare")
_CONTROL = "Package: nestos-bench\nVersion: 1\nArchitecture: all\nMaintainer: nestos\nDescription: one file\n"
# Nothing of it is left: the mounts end with the namespace, and so does the upper layer, in memory.
_CHROOT = """\
mount -t tmpfs tmpfs "$2" && mkdir "$2/upper" "$2/work" "$2/all" &&
mount -t overlay overlay -o "lowerdir=$1,upperdir=$2/upper,workdir=$2/work" "$2/all" &&
mount -t proc proc "$2/all/proc" && cp "$3" "$2/all/package.deb" &&
chroot "$2/all" apt-get install --yes --no-install-recommends -oAPT::Sandbox::User=root -oDpkg::Use-Pty=0 \\
    -oDpkg::Options::=--force-unsafe-io /package.deb
"""


def run(bench: Bench) -> Result:
    """Lays the package and builds the release without it, in turns; as often, apt alone."""
    absent = [name for name in _PROGRAMS if shutil.which(name) is None]
    if absent:
        raise StateError(f"programs are missing: {', '.join(absent)}", hint="a node has them; so does any Debian")
    release = bench.release("base.yaml").release
    repository = _node_repository(bench, release)
    package = _package(bench.folder)
    plain = roots.debian_root(bench, "layers", packages=("apt",)).path
    node = _node(bench.folder)
    for _ in bench.rounds():
        _layered(bench, release, repository, node=node, package=package)
        _unlayered(bench, release, repository)
        _apt_alone(bench, plain, package)
    return bench.samples.result(
        [(_WHOLE, _UNLAYERED), (_INSTALL, _APT)],
        notes=[
            f"The base edition, {release.image_size / 1e6:.0f} MB as a slot image; the package has one file.",
            "Not in it: reading package sources, fetching, and writing the slot (slot-write).",
            "The tree is laid out by hard links from a bare repository, which a node fills with its first transaction.",
        ],
    )


def _layered(bench: Bench, release: Release, repository: Repository, *, node: Node, package: Path) -> None:
    tree, work = _empty(bench.folder / "tree"), _empty(bench.folder / "sandbox")
    layering = Layering(node, backend=backend_of(node), progress=bench.progress)
    origin, allowed = Origin(local=(layering.keep(package),)), Permission()
    began = bench.samples.clock.monotonic()
    with bench.timed(_LAY_OUT):
        repository.checkout(release.commit, tree, hard_links=True)
    with bench.timed(_SOLVE):
        plan = layering.plan(tree, origin, permission=allowed)
    with bench.timed(_INSTALL):
        files = layering.fetch(plan, permission=allowed)
        layering.lay(plan, files, origin, work=work, timestamp=release.timestamp)
    with bench.timed(_IMAGE):
        _build(bench, repository, release, tree)
    with bench.timed(_COMMIT):
        made = datetime.fromtimestamp(release.timestamp, UTC)
        repository.commit(tree, branch="layered", subject="layered", timestamp=made, parent="none", is_linked=True)
    bench.samples.add(_WHOLE, bench.samples.clock.monotonic() - began)


def _unlayered(bench: Bench, release: Release, repository: Repository) -> None:
    tree = _empty(bench.folder / "tree")
    with bench.timed(_UNLAYERED):
        repository.checkout(release.commit, tree, hard_links=True)
        _build(bench, repository, release, tree)


def _apt_alone(bench: Bench, plain: Path, package: Path) -> None:
    place = _empty(bench.folder / "chroot")
    place.mkdir()
    with bench.timed(_APT):
        process.run(
            ["unshare", "--mount", "--propagation=private", "sh", "-ec", _CHROOT, "chroot", plain, place, package],
            environment={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"},
        )


def _build(bench: Bench, repository: Repository, release: Release, tree: Path) -> None:
    identity = image.identity(release.commit)
    options = json.loads(repository.metadata(release.commit)["nestos.erofs-options"])
    image.build(
        tree,
        bench.folder / "slot.img",
        uuid=identity.uuid,
        salt=identity.salt,
        options=options,
        runner=bench.tools(bench.folder),
    )


def _node_repository(bench: Bench, release: Release) -> Repository:
    """A bare repository with the release, as a node's."""
    repository = Repository(bench.folder / "repo", runner=bench.tools(bench.folder))
    if not repository.exists:
        repository.init(mode="bare")
    if not repository.is_complete(release.commit):
        with bench.progress.stage("filling a node's repository"):
            repository.pull_local(bench.workspace.home / "benchmarks/repo", release.commit)
    return repository


def _node(folder: Path) -> Node:
    root = _empty(folder / "root")
    for name in ("var/lib/nestos", "etc"):
        (root / name).mkdir(parents=True)
    nowhere = Path("/nonexistent")
    machine = hardware.Node(booted=Slot.A, boot=nowhere, passive=nowhere)
    return Node(root=Root(root), machine=machine, boot_id="benchmark")


def _package(folder: Path) -> Path:
    root = _empty(folder / "package")
    (root / "DEBIAN").mkdir(parents=True)
    (root / "DEBIAN/control").write_text(_CONTROL)
    (root / "usr/share/nestos-bench").mkdir(parents=True)
    (root / "usr/share/nestos-bench/file").write_text("one\n")
    file = folder / "nestos-bench_1_all.deb"
    process.run(["dpkg-deb", "--root-owner-group", "--build", root, file])
    return file


def _empty(place: Path) -> Path:
    shutil.rmtree(place, ignore_errors=True)
    return place


BENCHMARK = Benchmark(
    name="layers",
    summary="a small package laid on a release, stage by stage, beside apt in a chroot",
    run=run,
    runs=3,
    minutes=5,
)
