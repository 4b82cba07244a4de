"""Rules for paths: of nodes, devices and mount points."""

from __future__ import annotations

from nestos.ignition.spec.paths import path_problem
from nestos.ignition.spec.schema import Place, Value


def path(value: Value, place: Place) -> None:
    """The field ``path`` is a good path."""
    problem = path_problem(value.get("path", ""))
    if problem:
        place.error(problem, "path")


def check_path(text: str, place: Place, *below: str | int) -> None:
    """Reports ``text`` if it is no good path."""
    problem = path_problem(text)
    if problem:
        place.error(problem, *below)
