"""When a node may restart: windows that come back every week, and black-out dates.

A window has a local time at which it begins and a length. It lasts for that length in real time and comes once on each
of its days, whatever the clocks do: one whose beginning is skipped in spring begins when the clocks have jumped, one
whose beginning comes twice in autumn begins at the first. (The original goes by the local clock alone: there, such
windows are skipped or last an hour more.) A window is open from its first minute to before its last moment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WEEK_MINUTES = 7 * 24 * 60
_DAYS_AHEAD = 400  # how far ahead an opening is looked for: farther than any black-out that makes sense


@dataclass(frozen=True, kw_only=True)
class Window:
    """One weekly window. ``day``: 0 is Monday; ``start``: local; ``length_minutes``: 1 to a week."""

    day: int
    start: time
    length_minutes: int


@dataclass(frozen=True, kw_only=True)
class Blackout:
    """No restart from ``start`` to before ``end``, both in local time without a zone."""

    start: datetime
    end: datetime
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Calendar:
    """Windows and black-outs in one time zone."""

    zone: tzinfo = UTC
    windows: tuple[Window, ...] = ()
    blackouts: tuple[Blackout, ...] = ()

    def is_open(self, now: datetime) -> bool:
        """True within a window; without windows there is no time for a restart."""
        return self.closes(now) is not None

    def closes(self, now: datetime) -> datetime | None:
        """When the window that is open now ends, in UTC; none if none is open. Of several, the last end."""
        open_now = [end for start, end in self._occurrences(now, days_before=8, days_after=1) if start <= now < end]
        return max(open_now, default=None)

    def blackout(self, now: datetime) -> Blackout | None:
        """The black-out that holds now, the one that ends last if there are several."""
        holding = [item for item in self.blackouts if self.instant(item.start) <= now < self.instant(item.end)]
        return max(holding, key=lambda item: item.end, default=None)

    def next_opening(self, now: datetime) -> datetime | None:
        """The first moment from now on, in UTC, at which a window is open and no black-out holds; none in 400 days."""
        moments = [now, *(self.instant(item.end) for item in self.blackouts)]
        moments += [start for start, _ in self._occurrences(now, days_before=0, days_after=_DAYS_AHEAD)]
        for moment in sorted(moment for moment in moments if moment >= now):
            if self.is_open(moment) and self.blackout(moment) is None:
                return moment
        return None

    def length_minutes(self) -> int:
        """How many minutes of a week lie in windows, those that lie in several counted once."""
        minutes = set[int]()
        for window in self.windows:
            first = window.day * 1440 + window.start.hour * 60 + window.start.minute
            minutes.update(minute % WEEK_MINUTES for minute in range(first, first + window.length_minutes))
        return len(minutes)

    def instant(self, local: datetime) -> datetime:
        """The moment, in UTC, of a local time: of one that comes twice the first, of one that is skipped the moment
        of the jump."""
        moment = local.replace(tzinfo=self.zone, fold=0).astimezone(UTC)
        if moment.astimezone(self.zone).replace(tzinfo=None, fold=0) == local:
            return moment
        # In a gap fold=0 means the offset before it (PEP 495), fold=1 the one after: the jump lies between.
        early = local.replace(tzinfo=self.zone, fold=1).astimezone(UTC)
        late = moment
        before = early.astimezone(self.zone).utcoffset()
        while late - early > timedelta(seconds=1):
            middle = early + (late - early) / 2
            if middle.astimezone(self.zone).utcoffset() == before:
                early = middle
            else:
                late = middle
        return late.replace(microsecond=0)

    def _occurrences(self, now: datetime, *, days_before: int, days_after: int) -> Iterator[tuple[datetime, datetime]]:
        today = now.astimezone(self.zone).date()
        for offset in range(-days_before, days_after + 1):
            day: date = today + timedelta(days=offset)
            for window in self.windows:
                if window.day == day.weekday():
                    start = self.instant(datetime.combine(day, window.start))
                    yield start, start + timedelta(minutes=window.length_minutes)


def weekday(name: str) -> int | None:
    """0 for Monday to 6, by the English name or its first three letters, in any case; none for anything else."""
    wanted = name.strip().lower()
    for number, day in enumerate(DAYS):
        if wanted in (day, day[:3]):
            return number
    return None
