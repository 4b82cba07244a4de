from __future__ import annotations

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from nestos.agent.http import Answer, Question
from nestos.agent.identity import Identity
from nestos.agent.reporting import KEY_FILE, Reporter
from nestos.agent.settings import Restart
from nestos.base.errors import NetworkError
from nestos.wire import graph, report
from nestos.wire.graph import Refusal
from nestos.wire.report import Envelope, Outcome
from tests.unit.agent.fakes import Bench

WHO = Identity(node_uuid="0" * 32, group="g", basearch="x86_64", platform="metal", stream="stable")
NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


class Server:
    """Trusts at first use. ``status``: what it answers instead."""

    def __init__(self) -> None:
        self.secret = ""
        self.status = 0
        self.taken: list[Envelope] = []
        self.asked: list[Question] = []

    def __call__(self, question: Question, /) -> Answer:
        self.asked.append(question)
        envelope = report.parse(question.body)
        if self.status:
            return Answer(status=self.status, headers={}, body=b"")
        if not self.secret and not envelope.secret:
            body = graph.render_refusal(Refusal(kind=report.UNKNOWN_NODE, value="who?"))
            return Answer(status=401, headers={}, body=body)
        self.secret = self.secret or envelope.secret
        report.verify(envelope, secret=self.secret)
        self.taken.append(envelope)
        return Answer(status=204, headers={}, body=b"")


def _reporter(folder: Path, server: Server) -> Reporter:
    return Reporter("http://u.test/", who=WHO, key=folder / "agent" / KEY_FILE, ask=server)


def _sealed(reporter: Reporter) -> Envelope:
    return reporter.sealed(before="1", after="2", outcome=Outcome.UPDATED, reason="", time=NOW)


def test_a_node_tells_its_secret_once_and_is_known_from_then_on(tmp_path: Path) -> None:
    server = Server()
    reporter = _reporter(tmp_path, server)
    for _ in range(2):
        reporter.send(_sealed(reporter))
    secrets = [report.parse(question.body).secret for question in server.asked]
    assert [bool(secret) for secret in secrets] == [False, True, False]
    assert {question.url for question in server.asked} == {"http://u.test/v1/report"}
    assert report.opened(server.taken[0]).node == WHO.node_uuid


def test_the_secret_is_kept_for_the_agent_alone(tmp_path: Path) -> None:
    server = Server()
    first = _reporter(tmp_path, server)
    first.send(_sealed(first))
    key = tmp_path / "agent" / KEY_FILE
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    again = _reporter(tmp_path, server)
    again.send(_sealed(again))
    assert len(server.taken) == 2


@pytest.mark.parametrize(("status", "is_kept"), [(503, True), (429, True), (404, False), (403, False)])
def test_a_report_is_kept_only_while_there_is_hope(tmp_path: Path, status: int, is_kept: bool) -> None:
    server = Server()
    server.status = status
    reporter = _reporter(tmp_path, server)
    if is_kept:
        with pytest.raises(NetworkError):
            reporter.send(_sealed(reporter))
    else:
        reporter.send(_sealed(reporter))


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
def bench(tmp_path: Path, server: Server) -> Bench:
    made = Bench(tmp_path)
    made.reporter = _reporter(tmp_path, server)
    made.crash()
    return made


def _told(server: Server) -> list[tuple[str, str, Outcome, str]]:
    found = [report.opened(envelope) for envelope in server.taken]
    return [(item.before, item.after, item.outcome, item.reason) for item in found]


def test_an_update_is_reported_once(bench: Bench, server: Server) -> None:
    bench.settle()
    bench.reboot()
    bench.run(2000)
    assert _told(server) == [("1", "2", Outcome.UPDATED, "")]


def test_a_fallback_is_reported_with_its_reason(bench: Bench, server: Server) -> None:
    bench.driver.boots_badly = {"2"}
    bench.settle()
    bench.reboot()
    bench.run(2000)
    assert _told(server) == [("1", "2", Outcome.ROLLED_BACK, "it failed here: health check web: exit status 1")]


def test_a_fallback_after_a_restart_that_a_person_made_is_reported_too(bench: Bench, server: Server) -> None:
    bench.set(restart=Restart.NEXT)
    bench.driver.boots_badly = {"2"}
    bench.settle()
    bench.reboot()
    bench.run(2000)
    assert [outcome for _, _, outcome, _ in _told(server)] == [Outcome.ROLLED_BACK]


def test_a_release_that_could_not_be_staged_is_reported_when_it_is_given_up(bench: Bench, server: Server) -> None:
    bench.driver.problem = "no room"
    bench.run(40 * 3600)
    assert _told(server)[0] == ("1", "2", Outcome.FAILED, "no room")


def test_a_report_outlives_a_server_that_is_gone_and_a_crash(bench: Bench, server: Server) -> None:
    server.status = 503
    bench.settle()
    bench.reboot()
    bench.run(2000)
    assert _told(server) == []
    server.status = 0
    bench.crash()
    bench.run(2000)
    assert _told(server) == [("1", "2", Outcome.UPDATED, "")]


def test_without_the_wish_nothing_is_told(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.settle()
    bench.reboot()
    bench.run(2000)
    assert bench.file.read().reports == ()
