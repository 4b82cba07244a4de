"""How findings and results look."""

from __future__ import annotations

import yaml

from nestos.base.report import Finding, Severity
from nestos.butane.rendering import Style, as_yaml, pretty, short

FOUND = Finding(severity=Severity.ERROR, message="wrong", path=("a", 0), line=2, column=4, hint="try b")
SOURCE = b"first\na: [b]\nc"


def test_a_finding_in_a_line_says_only_what_is_known() -> None:
    assert short(FOUND) == "error at $.a.0, line 2 col 4: wrong"
    assert short(Finding(severity=Severity.WARNING, message="x", line=1, column=1)) == "warning at line 1 col 1: x"
    assert short(Finding(severity=Severity.WARNING, message="x")) == "warning: x"


def test_a_finding_is_shown_under_its_line_and_hints_only_to_people() -> None:
    plain = "error[$.a.0]:\n  --> x.bu:2:4\n   |\n 1 | first\n 2 | a: [b]\n   |    ^^^ wrong\n 3 | c\n   |\n"
    assert pretty([FOUND], name="x.bu", source=SOURCE) == plain
    assert pretty([FOUND], name="x.bu", source=SOURCE, style=Style(hinted=True)) == plain + "   = try b\n"


def test_a_finding_without_a_place_in_the_text_is_one_line() -> None:
    lost = Finding(severity=Severity.ERROR, message="wrong", path=("a",), line=9, column=1)
    assert pretty([lost], name="x.bu", source=SOURCE) == "error at $.a, line 9 col 1: wrong\n"


def test_the_place_is_counted_in_bytes_as_the_original_counts() -> None:
    found = Finding(severity=Severity.ERROR, message="w", line=1, column=3)
    assert " |   ^^^ w\n" in pretty([found], name="x", source="é:ä b".encode())


def test_yaml_is_read_back_as_it_was() -> None:
    config = {"a": ["x\ny\n", "no", "", " padded", 3, True], "b": {"c": {}, "d": "é # %"}}
    assert yaml.safe_load(as_yaml(config)) == config
