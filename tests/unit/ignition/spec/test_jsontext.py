"""JSON as text."""

from __future__ import annotations

import pytest

from nestos.ignition.spec.jsontext import JsonError, decode, places, without_surrogates

TEXT = '{"a": 1,\n "B": [true, {"c": "x\\"}"}],\n "d": null}'


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ((), (1, 1)),
        (("a",), (1, 7)),
        (("B",), (2, 7)),
        (("B", 0), (2, 8)),
        (("B", 1), (2, 14)),
        (("B", 1, "c"), (2, 20)),
        (("d",), (3, 7)),
    ],
)
def test_every_value_has_the_place_where_it_begins(path: tuple[str | int, ...], place: tuple[int, int]) -> None:
    assert places(TEXT).of_value(path) == place


def test_a_key_has_its_own_place() -> None:
    assert places(TEXT).of_key(("B", 1, "c")) == (2, 15)


def test_a_path_that_the_text_does_not_have_is_at_what_encloses_it() -> None:
    assert places(TEXT).of_value(("B", 1, "missing", "deeper")) == (2, 14)


def test_places_are_found_whatever_the_case_of_keys() -> None:
    assert places('{"Storage": {"FILES": []}}').of_value(("storage", "files")) == (1, 23)


@pytest.mark.parametrize(
    ("text", "place"),
    [('{"a": }', (1, 7)), ('{"a": 1} x', (1, 10)), ("{a: 1}", (1, 2))],
)
def test_what_is_not_json_is_told_with_its_place(text: str, place: tuple[int, int]) -> None:
    with pytest.raises(JsonError) as caught:
        decode(text)

    assert caught.value.line == place[0]
    assert abs(caught.value.column - place[1]) <= 1  # Python's own decoder moved by one between versions


@pytest.mark.parametrize("text", ["[" * 200_000, '{"a": NaN}', '{"a": -Infinity}', '{"a": ' + "1" * 5000 + "}"])
def test_what_only_python_would_take_or_stumble_over_is_refused(text: str) -> None:
    with pytest.raises(JsonError):
        decode(text)


def test_a_lone_surrogate_becomes_a_replacement_character() -> None:
    assert without_surrogates("a\ud800b😀") == "a\ufffdb😀"
