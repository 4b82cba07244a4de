"""``POST /v1/report``: takes what nodes report of a release (``nestos.wire.report``). Answers are small and at once."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable

from nestos.base.errors import InputError, StateError, VerificationError
from nestos.updates.answers import refusal
from nestos.updates.counting import Series
from nestos.updates.fleet import Fleet
from nestos.updates.http import Request, response
from nestos.wire import report
from nestos.wire.report import Outcome

PATH = f"/{report.PATH}"


class ReportHandler:
    """Answers nodes that report. ``alarm`` is called for each failure, so that a budget is looked at soon."""

    def __init__(self, fleet: Fleet, *, alarm: Callable[[], None]) -> None:
        self._fleet, self._alarm = fleet, alarm
        self.taken: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def __call__(self, request: Request) -> bytes:
        """A whole response."""
        if request.method != "POST":
            return self._refuse(405, "method_not_allowed", "only POST is taken here")
        try:
            envelope = report.parse(request.body)
            told = report.opened(envelope)
            refused = self._fleet.take(told, envelope=envelope)
        except InputError as error:
            return self._refuse(400, error.kind, str(error))
        except VerificationError as error:
            return self._refuse(403, error.kind, str(error))
        except StateError as error:
            return self._refuse(503, error.kind, str(error))
        if refused is not None:
            return self._refuse(refused.status, refused.kind, refused.sentence)
        self.taken[told.outcome] += 1
        if told.outcome is not Outcome.UPDATED:
            self._alarm()
        return response(200, json.dumps({"taken": True}).encode())

    def series(self) -> Iterable[Series]:
        """Counts since the start."""
        yield (
            "nestos_updates_reports_total",
            "counter",
            "Reports of nodes, by outcome.",
            [({"outcome": str(outcome)}, self.taken[outcome]) for outcome in Outcome],
        )
        yield (
            "nestos_updates_reports_refused_total",
            "counter",
            "Reports that were not taken.",
            [({"kind": kind}, count) for kind, count in sorted(self.refused.items())],
        )

    def _refuse(self, status: int, kind: str, sentence: str) -> bytes:
        self.refused[kind] += 1
        return response(status, refusal(status, kind, sentence).body.plain)
