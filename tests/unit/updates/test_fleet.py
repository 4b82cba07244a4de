"""What is kept of reports, and what is made of it, in a real SQLite file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from nestos.base.errors import VerificationError
from nestos.updates.fleet import Fleet
from nestos.updates.guard import Tally
from nestos.wire import report
from nestos.wire.report import Outcome, Report

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECRET, OTHER_SECRET = "a" * 64, "b" * 64


@dataclass
class FixedClock:
    """Time that moves only by hand."""

    moment: datetime = field(default_factory=lambda: START)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()

    def sleep(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


def told(
    node: int = 1, outcome: Outcome = Outcome.UPDATED, *, to: str = "2", minutes: int = 0, group: str = "g"
) -> Report:
    return Report(
        node=f"{node:032x}",
        group=group,
        basearch="x86_64",
        stream="stable",
        before="1",
        after=to,
        outcome=outcome,
        reason="" if outcome is Outcome.UPDATED else "it hung",
        time=START + timedelta(minutes=minutes),
    )


def say(fleet: Fleet, said: Report, *, secret: str = SECRET, shows_secret: bool = True) -> int:
    """The status that the node sees; 200 where the report was taken."""
    envelope = replace(report.sealed(said, secret=secret), secret=secret if shows_secret else "")
    refused = fleet.take(said, envelope=envelope)
    return refused.status if refused else 200


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def fleet(tmp_path: Path, clock: FixedClock) -> Iterator[Fleet]:
    made = Fleet(tmp_path / "fleet.sqlite", clock=clock)
    yield made
    made.close()


def tally(fleet: Fleet, *, since: int = 0) -> Tally:
    return fleet.tally("stable", "2", canaries=("canary",), since=since)


def test_the_first_report_brings_the_secret_and_later_ones_need_none(fleet: Fleet) -> None:
    assert say(fleet, told(), shows_secret=False) == 401
    assert say(fleet, told()) == 200
    assert say(fleet, told(to="3", minutes=1), shows_secret=False) == 200


@pytest.mark.parametrize("shows_secret", [True, False])
def test_nobody_speaks_for_a_node_that_has_spoken(fleet: Fleet, shows_secret: bool) -> None:
    say(fleet, told())

    with pytest.raises(VerificationError):
        say(fleet, told(outcome=Outcome.FAILED, minutes=1), secret=OTHER_SECRET, shows_secret=shows_secret)
    assert tally(fleet).failed == 0


def test_outcomes_are_counted_by_node_once_and_canaries_apart(fleet: Fleet) -> None:
    for _ in range(2):
        say(fleet, told(1))
        say(fleet, told(2, Outcome.ROLLED_BACK))
        say(fleet, told(3, Outcome.FAILED, group="canary"))
        say(fleet, told(4, group="canary"))
    say(fleet, told(5, to="3"))

    assert tally(fleet) == Tally(good=2, failed=2, known=5, good_canaries=1, failed_canaries=1, known_canaries=2)
    assert fleet.versions("stable") == {"1": 2, "2": 2, "3": 1}
    assert fleet.outcomes("stable") == {"2": (2, 2), "3": (1, 0)}


def test_a_node_that_fails_and_then_takes_the_release_is_well(fleet: Fleet) -> None:
    say(fleet, told(outcome=Outcome.ROLLED_BACK))
    say(fleet, told(minutes=5))

    assert (tally(fleet).good, tally(fleet).failed) == (1, 0)


def test_an_older_report_that_comes_late_or_is_played_back_changes_nothing(fleet: Fleet) -> None:
    say(fleet, told(minutes=5))
    say(fleet, told(outcome=Outcome.ROLLED_BACK, minutes=4))

    assert (tally(fleet).good, tally(fleet).failed) == (1, 0)
    assert fleet.versions("stable") == {"2": 1}


def test_failures_before_a_person_let_the_release_go_on_do_not_count(fleet: Fleet, clock: FixedClock) -> None:
    say(fleet, told(1))
    say(fleet, told(2, Outcome.FAILED))
    clock.sleep(60)
    say(fleet, told(3, Outcome.FAILED, minutes=1))

    seen = tally(fleet, since=int(clock.now().timestamp()))
    assert (seen.good, seen.failed) == (1, 1)


def test_failures_are_told_with_their_reason_the_newest_first(fleet: Fleet, clock: FixedClock) -> None:
    say(fleet, told(1, Outcome.FAILED))
    clock.sleep(60)
    say(fleet, told(2, Outcome.ROLLED_BACK, minutes=1))
    say(fleet, told(3))

    found = [(one.node[-1], one.version, one.outcome, one.reason) for one in fleet.failures("stable")]
    assert found == [("2", "2", "rolled-back", "it hung"), ("1", "2", "failed", "it hung")]
    assert len(fleet.failures("stable", limit=1)) == 1
    assert fleet.failures("stable", "3") == []


def test_a_node_keeps_its_five_newest_outcomes(fleet: Fleet) -> None:
    for number in range(8):
        say(fleet, told(to=f"v{number}", minutes=number))

    assert sorted(fleet.outcomes("stable")) == ["v3", "v4", "v5", "v6", "v7"]


def test_when_there_is_no_room_known_nodes_still_report(tmp_path: Path, clock: FixedClock) -> None:
    fleet = Fleet(tmp_path / "small.sqlite", clock=clock, most_nodes=2)

    assert [say(fleet, told(node)) for node in (1, 2, 3)] == [200, 200, 503]
    assert say(fleet, told(1, to="3", minutes=1)) == 200
    fleet.close()


def test_nodes_that_were_silent_for_half_a_year_are_forgotten(fleet: Fleet, clock: FixedClock) -> None:
    say(fleet, told(1))
    clock.sleep(181 * 86_400)
    say(fleet, told(2))

    assert (fleet.forget(), fleet.forget()) == (1, 0)
    assert fleet.versions("stable") == {"2": 1}
    assert say(fleet, told(1), shows_secret=False) == 401


def test_what_was_taken_is_there_for_the_next_process_and_in_a_copy(fleet: Fleet, tmp_path: Path) -> None:
    say(fleet, told(1))
    fleet.flush()
    fleet.copy(tmp_path / "copy.sqlite")
    say(fleet, told(2))

    for path, known in ((tmp_path / "fleet.sqlite", 2), (tmp_path / "copy.sqlite", 1)):
        other = Fleet(path, clock=FixedClock())
        assert tally(other).known == known
        other.close()
    assert (tmp_path / "copy.sqlite").stat().st_mode & 0o777 == 0o600
