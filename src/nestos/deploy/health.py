"""Health checks: programs in ``health.d``, as greenboot has them.

Every program in ``required.d`` must exit 0, else this boot has failed; those in ``wanted.d`` are only reported. They
run in the order of their names, all of them, each with a time limit; of two with one name the one in /etc wins, and a
link to /dev/null masks. A check gets NESTOS_SLOT, NESTOS_VERSION and NESTOS_ON_TRIAL (yes or no) in its environment.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from nestos.base.errors import CommandError
from nestos.base.paths import Root
from nestos.host.process import Runner

logger = logging.getLogger(__name__)

FOLDERS = ("/usr/lib/nestos/health.d", "/etc/nestos/health.d")
_LINE_KEPT = 200  # characters of a check's last line that go into the reason


class Kind(StrEnum):
    """What a failed check means."""

    REQUIRED = "required"
    WANTED = "wanted"


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one check; ``problem`` is empty when it passed."""

    name: str
    kind: Kind
    problem: str = ""


def checks(root: Root, kind: Kind) -> list[Path]:
    """The programs of a kind, in order, masked ones left out."""
    found: dict[str, Path] = {}
    for folder in FOLDERS:
        for path in sorted(root.join(f"{folder}/{kind}.d").glob("*")):
            found[path.name] = path
    return [found[name] for name in sorted(found) if found[name].is_file()]


def run(root: Root, *, environment: Mapping[str, str], limit_seconds: int, runner: Runner) -> list[Result]:
    """Runs all checks, required ones first."""
    return [
        Result(
            name=path.name,
            kind=kind,
            problem=_problem(path, environment=environment, limit_seconds=limit_seconds, runner=runner),
        )
        for kind in Kind
        for path in checks(root, kind)
    ]


def failed(results: Iterable[Result], kind: Kind) -> list[Result]:
    """Those of a kind that did not pass."""
    return [result for result in results if result.kind is kind and result.problem]


def reason(results: Iterable[Result]) -> str:
    """One sentence that names every required check that failed; empty when none did."""
    return "; ".join(f"health check {item.name}: {item.problem}" for item in failed(results, Kind.REQUIRED))


def _problem(path: Path, *, environment: Mapping[str, str], limit_seconds: int, runner: Runner) -> str:
    if not os.access(path, os.X_OK):
        # A forgotten chmod must not take a node down, nor pass unseen.
        logger.warning("health check %s is not executable and was left out", path)
        return ""
    try:
        runner([path], environment=environment, timeout_seconds=limit_seconds)
    except CommandError as error:
        last = (error.output.strip().splitlines() or [""])[-1][:_LINE_KEPT]
        how = f"no end after {limit_seconds} s" if error.returncode == -1 else f"exit status {error.returncode}"
        return f"{how}: {last}" if last else how
    return ""
