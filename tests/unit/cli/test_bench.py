from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime

import pytest
from benchmarks import boot, compose, measure, update_bytes
from benchmarks.catalogue import BENCHMARKS
from benchmarks.measure import Ratio, Result, Row, Samples

from nestos.base.errors import InputError, InvariantError
from nestos.cli import bench


class SteppingClock:
    """A clock on which every look costs the next of ``steps`` seconds."""

    def __init__(self, *steps: float) -> None:
        self._steps = list(steps)
        self._time = 0.0

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        self._time += self._steps.pop(0) if self._steps else 0.0
        return self._time

    def sleep(self, seconds: float) -> None:
        self._time += seconds


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    bench.register(parser.add_subparsers())
    return parser.parse_args(["bench", *words])


# The command


def test_every_benchmark_is_listed_with_how_long_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.handle(parse("--list")) == 0

    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed] == [
        *("boot", "compose", "ignition", "layers", "slot-write", "update-bytes", "updates-graph")
    ]
    assert all(" min" in line for line in printed)


def test_names_of_benchmarks_are_unique_and_each_measures_at_least_once() -> None:
    assert len({item.name for item in BENCHMARKS}) == len(BENCHMARKS)
    assert all(item.runs >= 1 for item in BENCHMARKS)


def test_the_word_all_chooses_every_benchmark() -> None:
    assert bench.chosen(["all"], known=["boot", "compose"]) == ["boot", "compose"]


def test_benchmarks_run_in_the_order_they_were_named_and_only_once() -> None:
    assert bench.chosen(["b", "a", "b"], known=["a", "b"]) == ["b", "a"]


def test_an_unknown_benchmark_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r'no benchmark is called "bot".*boot'):
        bench.handle(parse("bot"))


def test_no_name_is_an_error_that_says_which_there_are() -> None:
    with pytest.raises(InputError) as error:
        bench.handle(parse())

    assert "slot-write" in error.value.hint


def test_measuring_less_than_once_is_an_error() -> None:
    with pytest.raises(InputError, match="--runs=0"):
        bench.handle(parse("slot-write", "--runs=0"))


# Figures


def test_a_timed_block_becomes_a_sample_and_one_that_fails_does_not() -> None:
    samples = Samples(clock=SteppingClock(0, 2.5, 0, 4))

    with samples.timed("work"):
        pass
    with pytest.raises(ValueError, match="no"), samples.timed("work"):
        raise ValueError("no")

    assert samples.rows() == (Row(name="work", unit="s", samples=(2.5,)),)


def test_a_ratio_is_that_of_the_medians() -> None:
    rows = [Row(name="ours", unit="s", samples=(3.0, 1.0, 90.0)), Row(name="theirs", unit="s", samples=(2.0,))]

    assert measure.ratio(rows, of="ours", to="theirs") == Ratio(of="ours", to="theirs", value=1.5)


def test_a_ratio_to_something_never_measured_is_a_bug_and_not_left_out() -> None:
    samples = Samples()
    samples.add("ours", 1)

    with pytest.raises(InvariantError, match="never measured: theirs"):
        samples.result([("ours", "theirs")])


def test_seconds_are_not_compared_with_bytes() -> None:
    samples = Samples()
    samples.add("ours", 1, unit="s")
    samples.add("theirs", 1, unit="B")

    with pytest.raises(InvariantError, match="different units"):
        samples.result([("ours", "theirs")])


def test_the_table_shows_least_median_and_most_in_units_for_people() -> None:
    rows = (Row(name="time", unit="s", samples=(1.0, 4.0, 2.0)), Row(name="size", unit="B", samples=(1_500_000.0,)))
    text = measure.render(Result(rows=rows, ratios=(Ratio(of="a", to="b", value=0.5),), notes=("Busy.",)))

    assert text.splitlines() == [
        "| what | n | min   | median | max   |    |",
        "|------|---|-------|--------|-------|----|",
        "| time | 3 |  1.00 |   2.00 |  4.00 | s  |",
        "| size | 1 | 1.500 |  1.500 | 1.500 | MB |",
        "",
        "| of | to | ratio |",
        "|----|----|-------|",
        "| a  | b  |   0.5 |",
        "",
        "- Busy.",
    ]


def test_the_json_keeps_every_sample_and_says_which_command_made_it() -> None:
    rows = (Row(name="time", unit="s", samples=(1.0, 3.0)),)
    found = measure.document(
        Result(rows=rows, ratios=()), name="boot", command="./nestos bench boot --runs=2", conditions={"cores": 2}
    )

    assert json.loads(json.dumps(found)) == {
        "name": "boot",
        "command": "./nestos bench boot --runs=2",
        "conditions": {"cores": 2},
        "rows": [{"name": "time", "unit": "s", "median": 2.0, "samples": [1.0, 3.0]}],
        "ratios": [],
        "notes": [],
    }


# What the benchmarks read from others


@pytest.mark.parametrize(
    ("stage", "name"),
    [
        pytest.param("packages: resolving 31 names", "packages resolving", id="resolve"),
        pytest.param("packages: 222 files, 109 MB, fetching what the pool lacks", "packages fetching", id="fetch"),
        pytest.param("packages: installing 222", "packages installing", id="install"),
        pytest.param("tree: initramfs", "tree initramfs", id="initramfs"),
        pytest.param("commit to nestos/x86_64/bench", "commit", id="commit"),
    ],
)
def test_a_stage_of_a_compose_has_the_same_name_whatever_its_figures(stage: str, name: str) -> None:
    assert compose.stage_name(stage) == name


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param(
            "Startup finished in 2.151s (kernel) + 10.2s (initrd) + 1min 2.5s (userspace) = 1min 14.8s\ngraphical ...",
            {"kernel": 2.151, "initrd": 10.2, "userspace": 62.5},
            id="finished",
        ),
        pytest.param(
            "Startup finished in 900ms (kernel) + 1s (userspace) = 1.9s", {"kernel": 0.9, "userspace": 1}, id="ms"
        ),
        pytest.param("Bootup is not yet finished.", {}, id="not finished"),
    ],
)
def test_the_parts_of_a_boot_are_read_in_seconds(text: str, parts: dict[str, float]) -> None:
    assert boot.analysed(text) == parts


def test_a_package_that_the_archive_has_in_two_versions_is_found_with_the_older_one() -> None:
    madison = (
        " libz1 | 1:2-1+deb13u1 | http://mirror trixie-security/main amd64 Packages\n"
        " libz1 |        1:2-1 | http://mirror trixie/main amd64 Packages\n"
        "  less |          668 | http://mirror trixie/main amd64 Packages\n"
    )

    assert update_bytes.older_versions(madison, {"libz1": "1:2-1+deb13u1", "less": "668"}) == {"libz1": "1:2-1"}


def test_fetched_bytes_are_counted_by_kind_of_object() -> None:
    traffic = {
        "/objects/ab/cd.filez": 100,
        "/objects/00/11.filez": 50,
        "/objects/22/33.dirtree": 7,
        "/summary": 3,
        "/summary.sig": 1,
        "/deltas/x/y/0": 20,
    }

    assert update_bytes.kinds_of(traffic.items()) == [("filez", 150), ("deltas", 20), ("dirtree", 7), ("summary", 4)]
