"""Plain Debian roots for the rivals, made by the product's own package backend and kept in the cache."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import Bench
from nestos.compose.tools import RELEASE
from nestos.host.packages import sources
from nestos.host.packages.apt import AptBackend
from nestos.host.packages.backend import AccountFiles, Request

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, kw_only=True)
class DebianRoot:
    """An installed root, and name and version of what is in it. Not to be written to: it is kept."""

    path: Path
    packages: Mapping[str, str]


def debian_root(bench: Bench, name: str, *, packages: tuple[str, ...]) -> DebianRoot:
    """A root of the essential packages and ``packages``; ``name`` says what for."""
    workspace = bench.workspace
    backend = AptBackend(
        runner=bench.tools(network=True),
        work=workspace.folder("benchmarks", "apt"),
        pool=workspace.folder("pool"),
    )
    digest = hashlib.sha256("\n".join([RELEASE, bench.arch, *sorted(packages)]).encode()).hexdigest()[:16]
    root = workspace.folder("benchmarks", "roots") / f"{name}-{digest}"
    if not root.exists():
        request = Request(
            packages=packages, architecture=_ARCHITECTURES[bench.arch], sources=tuple(sources.debian(RELEASE))
        )
        with bench.progress.stage(f"{name}: a root of {len(packages)} packages and what they need"):
            resolution = backend.resolve(request)
            backend.fetch(resolution)
            partial = root.with_name(f"{root.name}.part")
            shutil.rmtree(partial, ignore_errors=True)
            backend.install(resolution, target=partial, accounts=AccountFiles())
            partial.rename(root)
    return DebianRoot(path=root, packages=backend.installed(root))
