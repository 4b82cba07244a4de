"""A compose from start to end: which stages there are, and which of them can be skipped.

Each stage's result is named by a digest of what shapes it, so that running again does only what is missing: after
an interruption, after a change of one file, or not at all.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from nestos.base import durable
from nestos.base.errors import InputError, NestosError
from nestos.base.log import Progress
from nestos.compose import foreign, keys, packaging, product, release, tools, tree
from nestos.compose.keys import SigningKey
from nestos.compose.release import Release
from nestos.compose.workspace import Workspace
from nestos.host import space
from nestos.host.packages.backend import AccountFiles, Package, PackageBackend, Request, Resolution
from nestos.ostree.repository import Repository
from nestos.wire import lockfile
from nestos.wire.lockfile import Locked, Lockfile
from nestos.wire.manifest.identity import digest as manifest_digest
from nestos.wire.manifest.loading import load
from nestos.wire.manifest.model import Manifest
from nestos.wire.version import next_version

# This package's own code that shapes a tree or its image, beside what the tree itself holds of it.
_SHAPING_CODE = ("layout", "compose/tree.py", "compose/release.py")
_ROOT_FORMAT = "1"  # raised when the same packages are installed another way


@dataclass(frozen=True, kw_only=True)
class Options:
    """What a person may ask of one compose. ``lock`` pins every package."""

    arch: str
    refresh: bool = False
    lock: Lockfile | None = None
    variables: Mapping[str, str] | None = None


@dataclass(frozen=True, kw_only=True)
class Composed:
    """A release, the folder with its pieces, and the lock of the packages it was made of."""

    release: Release
    folder: Path
    lock: Lockfile


def read_manifest(path: Path, *, arch: str, variables: Mapping[str, str], progress: Progress) -> Manifest:
    """The resolved manifest. Raises ``InputError`` with every finding when it cannot be used."""
    manifest, report = load(path, arch=arch, today=datetime.now(UTC).date(), variables=dict(variables))
    if manifest is None or report.is_fatal:
        raise InputError(f"the manifest {path} cannot be used:\n{report}")
    for finding in report:
        progress.say(str(finding))
    return manifest


def compose(path: Path, *, workspace: Workspace, options: Options, progress: Progress) -> Composed:
    """Composes the manifest at ``path``: a new release, or the one that was already built of the same inputs.

    Whatever ends it early, the repository, the finished builds and the pool are as they were or as a finished compose
    leaves them. Raises ``BusyError`` while another one works in the same cache.
    """
    manifest = read_manifest(path, arch=options.arch, variables=options.variables or {}, progress=progress)
    with workspace.exclusively(), space.watched(workspace.home):
        return _compose(manifest, workspace=workspace, options=options, progress=progress)


def _compose(manifest: Manifest, *, workspace: Workspace, options: Options, progress: Progress) -> Composed:
    toolbox = tools.ensure(workspace.home, progress=progress).with_binds(*workspace.places, network=True)
    key = keys.ensure(workspace.folder("keys"), runner=toolbox, wanted=manifest.gpg_key or "")
    shaping = tools.shaping(toolbox.root)
    if options.lock is not None:
        _compare_tools(shaping, options.lock, progress=progress)
    backend = packaging.backend(manifest, workspace=workspace, toolbox=toolbox, progress=progress)
    resolution = resolve(manifest, workspace=workspace, options=options, backend=backend, progress=progress)
    table = tree.accounts_of(manifest)
    packages_digest = _packages_digest(resolution, accounts=repr(table))
    name = _build_name(manifest, packages_digest, key=key, shaping=shaping)
    folder = workspace.builds(manifest.ref) / name
    ready = release.load(folder)
    if ready is not None and _is_stored(ready.commit, workspace.repository):
        progress.say(f"{manifest.ref} {ready.version}: built before, nothing changed")
        return Composed(release=ready, folder=folder, lock=lock_of(resolution, shaping=shaping))
    root = workspace.folder("roots") / packages_digest[:24]
    space.require(workspace.home, need_bytes=_room(resolution, has_root=root.exists()), what="the compose")
    store = Repository(workspace.repository, runner=toolbox)
    version = _version(manifest, store, timestamp=resolution.timestamp)
    with foreign.programs(manifest.arch, home=workspace.home, progress=progress):
        if not root.exists():
            _install(resolution, root, backend=backend, table=table, progress=progress)
        made = tree.compose(
            manifest,
            resolution,
            version=version,
            root=root,
            target=folder / "tree",
            key=key,
            backend=backend,
            caches=workspace.home,
            packages_digest=packages_digest,
            progress=progress,
        )
    done = release.publish(
        made,
        manifest,
        version=version,
        digest=manifest_digest(manifest),
        timestamp=resolution.timestamp,
        folder=folder,
        repository=workspace.repository,
        key=key,
        runner=toolbox,
        progress=progress,
    )
    shutil.rmtree(folder / "tree")
    return Composed(release=done, folder=folder, lock=lock_of(resolution, shaping=shaping))


def lock_of(resolution: Resolution, *, shaping: Mapping[str, str]) -> Lockfile:
    """The lock that pins every package of ``resolution``; it tells the versions of the tools too."""
    stamp = datetime.fromtimestamp(resolution.timestamp, UTC).isoformat()
    return Lockfile(packages=_locked(resolution), metadata={"generated": stamp, "tools": dict(shaping)})


def _locked(resolution: Resolution) -> dict[str, Locked]:
    return {p.name: Locked(evra=f"{p.version}.{p.architecture}", digest=p.digest) for p in resolution.packages}


def _compare_tools(shaping: Mapping[str, str], lock: Lockfile, *, progress: Progress) -> None:
    """Says where the tools are not those that the lock was made with: the archive may no longer have them."""
    told = lock.metadata.get("tools")
    locked = told if isinstance(told, dict) else {}
    for name, version in sorted(locked.items()):
        if (present := shaping.get(name, "none")) != version:
            progress.say(
                f"warning: the lock file was made with {name} {version}, the tools tree has {present}: "
                "same packages, but the image may differ"
            )


def _install(
    resolution: Resolution, root: Path, *, backend: PackageBackend, table: AccountFiles, progress: Progress
) -> None:
    count, size = len(resolution.packages), resolution.download_bytes / 1e6
    with progress.stage(f"packages: {count} files, {size:.0f} MB, fetching what the pool lacks"):
        backend.fetch(resolution)
    partial = root.with_name(f"{root.name}.part")
    if partial.exists():
        shutil.rmtree(partial)
    with progress.stage(f"packages: installing {count}"):
        backend.install(resolution, target=partial, accounts=table)
    partial.rename(root)


def resolve(
    manifest: Manifest, *, workspace: Workspace, options: Options, backend: PackageBackend, progress: Progress
) -> Resolution:
    """The manifest's packages: as they were resolved last time, unless a newer answer is asked for.

    Raises ``InputError`` where the lock does not fix each of them.
    """
    pins = {name: entry.version for name, entry in options.lock.packages.items()} if options.lock else {}
    request = Request(
        packages=manifest.packages,
        excluded=manifest.excluded_packages,
        architecture=packaging.architecture(manifest),
        sources=packaging.sources_of(manifest),
        recommends=manifest.recommends,
        pins=pins,
    )
    kept = workspace.folder("resolutions") / f"{hashlib.sha256(repr(request).encode()).hexdigest()[:24]}.json"
    # Packages that the archive has since replaced can still be composed from the pool, by the lock they were in.
    known = kept if options.lock is None else kept.with_name(_lock_name(options.lock.packages))
    if known.exists() and not options.refresh:
        document = json.loads(known.read_text())
        packages = tuple(Package(**entry) for entry in document["packages"])
        return Resolution(packages=packages, timestamp=document["timestamp"])
    with progress.stage(f"packages: resolving {len(request.packages)} names"):
        found = backend.resolve(request)
    if options.lock is not None:
        _check_lock(found, options.lock)
    text = json.dumps(asdict(found))
    durable.write_text(kept, text)
    durable.write_text(kept.with_name(_lock_name(_locked(found))), text)
    return found


def _lock_name(packages: Mapping[str, Locked]) -> str:
    entries = sorted((name, entry.evra, entry.digest) for name, entry in packages.items())
    return f"lock-{hashlib.sha256(repr(entries).encode()).hexdigest()[:24]}.json"


def _check_lock(found: Resolution, lock: Lockfile) -> None:
    loose = lockfile.unlocked(_locked(found), lock)
    if loose:
        raise InputError(
            "the lock file does not fix this compose:\n" + "\n".join(f"  {item}" for item in loose),
            hint="write a new lock file with: nestos compose --refresh --write-lock=FILE",
        )


def _packages_digest(resolution: Resolution, *, accounts: str) -> str:
    lines = [f"{p.name} {p.version} {p.digest}{p.trust and f' {p.trust}'}" for p in resolution.packages]
    return hashlib.sha256("\n".join([_ROOT_FORMAT, accounts, *lines]).encode()).hexdigest()


def _build_name(manifest: Manifest, packages_digest: str, *, key: SigningKey, shaping: Mapping[str, str]) -> str:
    parts = [
        manifest_digest(manifest),
        packages_digest,
        product.digest(),
        product.code_digest(*_SHAPING_CODE),
        key.fingerprint,
        *(f"{name} {version}" for name, version in sorted(shaping.items())),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:24]


def _is_stored(commit: str, repository: Path) -> bool:
    """False where the repository was taken away or made anew since the release was built."""
    return (repository / "objects" / commit[:2] / f"{commit[2:]}.commit").exists()


def _room(resolution: Resolution, *, has_root: bool) -> int:
    """About how many bytes a compose writes: package files and root, then the tree, its image and its commit."""
    fetched = 0 if has_root else resolution.download_bytes + resolution.installed_bytes
    return fetched + 2 * resolution.installed_bytes


def _version(manifest: Manifest, store: Repository, *, timestamp: int) -> str:
    """The next version on the manifest's branch; its date is the archive's, so that it repeats with the packages."""
    if manifest.version_template is None:
        raise InputError("the manifest has no automatic-version-prefix")
    previous = None
    if store.exists and store.find(manifest.ref):
        try:
            previous = store.metadata_value(manifest.ref, "version")
        except NestosError as error:
            raise InputError(f"the last commit of {manifest.ref} has no version") from error
    day: date = datetime.fromtimestamp(timestamp, UTC).date()
    return next_version(manifest.version_template, previous=previous, today=day, suffix=manifest.version_suffix)
