from __future__ import annotations

import json

import pytest

from nestos.base.errors import InputError
from nestos.wire import releases
from nestos.wire.releases import Commit, IndexedRelease, Marks, OciImage, ReleaseIndex, Rollout, UpdateMetadata

INDEX = {
    "note": "not for people",
    "releases": [
        {
            "commits": [{"architecture": "x86_64", "checksum": "a1"}, {"architecture": "aarch64", "checksum": "b1"}],
            "version": "1.0",
            "metadata": "https://example.org/1.0/release.json",
        },
        {
            "commits": [],
            "oci-images": [
                {"architecture": "x86_64", "image": "example.org/os:2.0", "digest-ref": "example.org/os@sha256:22"}
            ],
            "version": "2.0",
            "metadata": "https://example.org/2.0/release.json",
        },
    ],
    "metadata": {"last-modified": "2026-11-23T12:00:00Z"},
    "stream": "stable",
}
UPDATES = {
    "stream": "testing",
    "metadata": {"last-modified": "2024-10-29T16:07:03Z"},
    "releases": [
        {"version": "30.1", "metadata": {"deadend": {"reason": "https://example.org/215"}}},
        {"version": "31.1", "metadata": {"barrier": {"reason": ""}}},
        {"version": "40.1", "metadata": {"rollout": {"start_percentage": 1.0}, "barrier": {"reason": "keys"}}},
        {
            "version": "41.1",
            "metadata": {"rollout": {"start_epoch": 1730219400, "start_percentage": 0.0, "duration_minutes": 2880}},
        },
    ],
}


def test_an_index_is_read() -> None:
    index = releases.parse_index(json.dumps(INDEX), source="releases.json")

    assert index.stream == "stable"
    assert index.releases[0] == IndexedRelease(
        version="1.0",
        metadata_url="https://example.org/1.0/release.json",
        commits=(Commit(architecture="x86_64", checksum="a1"), Commit(architecture="aarch64", checksum="b1")),
    )
    image = OciImage(architecture="x86_64", image="example.org/os:2.0", digest_ref="example.org/os@sha256:22")
    assert index.releases[1].oci_images == (image,)


def test_an_index_read_and_written_is_the_same_document() -> None:
    index = releases.parse_index(json.dumps(INDEX), source="releases.json")

    assert json.loads(releases.render_index(index)) == INDEX


def test_update_metadata_read_and_written_is_the_same_document() -> None:
    updates = releases.parse_updates(json.dumps(UPDATES), source="testing.json")

    assert updates.releases[3].rollout == Rollout(start_epoch=1730219400, start_percentage=0.0, duration_minutes=2880)
    assert json.loads(releases.render_updates(updates)) == UPDATES


def test_a_version_marked_twice_has_both_marks() -> None:
    updates = UpdateMetadata(
        stream="stable", releases=(Marks(version="1", barrier="keys"), Marks(version="1", rollout=Rollout()))
    )

    assert updates.by_version() == {"1": Marks(version="1", barrier="keys", rollout=Rollout())}


def test_unknown_members_are_passed_over() -> None:
    later = INDEX | {"signatures": [1, 2]}

    assert releases.parse_index(json.dumps(later), source="a") == releases.parse_index(json.dumps(INDEX), source="a")


def test_an_empty_index_is_one() -> None:
    assert releases.parse_index('{"releases": []}', source="a") == ReleaseIndex(stream="", note="")


@pytest.mark.parametrize(
    ("document", "told"),
    [
        pytest.param("{", "is not valid JSON", id="cut off"),
        pytest.param("[" * 100_000, "is not valid JSON", id="endlessly deep"),
        pytest.param("[]", "must be an object", id="a list"),
        pytest.param("{}", '"releases" is missing', id="without releases"),
        pytest.param('{"releases": {}}', "$.releases: must be a list", id="releases no list"),
        pytest.param('{"releases": [1]}', "$.releases.0: must be an object", id="a release no object"),
        pytest.param('{"releases": [{"version": 1}]}', "$.releases.0.version: must be a text", id="version a number"),
        pytest.param('{"releases": [{"version": ""}]}', "must not be empty", id="version empty"),
        pytest.param(
            '{"releases": [{"version": "1"}, {"version": "1"}]}', '"1" is also release 0', id="a version twice"
        ),
        pytest.param(
            '{"releases": [{"version": "1", "commits": [{"architecture": "x86_64"}]}]}',
            '$.releases.0.commits.0: "checksum" is missing',
            id="a commit without checksum",
        ),
    ],
)
def test_an_index_that_cannot_be_used_is_refused(document: str, told: str) -> None:
    with pytest.raises(InputError) as refused:
        releases.parse_index(document, source="releases.json")

    assert told in str(refused.value)
    assert "releases.json" in str(refused.value)


@pytest.mark.parametrize(
    ("mark", "told"),
    [
        pytest.param({"rollout": {"start_percentage": 50}}, "from 0.0 to 1.0", id="percent, not a share"),
        pytest.param({"rollout": {"start_percentage": "0.5"}}, "from 0.0 to 1.0", id="share a text"),
        pytest.param({"rollout": {"start_percentage": True}}, "from 0.0 to 1.0", id="share a truth value"),
        pytest.param({"rollout": {"duration_minutes": -1}}, "not negative", id="duration below zero"),
        pytest.param({"rollout": {"duration_minutes": 1.5}}, "must be a whole number", id="duration a fraction"),
        pytest.param({"rollout": {"start_epoch": 2**63}}, "must be a whole number", id="start beyond 64 bits"),
        pytest.param({"rollout": 1}, "must be an object", id="rollout a number"),
        pytest.param({"barrier": True}, "must be an object", id="barrier a truth value"),
        pytest.param({"deadend": {"reason": 7}}, "must be a text", id="reason a number"),
    ],
)
def test_marks_that_cannot_be_used_are_refused(mark: object, told: str) -> None:
    document = {"stream": "stable", "releases": [{"version": "1", "metadata": mark}]}

    with pytest.raises(InputError) as refused:
        releases.parse_updates(json.dumps(document), source="stable.json")

    assert told in str(refused.value)


def test_all_findings_are_told_at_once() -> None:
    with pytest.raises(InputError) as refused:
        releases.parse_updates('{"releases": [{"version": 1}, {"metadata": {"rollout": 1}}]}', source="a.json")

    assert str(refused.value).count("error at") == 4
