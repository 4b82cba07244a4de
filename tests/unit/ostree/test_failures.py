from __future__ import annotations

import pytest

from nestos.base.errors import CommandError, InputError, NestosError, NetworkError, SpaceError, VerificationError
from nestos.ostree import failures
from tests.unit.ostree import recorded


def _failed(output: str) -> CommandError:
    return CommandError("exit status 1", returncode=1, output=output)


@pytest.mark.parametrize(
    ("output", "kind", "sentence"),
    [
        pytest.param(
            recorded.UNSIGNED, VerificationError, f"commit {recorded.COMMIT} carries no signature", id="unsigned commit"
        ),
        pytest.param(recorded.UNSIGNED_SUMMARY, VerificationError, "summary.sig is missing", id="unsigned summary"),
        pytest.param(
            recorded.UNKNOWN_KEY, VerificationError, "key 39DBCE822C94B3CC that is not trusted", id="wrong key"
        ),
        pytest.param(
            recorded.UNKNOWN_SUMMARY_KEY, VerificationError, "the repository summary is signed by", id="summary key"
        ),
        pytest.param(
            recorded.BAD_SIGNATURE, VerificationError, f"signature of commit {recorded.COMMIT} is wrong", id="bad sign"
        ),
        pytest.param(recorded.CORRUPT_FILE, VerificationError, f"file object {recorded.OBJECT}", id="corrupt file"),
        pytest.param(recorded.CORRUPT_COMMIT, VerificationError, f"commit object {recorded.COMMIT}", id="corrupt head"),
        pytest.param(recorded.TRUNCATED, VerificationError, "truncated", id="truncated"),
        pytest.param(recorded.EMPTY_OBJECT, VerificationError, f"object {recorded.OBJECT}.file", id="empty object"),
        pytest.param(recorded.LOST_OBJECT, VerificationError, f"object {recorded.OBJECT} is missing", id="lost object"),
        pytest.param(recorded.FSCK, VerificationError, f"file object {recorded.OBJECT}", id="fsck"),
        pytest.param(recorded.NOT_FOUND, NetworkError, ".filez: the server answered HTTP 404", id="404"),
        pytest.param(recorded.REFUSED, NetworkError, "http://127.0.0.1:8765/summary.sig: Could not connect", id="down"),
        pytest.param(recorded.NO_HOST, NetworkError, "http://no-such-host.invalid/summary.sig", id="no such host"),
        pytest.param(recorded.MIN_FREE_SPACE, SpaceError, "at least 200.7 kB requested", id="reserve"),
        pytest.param(recorded.DISK_FULL, SpaceError, "No space left on device", id="disk full"),
        pytest.param(recorded.NO_BRANCH, InputError, 'no branch "nope"', id="no branch"),
        pytest.param(recorded.NO_REF, InputError, 'no commit or branch "nope"', id="no ref"),
        pytest.param(recorded.NO_REMOTE, InputError, 'no remote "other"', id="no remote"),
        pytest.param(recorded.NO_REPOSITORY, InputError, "/srv/nothing is no OSTree repository", id="no repository"),
        pytest.param(recorded.NO_SECRET_KEY, InputError, "no secret key nobody", id="no secret key"),
    ],
)
def test_a_failure_is_told_in_the_projects_words(output: str, kind: type[NestosError], sentence: str) -> None:
    error = failures.meaning(_failed(output))
    assert type(error) is kind
    assert sentence in str(error)


def test_an_unknown_failure_keeps_what_ostree_printed() -> None:
    error = _failed("error: something new")
    assert failures.meaning(error) is error


def test_http_status_is_a_kind_for_programs() -> None:
    assert failures.meaning(_failed(recorded.NOT_FOUND)).kind == "http-404"


def test_the_truncated_object_is_found_in_the_verbose_log() -> None:
    assert failures.unwritten(recorded.VERBOSE_TRUNCATED) == [f"{recorded.OBJECT}.file"]
