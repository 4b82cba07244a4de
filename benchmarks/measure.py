"""What was measured, as values: samples of named things, their medians, and ratios between them.

Pure but for the clock that is passed in. Prints nothing; ``render`` and ``document`` give the table and the JSON.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from nestos.base.clock import Clock, SystemClock
from nestos.base.errors import InvariantError

_UNITS = {"s": (1.0, "s", 2), "B": (1e6, "MB", 3), "": (1.0, "", 0), "ms": (1.0, "ms", 2), "us": (1.0, "µs", 1)}
"""Unit of the samples: what they are divided by for people, the unit they then have, and its decimals."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measured thing. ``unit`` is ``s``, ``ms``, ``us``, ``B`` (bytes) or nothing (a count)."""

    name: str
    unit: str
    samples: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle sample."""
        return statistics.median(self.samples)


@dataclass(frozen=True, kw_only=True)
class Ratio:
    """The median of one row over that of another."""

    of: str
    to: str
    value: float


@dataclass(frozen=True, kw_only=True)
class Result:
    """All that one benchmark found. ``notes`` are sentences that the figures must not be read without."""

    rows: tuple[Row, ...]
    ratios: tuple[Ratio, ...]
    notes: tuple[str, ...] = ()


@dataclass
class Samples:
    """Collects samples by name, in the order in which the names first came."""

    clock: Clock = field(default_factory=SystemClock)
    _found: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def add(self, name: str, value: float, *, unit: str = "s") -> None:
        """One more sample of ``name``."""
        self._found.setdefault((name, unit), []).append(float(value))

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Adds the seconds that the block took, if it does not raise."""
        began = self.clock.monotonic()
        yield
        self.add(name, self.clock.monotonic() - began)

    def rows(self) -> tuple[Row, ...]:
        """What was collected."""
        return tuple(Row(name=name, unit=unit, samples=tuple(found)) for (name, unit), found in self._found.items())

    def result(self, ratios: Sequence[tuple[str, str]], *, notes: Sequence[str] = ()) -> Result:
        """The rows, and the ratio of each pair of names. Raises ``InvariantError`` for a name never sampled."""
        rows = self.rows()
        return Result(rows=rows, ratios=tuple(ratio(rows, of=of, to=to) for of, to in ratios), notes=tuple(notes))


def ratio(rows: Sequence[Row], *, of: str, to: str) -> Ratio:
    """The median of the row ``of`` over that of the row ``to``."""
    known = {row.name: row for row in rows}
    missing = [name for name in (of, to) if name not in known]
    if missing:
        raise InvariantError(f"never measured: {', '.join(missing)}")
    if known[of].unit != known[to].unit:
        raise InvariantError(f"{of} and {to} have different units")
    below = known[to].median
    return Ratio(of=of, to=to, value=known[of].median / below if below else float("inf"))


def render(result: Result) -> str:
    """Two Markdown tables, the figures and the ratios, and the notes."""
    lines = _table(
        ("what", "n", "min", "median", "max", ""),
        [
            (row.name, str(len(row.samples)), *(_number(v, row) for v in _spread(row)), _UNITS[row.unit][1])
            for row in result.rows
        ],
    )
    if result.ratios:
        lines += ["", *_table(("of", "to", "ratio"), [(r.of, r.to, f"{r.value:.3g}") for r in result.ratios])]
    lines += ["", *(f"- {note}" for note in result.notes)] if result.notes else []
    return "\n".join(lines)


def document(result: Result, *, name: str, command: str, conditions: Mapping[str, Any]) -> dict[str, Any]:
    """The result for programs; seconds and bytes as measured. ``conditions``: when and on what it was measured."""
    return {
        "name": name,
        "command": command,
        "conditions": dict(conditions),
        "rows": [
            {"name": row.name, "unit": row.unit, "median": row.median, "samples": list(row.samples)}
            for row in result.rows
        ],
        "ratios": [{"of": item.of, "to": item.to, "ratio": item.value} for item in result.ratios],
        "notes": list(result.notes),
    }


def _spread(row: Row) -> tuple[float, float, float]:
    return min(row.samples), row.median, max(row.samples)


def _number(value: float, row: Row) -> str:
    divisor, _, decimals = _UNITS[row.unit]
    return f"{value / divisor:.{decimals}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(line[column]) for line in (head, *rows)) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if column == 0 or not _is_number(cell) else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return f"| {' | '.join(padded)} |"

    return [line(head), f"|{'|'.join('-' * (width + 2) for width in widths)}|", *(line(row) for row in rows)]


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).isdigit()
