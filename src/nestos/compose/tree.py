"""From a resolution to a finished tree: packages, this project's files, the manifest's changes, immutable layout."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from nestos.base.errors import CommandError, InputError
from nestos.base.log import Progress
from nestos.base.paths import Root
from nestos.compose import lint, product
from nestos.compose.keys import SigningKey
from nestos.host import process
from nestos.host.packages.backend import AccountFiles, PackageBackend, Resolution
from nestos.host.process import Runner
from nestos.host.toolbox import Toolbox
from nestos.layout import accounts, bytecode, identity, initramfs, kernel, toplevel, units, variable
from nestos.wire.manifest.model import AddedFile, Manifest

_LINES_SHOWN = 20  # of a failed script's output


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A finished tree: its folder, its kernel's version, and name and version of each package."""

    path: Path
    kernel: str
    packages: dict[str, str]


def accounts_of(manifest: Manifest) -> AccountFiles:
    """The manifest's table of system accounts, in the form a backend takes."""
    groups = dict(manifest.system_groups)
    users = {}
    for name, user in manifest.system_users.items():
        users[name] = (user.uid, user.gid, user.description, user.home, user.shell)
        if user.gid == user.uid:
            groups.setdefault(name, user.gid)
    return AccountFiles(users=users, groups=groups)


def compose(
    manifest: Manifest,
    resolution: Resolution,
    *,
    version: str,
    root: Path,
    target: Path,
    key: SigningKey,
    backend: PackageBackend,
    caches: Path,
    packages_digest: str,
    progress: Progress,
) -> Tree:
    """Makes the tree in ``target`` from ``root``, an installed root of the resolution that stays as it is."""
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    with progress.stage("tree: layout"):
        process.run(["cp", "--archive", "--reflink=auto", root, target])
        inside = Toolbox(target)
        _remove(target, manifest, backend=backend)
        product.install(target)
        keys = target / "usr/share/nestos/keys"
        keys.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(key.public, keys / "nestos.gpg")
        add_files(target, manifest)
        version_of_kernel = kernel.settle(target)
        identity.settle(target)
        identity.name_release(target, version=version, variant=manifest.ref.rpartition("/")[2])
        units.settle(
            target, units=manifest.units, default_target=manifest.default_target or "multi-user.target", inside=inside
        )
        run_scripts(target, manifest, inside=inside)
        table = accounts_of(manifest)
        accounts.check(target, users={n: u[0] for n, u in table.users.items()}, groups=dict(table.groups))
        accounts.normalise(target / "etc")
        bytecode.compile_tree(target, inside=inside)
    with progress.stage("tree: initramfs"):
        name = initramfs.digest(target, packages_digest=packages_digest, arguments=manifest.initramfs_args)
        initramfs.build(
            target,
            kernel=version_of_kernel,
            arguments=manifest.initramfs_args,
            timestamp=resolution.timestamp,
            cache=caches / "initramfs",
            key=name,
            inside=inside,
        )
    for dropped in variable.settle(target):
        progress.say(f"dropped from the tree: {dropped}")
    toplevel.settle(target)
    toplevel.move_etc(target)
    _lint(target, progress=progress)
    return Tree(path=target, kernel=version_of_kernel, packages=backend.installed(target))


def add_files(tree: Path, manifest: Manifest) -> None:
    """Copies the manifest's ``add-files``; a path never leaves the tree through a link in it."""
    for entry in manifest.add_files:
        try:
            _add(Root(tree), entry)
        except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
            raise InputError(f"add-files: {entry.target} cannot be put into the tree: {error.strerror}") from error
        except (FileNotFoundError, PermissionError) as error:
            raise InputError(f"add-files: {entry.source} cannot be read: {error.strerror}") from error


def _add(root: Root, entry: AddedFile) -> None:
    target = root.join(str(entry.target), follow_last=False)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if entry.link is not None:
        target.symlink_to(entry.link)
    else:
        shutil.copyfile(entry.source, target)
        target.chmod(entry.mode)


def _remove(tree: Path, manifest: Manifest, *, backend: PackageBackend) -> None:
    root = Root(tree)
    doomed = list(manifest.remove_files)
    for entry in manifest.remove_from_packages:
        try:
            listing = backend.files(tree, entry.package)
        except InputError as error:
            raise InputError(f"remove-from-packages: {error}") from error
        doomed += [path for path in listing if any(re.fullmatch(pattern, path) for pattern in entry.patterns)]
    for name in doomed:
        path = root.join(name, follow_last=False)
        if path == root.path:
            raise InputError(f"remove-files: {name} is the whole tree")
        if path.is_dir() and not path.is_symlink():
            if name in manifest.remove_files:
                shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def run_scripts(tree: Path, manifest: Manifest, *, inside: Runner) -> None:
    """Runs the postprocess scripts with the tree as their root, without network.

    Raises ``CommandError`` naming the file and line that the failing script comes from.
    """
    for number, script in enumerate(manifest.scripts):
        place = tree / "usr" / f".nestos-script-{number}"
        place.write_text(script.text)
        place.chmod(0o755)
        try:
            inside([f"/usr/{place.name}"])
        except CommandError as error:
            end = "\n".join(f"  {line}" for line in error.output.splitlines()[-_LINES_SHOWN:])
            origin = script.origin or f"number {number + 1}"
            raise CommandError(
                f"the postprocess script from {origin} failed with exit status {error.returncode}:\n{end}".rstrip(),
                returncode=error.returncode,
                output=error.output,
            ) from error
        finally:
            place.unlink(missing_ok=True)


def _lint(tree: Path, *, progress: Progress) -> None:
    """Raises ``InputError`` with every finding if one of them is an error; says the others."""
    report = lint.check(tree)
    if report.is_fatal:
        raise InputError(f"the tree is not fit for a release:\n{report}")
    for finding in report:
        progress.say(str(finding))
