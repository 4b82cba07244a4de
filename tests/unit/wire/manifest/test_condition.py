"""Variables and conditions."""

from __future__ import annotations

import pytest

from nestos.base.report import Report
from nestos.wire.manifest.condition import Variables, debian_architecture, holds, substitute
from nestos.wire.manifest.document import Node

VARIABLES: Variables = {"releasever": "13", "stream": "testing", "devel": True, "count": 5, "ratio": 0.5}


def judged(text: str) -> tuple[bool, list[str]]:
    report = Report()
    verdict = holds(Node(value=text), VARIABLES, report)
    return verdict, [item.message for item in report]


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("releasever == 13", True),
        ("releasever >= 14", False),
        ("releasever < 14", True),
        ('releasever == "13"', True),
        ("releasever == 13.0", True),
        ("count <= 5", True),
        ("count > 5", False),
        ("count != 4", True),
        ("ratio < 1", True),
        ('stream == "testing"', True),
        ("stream != 'testing'", False),
        ('stream > "stable"', True),
        ("devel == true", True),
        ("devel != false", True),
        ("devel==false", False),
    ],
)
def test_a_condition_compares_numbers_texts_and_booleans(text: str, verdict: bool) -> None:
    assert judged(text) == (verdict, [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("devel", "is no condition"),
        ("stream == testing", "is no condition"),
        ("stream = 'x'", "is no condition"),
        ("steam == 'x'", 'the variable "steam" is not defined (did you mean "stream"?)'),
        ("devel > true", "cannot be compared"),
        ("stream > 3", "cannot be compared"),
        ("devel == 1", "cannot be compared"),
    ],
)
def test_a_condition_without_sense_is_an_error_and_does_not_hold(text: str, message: str) -> None:
    verdict, messages = judged(text)
    assert not verdict
    assert len(messages) == 1
    assert message in messages[0]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("a/${stream}/${releasever}", "a/testing/13"),
        ("${devel}-${count}-${ratio}", "true-5-0.5"),
        ("$stream {stream} $", "$stream {stream} $"),
    ],
)
def test_references_are_replaced_by_values(text: str, result: str) -> None:
    report = Report()
    assert substitute(Node(value=text), VARIABLES, report) == result
    assert not list(report)


@pytest.mark.parametrize("text", ["${strem}", "${}", "${stream }"])
def test_an_unknown_reference_is_an_error_and_stays(text: str) -> None:
    report = Report()
    assert substitute(Node(value=text), VARIABLES, report) == text
    assert report.is_fatal


@pytest.mark.parametrize(("arch", "name"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("riscv64", "riscv64")])
def test_architectures_have_their_debian_names(arch: str, name: str) -> None:
    assert debian_architecture(arch) == name
