from __future__ import annotations

from nestos.wire import texts


def test_a_strangers_text_is_one_line_without_escapes_and_has_an_end() -> None:
    assert texts.shown("a\x1b[2J\nb ä") == "a [2J b ä"
    assert texts.shown("x" * 600) == "x" * texts.MOST_CHARACTERS + "…"


def test_what_is_no_word_is_unknown() -> None:
    assert texts.word("failed_lock-1.2") == "failed_lock-1.2"
    assert [texts.word(text) for text in ("", "a b", 'a"', "x" * 65, "ä")] == ["unknown"] * 5
