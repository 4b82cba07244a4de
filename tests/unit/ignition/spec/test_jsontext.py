"""JSON as text."""

from __future__ import annotations

import contextlib

import pytest

from nestos.ignition.spec.jsontext import JsonError, decode, position, tree, without_surrogates

TEXT = b'{"a": 1,\n "B": [true, {"c": "x\\"}"}],\n "d": null}'


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (1, 2)),
        (("a",), (1, 7)),
        (("B",), (2, 8)),
        (("B", 0), (2, 8)),
        (("B", 1), (2, 15)),
        (("B", 1, "c"), (2, 20)),
        (("d",), (3, 7)),
    ],
)
def test_every_value_has_a_place_and_a_container_has_that_behind_its_bracket(
    path: tuple[str | int, ...], place: tuple[int, int]
) -> None:
    assert position(TEXT, tree(TEXT).nearest(path).place) == place


def test_a_key_has_its_own_place() -> None:
    assert position(TEXT, tree(TEXT).nearest(("B", 1)).keys["c"]) == (2, 15)


def test_a_path_that_the_text_does_not_have_is_at_what_encloses_it() -> None:
    assert position(TEXT, tree(TEXT).nearest(("B", 1, "missing", "deeper")).place) == (2, 15)


def test_columns_count_bytes() -> None:
    text = '{"ä": 1}'.encode()

    assert position(text, tree(text).nearest(("ä",)).place) == (1, 8)


def test_what_is_behind_the_text_is_nowhere() -> None:
    assert position(b"{", 1) == (0, 0)


@pytest.mark.parametrize(
    ("text", "message", "offset"),
    [
        (b'{"a": }', "invalid character '}' looking for beginning of value", 7),
        (b'{"a": 1} x', "invalid character 'x' after top-level value", 10),
        (b"{a: 1}", "invalid character 'a' looking for beginning of object key string", 2),
        (b'{"a": NaN}', "invalid character 'N' looking for beginning of value", 7),
        (b'{"a": -Infinity}', "invalid character 'I' in numeric literal", 8),
        (b'{"a": "\x01"}', "invalid character '\\x01' in string literal", 8),
        (b'{"a": 1.}', "invalid character '}' after decimal point in numeric literal", 9),
        (b'["\\u12', "invalid character ' ' in \\u hexadecimal character escape", 6),
        (b"[" * 10001, "invalid character '[' exceeded max depth", 10001),
        (b"[[[1], {}]", "unexpected end of JSON input", 10),
    ],
)
def test_what_is_not_json_is_told_with_the_bytes_read_until_then(text: bytes, message: str, offset: int) -> None:
    with pytest.raises(JsonError) as caught:
        decode(text)

    assert (str(caught.value), caught.value.offset) == (message, offset)


def test_a_number_that_only_python_stumbles_over_is_refused() -> None:
    with pytest.raises(JsonError):
        decode(b'{"a": ' + b"1" * 5000 + b"}")


def test_what_is_nested_deeply_is_refused_at_worst() -> None:
    with contextlib.suppress(JsonError):  # newer versions of Python can read it
        assert isinstance(decode(b"[" * 5000 + b"]" * 5000), list)


def test_a_lone_surrogate_becomes_a_replacement_character() -> None:
    assert without_surrogates("a\ud800b😀") == "a\ufffdb😀"
