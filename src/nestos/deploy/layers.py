"""Packages on top of a release: from a wish and a tree of the base to the changed tree.

The tree is a checkout that shares its files with the node's repository. Everything runs in an overlay over it and is
folded in at the end, file by file, so the repository's objects are never written. Nothing here touches a slot.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import CommandError, InputError, NestosError, SpaceError, StateError
from nestos.base.log import Progress
from nestos.deploy import initrd_files
from nestos.deploy.node import Node
from nestos.host import space
from nestos.host.overlay_sandbox import OverlaySandbox, inside_path
from nestos.host.packages.apt_layers import AptLayers
from nestos.host.packages.layering import LayeringBackend, Solution, Wish
from nestos.layout import accounts, initramfs, kernel, variable
from nestos.wire.origin import Layers, Origin, PackageFile

PACKAGES = "packages"
"""Folder of the node's state with package files and indexes."""

# A change below one of these makes the initramfs another.
_INITRAMFS_PARTS = (
    "usr/lib/dracut/",
    "usr/lib/modules/",
    "usr/lib/modprobe.d/",
    "usr/etc/dracut.conf.d/",
    "usr/lib/systemd/system.conf.d/",
)
# Of the private /var: what a node's own data is. A release cannot carry files there, and neither can a layer.
_OWN_DATA = ("home", "mnt", "opt", "roothome", "srv", "usrlocal")
# What the package programs themselves leave in /var.
_BACKENDS_OWN = ("cache/apt", "cache/debconf", "lib/apt", "log/apt", "log/dpkg.log", "log/alternatives.log")
_TMPFILES = "usr/lib/tmpfiles.d/nestos-layers.conf"
_EXPANSION = 4  # of a package file, unpacked and once more as objects


@dataclass(frozen=True, kw_only=True)
class Permission:
    """What an operator allowed in this very command. ``cache_only``: what was fetched before must do."""

    allow_unsigned: bool = False
    allow_inactive: bool = True
    cache_only: bool = False


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the solver decided for a wish on one base, and what it comes to."""

    solution: Solution
    layers: Layers


def backend_of(node: Node) -> LayeringBackend:
    """The package family of the node."""
    folder = node.folder / PACKAGES
    return AptLayers(root=node.root, work=folder / "sources", pool=folder / "pool", runner=node.runner)


class Layering:
    """Lays packages on trees, on one node."""

    def __init__(self, node: Node, *, backend: LayeringBackend, progress: Progress) -> None:
        self._node = node
        self._backend = backend
        self._progress = progress
        self._local = node.folder / PACKAGES / "local"

    def keep(self, file: Path) -> PackageFile:
        """Takes a package file over into the node's state, so that it can be laid on every later base."""
        package = self._backend.inspect(file)
        kept = self._local / f"{package.sha256}.deb"
        self._local.mkdir(parents=True, exist_ok=True)
        if not kept.exists():
            with space.watched(self._local), durable.replacing(kept) as output, file.open("rb") as source:
                shutil.copyfileobj(source, output)
        return PackageFile(
            name=package.name, version=package.version, architecture=package.architecture, sha256=package.sha256
        )

    def forget_files(self, origins: Sequence[Origin]) -> None:
        """Removes the package files that none of ``origins`` asks for."""
        needed = {file.sha256 for origin in origins for file in origin.files}
        for kept in self._local.glob("*.deb"):
            if kept.stem not in needed:
                kept.unlink()

    def plan(self, tree: Path, origin: Origin, *, permission: Permission) -> Plan:
        """Asks the solver what ``origin`` comes to on the base in ``tree``. Raises ``InputError`` if it cannot be."""
        own = self._backend.installed(tree)
        wish, inactive = self._wish(origin, own, permission=permission)
        if not permission.cache_only and wish.packages:
            with self._progress.stage("reading the package sources"):
                self._backend.refresh(allow_unsigned=permission.allow_unsigned)
        if wish == Wish():
            return Plan(solution=Solution(tree=tree, wish=wish, changes=()), layers=Layers(inactive=inactive))
        solution = self._backend.solve(tree, wish, allow_unsigned=permission.allow_unsigned)
        changes = solution.changes
        return Plan(
            solution=solution,
            layers=Layers(
                added={c.name: c.new for c in changes if c.new and not c.old},
                removed={c.name: c.old for c in changes if not c.new},
                replaced={c.name: (c.old, c.new) for c in changes if c.old and c.new},
                inactive=inactive,
            ),
        )

    def fetch(self, plan: Plan, *, permission: Permission) -> tuple[Path, ...]:
        """Brings the package files here. Raises ``SpaceError`` before a byte is fetched where /var is too small."""
        solution = plan.solution
        if solution.wish == Wish():
            return ()
        local = sum(file.stat().st_size for file in (*solution.wish.files, *solution.wish.replacements))
        need = solution.download_bytes + _EXPANSION * (solution.download_bytes + local)
        _require_room(self._node.folder, need)
        size = solution.download_bytes / 1e6
        with (
            self._progress.stage(f"packages: {len(solution.packages)} from the sources, {size:.1f} MB"),
            space.watched(self._node.folder),
        ):
            return self._backend.fetch(solution, allow_unsigned=permission.allow_unsigned)

    def lay(self, plan: Plan, files: Sequence[Path], origin: Origin, *, work: Path, timestamp: int) -> str:
        """Changes the plan's tree and returns its kernel's version. ``work`` is a folder that does not exist yet.

        Raises ``CommandError`` with the words of a maintainer script that failed; then the tree is of no use any more.
        """
        tree = plan.solution.tree
        sandbox = OverlaySandbox(
            self._node.runner, tree=tree, work=work, var_places=variable.PACKAGE_STATE, visible=files
        )
        with space.watched(self._node.folder):
            changed = self._install(plan, files, sandbox=sandbox) if files or plan.layers.removed else []
            # A kernel package puts its files there; a release leaves nothing.
            version = kernel.settle(tree) if any((tree / "boot").glob("*")) else kernel.version(tree)
            self._initramfs(tree, version, origin, changed=changed, sandbox=sandbox, timestamp=timestamp)
            self._settle(tree, sandbox)
        return version

    def _install(self, plan: Plan, files: Sequence[Path], *, sandbox: OverlaySandbox) -> list[str]:
        tree = plan.solution.tree
        accounts.seed(tree / "usr/etc", running=self._node.root.join("/etc"))
        count = len(plan.layers.added) + len(plan.layers.replaced)
        with self._progress.stage(f"packages: installing {count}"):
            self._backend.apply(plan.solution, [inside_path(file) for file in files], inside=sandbox)
            changed = sandbox.fold()
        self._check(plan)
        accounts.normalise(tree / "usr/etc")
        variable.tidy_database(tree)
        return changed

    def _check(self, plan: Plan) -> None:
        """The database must say what the solver said, else a script or trigger did something else."""
        found = self._backend.installed(plan.solution.tree)
        layers = plan.layers
        wanted = {**layers.added, **{name: new for name, (_, new) in layers.replaced.items()}}
        wrong = [f"{name} {version}" for name, version in wanted.items() if found.get(name) != version]
        wrong += [f"{name} is still there" for name in layers.removed if name in found]
        if wrong:
            raise StateError(f"the installation ended otherwise than the solver said: {', '.join(wrong)}")

    def _initramfs(
        self,
        tree: Path,
        version: str,
        origin: Origin,
        *,
        changed: Sequence[str],
        sandbox: OverlaySandbox,
        timestamp: int,
    ) -> None:
        wish = origin.initramfs
        place = tree / initramfs.place(version)
        touched = not place.exists() or any(path.startswith(_INITRAMFS_PARTS) for path in changed)
        if wish.regenerate or touched:
            with self._progress.stage("initramfs: running dracut"):
                initramfs.generate(kernel=version, arguments=wish.arguments, timestamp=timestamp, inside=sandbox)
                sandbox.fold()
                place.chmod(0o600)
        if wish.etc:
            initrd_files.append(place, wish.etc, root=self._node.root)

    def _settle(self, tree: Path, sandbox: OverlaySandbox) -> None:
        """What scripts made in the private /var becomes tmpfiles; what would be lost there is refused or told."""
        var = sandbox.leave_var()
        for name in _BACKENDS_OWN:
            if (var / name).is_dir():
                shutil.rmtree(var / name)
            else:
                (var / name).unlink(missing_ok=True)
        lost = [f"/var/{path.relative_to(var)}" for name in _OWN_DATA for path in _files(var / name)]
        if lost:
            raise InputError(
                f"a layered package has files where a node's own data is: {', '.join(lost[:5])}",
                hint="such a package cannot be layered; run it in a container",
                kind="unfit",
            )
        lines, dropped = variable.describe(var, etc=tree / "usr/etc")
        known = _paths_made(tree)
        lines = [line for line in lines if line.split()[1] not in known]
        target = tree / _TMPFILES
        if lines:
            target.write_text("# Folders of layered packages under /var.\n" + "".join(f"{line}\n" for line in lines))
        for path in dropped:
            self._progress.say(f"not kept: {path}")

    def _wish(self, origin: Origin, own: Mapping[str, str], *, permission: Permission) -> tuple[Wish, tuple[str, ...]]:
        """The part of the wish that the base does not fulfil by itself, and the names of the other part."""
        held = [name for name in origin.packages if name in own]
        if held and not permission.allow_inactive:
            raise InputError(
                f"the release has already: {', '.join(held)}",
                hint="to keep it should a later release drop it, say --allow-inactive",
                kind="inactive",
            )
        absent = [name for name in origin.removals if name not in own]
        unknown = [file for file in origin.replacements if file.name not in own]
        if unknown:
            raise InputError(
                f"the release has no package to replace: {', '.join(file.name for file in unknown)}",
                hint="give it up with: override reset; or add it with: install",
                kind="unsolvable",
            )
        same = [file.name for file in origin.replacements if own[file.name] == file.version]
        wish = Wish(
            packages=tuple(name for name in origin.packages if name not in own),
            files=tuple(self._file(file) for file in origin.local if own.get(file.name) != file.version),
            removals=tuple(name for name in origin.removals if name in own),
            replacements=tuple(self._file(file) for file in origin.replacements if file.name not in same),
        )
        local = [file.name for file in origin.local if own.get(file.name) == file.version]
        return wish, tuple(dict.fromkeys((*held, *local, *absent, *same)))

    def _file(self, file: PackageFile) -> Path:
        kept = self._local / f"{file.sha256}.deb"
        if not kept.exists():
            raise StateError(
                f"this node has lost its copy of {file}",
                hint=f"install it again from its file, or give it up: uninstall {file.name}",
            )
        return kept


def way_out(error: NestosError, origin: Origin) -> NestosError:
    """The error of a base that does not take the layers, with what an operator can do about it."""
    if not isinstance(error, (InputError, CommandError)) or not origin.has_packages:
        return error
    named = [name for name in (*origin.packages, *(file.name for file in origin.local)) if name in str(error)]
    names = named or [*origin.packages, *(file.name for file in origin.local)]
    ways = []
    if names:
        ways.append(f"nestos uninstall {' '.join(names)}")
    overridden = [*origin.removals, *(file.name for file in origin.replacements)]
    if overridden:
        ways.append(f"nestos override reset {' '.join(overridden)}")
    return InputError(f"the layers of this node do not go onto it: {error}", hint=" or: ".join(ways), kind="layers")


def _require_room(folder: Path, need_bytes: int) -> None:
    free = space.free_bytes(folder)
    if need_bytes > free:
        raise SpaceError(
            f"/var has {free / 1e6:.0f} MB free, the packages need {need_bytes / 1e6:.0f} MB",
            hint="free some space in /var; nothing was fetched",
        )


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())


def _paths_made(tree: Path) -> set[str]:
    """Paths that the tree's own tmpfiles.d makes."""
    lines = (
        line.split()
        for file in (tree / "usr/lib/tmpfiles.d").glob("*.conf")
        for line in file.read_text(errors="replace").splitlines()
    )
    return {words[1] for words in lines if len(words) > 1 and not words[0].startswith("#")}
