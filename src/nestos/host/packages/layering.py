"""What a package backend does for packages on top of a release, on a node: list, solve, fetch, apply.

The distribution's own solver decides what comes and goes, and its database says what is there. A backend knows nothing
of slots, commits and sandboxes: it is given a tree to read, and a ``Runner`` that runs inside that tree. ``apt_layers``
is the Debian one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from nestos.host.packages.backend import Package
from nestos.host.process import Runner


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What a tree shall have besides its own packages, or without them.

    ``packages`` are names for the package sources, ``files`` package files to add, ``removals`` names of the tree's own
    packages, ``replacements`` package files that take the place of the tree's own.
    """

    packages: tuple[str, ...] = ()
    files: tuple[Path, ...] = ()
    removals: tuple[str, ...] = ()
    replacements: tuple[Path, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Change:
    """One package that comes (``old`` is empty), goes (``new`` is empty) or is replaced."""

    name: str
    old: str = ""
    new: str = ""


@dataclass(frozen=True, kw_only=True)
class Solution:
    """What the solver decided: every change, and the package files it takes from the sources."""

    tree: Path
    wish: Wish
    changes: tuple[Change, ...]
    packages: tuple[Package, ...] = ()

    @property
    def download_bytes(self) -> int:
        """Sum of the sizes of the package files."""
        return sum(package.size_bytes for package in self.packages)


@dataclass(frozen=True, kw_only=True)
class Found:
    """A package that a search found."""

    name: str
    summary: str


class LayeringBackend(Protocol):
    """One package family."""

    name: str

    def installed(self, tree: Path) -> dict[str, str]:
        """Name and version of each package of the finished tree."""

    def inspect(self, file: Path) -> Package:
        """What a package file says of itself. Raises ``InputError`` where it is none for this machine."""

    def refresh(self, *, allow_unsigned: bool) -> None:
        """Reads the package sources anew. Raises ``VerificationError`` for one that is not signed, unless allowed."""

    def solve(self, tree: Path, wish: Wish, *, allow_unsigned: bool) -> Solution:
        """Decides, from what ``refresh`` last read. Raises ``InputError`` in our words with the solver's text.

        Packages of the tree that the wish does not name stay as they are.
        """

    def fetch(self, solution: Solution, *, allow_unsigned: bool) -> tuple[Path, ...]:
        """Brings the package files into the pool, checked by digest, and returns their paths."""

    def apply(self, solution: Solution, files: Sequence[Path], *, inside: Runner) -> None:
        """Installs ``files`` (paths inside) and removes what goes, with the tree's programs, without network."""

    def search(self, words: Sequence[str], *, names_only: bool) -> list[Found]:
        """Packages of the sources that have every word in name or summary."""

    def forget(self, *, files: bool, indexes: bool) -> None:
        """Removes what was fetched."""
