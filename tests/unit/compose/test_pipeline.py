from __future__ import annotations

import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from nestos.base.errors import BusyError, CommandError, InputError, NetworkError, SpaceError
from nestos.base.log import Progress
from nestos.compose import keys, packaging, pipeline, product, release, tools, tree
from nestos.compose.keys import SigningKey
from nestos.compose.pipeline import Composed, Options
from nestos.compose.tree import Tree
from nestos.compose.workspace import Workspace
from nestos.host.packages import sources
from nestos.host.packages.backend import AccountFiles, Package, PackageSource, Request, Resolution, RpmSource
from nestos.wire.lockfile import Locked, Lockfile
from tests.unit.compose.test_images import RELEASE
from tests.unit.compose.trees import plant
from tests.unit.host.scripted import Scripted

MANIFEST = """\
ref: nestos/${basearch}/test
automatic-version-prefix: "13.<date:%Y%m%d>"
repos: [debian]
repositories:
  debian: {suite: trixie, packages-from: "http://mirror.example/debian"}
packages: [less]
exclude-packages: [nano]
recommends: false
"""
NOVEMBER_22 = 1795341600


def package(name: str, version: str = "1") -> Package:
    return Package(
        name=name,
        version=version,
        architecture="amd64",
        digest=f"sha256:{(name + version).encode().hex():0<64}",
        size_bytes=1000,
        uri=f"http://mirror.example/{name}.deb",
    )


class Factory:
    """Everything around the pipeline: the archive, the tools, the stages; ``did`` is what it asked for."""

    def __init__(self, home: Path) -> None:
        self.workspace = Workspace(home / "cache")
        self.manifest = plant(home, {"manifest.yaml": MANIFEST}) / "manifest.yaml"
        self.did: list[str] = []
        self.requests: list[Request] = []
        self.archive: tuple[Package, ...] = (package("less"),)
        self.failing = ""
        self.error: BaseException = KeyboardInterrupt()
        self.said = io.StringIO()
        self.runner = Scripted()
        self.root = home / "tools"
        self.use_tools("1.8.6")
        self.key = SigningKey(home=home, fingerprint="F", public=home / "F.gpg")
        self.previous = ""

    def step(self, name: str) -> None:
        self.did.append(name)
        if name == self.failing:
            raise self.error

    # The tools tree

    def use_tools(self, erofs: str) -> None:
        status = f"Package: erofs-utils\nVersion: {erofs}\n\nPackage: sed\nVersion: 4\n"
        plant(self.root, {"var/lib/dpkg/status": status})

    def with_binds(self, *binds: Path, network: bool = False) -> Factory:
        return self

    def __call__(self, command: Sequence[str], /, **given: object) -> object:
        return self.runner(command)

    # The backend

    def resolve(self, request: Request) -> Resolution:
        self.requests.append(request)
        self.step("resolve")
        return Resolution(packages=self.archive, timestamp=NOVEMBER_22)

    def fetch(self, resolution: Resolution) -> Path:
        self.step("fetch")
        return self.workspace.home

    def install(self, resolution: Resolution, *, target: Path, accounts: AccountFiles) -> None:
        plant(target, {"usr/x": ""})
        self.step("install")

    # The stages

    def make_tree(self, manifest: object, resolution: object, *, target: Path, root: Path, **given: object) -> Tree:
        assert (root / "usr/x").exists()
        plant(target, {"usr/x": ""})
        self.step("tree")
        return Tree(path=target, kernel="6.12.1", packages={})

    def publish(self, made: Tree, manifest: object, *, version: str, folder: Path, **given: object) -> release.Release:
        plant(folder, dict.fromkeys(("slot.img", "vmlinuz", "initramfs.img"), ""))
        self.step("publish")
        commit = f"{len(self.did):064x}"
        plant(self.workspace.repository, {f"objects/{commit[:2]}/{commit[2:]}.commit": ""})
        done = replace(
            RELEASE,
            version=version,
            commit=commit,
            image=str(folder / "slot.img"),
            vmlinuz=str(folder / "vmlinuz"),
            initramfs=str(folder / "initramfs.img"),
        )
        done.save(folder)
        return done

    def compose(self, **options: object) -> Composed:
        self.did.clear()
        return pipeline.compose(
            self.manifest,
            workspace=self.workspace,
            options=Options(arch="x86_64", **options),  # type: ignore[arg-type]
            progress=Progress(self.said),
        )

    @property
    def left(self) -> set[str]:
        """Names of roots and builds in the cache."""
        found = [*self.workspace.home.glob("roots/*"), *self.workspace.home.glob("builds/*/*")]
        return {path.parent.name for path in found} | {path.name for path in found if path.suffix}


@pytest.fixture
def factory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Factory:
    factory = Factory(tmp_path)
    monkeypatch.setattr(tools, "ensure", lambda cache, progress, kind=tools.Kind.BASE: factory)
    monkeypatch.setattr(keys, "ensure", lambda home, runner, wanted: factory.key)
    monkeypatch.setattr(packaging, "AptBackend", lambda runner, work, pool: factory)
    monkeypatch.setattr(tree, "compose", factory.make_tree)
    monkeypatch.setattr(release, "publish", factory.publish)
    monkeypatch.setattr(product, "digest", lambda: "product")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10 << 30))
    return factory


WHOLE = ["resolve", "fetch", "install", "tree", "publish"]


def test_a_first_compose_goes_through_every_stage(factory: Factory) -> None:
    made = factory.compose()
    assert factory.did == WHOLE
    assert made.release.version == "13.20261122.0"
    assert made.folder == factory.workspace.builds("nestos/x86_64/test") / made.folder.name
    assert not (made.folder / "tree").exists()


def test_a_second_one_does_nothing(factory: Factory) -> None:
    first = factory.compose()
    second = factory.compose()
    assert factory.did == []
    assert (second.release, second.folder, second.lock) == (first.release, first.folder, first.lock)
    assert "built before, nothing changed" in factory.said.getvalue()


@pytest.mark.parametrize(
    ("change", "does"),
    [
        (lambda f: f.manifest.write_text(MANIFEST + "units: [ssh.service]\n"), ["tree", "publish"]),
        (lambda f: f.manifest.write_text(MANIFEST.replace("[less]", "[less, jq]")), ["resolve", "tree", "publish"]),
        (lambda f: setattr(f, "key", replace(f.key, fingerprint="G")), ["tree", "publish"]),
        (lambda f: f.use_tools("1.9"), ["tree", "publish"]),
        (lambda f: shutil.rmtree(f.workspace.repository), ["tree", "publish"]),
        (lambda f: f.manifest.write_text(MANIFEST + "# a comment\n"), []),
    ],
    ids=["units", "packages, the same set", "the key", "the tools", "the repository is gone", "a comment"],
)
def test_only_what_a_change_asks_for_is_done_again(factory: Factory, change: object, does: list[str]) -> None:
    factory.compose()
    change(factory)  # type: ignore[operator]
    factory.compose()
    assert factory.did == does


def test_the_nodes_own_code_is_part_of_a_build(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    factory.compose()
    monkeypatch.setattr(product, "digest", lambda: "changed")
    factory.compose()
    assert factory.did == ["tree", "publish"]


def test_newer_packages_are_asked_for_only_on_demand(factory: Factory) -> None:
    factory.compose()
    factory.archive = (package("less", "2"),)
    factory.compose()
    assert factory.did == []
    made = factory.compose(refresh=True)
    assert factory.did == WHOLE
    assert made.lock.packages["less"].evra == "2.amd64"


def test_the_archive_is_asked_for_what_the_manifest_says(factory: Factory) -> None:
    factory.compose()
    (request,) = factory.requests
    assert (request.packages, request.excluded, request.architecture) == (("less",), ("nano",), "amd64")
    assert request.sources == (
        PackageSource(name="debian", uri="http://mirror.example/debian", suite="trixie", components=("main",)),
    )
    assert request.pins == {}


def test_a_source_of_the_host_is_looked_up_there(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    factory.manifest.write_text(MANIFEST.replace(', packages-from: "http://mirror.example/debian"', ""))
    monkeypatch.setattr(sources, "configured", lambda: {"debian": "http://host.example/debian/"})
    factory.compose()
    (source,) = factory.requests[0].sources
    assert isinstance(source, PackageSource)
    assert source.uri == "http://host.example/debian/"
    monkeypatch.setattr(sources, "configured", dict)
    with pytest.raises(InputError, match="no package source for the archive 'debian'"):
        factory.compose()


# Locks


def test_a_lock_pins_every_package(factory: Factory) -> None:
    lock = Lockfile(packages={"less": Locked(evra="1.amd64", digest=package("less").digest)})
    factory.compose(lock=lock)
    assert factory.requests[0].pins == {"less": "1"}


def test_the_lock_of_a_compose_gives_the_same_packages_when_the_archive_has_moved_on(factory: Factory) -> None:
    first = factory.compose()
    factory.archive = (package("less", "2"),)
    factory.compose(refresh=True)
    again = factory.compose(lock=first.lock)
    assert again.release == first.release
    assert factory.did == []


def test_a_lock_that_does_not_fix_the_compose_names_each_package(factory: Factory) -> None:
    factory.archive = (package("jq"), package("less"), package("zstd"))
    lock = Lockfile(
        packages={"less": Locked(evra="9.amd64"), "zstd": Locked(evra="1.amd64", digest="sha256:" + "0" * 64)}
    )
    with pytest.raises(InputError) as caught:
        factory.compose(lock=lock)
    names = [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]]
    assert names == ["jq", "less", "zstd"]
    assert "--write-lock" in caught.value.hint
    assert factory.left == set()


def test_other_tools_build_anew_and_are_told_where_a_lock_names_them(factory: Factory) -> None:
    first = factory.compose()
    assert first.lock.metadata["tools"] == {"erofs-utils": "1.8.6"}
    factory.use_tools("1.9")
    factory.compose(lock=first.lock)
    assert "made with erofs-utils 1.8.6, the tools tree has 1.9" in factory.said.getvalue()
    assert "tree" in factory.did


# Versions


def test_the_version_counts_on_from_the_branchs_last_commit(factory: Factory) -> None:
    factory.compose()
    plant(factory.workspace.repository, {"config": ""})
    factory.runner.on("rev-parse", stdout="a" * 64)
    factory.runner.on("show", stdout="'13.20261122.4'\n")
    factory.manifest.write_text(MANIFEST + "units: [ssh.service]\n")
    assert factory.compose().release.version == "13.20261122.5"


def test_a_manifest_without_a_version_is_refused(factory: Factory) -> None:
    factory.manifest.write_text("\n".join(line for line in MANIFEST.splitlines() if "automatic" not in line))
    with pytest.raises(InputError, match="no automatic-version-prefix"):
        factory.compose()


def test_a_manifest_of_the_dnf_backend_goes_through_the_same_stages(
    factory: Factory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packaging, "DnfBackend", lambda runner, work, pool: factory)
    source = '{baseurl: "https://mirror.example/", gpgcheck: false, priority: 7}'
    text = MANIFEST.replace('{suite: trixie, packages-from: "http://mirror.example/debian"}', source)
    factory.manifest.write_text(text + "nestos: {backend: dnf}\n")
    factory.compose()
    assert factory.did == WHOLE
    (request,) = factory.requests
    assert request.architecture == "x86_64"
    assert request.sources == (
        RpmSource(name="debian", addresses=("https://mirror.example/",), check_packages=False, priority=7),
    )


def test_packages_that_other_keys_vouch_for_make_another_root(factory: Factory) -> None:
    factory.compose()
    factory.archive = (replace(package("less"), trust="t"),)
    factory.compose(refresh=True)
    assert "install" in factory.did


# What goes wrong


def test_every_finding_of_the_manifest_is_told(factory: Factory) -> None:
    factory.manifest.write_text(MANIFEST + "pakages: [x]\nunit: [y]\n")
    with pytest.raises(InputError) as caught:
        factory.compose()
    assert "pakages" in str(caught.value)
    assert '"unit"' in str(caught.value)
    assert factory.did == []


@pytest.mark.parametrize("step", ["fetch", "install", "tree", "publish"])
@pytest.mark.parametrize(
    "error",
    [KeyboardInterrupt(), InputError("x"), CommandError("x", returncode=1, output=""), RuntimeError("a bug")],
    ids=["Ctrl-C", "bad input", "a failed program", "a bug"],
)
def test_whatever_ends_it_leaves_nothing_half_done_and_it_goes_on_from_there(
    factory: Factory, step: str, error: BaseException
) -> None:
    factory.failing, factory.error = step, error
    with pytest.raises(type(error)):
        factory.compose()
    done_before = WHOLE.index(step)
    assert factory.left == ({"roots"} if done_before > 2 else set())
    factory.failing = ""
    factory.compose()
    # The resolution is kept as soon as it is there, the root as soon as it is whole; a build is made as one.
    assert factory.did == (WHOLE[1:] if done_before <= 2 else WHOLE[3:])


def test_a_resolution_that_failed_is_not_kept(factory: Factory) -> None:
    factory.failing, factory.error = "resolve", NetworkError("no such host")
    with pytest.raises(NetworkError, match="no such host"):
        factory.compose()
    assert not list(factory.workspace.home.glob("resolutions/*"))


def test_what_a_killed_compose_left_is_removed_by_the_next(factory: Factory) -> None:
    plant(factory.workspace.home, {"roots/x.part/usr/x": "", "builds/other/half/tree/usr/x": ""})
    factory.compose()
    assert factory.left == {"roots", "nestos-x86_64-test"}


def test_a_finished_build_whose_tree_was_not_removed_in_time_is_taken_and_cleaned(factory: Factory) -> None:
    made = factory.compose()
    plant(made.folder, {"tree/usr/x": ""})
    assert factory.compose().release == made.release
    assert not (made.folder / "tree").exists()


def test_two_at_once_exclude_each_other(factory: Factory) -> None:
    with factory.workspace.exclusively(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(Workspace.exclusively, "__kwdefaults__", {"wait_seconds": 0.0})
        with pytest.raises(BusyError, match="in use by process"):
            factory.compose()
    assert factory.did == []
    factory.compose()
    assert factory.did == WHOLE


def test_room_is_asked_for_before_anything_is_fetched(factory: Factory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=12_999))
    with pytest.raises(SpaceError, match=f"the compose: about 1 MiB are needed in {factory.workspace.home}"):
        factory.compose()
    assert factory.did == ["resolve"]
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=13_000))
    factory.compose()
    assert factory.did == WHOLE[1:]


def test_a_disk_that_fills_up_all_the_same_is_named(factory: Factory) -> None:
    factory.failing = "tree"
    factory.error = CommandError("x", returncode=1, output="cp: error writing 'x': No space left on device")
    with pytest.raises(SpaceError, match=f"no space is left in {factory.workspace.home}"):
        factory.compose()
    assert factory.left == {"roots"}


def test_a_lock_file_holds_version_architecture_and_digest() -> None:
    resolution = Resolution(packages=(package("less", "1:2"),), timestamp=0)
    found = pipeline.lock_of(resolution, shaping={"zstd": "1.5"})
    assert found.packages == {"less": Locked(evra="1:2.amd64", digest=package("less", "1:2").digest)}
    assert json.dumps(found.metadata) == '{"generated": "1970-01-01T00:00:00+00:00", "tools": {"zstd": "1.5"}}'
