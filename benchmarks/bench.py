"""What a benchmark is, and what it is given: its place in the cache, how often to measure, whom to tell."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measure import Result, Samples
from nestos.base.log import Progress
from nestos.compose import pipeline, tools
from nestos.compose.pipeline import Composed, Options
from nestos.compose.workspace import Workspace
from nestos.host.toolbox import Toolbox
from nestos.wire.lockfile import Lockfile

EDITIONS = Path(__file__).parent / "editions"


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One benchmark. ``runs`` is how often it measures unless it is told another number."""

    name: str
    summary: str
    run: Callable[[Bench], Result]
    runs: int
    minutes: float
    """How long it takes on two cores without KVM, once everything it needs is in the cache."""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What one run of a benchmark works with. ``folder`` is its own and may hold anything from earlier runs."""

    workspace: Workspace
    folder: Path
    runs: int
    arch: str
    progress: Progress
    samples: Samples = field(default_factory=Samples)

    def tools(self, *binds: Path, network: bool = False) -> Toolbox:
        """The tools tree, with the cache and ``binds`` visible."""
        box = tools.ensure(self.workspace.home, progress=self.progress)
        return box.with_binds(self.workspace.home, *binds, network=network)

    def release(self, edition: str, *, lock: Lockfile | None = None) -> Composed:
        """A release of the edition ``edition`` of ours, in a repository that only benchmarks use."""
        workspace = Workspace(self.workspace.home, repository=self.workspace.home / "benchmarks/repo")
        options = Options(arch=self.arch, lock=lock)
        return pipeline.compose(EDITIONS / edition, workspace=workspace, options=options, progress=self.progress)

    def rounds(self) -> Iterator[int]:
        """Counts the measurements and says so; contenders take turns within a round, so that noise meets all."""
        for number in range(1, self.runs + 1):
            self.progress.say(f"round {number} of {self.runs}")
            yield number

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """A stage whose seconds are a sample of ``name``."""
        with self.progress.stage(name), self.samples.timed(name):
            yield
