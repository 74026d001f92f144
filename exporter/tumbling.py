"""Tumbling windows: which hour or day is complete, in a time zone.

Promises: windows follow each other without gap or overlap, through DST changes (a day then has 23 or 25
hours; hours are hours of Unix time) and clock steps. Refuses to read a clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

HOUR: Final = 3600.0

WINDOWS: Final = ("1h", "1d")
"""The windows on which verdicts are given."""


def containing(window: str, time: float, zone: ZoneInfo) -> tuple[float, float]:
    """The *window* that holds *time* (Unix seconds), as [start, end).

    Days begin at midnight of *zone*; where a clock change skips midnight, at the first moment of the day.

    >>> containing("1h", 7250.0, ZoneInfo("UTC"))
    (7200.0, 10800.0)
    >>> start, end = containing("1d", 1383500000.0, ZoneInfo("America/New_York"))  # the clocks went back
    >>> (end - start) / 3600
    25.0
    """
    if window == "1h":
        start = time // HOUR * HOUR
        return start, start + HOUR
    day = datetime.fromtimestamp(time, zone).date()
    return _midnight(day.year, day.month, day.day, 0, zone), _midnight(day.year, day.month, day.day, 1, zone)


def _midnight(year: int, month: int, day: int, later: int, zone: ZoneInfo) -> float:
    moment = datetime(year, month, day, tzinfo=UTC) + timedelta(days=later)
    return datetime(moment.year, moment.month, moment.day, tzinfo=zone).timestamp()


class Schedule:
    """Tells, once each, which windows have become complete.

    *late_seconds* after its end a window is taken to be complete. Windows that passed while nobody asked are
    told too, the oldest first, but no more than *catch_up*. When the clock is set back, nothing is told
    until it has passed the last window again: no window is judged twice.

    >>> schedule = Schedule("1h", ZoneInfo("UTC"), late_seconds=60.0, start=3600.0 * 10 + 5)
    >>> schedule.complete(3600.0 * 11 + 59), schedule.complete(3600.0 * 11 + 60)
    ([], [(36000.0, 39600.0)])
    """

    def __init__(
        self, window: str, zone: ZoneInfo, late_seconds: float, start: float, catch_up: int = 48
    ) -> None:
        self.window = window
        self._zone = zone
        self._late = late_seconds
        self._catch_up = catch_up
        self._next = containing(window, start, zone)

    def complete(self, now: float) -> list[tuple[float, float]]:
        """The windows [start, end) that have become complete since the last call."""
        if now < self._next[1] + self._late:
            return []
        newest = containing(self.window, now - self._late, self._zone)[0]
        # After a leap of years only the last ones matter; the loop below would take minutes.
        reach = (HOUR if self.window == "1h" else 25 * HOUR) * self._catch_up
        if newest - self._next[0] > reach:
            self._next = containing(self.window, newest - reach, self._zone)
        done = []
        while now >= self._next[1] + self._late:
            done.append(self._next)
            self._next = containing(self.window, self._next[1], self._zone)
        return done[-self._catch_up :]
