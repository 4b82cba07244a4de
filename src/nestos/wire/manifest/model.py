"""The resolved manifest: what the compose reads. Frozen, complete, free of variables and includes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath


class Backend(StrEnum):
    """The package manager that the tree is made with."""

    APT = "apt"
    DNF = "dnf"


@dataclass(frozen=True, kw_only=True)
class RpmRepository:
    """What dnf needs to know of a repository."""

    addresses: tuple[str, ...] = ()
    metalink: str = ""
    """Address of a list of mirrors; empty for none."""
    keys: tuple[str, ...] = ()
    """Armoured OpenPGP keys, or https addresses of such."""
    check_packages: bool = True
    """Whether packages must be signed by one of the keys."""
    check_index: bool = False
    """Whether the index must be."""
    priority: int = 99
    """The lowest number wins; dnf's own default is the least wanted."""
    excluded: tuple[str, ...] = ()
    """Names, with ``*``, that are not taken from here."""


@dataclass(frozen=True, kw_only=True)
class Repository:
    """One source of packages."""

    name: str
    address: str | None = None
    """URL of the archive; None for the source that the composing machine is configured with."""
    archive: str = ""
    """Last part of the path by which the machine's source is found (``debian``, ``debian-security``)."""
    suite: str = ""
    """Suite of a Debian archive; empty for RPM repositories."""
    components: tuple[str, ...] = ("main",)
    rpm: RpmRepository | None = None
    """None with the apt backend."""


@dataclass(frozen=True, kw_only=True)
class AddedFile:
    """A file or symbolic link that is copied into the tree."""

    source: Path
    target: PurePosixPath
    """Absolute path in the tree."""
    mode: int = 0o644
    """0o755 or 0o644: what a version control system keeps. Without meaning for a link."""
    sha256: str = ""
    """Of the content when the manifest was loaded; of the link's target for a link."""
    link: str | None = None
    """Target of a symbolic link; None for a regular file."""


@dataclass(frozen=True, kw_only=True)
class Script:
    """A postprocess script. ``text`` always starts with ``#!``."""

    text: str
    origin: str = ""
    """``file:line`` where it was written, for logs."""


@dataclass(frozen=True, kw_only=True)
class RemovedFromPackage:
    """Files of one package that are removed: those whose whole path matches one of the patterns."""

    package: str
    patterns: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class SystemUser:
    """A user of the operating system that exists before packages are installed."""

    uid: int
    gid: int
    description: str = ""
    home: str = "/nonexistent"
    shell: str = "/usr/sbin/nologin"


@dataclass(frozen=True, kw_only=True)
class Compression:
    """How mkfs.erofs compresses a slot."""

    algorithm: str = "zstd"
    level: int | None = 3
    """None for the algorithm's own."""
    cluster_size_bytes: int = 65536

    @property
    def erofs(self) -> str:
        """The value of mkfs.erofs's ``-z``; empty for no compression."""
        if self.algorithm == "none":
            return ""
        return self.algorithm if self.level is None else f"{self.algorithm},{self.level}"


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """Everything that a compose needs to know.

    Texts have their variables replaced, paths of sources are absolute, lists are joined over all included files.
    """

    ref: str
    """Branch of the OSTree repository."""
    arch: str
    """Base architecture by the kernel's name (``x86_64``)."""
    backend: Backend = Backend.APT
    releasever: str | None = None

    version_template: str | None = None
    """The version's prefix as written, with its date tag; None where versions are given by hand."""
    version_prefix: str | None = None
    """The same with the day of the compose filled in."""
    version_suffix: str = "."
    """Stands between prefix and counter."""
    commit_metadata: Mapping[str, object] = field(default_factory=dict)
    metadata: Mapping[str, object] = field(default_factory=dict)
    """For other tools; shapes nothing."""
    gpg_key: str | None = None
    """Who signs the commit; None where the command line says."""

    repositories: tuple[Repository, ...] = ()
    """In the order of ``repos``."""
    packages: tuple[str, ...] = ()
    """Names, or queries such as ``podman >= 4.1``; each once, included files' first. Holds the kernel package."""
    excluded_packages: tuple[str, ...] = ()
    kernel_package: str | None = None
    """None: the one kernel that the packages bring."""
    recommends: bool = True

    units: tuple[str, ...] = ()
    default_target: str | None = None
    """None: as the packages leave it."""
    add_files: tuple[AddedFile, ...] = ()
    """In order: a later entry replaces an earlier one with the same target. Folders are expanded."""
    remove_files: tuple[str, ...] = ()
    remove_from_packages: tuple[RemovedFromPackage, ...] = ()
    scripts: tuple[Script, ...] = ()
    """Postprocess scripts in the order in which they run; the script file last."""

    system_users: Mapping[str, SystemUser] = field(default_factory=dict)
    """Created before packages are installed, so that ids do not depend on the order of installation."""
    system_groups: Mapping[str, int] = field(default_factory=dict)
    """Likewise: name and number. Holds no group that only ``system_users`` imply."""

    initramfs_args: tuple[str, ...] = ()

    slot_size_bytes: int = 1 << 30
    """Default 1 GiB: three times a tree with two container engines."""
    compression: Compression = field(default_factory=Compression)
    """Default zstd level 3 with 64 KiB clusters: 292 MB where lz4 has 414 MB, for 12 s more on two cores."""
    kargs: tuple[str, ...] = ()

    sources: tuple[Path, ...] = ()
    """Every manifest file that was read, the main one first."""
