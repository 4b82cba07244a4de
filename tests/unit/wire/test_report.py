from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from nestos.base.errors import InputError, VerificationError
from nestos.wire import report
from nestos.wire.report import Envelope, Outcome, Report

_SECRET = "ab" * 32
_REPORT = Report(
    node="8121764139b84941ba5ccb83ccae1f98",
    group="default",
    basearch="x86_64",
    stream="stable",
    before="13.20261120.0",
    after="13.20261123.0",
    outcome=Outcome.ROLLED_BACK,
    reason="the health check 10-ärger failed",
    time=datetime(2026, 11, 23, 3, 4, 5, tzinfo=UTC),
)


def _changed(**members: Any) -> Envelope:
    document = json.loads(report.sealed(_REPORT, secret=_SECRET).text) | members
    kept = {name: value for name, value in document.items() if value is not None}
    return Envelope(text=json.dumps(kept), signature="0" * 64)


@pytest.mark.parametrize("secret", ["", _SECRET])
def test_a_report_is_read_back(secret: str) -> None:
    envelope = replace(report.sealed(_REPORT, secret=_SECRET), secret=secret)
    again = report.parse(report.render(envelope))
    report.verify(again, secret=_SECRET)
    assert (again, report.opened(again)) == (envelope, _REPORT)


def test_the_format_is_this_one() -> None:
    """Published: a change here is a change of the protocol."""
    envelope = report.sealed(_REPORT, secret=_SECRET)
    assert json.loads(envelope.text) == {
        "schema": 1,
        "node": "8121764139b84941ba5ccb83ccae1f98",
        "group": "default",
        "basearch": "x86_64",
        "stream": "stable",
        "from": "13.20261120.0",
        "to": "13.20261123.0",
        "outcome": "rolled-back",
        "reason": "the health check 10-ärger failed",
        "time": "2026-11-23T03:04:05Z",
    }
    assert json.loads(report.render(envelope)) == {"report": envelope.text, "signature": envelope.signature}


def test_the_signature_is_hmac_sha256() -> None:
    """The vector is of RFC 4231, section 4.3 ("Jefe"); zeros that fill the key up to our length change nothing."""
    envelope = Envelope(
        text="what do ya want for nothing?",
        signature="5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    )
    report.verify(envelope, secret=b"Jefe".ljust(32, b"\0").hex())


@pytest.mark.parametrize("change", ["text", "secret"])
def test_another_report_or_secret_does_not_fit_the_signature(change: str) -> None:
    envelope = report.sealed(_REPORT, secret=_SECRET)
    wrong = replace(envelope, text=envelope.text.replace("rolled-back", "updated")) if change == "text" else envelope
    with pytest.raises(VerificationError) as caught:
        report.verify(wrong, secret=_SECRET if change == "text" else "ac" * 32)
    assert caught.value.kind == report.WRONG_SIGNATURE


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\xff", id="no text"),
        pytest.param(b"[" * 12_000, id="nested"),
        pytest.param(b"[]", id="no object"),
        pytest.param(b'{"report": "{}"}', id="not signed"),
        pytest.param(b'{"report": "{}", "signature": "ab"}', id="short signature"),
        pytest.param(b'{"report": "{}", "signature": "%s", "secret": "x"}' % (b"0" * 64), id="bad secret"),
        pytest.param(b'{"report": "\\ud800", "signature": "%s"}' % (b"0" * 64), id="half a letter"),
        pytest.param(b" " * (report.MOST_BYTES + 1), id="long"),
    ],
)
def test_a_body_that_is_no_envelope_is_refused(body: bytes) -> None:
    with pytest.raises(InputError) as caught:
        report.parse(body)
    assert caught.value.kind == report.INVALID_REPORT


@pytest.mark.parametrize(
    "members",
    [
        {"schema": 2},
        {"node": "../etc"},
        {"node": None},
        {"stream": ""},
        {"to": "x" * 257},
        {"from": "a\nb"},
        {"outcome": "lost"},
        {"outcome": 3},
        {"time": "yesterday"},
        {"time": "2026-11-23T03:04:05+01:00"},
        {"time": "2026-13-01T00:00:00Z"},
    ],
    ids=str,
)
def test_a_report_with_a_wrong_member_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        report.opened(_changed(**members))
    assert caught.value.kind == report.INVALID_REPORT


def test_members_of_a_later_day_are_passed_over() -> None:
    assert report.opened(_changed(colour="blue")) == _REPORT


def test_a_reason_is_cut_and_has_no_control_characters() -> None:
    long = report.sealed(replace(_REPORT, reason="😀" * 5000), secret=_SECRET)
    assert len(report.opened(report.parse(report.render(long))).reason) == 1000
    assert report.opened(_changed(reason="a\x1b[2Jb")).reason == "a [2Jb"
