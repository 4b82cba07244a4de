"""Where composes keep what they reuse: one cache folder, everything in it named by what it was made from."""

from __future__ import annotations

import os
from pathlib import Path


class Workspace:
    """The cache at ``home``; its folders are made on first use.

    ``repository`` is the OSTree repository that releases are committed to and nodes pull from, ``repo`` if not given.
    """

    def __init__(self, home: Path, *, repository: Path | None = None) -> None:
        self.home = home.absolute()
        self.repository = repository if repository is not None else self.home / "repo"

    @classmethod
    def default(cls) -> Workspace:
        """``$NESTOS_CACHE``, else ``nestos`` in the user's cache folder (XDG Base Directory Specification)."""
        given = os.environ.get("NESTOS_CACHE")
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return cls(Path(given) if given else Path(base) / "nestos")

    def folder(self, *parts: str) -> Path:
        """A folder below the cache, made if it is missing."""
        path = self.home.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def builds(self, ref: str) -> Path:
        """The folder with the builds of ``ref``, one folder each."""
        return self.folder("builds", ref.replace("/", "-"))
