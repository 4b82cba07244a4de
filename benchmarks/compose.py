"""Composing the base edition, beside mmdebstrap and mkosi with the same package list.

Ours makes more than they do: an initramfs, a slot image with its hash tree, a signed commit. So its stages are timed
too, and the ratios that compare like with like take only those that end in a directory with the packages in it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.bench import EDITIONS, Bench, Benchmark
from benchmarks.measure import Result, Samples
from benchmarks.roots import debian_root
from nestos.base.log import Progress
from nestos.compose import pipeline, tools
from nestos.compose.pipeline import Options, read_manifest
from nestos.compose.workspace import Workspace
from nestos.host.packages import sources
from nestos.host.toolbox import Toolbox

_MKOSI_PACKAGES = ("mkosi", "apt", "ca-certificates", "debian-archive-keyring", "kmod", "systemd", "tar", "zstd")
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_UNWANTED = ("man", "info", "locale", "doc")  # as in the product's own roots

_NESTOS_COLD, _NESTOS_POOL = "nestos, nothing cached", "nestos, package files kept"
_NESTOS_EDIT, _NESTOS_SAME = "nestos, one file of the manifest changed", "nestos, nothing changed"
_MMDEBSTRAP_COLD, _MMDEBSTRAP_POOL = "mmdebstrap, from the archive", "mmdebstrap, package files kept"
_MKOSI_COLD, _MKOSI_POOL = "mkosi, nothing cached", "mkosi, package files kept"
_MKOSI_EDIT = "mkosi --incremental, one file changed"
_TREE = ", packages to directory only"


@dataclass(frozen=True, kw_only=True)
class _Contest:
    """What all contenders are given: the same packages, from the same archive."""

    bench: Bench
    packages: tuple[str, ...]
    excluded: tuple[str, ...]
    home: Path
    mkosi: Toolbox
    """The tree that mkosi runs from."""

    mmdebstrap: Toolbox
    """The product's own tools tree."""


def run(bench: Bench) -> Result:
    """Every contender once per round, each from nothing, with its package files, and after a small change."""
    manifest = read_manifest(EDITIONS / "base.yaml", arch=bench.arch, variables={}, progress=bench.progress)
    mkosi = debian_root(bench, "mkosi", packages=_MKOSI_PACKAGES)
    home = bench.folder / "home"
    contest = _Contest(
        bench=bench,
        packages=manifest.packages,
        excluded=manifest.excluded_packages,
        home=home,
        mkosi=Toolbox(mkosi.path, binds=[home], network=True),
        mmdebstrap=bench.tools(home, network=True),
    )
    for _ in bench.rounds():
        shutil.rmtree(home, ignore_errors=True)
        home.mkdir(parents=True)
        _nestos(contest)
        _mmdebstrap(contest)
        _mkosi(contest)
    shutil.rmtree(home, ignore_errors=True)
    return bench.samples.result(
        [
            (_NESTOS_COLD, _MKOSI_COLD),
            (_NESTOS_COLD + _TREE, _MKOSI_COLD),
            (_NESTOS_COLD + _TREE, _MMDEBSTRAP_COLD),
            (_NESTOS_POOL + _TREE, _MKOSI_POOL),
            (_NESTOS_POOL + _TREE, _MMDEBSTRAP_POOL),
            (_NESTOS_EDIT, _MKOSI_EDIT),
        ],
        notes=[
            f"The {len(manifest.packages)} packages that the base edition names; everybody resolves what they need.",
            f"mkosi {mkosi.packages['mkosi']}, Format=directory; mmdebstrap --variant=essential, as ours uses it.",
            "A full compose of ours also makes the initramfs, the slot image with its hash tree and the signed commit.",
            f"“{_TREE.removeprefix(', ')}” is ours up to where the others end: resolve, fetch, install.",
            "“Package files kept”: mmdebstrap reads the local repository that our backend had made of them.",
            "“Nothing cached” downloads packages and indexes, so it measures the network too.",
        ],
    )


def _nestos(contest: _Contest) -> None:
    bench, home = contest.bench, contest.home
    workspace = Workspace(home / "nestos")
    _link_tools(bench.workspace, workspace)

    def compose(name: str, *, edition: str = "base.yaml") -> None:
        stages = StageTimes(Samples(clock=bench.samples.clock))
        with bench.timed(name):
            pipeline.compose(EDITIONS / edition, workspace=workspace, options=Options(arch=bench.arch), progress=stages)
        packages = 0.0
        for row in stages.samples.rows():
            bench.samples.add(f"{name}: {row.name}", row.median)
            packages += row.median if row.name.startswith("packages") else 0
        if packages:
            bench.samples.add(name + _TREE, packages)

    compose(_NESTOS_COLD)
    for folder in ("roots", "initramfs", "builds", "repo"):
        shutil.rmtree(workspace.home / folder)
    compose(_NESTOS_POOL)
    compose(_NESTOS_EDIT, edition="changed.yaml")
    compose(_NESTOS_SAME, edition="changed.yaml")


def _link_tools(source: Workspace, target: Workspace) -> None:
    """The tools tree is no part of the contest: mkosi's and mmdebstrap's are ready too."""
    target.home.mkdir(parents=True)
    (target.home / "tools").symlink_to(source.home / "tools")


def _mmdebstrap(contest: _Contest) -> None:
    archive = [f"deb {s.uri} {s.suite} {' '.join(s.components)}" for s in sources.debian(tools.RELEASE)]
    local = [f"deb [trusted=yes] copy://{contest.home}/nestos/apt/repository ./"]
    for name, lines in ((_MMDEBSTRAP_COLD, archive), (_MMDEBSTRAP_POOL, local)):
        target = contest.home / "mmdebstrap"
        options = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in _UNWANTED]
        with contest.bench.timed(name):
            contest.mmdebstrap(
                [
                    "mmdebstrap",
                    "--mode=root",
                    "--variant=essential",
                    "--dpkgopt=force-unsafe-io",
                    '--aptopt=Apt::Install-Recommends "false"',
                    '--aptopt=Acquire::Languages "none"',
                    *options,
                    f"--include={','.join([*contest.packages, *(f'{item}-' for item in contest.excluded)])}",
                    tools.RELEASE if lines is archive else "",
                    target,
                    *lines,
                ],
                # No initramfs: this is about packages. The kernel's maintainer script reads it; ours is told the same.
                environment={"INITRD": "No"},
            )
        shutil.rmtree(target)


def _mkosi(contest: _Contest) -> None:
    home = contest.home / "mkosi"
    for folder in ("output", "work", "packages", "cache", "extra"):
        (home / folder).mkdir(parents=True)
    _write_sources(home / "sandbox/etc/apt")
    for name in (_MKOSI_COLD, _MKOSI_POOL):
        with contest.bench.timed(name):
            contest.mkosi(_mkosi_command(contest, []))
    incremental = ["--incremental=yes", f"--extra-tree={home}/extra"]
    with contest.bench.progress.stage("mkosi, filling its cache"):
        contest.mkosi(_mkosi_command(contest, incremental))
    (home / "extra/changed").write_text("one file more\n")
    with contest.bench.timed(_MKOSI_EDIT):
        contest.mkosi(_mkosi_command(contest, incremental))


def _mkosi_command(contest: _Contest, options: list[str]) -> list[str]:
    home = contest.home / "mkosi"
    names = [*contest.packages, *(f"{item}-" for item in contest.excluded)]
    return [
        "mkosi",
        "--directory=",
        "--distribution=debian",
        f"--release={tools.RELEASE}",
        "--format=directory",
        "--bootable=no",
        "--with-docs=no",
        # As for the others; without it the kernel's maintainer script makes an initramfs.
        "--environment=INITRD=No",
        f"--output-directory={home}/output",
        f"--workspace-directory={home}/work",
        f"--package-cache-directory={home}/packages",
        f"--cache-directory={home}/cache",
        f"--sandbox-tree={home}/sandbox",
        *(f"--package={name}" for name in names),
        *options,
        "--force",
        "build",
    ]


def _write_sources(folder: Path) -> None:
    """The archive as the others see it: the same mirror and suites, no indexes of sources and translations."""
    (folder / "sources.list.d").mkdir(parents=True)
    (folder / "apt.conf.d").mkdir()
    paragraphs = [
        f"Types: deb\nURIs: {s.uri}\nSuites: {s.suite}\nComponents: {' '.join(s.components)}\nSigned-By: {_KEYRING}\n"
        for s in sources.debian(tools.RELEASE)
    ]
    (folder / "sources.list.d/mkosi.sources").write_text("\n".join(paragraphs))
    (folder / "apt.conf.d/languages").write_text('Acquire::Languages "none";\n')


class StageTimes(Progress):
    """A progress that also collects how long each stage took, by the name up to its figures."""

    def __init__(self, samples: Samples) -> None:
        super().__init__()
        self.samples = samples

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """As ``Progress.stage``."""
        with super().stage(name), self.samples.timed(stage_name(name)):
            yield


def stage_name(text: str) -> str:
    """A stage's name without what changes with its inputs: ``packages: installing 222`` is ``packages installing``."""
    words = [word.rstrip(":,") for word in text.split() if not any(letter.isdigit() for letter in word)]
    named = " ".join(words)
    for known in ("packages resolving", "packages installing", "packages files", "commit"):
        if named.startswith(known):
            return known.replace("packages files", "packages fetching")
    return named


BENCHMARK = Benchmark(
    name="compose",
    summary="the base edition's packages to a tree, against mkosi and mmdebstrap",
    run=run,
    runs=1,
    minutes=12,
)
