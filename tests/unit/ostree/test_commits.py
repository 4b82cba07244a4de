from __future__ import annotations

from datetime import UTC, datetime

import pytest

from nestos.base.errors import InvariantError
from nestos.ostree import commits
from tests.unit.ostree import recorded


def test_a_log_is_read_newest_first() -> None:
    newest, oldest = commits.parse_log(recorded.LOG)
    assert (newest.checksum, newest.parent, newest.version) == (recorded.COMMIT, recorded.PARENT, "2")
    assert newest.timestamp == datetime(2023, 11, 14, 22, 15, tzinfo=UTC)
    assert (oldest.parent, oldest.subject) == ("", "v1")


def test_a_log_that_ends_before_history_does_is_read() -> None:
    (only,) = commits.parse_log(recorded.LOG_CUT_SHORT)
    assert (only.version, only.subject, only.parent) == ("", "", recorded.PARENT)


def test_signatures_after_a_shown_commit_do_not_confuse() -> None:
    (only,) = commits.parse_log(recorded.SIGNED_SHOW)
    assert only.subject == "v2"


def test_a_commit_without_a_date_is_our_bug_to_fix() -> None:
    with pytest.raises(InvariantError, match="cannot read"):
        commits.parse_log(f"commit {recorded.COMMIT}\nWhen: today\n\n    x\n")


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        pytest.param("'2'\n", "2", id="plain"),
        pytest.param('"[\\"it\'s\\"]"', '["it\'s"]', id="both quotes"),
        pytest.param("'a\\nb\\u00e9'", "a\nbé", id="escapes"),
        pytest.param("uint32 7", "uint32 7", id="no string"),
    ],
)
def test_a_metadata_value_loses_its_quotes(printed: str, value: str) -> None:
    assert commits.parse_string(printed) == value


def test_raw_metadata_gives_the_strings_of_the_first_commit() -> None:
    assert commits.parse_metadata(recorded.RAW_LOG) == {
        "version": "2",
        "q": '["it\'s"]',
        "ostree.linux": "6.12 <x>",
    }


@pytest.mark.parametrize("text", ["", "commit abc\n", "({'cut': <[byte 0x07"])
def test_raw_metadata_that_is_cut_is_not_taken_for_whole(text: str) -> None:
    with pytest.raises(InvariantError):
        commits.parse_metadata(text)


def test_needed_sizes_are_rounded_up() -> None:
    missing = commits.parse_sizes(recorded.SIZES)
    assert missing.count == 8
    assert missing.fetched_bytes >= 200_550
    assert 1_250_000_000 <= missing.stored_bytes <= 1_300_000_000


def test_a_difference_keeps_paths_with_blanks() -> None:
    found = commits.parse_diff(recorded.DIFF)
    assert found.modified == ("/usr/etc/a",)
    assert found.added == ("/usr/bin/new tool",)
    assert found.removed == ("/usr/bin/old",)


def test_refs_map_to_checksums() -> None:
    assert commits.parse_refs(recorded.REFS) == {
        "nestos:nestos/x86_64/stable": recorded.COMMIT,
        "deployed/a": recorded.PARENT,
    }


@pytest.mark.parametrize("text", ["", "e5e7", recorded.COMMIT.upper(), recorded.COMMIT + "0"])
def test_what_is_no_checksum(text: str) -> None:
    assert not commits.is_checksum(text)


def test_what_is_a_checksum() -> None:
    assert commits.is_checksum(recorded.COMMIT)
