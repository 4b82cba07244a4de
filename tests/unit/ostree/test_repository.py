from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from nestos.base.errors import CommandError, InputError, VerificationError
from nestos.ostree.repository import Repository
from tests.unit.ostree import recorded
from tests.unit.ostree.fakes import ScriptedRunner

REF = "nestos/x86_64/stable"


@pytest.fixture
def runner() -> ScriptedRunner:
    return ScriptedRunner()


@pytest.fixture
def repository(runner: ScriptedRunner, tmp_path: Path) -> Repository:
    return Repository(tmp_path / "repo", runner=runner)


def test_a_commit_carries_its_metadata_sorted_and_its_signature(runner: ScriptedRunner, repository: Repository) -> None:
    runner.answers("commit", stdout=f"{recorded.COMMIT}\n")
    checksum = repository.commit(
        Path("/tree"),
        branch=REF,
        subject="two",
        timestamp=datetime(2023, 11, 14, 22, 15, tzinfo=UTC),
        metadata={"version": "2", "nestos.uuid": "u"},
        gpg_key="ABCD",
        gpg_home=Path("/gpg"),
        generate_sizes=True,
    )
    assert checksum == recorded.COMMIT
    assert runner.lines == [
        [
            "ostree",
            "commit",
            f"--repo={repository.path}",
            "--tree=dir=/tree",
            "--subject=two",
            f"--branch={REF}",
            "--timestamp=@1700000100",
            "--add-metadata-string=nestos.uuid=u",
            "--add-metadata-string=version=2",
            "--generate-sizes",
            "--gpg-sign=ABCD",
            "--gpg-homedir=/gpg",
        ]
    ]


def test_a_commit_without_a_branch_writes_no_ref(runner: ScriptedRunner, repository: Repository) -> None:
    runner.answers("commit", stdout=f"{recorded.COMMIT}\n")
    repository.commit(Path("/tree"), subject="seed")
    assert "--orphan" in runner.lines[0]


def test_a_remote_requires_signatures_of_commits_and_summary(runner: ScriptedRunner, repository: Repository) -> None:
    repository.add_remote("nestos", url="http://u", keys=[Path("/k/a"), Path("/k/b")])
    assert "--set=gpg-verify=true" in runner.lines[0]
    assert "--set=gpg-verify-summary=true" in runner.lines[0]
    assert "--set=gpgkeypath=/k/a;/k/b" in runner.lines[0]


def test_metadata_of_a_commit_takes_one_process(runner: ScriptedRunner, repository: Repository) -> None:
    runner.answers("log", "--raw", stdout=recorded.RAW_LOG)
    assert repository.metadata(REF)["version"] == "2"
    assert len(runner.lines) == 1


def test_sizes_are_none_where_the_commit_was_made_without(runner: ScriptedRunner, repository: Repository) -> None:
    runner.fails("--print-sizes", stderr=recorded.NO_SIZES)
    assert repository.missing(REF) is None


def test_another_failure_of_sizes_is_not_hidden(runner: ScriptedRunner, repository: Repository) -> None:
    runner.fails("--print-sizes", stderr="error: something new")
    with pytest.raises(CommandError):
        repository.missing(REF)


def test_a_ref_that_is_not_there_is_found_empty(runner: ScriptedRunner, repository: Repository) -> None:
    runner.fails("rev-parse", stderr=recorded.NO_REF)
    assert repository.find("nope") == ""
    with pytest.raises(InputError):
        repository.resolve("nope")


def test_a_truncated_object_is_named_by_a_second_verbose_pull(runner: ScriptedRunner, repository: Repository) -> None:
    runner.answers("--verbose", stderr=recorded.VERBOSE_TRUNCATED, returncode=1)
    runner.fails("pull", stderr=recorded.TRUNCATED)
    with pytest.raises(VerificationError, match=f"object {recorded.OBJECT}.file is truncated"):
        repository.pull("nestos", REF)


def test_a_bad_signature_is_not_pulled_twice(runner: ScriptedRunner, repository: Repository) -> None:
    runner.fails("pull", stderr=recorded.BAD_SIGNATURE)
    with pytest.raises(VerificationError, match="signature"):
        repository.pull("nestos", REF)
    assert len(runner.lines) == 1


def test_a_commit_with_a_partial_mark_is_not_complete(repository: Repository) -> None:
    objects = repository.path / "objects" / recorded.COMMIT[:2]
    objects.mkdir(parents=True)
    assert not repository.is_complete(recorded.COMMIT)
    (objects / f"{recorded.COMMIT[2:]}.commit").touch()
    assert repository.is_complete(recorded.COMMIT)
    (repository.path / "state").mkdir()
    (repository.path / "state" / f"{recorded.COMMIT}.commitpartial").touch()
    assert not repository.is_complete(recorded.COMMIT)


def test_a_privileged_checkout_shares_files_with_the_repository(runner: ScriptedRunner, repository: Repository) -> None:
    repository.checkout(REF, Path("/out"), hard_links=True)
    assert runner.lines[0][-3:] == ["--require-hardlinks", REF, "/out"]


def test_paths_with_odd_names_are_listed_whole(runner: ScriptedRunner, repository: Repository) -> None:
    runner.answers("ls", stdout="/usr/a b\0/usr/c\nd\0")
    assert repository.list_paths(REF) == ["/usr/a b", "/usr/c\nd"]
