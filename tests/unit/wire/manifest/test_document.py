"""Reading YAML and JSON with places."""

from __future__ import annotations

import pytest

from nestos.base.report import Report
from nestos.wire.manifest.document import MOST_NODES, Node, parse, walk


def read(text: str, *, source: str = "a.yaml") -> Node:
    report = Report()
    node = parse(text, source=source, report=report)
    assert not list(report), str(report)
    assert node is not None
    return node


def findings(text: str, *, source: str = "a.yaml") -> list[str]:
    report = Report()
    parse(text, source=source, report=report)
    return [str(item) for item in report]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("0755", 755),
        ("-3", -3),
        ("12:30", "12:30"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ('"13"', "13"),
        ("2026-11-23", "2026-11-23"),
        (".inf", ".inf"),
    ],
)
def test_scalars_follow_the_core_schema_of_yaml_1_2(text: str, value: object) -> None:
    found = read(f"key: {text}").entries["key"].value
    assert found == value
    assert type(found) is type(value)


def test_every_value_knows_its_line_column_path_and_key() -> None:
    item = read("a:\n  - x\n  - {deep: 7}\n").entries["a"].items[1].entries["deep"]
    assert (item.line, item.column, item.path) == (3, 12, ("a", 1, "deep"))
    assert (item.key_line, item.key_column) == (3, 6)


def test_a_number_keeps_the_text_it_was_written_as() -> None:
    assert read("release: 13.10").entries["release"].text == "13.10"


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: [1\nb: 2", "line 2", "not valid YAML"),
        ("a: 1\na: 2", "line 2 col 1", 'the key "a" is given twice (first in line 1)'),
        ("a: !secret x", "line 1 col 4", "the tag !secret is not part"),
        ("? [a]\n: 1", "line 1 col 3", "a key must be a plain word"),
        ("a: 1\n---\nb: 2", "line 2", "not valid YAML"),
        ("a: \x01", "", "not valid YAML"),
        ("", "", "the file is empty"),
        ("# only a comment\n", "", "the file is empty"),
        ("[" * 2000, "", "nested too deeply"),
    ],
    ids=["syntax", "twice", "tag", "key", "two-documents", "control", "empty", "comment", "deep"],
)
def test_what_is_not_one_plain_document_is_refused_with_its_place(text: str, place: str, message: str) -> None:
    found = findings(text)
    assert len(found) == 1
    assert place in found[0]
    assert message in found[0]


def test_aliases_that_expand_without_end_are_refused() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    assert f"more than {MOST_NODES} values" in findings("\n".join(lines))[0]


def test_an_alias_to_itself_is_refused() -> None:
    assert findings("a: &a [*a]")


def test_an_alias_gives_the_same_value_at_both_places() -> None:
    node = read("a: &x [1, 2]\nb: *x")
    assert node.entries["a"].plain() == node.entries["b"].plain() == [1, 2]


def test_json_is_read_with_tabs_and_escapes() -> None:
    node = read(
        '{\n\t"a": ["x\\ty", "\\ud83d\\ude00", "b\tc".strip()]\n}'.replace("\tc", "c").replace(".strip()", ""),
        source="a.json",
    )
    assert node.plain() == {"a": ["x\ty", "\U0001f600", "bc"]}
    assert node.entries["a"].line == 2


@pytest.mark.parametrize("text", ["{a: 1}", "{'a': 1}", '{"a": 1,}', "a: 1"])
def test_yaml_is_not_taken_for_json(text: str) -> None:
    assert "not valid JSON" in findings(text, source="a.json")[0]


def test_walking_meets_every_node_once() -> None:
    assert [node.value for node in walk(read("{a: [1, 2], b: x}")) if not isinstance(node.value, (tuple, dict))] == [
        1,
        2,
        "x",
    ]
