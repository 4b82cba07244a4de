from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nestos.agent.calendar import Blackout, Calendar, Window, weekday

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/St_Johns", "Asia/Kathmandu")
"""With half an hour's daylight saving, with odd offsets, and with none."""

windows = st.builds(
    Window,
    day=st.integers(0, 6),
    start=st.builds(time, st.integers(0, 23), st.integers(0, 59)),
    length_minutes=st.integers(1, 7 * 1440),
)
moments = st.datetimes(datetime(2025, 1, 1), datetime(2027, 12, 31), timezones=st.just(UTC))


def calendar(zone: str, *found: Window, blackouts: tuple[Blackout, ...] = ()) -> Calendar:
    return Calendar(zone=ZoneInfo(zone), windows=found, blackouts=blackouts)


@given(zone=st.sampled_from(ZONES), window=windows, now=moments)
def test_every_opening_lasts_its_length_in_real_time(zone: str, window: Window, now: datetime) -> None:
    found = calendar(zone, window)
    following = now + timedelta(days=8)
    while (opening := found.next_opening(following)) == following:
        following += timedelta(hours=13)  # it is open: past its end
        if window.length_minutes > 6 * 1440:
            return
    assert opening is not None
    length = timedelta(minutes=window.length_minutes)
    assert found.is_open(opening)
    assert found.is_open(opening + length - timedelta(seconds=1))
    closes = found.closes(opening)
    assert closes is not None
    assert closes == opening + length or window.length_minutes > 6 * 1440
    assert not found.is_open(opening - timedelta(seconds=1))


@given(zone=st.sampled_from(ZONES), window=windows, day=st.dates(date(2025, 1, 1), date(2027, 12, 1)))
def test_a_window_opens_once_on_each_of_its_days(zone: str, window: Window, day: date) -> None:
    found = calendar(zone, window)
    monday = day - timedelta(days=day.weekday())
    start = found.instant(datetime.combine(monday + timedelta(days=window.day), window.start))
    local = start.astimezone(ZoneInfo(zone))
    assert found.is_open(start)
    # Only a jump of the clocks moves it, and never by more than they jump.
    shift = local.replace(tzinfo=None) - datetime.combine(monday + timedelta(days=window.day), window.start)
    assert timedelta() <= shift <= timedelta(hours=1)
    assert (
        shift == timedelta()
        or start.astimezone(ZoneInfo(zone)).dst() != (start - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).dst()
    )


@given(zone=st.sampled_from(ZONES), now=moments, found=st.lists(windows, max_size=3))
def test_what_is_open_closes_later_and_what_is_shut_opens_later(zone: str, now: datetime, found: list[Window]) -> None:
    made = calendar(zone, *found)
    closes, opens = made.closes(now), made.next_opening(now)
    assert made.is_open(now) == (closes is not None and closes > now) == (opens == now)
    assert bool(found) == (opens is not None)
    assert opens is None or opens >= now


@pytest.mark.parametrize(
    ("zone", "day", "start", "opens", "closes"),
    [
        # Berlin, 29 March 2026: two o'clock is three o'clock.
        pytest.param("Europe/Berlin", 6, time(2, 30), "2026-03-29T01:00", "2026-03-29T02:00", id="skipped start"),
        pytest.param("Europe/Berlin", 6, time(1, 30), "2026-03-29T00:30", "2026-03-29T01:30", id="over the jump"),
        # Berlin, 25 October 2026: three o'clock is two o'clock again.
        pytest.param("Europe/Berlin", 6, time(2, 30), "2026-10-25T00:30", "2026-10-25T01:30", id="comes twice"),
        pytest.param("America/New_York", 6, time(2, 0), "2026-03-08T07:00", "2026-03-08T08:00", id="New York"),
        # Lord Howe moves by half an hour: 4 October 2026, 2:00 is 2:30.
        pytest.param("Australia/Lord_Howe", 6, time(2, 10), "2026-10-03T15:30", "2026-10-03T16:30", id="Lord Howe"),
    ],
)
def test_an_hour_is_an_hour_when_the_clocks_change(zone: str, day: int, start: time, opens: str, closes: str) -> None:
    found = calendar(zone, Window(day=day, start=start, length_minutes=60))
    first, last = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (opens, closes))
    assert found.next_opening(first - timedelta(days=1)) == first
    assert found.closes(first) == last
    assert not found.is_open(last)


def test_a_window_goes_over_the_end_of_the_week() -> None:
    found = calendar("UTC", Window(day=6, start=time(23), length_minutes=120))
    assert found.is_open(datetime(2026, 11, 30, 0, 59, tzinfo=UTC))  # Monday
    assert not found.is_open(datetime(2026, 11, 30, 1, 0, tzinfo=UTC))


def test_a_window_of_an_hour_has_sixty_minutes() -> None:
    found = calendar("UTC", Window(day=0, start=time(3), length_minutes=60))
    monday = datetime(2026, 11, 23, tzinfo=UTC)
    assert sum(found.is_open(monday + timedelta(minutes=minute)) for minute in range(1440)) == 60
    assert found.length_minutes() == 60


def test_minutes_in_two_windows_count_once() -> None:
    windows = (Window(day=6, start=time(23), length_minutes=120), Window(day=0, start=time(0), length_minutes=90))
    assert calendar("UTC", *windows).length_minutes() == 150


def test_a_black_out_moves_the_next_opening_behind_its_end() -> None:
    dark = Blackout(start=datetime(2026, 12, 20), end=datetime(2027, 1, 4), reason="holidays")
    found = calendar("Europe/Berlin", Window(day=0, start=time(3), length_minutes=60), blackouts=(dark,))
    assert found.blackout(datetime(2026, 12, 24, tzinfo=UTC)) == dark
    assert found.blackout(datetime(2027, 1, 3, 23, 0, tzinfo=UTC)) is None  # midnight in Berlin
    assert found.next_opening(datetime(2026, 12, 20, tzinfo=UTC)) == datetime(2027, 1, 4, 2, tzinfo=UTC)


@pytest.mark.parametrize("name", ["Tuesday", "tue", "TUE", " tuesday "])
def test_days_are_known_by_their_whole_and_short_names(name: str) -> None:
    assert weekday(name) == 1


@pytest.mark.parametrize("name", ["", "tu", "tues", "dienstag"])
def test_other_words_are_no_days(name: str) -> None:
    assert weekday(name) is None
