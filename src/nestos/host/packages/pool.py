"""The pool: package files that were fetched, each named by its digest and kept for every later compose."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from nestos.host.packages.backend import Package


class Pool:
    """The package files in ``folder`` whose names end in ``ending`` (``.deb``, ``.rpm``)."""

    def __init__(self, folder: Path, *, ending: str) -> None:
        self.folder = folder
        self._ending = ending

    def name(self, package: Package) -> str:
        """The name of the package's file, here and where it is downloaded."""
        return f"{package.sha256}{self._ending}"

    def place(self, package: Package) -> Path:
        """Where the package's file is, once it is here."""
        return self.folder / self.name(package)

    def holds(self, package: Package) -> bool:
        """True if the file is here, whole. One that a power cut or a full disk left damaged is removed."""
        file = self.place(package)
        if not file.exists():
            return False
        if digest(file) == package.sha256:
            return True
        file.unlink()
        return False

    def take_in(self, packages: Sequence[Package], *, downloads: Path) -> list[Package]:
        """Moves whole files from ``downloads`` here and returns the packages without one.

        Half a file stays there, to go on from; one that has its size and is another is removed.
        """
        lost = []
        for package in packages:
            file = downloads / self.name(package)
            if file.exists() and digest(file) == package.sha256:
                file.replace(self.place(package))
                continue
            lost.append(package)
            if file.exists() and file.stat().st_size >= package.size_bytes:
                file.unlink()
        return lost


def digest(file: Path) -> str:
    """sha256 of the file's content, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
