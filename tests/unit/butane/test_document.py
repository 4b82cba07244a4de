"""What YAML says and where, and what is wrong with it."""

from __future__ import annotations

import pytest
import yaml

from nestos.butane import document, walk
from nestos.butane.document import DocumentError
from tests.unit.butane.source import messages


def node(text: str) -> yaml.Node:
    parsed = document.parse(text)
    assert parsed is not None
    return parsed


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("0644", 0o644),
        ("0o644", 0o644),
        ("0x1FF", 0x1FF),
        ("0b101", 5),
        ("-3", -3),
        ("+3", 3),
        ("1_000", 1000),
        ("2.0", 2),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_a_number_is_read_as_go_reads_it(text: str, value: int) -> None:
    assert document.number(node(text)) == value


@pytest.mark.parametrize(
    "text", ["1.5", "1e3", "1:30", "08", "0x", "_", "0b2", "abc", "'1'", "9223372036854775808", "9" * 5000, "[1]"]
)
def test_what_is_no_whole_number_is_refused(text: str) -> None:
    with pytest.raises(DocumentError):
        document.number(node(text))


@pytest.mark.parametrize("text", ["true", "True", "yes", "on", "y", "ON"])
def test_yes_and_its_kin_are_true_where_a_flag_is_wanted(text: str) -> None:
    assert document.truth(node(text)) is True


@pytest.mark.parametrize("text", ["no", "123", "2020-01-01", "1:30", "0x10", "1.5"])
def test_text_is_text_whatever_it_looks_like(text: str) -> None:
    assert document.text(node(text)) == text


MISTAKES: dict[str, tuple[str, str]] = {
    "unclosed bracket": (
        "storage: {files: [",
        "error at $, line 3 col 19: cannot parse YAML: while parsing a flow node, "
        "expected the node content, but found '<stream end>'",
    ),
    "tab as indentation": (
        "storage:\n\tfiles: []",
        "error at $, line 4 col 1: cannot parse YAML: while scanning for the next token, "
        "found character '\\t' that cannot start any token",
    ),
    "control character": (
        "storage: \x01",
        "error at $, line 3 col 10: cannot parse YAML: special characters are not allowed",
    ),
    "two documents": (
        "---\nvariant: nestos",
        "error at $, line 3 col 1: cannot parse YAML: expected a single document in the stream, "
        "but found another document",
    ),
    "escape beyond Unicode": (
        'systemd: "\\UFFFFFFFF"',
        "error at $: cannot parse YAML: Python int too large to convert to C int",
    ),
    "key given twice": (
        "storage: {}\npasswd: {}\nstorage: {}",
        'error at $, line 5 col 1: key "storage" is given twice, first in line 3',
    ),
    "key given twice below": (
        "storage:\n  files:\n    - path: /a\n      path: /b",
        'error at $.storage.files.0, line 6 col 7: key "path" is given twice, first in line 5',
    ),
    "key that is a list": ("[a]: b", "error at $, line 3 col 1: a key must be text"),
    "surrogate": (
        'passwd: {users: [{name: "\\ud800"}]}',
        "error at $.passwd.users.0.name, line 3 col 25: not valid Unicode: a surrogate stands alone",
    ),
    "binary": (
        "storage: {files: [{path: !!binary aGk=}]}",
        "error at $.storage.files.0.path, line 3 col 26: "
        "binary values are not supported; put the bytes in a local file",
    ),
    "list for a mapping": ("storage: []", "error at $.storage, line 3 col 10: expected a mapping, found a list"),
    "mapping for a list": (
        "storage: {files: {}}",
        "error at $.storage.files, line 3 col 18: expected a list, found a mapping",
    ),
    "text for a mapping": ("storage: files", "error at $.storage, line 3 col 10: expected a mapping, found a value"),
    "mapping for text": (
        "storage: {files: [{path: {a: b}}]}",
        "error at $.storage.files.0.path, line 3 col 26: expected text, found a mapping",
    ),
    "text for a number": (
        "storage: {files: [{path: /a, mode: rw}]}",
        'error at $.storage.files.0.mode, line 3 col 36: expected a whole number, found "rw"',
    ),
    "quoted number": (
        "storage: {files: [{path: /a, mode: '0644'}]}",
        'error at $.storage.files.0.mode, line 3 col 36: expected a whole number, found text "0644"; remove the quotes',
    ),
    "text for a flag": (
        "storage: {files: [{path: /a, overwrite: maybe}]}",
        'error at $.storage.files.0.overwrite, line 3 col 41: expected true or false, found "maybe"',
    ),
    "empty entry": (
        "storage:\n  files:\n    -\n    - path: /a",
        "error at $.storage.files.0, line 5 col 6: this entry is empty",
    ),
    "merge key without a mapping": (
        "storage: {<<: 3}",
        "error at $.storage, line 3 col 11: << needs a mapping or a list of mappings",
    ),
}


@pytest.mark.parametrize(("body", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_told_with_its_place(body: str, message: str) -> None:
    assert messages(body) == [message]


def test_all_mistakes_are_told_at_once() -> None:
    found = messages("storage: {files: [{path: [], mode: x}]}\npasswd: 3\nsytemd: {}")
    assert [line.split(":")[0] for line in found] == [
        "warning at $.sytemd, line 5 col 1",
        "error at $.passwd, line 4 col 9",
        "error at $.storage.files.0.path, line 3 col 26",
        "error at $.storage.files.0.mode, line 3 col 36",
    ]


def test_a_mapping_that_contains_itself_ends() -> None:
    assert messages("storage: &a {<<: *a, files: []}\npasswd: &b {users: [*b]}") == [
        "warning at $.passwd.users.0.users, line 4 col 13: unused key users"
    ]


def test_deep_nesting_is_an_error() -> None:
    (message,) = messages("a: " + "[" * 5000)
    assert message == "error at $: cannot parse YAML: nested too deeply"


def test_aliases_that_multiply_are_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "_MOST_NODES", 10_000)
    headers = ", ".join(["&h {name: a}", *["*h"] * 200])
    appends = ", ".join([f"&a {{http_headers: [{headers}]}}", *["*a"] * 200])
    files = ", ".join([f"&f {{path: /a, append: [{appends}]}}", *["*f"] * 200])
    (message,) = messages(f"storage: {{files: [{files}]}}")
    assert message == "error at $, line 1 col 1: the document expands to too many entries"
