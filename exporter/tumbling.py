"""Tumbling windows: which hour or day is complete, in a time zone.

Hours begin when a clock on the wall shows :00, in zones of half and three quarters of an hour too: each is
3,600 s of Unix time, numbered by `hour_number`. A day is the hours that begin on its date: 23, 24 or 25.
Promises: windows follow each other without gap or overlap, through DST changes and clock steps. Where summer
time is half an hour (Lord Howe Island) hours stay those of standard time, and days begin with them.
Refuses to read a clock.
"""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

HOUR: Final = 3600.0

WINDOWS: Final = ("1h", "1d")
"""The windows on which verdicts are given."""

SET_BACK: Final = HOUR
"""A clock set back by more before the window that is told next was wrong before: one that is a year ahead
when a machine starts, and is put right, must not silence the verdicts for a year."""


def phase_of(zone: ZoneInfo, time: float) -> int:
    """Seconds from a whole hour of Unix time to the next hour of *zone*'s clock, a multiple of 300.

    By the standard time in force at *time*, so that summer time never moves it.

    >>> phase_of(ZoneInfo("Asia/Kolkata"), 1.7e9), phase_of(ZoneInfo("Asia/Kathmandu"), 1.7e9)
    (1800, 900)
    """
    moment = datetime.fromtimestamp(time, zone)
    standard = (moment.utcoffset() or timedelta()) - (moment.dst() or timedelta())
    return int(-standard.total_seconds()) % 3600 // 300 * 300


def hour_number(time: float, phase: int) -> int:
    """Which hour *time* is in, counted from the one that begins at Unix time *phase*."""
    return int((time - phase) // HOUR)


def containing(window: str, time: float, zone: ZoneInfo, phase: int | None = None) -> tuple[float, float]:
    """The *window* that holds *time* (Unix seconds), as [start, end).

    Days begin at midnight of *zone*; where a clock change skips midnight, at the first hour of the day.
    *phase* is that of the zone's hours (`phase_of` at that time when left out).

    >>> containing("1h", 7250.0, ZoneInfo("UTC"))
    (7200.0, 10800.0)
    >>> start, end = containing("1d", 1383500000.0, ZoneInfo("America/New_York"))  # the clocks went back
    >>> (end - start) / 3600
    25.0
    """
    phase = phase_of(zone, time) if phase is None else phase
    start = hour_number(time, phase) * HOUR + phase
    if window == "1h":
        return start, start + HOUR
    return day_bounds(datetime.fromtimestamp(start, zone).date(), zone, phase)


def day_bounds(day: date, zone: ZoneInfo, phase: int) -> tuple[float, float]:
    """The hours that begin on *day*, as [start, end)."""
    return _first_hour(day, zone, phase), _first_hour(day + timedelta(days=1), zone, phase)


def _first_hour(day: date, zone: ZoneInfo, phase: int) -> float:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
    return math.ceil((midnight - phase) / HOUR) * HOUR + phase


class Schedule:
    """Tells, once each, which windows have become complete.

    *late_seconds* after its end a window is taken to be complete. Windows that passed while nobody asked are
    told too, the oldest first, but no more than *catch_up*. When the clock is set back a little, nothing is
    told until it has passed the last window again: no window is judged twice. When it is set back by more
    than `SET_BACK`, the window that it is in then is the next.

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
        self._phase = phase_of(zone, start)
        self._next = containing(window, start, zone, self._phase)

    def complete(self, now: float) -> list[tuple[float, float]]:
        """The windows [start, end) that have become complete since the last call."""
        if now < self._next[0] - SET_BACK:
            self._next = self._containing(now)
        if now < self._next[1] + self._late:
            return []
        newest = self._containing(now - self._late)[0]
        # After a leap of years only the last ones matter; the loop below would take minutes.
        reach = (HOUR if self.window == "1h" else 25 * HOUR) * self._catch_up
        if newest - self._next[0] > reach:
            self._next = self._containing(newest - reach)
        done = []
        while now >= self._next[1] + self._late:
            done.append(self._next)
            self._next = self._containing(self._next[1])
        return done[-self._catch_up :]

    def _containing(self, time: float) -> tuple[float, float]:
        return containing(self.window, time, self._zone, self._phase)

    def state(self) -> float:
        """Where the window begins that is told next."""
        return self._next[0]

    def restore(self, start: float) -> None:
        """Go on where a schedule of the same window ended: *start* is what its `state` said."""
        self._next = self._containing(start)
