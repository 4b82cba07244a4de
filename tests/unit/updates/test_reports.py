"""What a node hears when it reports."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from nestos.updates.counting import render
from nestos.updates.fleet import Fleet
from nestos.updates.http import Request
from nestos.updates.reports import ReportHandler
from nestos.wire import report
from nestos.wire.report import Outcome
from tests.unit.updates.test_fleet import SECRET, FixedClock, told


class Server:
    """The handler, its store, and how often it raised the alarm."""

    def __init__(self, path: Path) -> None:
        self.fleet = Fleet(path, clock=FixedClock())
        self.alarms = 0
        self.handler = ReportHandler(self.fleet, alarm=self._alarm)

    def _alarm(self) -> None:
        self.alarms += 1

    def post(self, body: bytes, *, method: str = "POST") -> tuple[int, str]:
        """The status and the kind, or empty."""
        request = Request(method=method, path="/v1/report", query="", takes_gzip=False, body=body)
        head, _, said = self.handler(request).partition(b"\r\n\r\n")
        return int(head.split(b" ")[1]), json.loads(said).get("kind", "")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "fleet.sqlite")
    yield made
    made.fleet.close()


def body(outcome: Outcome = Outcome.UPDATED, *, secret: str = SECRET, shown: str = SECRET) -> bytes:
    return report.render(replace(report.sealed(told(outcome=outcome), secret=secret), secret=shown))


def test_a_report_is_taken_and_only_a_failure_raises_the_alarm(server: Server) -> None:
    assert server.post(body()) == (200, "")
    assert server.alarms == 0
    assert server.post(body(Outcome.ROLLED_BACK)) == (200, "")
    assert server.alarms == 1


def test_a_node_that_is_not_known_is_asked_for_its_secret(server: Server) -> None:
    assert server.post(body(shown="")) == (401, "unknown_node")


def test_what_is_not_the_nodes_own_report_is_refused(server: Server) -> None:
    server.post(body())

    assert server.post(body(Outcome.FAILED, secret="e" * 64)) == (403, "wrong_signature")
    assert server.alarms == 0


@pytest.mark.parametrize("wrong", [b"", b"{", b"[]", b'{"report": "{}", "signature": "x"}'])
def test_what_is_no_report_is_refused(server: Server, wrong: bytes) -> None:
    assert server.post(wrong) == (400, "invalid_report")


def test_other_methods_are_refused(server: Server) -> None:
    assert server.post(b"", method="GET")[0] == 405


def test_a_store_that_cannot_write_asks_the_node_to_come_again(server: Server, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "fleet.sqlite")) as other:
        other.execute("DROP TABLE outcomes")

    assert server.post(body()) == (503, "failed_database")


def test_reports_are_counted(server: Server) -> None:
    server.post(body())
    server.post(b"{")
    text = render(server.handler.series())

    assert 'nestos_updates_reports_total{outcome="updated"} 1\n' in text
    assert 'nestos_updates_reports_refused_total{kind="invalid_report"} 1\n' in text
