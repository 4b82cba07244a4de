"""Where composes keep what they reuse: one cache folder, everything in it named by what it was made from."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nestos.base import lock


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

    @contextmanager
    def exclusively(self, *, wait_seconds: float = 10.0) -> Iterator[None]:
        """One compose at a time in this cache. Raises ``BusyError`` naming the other, after a while for short ones.

        What an interrupted one left half-done is removed first, and after a failure.
        """
        with lock.held(self.folder() / "compose.lock", what=f"the cache {self.home}", wait_seconds=wait_seconds):
            self._sweep()
            try:
                yield
            except BaseException:
                self._sweep()
                raise

    def _sweep(self) -> None:
        """Removes roots that are not whole, and builds without a ``release.json``, which is written last."""
        unfinished = [*self.home.glob("roots/*.part")]
        unfinished += [path for path in self.home.glob("builds/*/*") if not (path / "release.json").exists()]
        for folder in [*unfinished, *self.home.glob("builds/*/*/tree")]:
            # A program that was just ended may still write there; then the next sweep has the rest.
            shutil.rmtree(folder, ignore_errors=True)

    @property
    def places(self) -> tuple[Path, ...]:
        """The folders that a sandbox must see: the cache, and where links in it lead (caches may share parts)."""
        shared = {path.resolve() for path in self.home.iterdir() if path.is_symlink()}
        return (self.home, *sorted(shared))

    def builds(self, ref: str) -> Path:
        """The folder with the builds of ``ref``, one folder each."""
        return self.folder("builds", ref.replace("/", "-"))
