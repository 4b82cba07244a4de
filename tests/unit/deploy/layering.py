"""A package source in memory, and a node on which packages are laid without a package manager."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from nestos.base.errors import CommandError, InputError
from nestos.host.packages.backend import Package
from nestos.host.packages.layering import Change, Found, Solution, Wish
from nestos.host.process import Runner

ACCOUNTS = {"passwd": "root:x:0:0::/:/bin/sh\n", "group": "root:x:0:\n"}
"""Files of the /usr/etc of a base: the layout asks them for names of owners."""


class MemoryPackages:
    """A ``LayeringBackend``. ``base`` and ``offered``: name to version; ``broken``: whose scripts fail."""

    name = "memory"

    def __init__(self) -> None:
        self.base = {"less": "1", "bash": "5"}
        self.offered = {"htop": "3", "strace": "6"}
        self.broken: set[str] = set()
        self.refreshed: list[bool] = []
        self.fetched: list[str] = []
        self.applied: list[Solution] = []

    def installed(self, tree: Path) -> dict[str, str]:
        changed = tree / "packages.json"
        return dict(json.loads(changed.read_text())) if changed.exists() else dict(self.base)

    def inspect(self, file: Path) -> Package:
        name, version = file.stem.split("_")
        return Package(
            name=name, version=version, architecture="all", digest=f"sha256:{name}", size_bytes=1, uri=file.as_uri()
        )

    def refresh(self, *, allow_unsigned: bool) -> None:
        self.refreshed.append(allow_unsigned)

    def solve(self, tree: Path, wish: Wish, *, allow_unsigned: bool) -> Solution:
        absent = [name for name in wish.packages if name not in self.offered]
        if absent:
            raise InputError(f"no package source of this node has: {', '.join(absent)}")
        changes = [Change(name=name, new=self.offered[name]) for name in wish.packages]
        changes += [Change(name=name, old=self.base[name]) for name in wish.removals]
        changes += [Change(name=file.stem, new="1") for file in wish.files]
        changes += [Change(name=file.stem, old=self.base[file.stem], new="9") for file in wish.replacements]
        packages = [
            Package(
                name=name, version="1", architecture="all", digest="sha256:x", size_bytes=10, uri=f"http://x/{name}"
            )
            for name in wish.packages
        ]
        return Solution(tree=tree, wish=wish, changes=tuple(changes), packages=tuple(packages))

    def fetch(self, solution: Solution, *, allow_unsigned: bool) -> tuple[Path, ...]:
        self.fetched += [package.name for package in solution.packages]
        pooled = [Path("/pool", package.name) for package in solution.packages]
        return (*pooled, *solution.wish.files, *solution.wish.replacements)

    def apply(self, solution: Solution, files: Sequence[Path], *, inside: Runner) -> None:
        failing = self.broken & {change.name for change in solution.changes}
        if failing:
            raise CommandError(f"the script of {failing.pop()} failed", returncode=1, output="")
        self.applied.append(solution)
        present = self.base | {change.name: change.new for change in solution.changes}
        left = {name: version for name, version in present.items() if version}
        (solution.tree / "packages.json").write_text(json.dumps(left))

    def search(self, words: Sequence[str], *, names_only: bool) -> list[Found]:
        return [Found(name=name, summary="a tool") for name in self.offered if all(word in name for word in words)]

    def forget(self, *, files: bool, indexes: bool) -> None:
        self.fetched.clear()
