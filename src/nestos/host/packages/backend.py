"""What a package backend does for a compose: resolve, fetch, install, list.

A backend drives the distribution's own tools; nothing of theirs is written again. ``apt`` and ``dnf`` stand beside
each other with the same methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeAlias


@dataclass(frozen=True, kw_only=True)
class PackageSource:
    """One repository of Debian packages: a base address, a suite (or release) and components."""

    name: str
    uri: str
    suite: str
    components: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class RpmSource:
    """One repository of RPM packages, as a section of dnf's configuration has it (dnf.conf(5))."""

    name: str
    addresses: tuple[str, ...] = ()
    """http, https or file; tried in turn."""
    metalink: str = ""
    """Address of a list of mirrors; empty for none."""
    keys: tuple[str, ...] = ()
    """OpenPGP public keys, each as armoured text or as an https address."""
    check_packages: bool = True
    """Whether every package must be signed by one of ``keys``."""
    check_index: bool = False
    """Whether the index must be; not every distribution signs it."""
    priority: int = 99
    """A package is taken from the repositories with the lowest number that have its name."""
    excluded: tuple[str, ...] = ()
    """Names, with ``*``, of packages that are not taken from here."""


Source: TypeAlias = PackageSource | RpmSource


@dataclass(frozen=True, kw_only=True)
class Package:
    """One package file of a resolution. ``digest`` is ``sha256:<hex>``; ``size_bytes`` is the file's.

    ``installed_bytes`` is what its content takes on a disk, as the package says; 0 where it does not.
    """

    name: str
    version: str
    architecture: str
    digest: str
    size_bytes: int
    uri: str
    installed_bytes: int = field(default=0, compare=False)
    trust: str = ""
    """sha256, in hexadecimal, of the file of keys (in the pool) of which one must have signed it; empty: none must."""
    stanza: str = field(default="", repr=False, compare=False)

    @property
    def sha256(self) -> str:
        """The hex part of the digest."""
        return self.digest.removeprefix("sha256:")


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a tree asks of the archive. ``pins`` maps names to exact versions (from a lock file)."""

    packages: tuple[str, ...]
    excluded: tuple[str, ...] = ()
    architecture: str
    sources: tuple[Source, ...]
    recommends: bool = False
    pins: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Resolution:
    """The exact set of packages, sorted by name, and the archive's own date (seconds since 1970, UTC).

    The date is the newest of the release files that were read; it becomes the time stamp of everything built.
    """

    packages: tuple[Package, ...]
    timestamp: int

    @property
    def download_bytes(self) -> int:
        """Sum of the package files' sizes."""
        return sum(package.size_bytes for package in self.packages)

    @property
    def installed_bytes(self) -> int:
        """About what the root takes on a disk; four times the file for a package that does not say."""
        return sum(package.installed_bytes or 4 * package.size_bytes for package in self.packages)


class PackageBackend(Protocol):
    """One package family."""

    name: str

    def resolve(self, request: Request) -> Resolution:
        """The packages that satisfy ``request``. Raises ``InputError`` naming every package that is missing."""

    def fetch(self, resolution: Resolution) -> Path:
        """Brings every package file into the pool, checked by digest, and returns the pool's folder."""

    def install(self, resolution: Resolution, *, target: Path, accounts: AccountFiles) -> None:
        """Makes a root of exactly these packages in the new folder ``target``."""

    def installed(self, tree: Path) -> dict[str, str]:
        """Name and version of each package that the database inside ``tree`` has as installed."""

    def files(self, tree: Path, package: str) -> list[str]:
        """The absolute paths that ``package`` has in ``tree``. Raises ``InputError`` where it is not installed."""


@dataclass(frozen=True, kw_only=True)
class AccountFiles:
    """System accounts to create before packages are configured, so that their ids never depend on the order.

    ``users`` maps a name to (uid, gid, description, home, shell); ``groups`` a name to its gid.
    """

    users: Mapping[str, tuple[int, int, str, str, str]] = field(default_factory=dict)
    groups: Mapping[str, int] = field(default_factory=dict)


def by_name(packages: Sequence[Package]) -> dict[str, Package]:
    """The packages keyed by name; of two architectures the last wins."""
    return {package.name: package for package in packages}
