from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from nestos.base.errors import StateError, VerificationError
from nestos.deploy import release
from nestos.deploy.records import Denial
from nestos.deploy.release import Release, Situation, Verdict
from nestos.ostree.commits import Commit
from nestos.wire.deployment import Deployment
from tests.unit.deploy.fakes import REF, Made, made


def _read(source: Made) -> Release:
    held = source.deployment
    header = Commit(
        checksum=held.commit,
        parent=source.parent,
        timestamp=datetime.fromisoformat(held.timestamp),
        version=held.version,
        subject="",
    )
    return release.read(header, source.metadata, ref=REF)


def _situation(
    booted: Deployment, *, pending: Deployment | None = None, denied: tuple[Deployment, ...] = ()
) -> Situation:
    denials = {d.commit: Denial(version=d.version, commit=d.commit, reason="panic", time="then") for d in denied}
    return Situation(booted=booted, pending=pending, denied=denials)


OLD, RUNNING, NEW, NEWER = (made(f"13.{day}", day=day) for day in (1, 2, 3, 4))


def test_a_release_is_what_its_commit_says() -> None:
    found = _read(NEW)
    assert found.deployment(kargs=("quiet",)) == NEW.deployment
    assert found.erofs_options == ("-zlz4",)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        pytest.param("version", "", id="no version"),
        pytest.param("nestos.verity-root-hash", "abc", id="short root hash"),
        pytest.param("nestos.verity-hash-offset", "-1", id="negative offset"),
        pytest.param("nestos.image-size", "many", id="no size"),
        pytest.param("ostree.linux", "../../etc", id="kernel version that leads away"),
        pytest.param("nestos.erofs-options", '["/etc/passwd"]', id="option that is a path"),
        pytest.param("nestos.erofs-options", '"-z"', id="options that are no list"),
        pytest.param("nestos.erofs-options", "[", id="options that are no JSON"),
        pytest.param("nestos.verity-salt", "xyz", id="salt that is no hex"),
        pytest.param("nestos.uuid", "1234", id="no UUID"),
        pytest.param("nestos.kargs", '["a b"]', id="argument with a blank"),
        pytest.param("nestos.packages", "[]", id="packages that are no map"),
    ],
)
def test_a_commit_with_a_wrong_key_is_no_release(key: str, value: str) -> None:
    with pytest.raises(VerificationError, match=f"no NestOS release: {key} missing or not usable"):
        _read(made("2", day=2, metadata={key: value}))


def test_every_missing_key_is_named_at_once() -> None:
    with pytest.raises(VerificationError) as caught:
        _read(replace(NEW, metadata={}))
    assert "version" in str(caught.value)
    assert "nestos.uuid" in str(caught.value)


def test_a_commit_without_kernel_arguments_or_packages_is_a_release() -> None:
    metadata = {key: value for key, value in NEW.metadata.items() if key not in {"nestos.kargs", "nestos.packages"}}
    assert _read(replace(NEW, metadata=metadata)).kargs == ()


def test_what_runs_is_no_update() -> None:
    assert release.judge(_read(RUNNING), _situation(RUNNING.deployment)) is Verdict.UNCHANGED


def test_what_is_staged_is_no_update() -> None:
    situation = _situation(RUNNING.deployment, pending=NEW.deployment)
    assert release.judge(_read(NEW), situation) is Verdict.STAGED


def test_a_newer_release_replaces_a_staged_one() -> None:
    situation = _situation(RUNNING.deployment, pending=NEW.deployment)
    assert release.judge(_read(NEWER), situation) is Verdict.UPDATE


def test_a_repository_that_went_back_in_time_is_refused() -> None:
    with pytest.raises(StateError, match=r"went back in time: it offers 13\.1") as caught:
        release.judge(_read(OLD), _situation(RUNNING.deployment))
    assert caught.value.kind == "downgrade"


def test_what_is_older_than_the_staged_release_is_refused_too() -> None:
    with pytest.raises(StateError, match=r"this node has 13\.4"):
        release.judge(_read(NEW), _situation(RUNNING.deployment, pending=NEWER.deployment))


def test_going_back_is_allowed_to_who_says_so() -> None:
    assert release.judge(_read(OLD), _situation(RUNNING.deployment), allow_downgrade=True) is Verdict.UPDATE


def test_of_two_releases_made_at_one_time_the_version_decides() -> None:
    lower, higher = made("13.9", day=2), made("13.10", day=2)
    assert release.judge(_read(higher), _situation(lower.deployment)) is Verdict.UPDATE
    with pytest.raises(StateError, match="went back"):
        release.judge(_read(lower), _situation(higher.deployment))


def test_a_running_release_of_unknown_date_is_older_than_any() -> None:
    undated = replace(RUNNING.deployment, timestamp="")
    assert release.judge(_read(OLD), _situation(undated)) is Verdict.UPDATE


def test_a_release_that_failed_here_is_refused_with_its_reason() -> None:
    with pytest.raises(StateError, match=r"13.3 failed on this node.*panic") as caught:
        release.judge(_read(NEW), _situation(RUNNING.deployment, denied=(NEW.deployment,)))
    assert caught.value.kind == "denied"


def test_a_release_that_failed_here_is_taken_by_who_insists() -> None:
    situation = _situation(RUNNING.deployment, denied=(NEW.deployment,))
    assert release.judge(_read(NEW), situation, allow_denied=True) is Verdict.UPDATE


def test_arguments_of_the_node_itself_outlive_an_update() -> None:
    booted = replace(RUNNING.deployment, kargs=("quiet", "old", "console=ttyS0"))
    offered = replace(_read(NEW), kargs=("quiet", "new"))
    assert release.kargs_for(offered, booted=booted, booted_release_kargs=("quiet", "old")) == (
        "quiet",
        "new",
        "console=ttyS0",
    )


def test_all_arguments_stay_where_the_running_release_is_not_known() -> None:
    booted = replace(RUNNING.deployment, kargs=("quiet", "x"))
    assert release.kargs_for(_read(NEW), booted=booted, booted_release_kargs=None) == ("quiet", "x")


@pytest.mark.parametrize(
    ("running", "same"),
    [
        pytest.param({"erofs-utils": "1.8"}, True, id="equal"),
        pytest.param({"erofs-utils": "1.9"}, False, id="other tool"),
        pytest.param({"erofs-utils": "1.8", "libzstd1": "1.5"}, False, id="other compressor"),
        pytest.param(None, False, id="unknown"),
    ],
)
def test_the_running_tools_serve_only_if_they_are_the_releases_own(running: dict[str, str] | None, same: bool) -> None:
    assert release.same_image_tools(_read(NEW), running) is same


def test_moments_are_written_in_utc() -> None:
    assert release.rfc3339(datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)) == "2026-01-02T03:04:05Z"
