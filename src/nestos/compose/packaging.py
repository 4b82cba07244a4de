"""The package world of a manifest: which backend drives it, what its architecture is called, where packages are."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from nestos.base.errors import InputError
from nestos.base.log import Progress
from nestos.compose import tools
from nestos.compose.workspace import Workspace
from nestos.host.packages import sources
from nestos.host.packages.apt import AptBackend
from nestos.host.packages.backend import PackageBackend, PackageSource, RpmSource, Source
from nestos.host.packages.dnf import DnfBackend
from nestos.host.toolbox import Toolbox
from nestos.wire.manifest.model import Backend, Manifest, Repository

_DPKG_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def backend(manifest: Manifest, *, workspace: Workspace, toolbox: Toolbox, progress: Progress) -> PackageBackend:
    """The manifest's backend. ``toolbox`` has what Debian packages need; the tools of RPM are composed if missing."""
    pool = workspace.folder("pool")
    if manifest.backend is Backend.APT:
        return AptBackend(runner=toolbox, work=workspace.folder("apt"), pool=pool)
    rpm = tools.ensure(workspace.home, progress=progress, kind=tools.Kind.RPM)
    runner = rpm.with_binds(*workspace.places, *_local_folders(manifest), network=True)
    return DnfBackend(runner=runner, work=workspace.folder("dnf"), pool=pool)


def architecture(manifest: Manifest) -> str:
    """The backend's name of the manifest's architecture. Raises ``InputError`` where nothing can boot on it."""
    if manifest.arch not in _DPKG_ARCHITECTURES:
        raise InputError(
            f"there are no releases for {manifest.arch}", hint=f"there are for: {', '.join(_DPKG_ARCHITECTURES)}"
        )
    return _DPKG_ARCHITECTURES[manifest.arch] if manifest.backend is Backend.APT else manifest.arch


def sources_of(manifest: Manifest) -> tuple[Source, ...]:
    """Where the packages are, in the order of the manifest's ``repos``."""
    if manifest.backend is Backend.DNF:
        return tuple(_rpm_source(repository) for repository in manifest.repositories)
    addresses = sources.configured() if any(r.address is None for r in manifest.repositories) else {}
    return tuple(
        PackageSource(
            name=repository.name,
            uri=repository.address or sources.locate(repository.archive, addresses),
            suite=repository.suite,
            components=repository.components,
        )
        for repository in manifest.repositories
    )


def _local_folders(manifest: Manifest) -> list[Path]:
    """The repositories that are folders of this machine: the sandbox must see them."""
    addresses = [address for one in manifest.repositories if one.rpm for address in one.rpm.addresses]
    folders = [Path(url2pathname(urlsplit(address).path)) for address in addresses if address.startswith("file:")]
    return [folder for folder in folders if folder.is_dir()]


def _rpm_source(repository: Repository) -> RpmSource:
    rpm = repository.rpm
    if rpm is None:
        raise InputError(f"the repository {repository.name} has no RPM packages")
    return RpmSource(
        name=repository.name,
        addresses=rpm.addresses,
        metalink=rpm.metalink,
        keys=rpm.keys,
        check_packages=rpm.check_packages,
        check_index=rpm.check_index,
        priority=rpm.priority,
        excluded=rpm.excluded,
    )
