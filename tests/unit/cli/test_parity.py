"""``nestos parity``: reading the promises, finding tests, comparing them with what ran."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nestos.base.errors import InputError
from nestos.cli import parity

HEAD = '[areas]\nboot = "how it boots"\n[groups]\nmission = "The mission"\n'
PROVEN = "tests/unit/test_boot.py::test_it_boots"


def row(**changes: object) -> str:
    """One row of a table in TOML, with ``changes`` over a sound one; a change to None leaves the key out."""
    keys = {"id": "m-boots", "feature": "It boots", "state": "planned", "where": "boot"} | changes
    lines = [f"{key} = {json.dumps(value)}" for key, value in keys.items() if value is not None]
    return "\n".join([HEAD, "[[mission]]", *lines, ""])


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with one unit test, one test in a class, and two scenarios."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "tests" / "unit").mkdir(parents=True)
    (tmp_path / "tests" / "scenarios").mkdir()
    (tmp_path / "tests" / "unit" / "test_boot.py").write_text(
        "def test_it_boots(): ...\nclass TestSlots:\n    def test_two(self): ...\n    def helper(self): ...\n"
    )
    (tmp_path / "tests" / "scenarios" / "updates.py").write_text(
        "@scenario('power-cut')\ndef cut(lab): ...\n"
        "@lab.scenario(name='first-boot', minutes=5)\ndef first(lab): ...\n"
        "@scenario\ndef rollback(lab): ...\n"
        "@fixture\ndef no_scenario(): ...\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        pytest.param({"state": "works"}, "names no test", id="works without a test"),
        pytest.param({"state": "partly", "note": "half"}, "names no test", id="partly without a test"),
        pytest.param({"state": "partly", "test": PROVEN}, "no note", id="partly without a note"),
        pytest.param({"state": "not-wanted"}, "no note", id="refused without a reason"),
        pytest.param({"test": PROVEN}, "yet names a test", id="planned with a test"),
        pytest.param({"state": "work"}, 'unknown state "work" (did you mean "works"?)', id="misspelt state"),
        pytest.param({"where": "boots"}, 'unknown area "boots" (did you mean "boot"?)', id="misspelt area"),
        pytest.param({"tests": PROVEN}, 'unknown key "tests" (did you mean "test"?)', id="misspelt key"),
        pytest.param({"id": "Not A Word"}, "is not a new word", id="bad id"),
        pytest.param({"feature": None}, "has no feature", id="no feature"),
    ],
)
def test_a_row_that_is_wrong_is_refused_with_its_mistake(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(InputError) as caught:
        parity.load(row(**changes))

    assert complaint in str(caught.value)


def test_all_mistakes_are_reported_at_once() -> None:
    with pytest.raises(InputError) as caught:
        parity.load(row(where="nowhere", state="done"))

    assert "nowhere" in str(caught.value)
    assert "done" in str(caught.value)


def test_an_id_is_used_once() -> None:
    twice = row() + row().removeprefix(HEAD)
    with pytest.raises(InputError, match="not a new word"):
        parity.load(twice)


def test_a_group_without_a_title_is_refused() -> None:
    with pytest.raises(InputError, match="has no title"):
        parity.load(row() + '[[misson]]\nid = "x"\n')


def test_tests_are_found_without_importing_them(checkout: Path) -> None:
    expected = {
        PROVEN,
        "tests/unit/test_boot.py::TestSlots::test_two",
        "power-cut",
        "first-boot",
        "rollback",
    }

    assert parity.known_tests(checkout) == expected


def test_a_named_test_that_does_not_exist_is_a_problem(checkout: Path) -> None:
    table = parity.load(row(state="works", test=[PROVEN, "power-cat"]))

    problems = parity.unknown_tests(table, known=parity.known_tests(checkout))

    assert problems == ['m-boots names a test that does not exist: "power-cat" (did you mean "power-cut"?)']


@pytest.mark.parametrize(
    ("outcomes", "problems"),
    [
        pytest.param({PROVEN: "passed", "power-cut": "passed"}, 0, id="all passed"),
        pytest.param({PROVEN: "passed", "power-cut": "failed"}, 1, id="one failed"),
        pytest.param({PROVEN: "skipped", "power-cut": "passed"}, 1, id="one was skipped"),
        pytest.param({PROVEN: "passed"}, 1, id="one did not run"),
        pytest.param({}, 2, id="nothing ran"),
    ],
)
def test_a_promise_holds_only_when_every_named_test_passed(outcomes: dict[str, str], problems: int) -> None:
    table = parity.load(row(state="works", test=[PROVEN, "power-cut"]))

    assert len(parity.unproven(table, outcomes=outcomes)) == problems


def test_a_short_run_forgives_missing_scenarios_and_nothing_else() -> None:
    table = parity.load(row(state="works", test=[PROVEN, "power-cut"]))

    missing = parity.unproven(table, outcomes={}, scenarios_ran=False)
    skipped = parity.unproven(table, outcomes={PROVEN: "skipped", "power-cut": "skipped"}, scenarios_ran=False)
    failed = parity.unproven(table, outcomes={PROVEN: "passed", "power-cut": "failed"}, scenarios_ran=False)

    assert [f'm-boots says works, but "{PROVEN}" did not run'] == missing
    assert skipped == [f'm-boots says works, but "{PROVEN}" skipped']
    assert failed == ['m-boots says works, but "power-cut" failed']


def test_an_old_document_is_a_problem_until_it_is_written(checkout: Path) -> None:
    (checkout / "parity.toml").write_text(row(state="works", test=PROVEN))

    before = parity.check(checkout)
    code = parity.program(["--root", str(checkout), "--write"])

    assert before == ["docs/parity.md is not what parity.toml says: run nestos parity --write"]
    assert code == 0
    assert parity.check(checkout) == []


def test_the_check_fails_when_a_named_test_did_not_run(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "parity.toml").write_text(row(state="works", test=PROVEN))
    parity.program(["--root", str(checkout), "--write"])
    results = checkout / "results.json"
    arguments = ["--root", str(checkout), "--check", "--results", str(results)]

    parity.record(results, {})
    without = parity.program(arguments)
    parity.record(results, {PROVEN: "passed"})
    after = parity.program(arguments)

    assert (without, after) == (1, 0)
    assert f'm-boots says works, but "{PROVEN}" did not run\n' == capsys.readouterr().err


def test_recording_keeps_what_other_runs_recorded(tmp_path: Path) -> None:
    parity.record(tmp_path / "results.json", {"power-cut": "passed", "rollback": "failed"})
    parity.record(tmp_path / "results.json", {"rollback": "passed"})

    assert parity.read_outcomes(tmp_path / "results.json") == {"power-cut": "passed", "rollback": "passed"}


@pytest.mark.parametrize("content", ["", "[]", '{"outcomes": []}', "{}"])
def test_a_file_that_holds_no_results_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "results.json").write_text(content)
    with pytest.raises(InputError, match=r"results\.json is no results file"):
        parity.read_outcomes(tmp_path / "results.json")


def test_a_bar_in_a_cell_does_not_break_the_table() -> None:
    document = parity.render(parity.load(row(feature="a | b")))

    assert r"| m-boots | a \| b | planned | boot |  |  |" in document
