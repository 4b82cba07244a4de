from __future__ import annotations

import pytest

from nestos.base.report import Finding, Report, Severity, nearest


def test_a_report_is_fatal_only_with_an_error() -> None:
    report = Report()
    assert not report.is_fatal
    report.warning("odd", "units", 0)
    assert not report.is_fatal
    report.error("wrong", "packages")
    assert report.is_fatal


def test_findings_keep_their_order() -> None:
    report = Report()
    report.error("first")
    report.warning("second")
    report.extend([Finding(severity=Severity.INFO, message="third")])
    assert [item.message for item in report] == ["first", "second", "third"]
    assert len(report) == 3


@pytest.mark.parametrize(
    ("finding", "text"),
    [
        (Finding(severity=Severity.ERROR, message="m"), "error at $: m"),
        (Finding(severity=Severity.WARNING, message="m", path=("a", 0, "b")), "warning at $.a.0.b: m"),
        (
            Finding(severity=Severity.ERROR, message="m", path=("a",), line=3, column=7, source="x.yaml"),
            "x.yaml: error at $.a, line 3 col 7: m",
        ),
    ],
    ids=["the document", "a place in it", "a line of a file"],
)
def test_a_finding_says_where_it_is(finding: Finding, text: str) -> None:
    assert str(finding) == text


def test_a_report_is_a_line_for_each_finding() -> None:
    report = Report()
    report.error("a")
    report.error("b", "x")
    assert str(report) == "error at $: a\nerror at $.x: b"


@pytest.mark.parametrize(
    ("name", "phrase"),
    [("pakages", ' (did you mean "packages"?)'), ("units", ' (did you mean "units"?)'), ("zzz", ""), ("", "")],
)
def test_the_nearest_known_word_is_named(name: str, phrase: str) -> None:
    assert nearest(name, ["packages", "units"]) == phrase
