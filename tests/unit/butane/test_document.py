"""What YAML says and where, and what is wrong with it, in the words of the original."""

from __future__ import annotations

import pytest

from nestos.butane import document
from nestos.butane.document import DocumentError, Node
from nestos.butane.place import Key, Place
from tests.unit.butane.source import messages


def node(text: str) -> Node:
    parsed = document.parse(text.encode())
    assert parsed is not None
    return parsed


@pytest.mark.parametrize(
    ("text", "tag", "value"),
    [
        ("0", "!!int", 0),
        ("0644", "!!int", 0o644),
        ("0o644", "!!int", 0o644),
        ("0x1FF", "!!int", 0x1FF),
        ("0b101", "!!int", 5),
        ("-3", "!!int", -3),
        ("1_000", "!!int", 1000),
        ("18446744073709551615", "!!int", 2**64 - 1),
        ("2.5", "!!float", 2.5),
        ("089", "!!float", 89.0),
        ("-.inf", "!!float", float("-inf")),
        ("18446744073709551616", "!!float", 2.0**64),
        ("TRUE", "!!bool", True),
        ("yes", "!!str", "yes"),
        ("~", "!!null", None),
        ("2020-01-01", "!!timestamp", "2020-01-01"),
        ("1:30", "!!str", "1:30"),
        ("'1'", "!!str", "1"),
        ("!!str 1", "!!str", "1"),
        ('!!int "7"', "!!int", 7),
        ("!!float 7", "!!float", 7.0),
        ("!foo 7", "!foo", "7"),
    ],
)
def test_a_word_is_understood_as_go_understands_it(text: str, tag: str, value: object) -> None:
    found = node(text)
    assert (found.tag, found.resolved()) == (tag, value)
    assert type(found.resolved()) is type(value)


def test_a_word_that_cannot_be_what_its_tag_says_is_refused() -> None:
    with pytest.raises(DocumentError, match="yaml: cannot decode !!str `x` as a !!int"):
        node("!!int x").resolved()


def test_only_the_first_document_is_read() -> None:
    assert node("a: b\n---\n{").items[0].value == "a"


def test_a_node_is_found_by_its_path_and_a_key_by_its_own() -> None:
    root = node("a:\n  - b: c\nd: &x [e]\nf: *x\n")
    found = document.find(root, ("a", 0, "b"))
    assert found is not None
    assert found.value == "c"
    assert document.nearest_place(root, ("a", 0, Key("b"))) == Place(2, 5)
    assert document.nearest_place(root, ("a", 0, "b", "z", 7)) == Place(2, 8)
    assert document.nearest_place(root, ("f", 0)) == Place(4, 4)
    assert document.find(root, ("f", 0)) is None


MISTAKES: dict[str, tuple[str, str]] = {
    "unclosed bracket": (
        "storage: {files: [",
        "Error unmarshaling yaml: yaml: line 3: did not find expected node content",
    ),
    "tab as indentation": (
        "storage:\n\tfiles: []",
        "Error unmarshaling yaml: yaml: line 4: found character that cannot start any token",
    ),
    "control character": (
        "storage: \x01",
        "Error unmarshaling yaml: yaml: control characters are not allowed",
    ),
    "unknown anchor": ("storage: *a", "Error unmarshaling yaml: yaml: unknown anchor 'a' referenced"),
    "key given twice": (
        "storage: {}\npasswd: {}\nstorage: {}",
        'Error unmarshaling yaml: yaml: unmarshal errors:\n  line 5: mapping key "storage" already defined at line 3',
    ),
    "key given twice below": (
        "storage:\n  files:\n    - path: /a\n      path: /b",
        'yaml: unmarshal errors:\n  line 6: mapping key "path" already defined at line 5',
    ),
    "keys given more than twice": (
        "storage: {luks: [], raid: [],\n luks: [], raid: [],\n luks: []}",
        "yaml: unmarshal errors:\n"
        '  line 4: mapping key "luks" already defined at line 3\n'
        '  line 5: mapping key "luks" already defined at line 3\n'
        '  line 4: mapping key "raid" already defined at line 3\n'
        '  line 5: mapping key "luks" already defined at line 4',
    ),
    "list for a mapping": (
        "storage: []",
        "yaml: unmarshal errors:\n  line 3: cannot unmarshal !!seq into v0_5.Storage",
    ),
    "mapping for a list": (
        "storage: {files: {}}",
        "yaml: unmarshal errors:\n  line 3: cannot unmarshal !!map into []v0_5.File",
    ),
    "mapping for text": (
        "storage: {files: [{path: {a: b}}]}",
        "yaml: unmarshal errors:\n  line 3: cannot unmarshal !!map into string",
    ),
    "text for a number": (
        "storage: {files: [{path: /a, mode: a very long text}]}",
        "yaml: unmarshal errors:\n  line 3: cannot unmarshal !!str `a very ...` into int",
    ),
    "text for a flag": (
        "storage: {files: [{path: /a, overwrite: 'true'}]}",
        "yaml: unmarshal errors:\n  line 3: cannot unmarshal !!str `true` into bool",
    ),
    "all at once": (
        "storage: {files: [{path: [], mode: x}]}\npasswd: {users: [{groups: [[]]}]}",
        "yaml: unmarshal errors:\n"
        "  line 3: cannot unmarshal !!seq into string\n"
        "  line 3: cannot unmarshal !!str `x` into int\n"
        "  line 4: cannot unmarshal !!seq into v0_5.Group",
    ),
    "merge key without a mapping": (
        "storage: {<<: 3}",
        "yaml: map merge requires map or sequence of maps as the value",
    ),
    "mapping that contains itself": (
        "storage: &a {files: [{contents: {<<: *a}}], <<: *a}",
        "yaml: anchor 'a' value contains itself",
    ),
}


@pytest.mark.parametrize(("body", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_as_the_original_tells_it(body: str, message: str) -> None:
    assert messages(body) == [message]


@pytest.mark.parametrize(
    ("body", "mode"), [("mode: 1.9", 1), ("mode: 0x1ff", 0o777), ("mode: !!int '7'", 7), ("mode: ~", None)]
)
def test_a_number_may_be_written_in_many_ways(body: str, mode: int | None) -> None:
    assert messages(f"storage: {{files: [{{path: /a, {body}}}]}}") == []


def test_entries_that_say_nothing_are_left_out() -> None:
    assert messages("passwd:\n  users:\n    -\n    - name: a\n") == [
        "warning at $.passwd.users.0, line 5 col 6: context tree does not match content tree at $.passwd.users.0. "
        "Line and column reporting may be inconsistent. Unused keys may not be reported"
    ]


def test_deep_nesting_is_an_error() -> None:
    (message,) = messages("a: " + "[" * 5000)
    assert message.startswith("Error unmarshaling yaml: yaml: ")


def test_aliases_that_multiply_are_stopped() -> None:
    headers = ", ".join(["&h {name: a}", *["*h"] * 200])
    appends = ", ".join([f"&a {{http_headers: [{headers}]}}", *["*a"] * 200])
    files = ", ".join([f"&f {{path: /a, append: [{appends}]}}", *["*f"] * 200])
    assert messages(f"storage: {{files: [{files}]}}") == ["yaml: document contains excessive aliasing"]
