"""Records in the journal's own protocol."""

from __future__ import annotations

from pathlib import Path

from nestos.ignition.engine.journal import CONFIG_FETCHED, encoded, send


def test_fields_are_lines_and_values_with_line_ends_carry_their_length() -> None:
    assert encoded({"MESSAGE": "a=b", "X": "1\n2"}) == b"MESSAGE=a=b\nX\n\x03\0\0\0\0\0\0\x001\n2\n"


def test_a_journal_that_is_not_there_is_no_reason_to_fail(tmp_path: Path) -> None:
    send(tmp_path / "socket", "message", message_id=CONFIG_FETCHED)
