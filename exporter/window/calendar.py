"""Calendar: what all columns share about time: hours and days of the clock, and when nothing was recorded.

Hours are numbered as `exporter.tumbling.hour_number` does, days by the ordinal of their local date.
Promises: constant memory (2,048 hours are remembered, and the last 32 outages). Reads no clock.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np

from exporter.hourly import HourTable, Integers
from exporter.tumbling import HOUR, day_bounds, hour_number, phase_of

#: A window of which more than this share went unrecorded is not whole. A recorder that was killed loses at
#: most a minute since its last checkpoint and two until it runs again: 5 % of an hour are three.
MISSED_SHARE: Final = 0.05

_PRESENT: Final = 1_767_225_600.0
#: Hours that are looked up together, and such blocks that are remembered.
_BLOCK: Final = 256
_REMEMBERED: Final = 8
_OUTAGES: Final = 32
_EPOCH: Final = datetime(1970, 1, 1)


class Calendar:
    """Hours and days of *zone*, and outages.

    >>> calendar = Calendar(ZoneInfo("Asia/Kolkata"))
    >>> hour = calendar.hour(1_767_263_400.0)  # 16:00 there, on Thursday 2026-01-01
    >>> int(calendar.cells(np.array([hour]))[0]), calendar.hour_start(hour)
    (16, 1767263400.0)
    """

    def __init__(self, zone: ZoneInfo | None = None, start: float = _PRESENT) -> None:
        """*start* is a time (Unix seconds) that says which standard time is in force: hours begin by it.

        UTC without a *zone*, and the standard time of 2026 without a start: that of 1970 was often another.
        """
        self.zone = zone if zone is not None else ZoneInfo("UTC")
        self.phase = phase_of(self.zone, start)
        self._known: dict[int, tuple[Integers, Integers]] = {}
        self._outages: list[tuple[float, float]] = []

    def hour(self, time: float) -> int:
        """The number of the hour that holds *time*."""
        return hour_number(time, self.phase)

    def hour_start(self, hour: int) -> float:
        """When hour number *hour* begins, Unix seconds."""
        return hour * HOUR + self.phase

    def _look_up(self, block: int) -> tuple[Integers, Integers]:
        """Cells and days of the hours of *block*, `_BLOCK` of them. 1 ms, when it is not remembered."""
        found = self._known.get(block)
        if found is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            starts = (self.hour_start(hour) for hour in range(block * _BLOCK, (block + 1) * _BLOCK))
            moments = [datetime.fromtimestamp(start, self.zone) for start in starts]
            cells = [moment.hour + (24 if moment.weekday() >= 5 else 0) for moment in moments]
            days = [moment.toordinal() for moment in moments]
            found = self._known[block] = np.array(cells, np.int64), np.array(days, np.int64)
        return found

    def cells(self, hours: Integers) -> Integers:
        """Hour of the local day, plus 24 at weekends, of each of *hours*: int64, shape (hours,)."""
        if not hours.size:
            return np.empty(0, np.int64)
        cells = np.empty(hours.size, np.int64)
        blocks = hours // _BLOCK
        for block in set(blocks.tolist()):
            inside = blocks == block
            cells[inside] = self._look_up(block)[0][hours[inside] - block * _BLOCK]
        return cells

    def day(self, hour: int) -> int:
        """The local date on which *hour* begins, as an ordinal."""
        block, at = divmod(hour, _BLOCK)
        return int(self._look_up(block)[1][at])

    def day_bounds(self, day: int) -> tuple[float, float]:
        """The hours of *day*, as [start, end) in Unix seconds: 23, 24 or 25 of them."""
        return day_bounds(date.fromordinal(day), self.zone, self.phase)

    def days_before(self, time: float, days: int) -> float:
        """The same time by the clock on the wall, *days* days before *time*; both in Unix seconds."""
        moment = datetime.fromtimestamp(time, self.zone).replace(tzinfo=None)
        whole = math.floor(time)
        then = (moment - timedelta(days=days)).replace(microsecond=0, tzinfo=self.zone)
        return then.timestamp() + (time - whole)

    def from_wall(self, table: HourTable) -> HourTable:
        """*table*, whose hours are counted on the wall's clock (as in baseline files), with hours as here.

        Of the two hours that the end of summer time makes alike, the file's one becomes the first.
        """
        numbers = np.array(
            [
                self.hour((_EPOCH + timedelta(hours=wall)).replace(tzinfo=self.zone).timestamp())
                for wall in table.hours.tolist()
            ],
            np.int64,
        )
        if not (np.diff(numbers) > 0).all():  # an hour that summer time skipped
            numbers, first = np.unique(numbers, return_index=True)
            table = table.part(first)
        return replace(table, hours=numbers)

    # Outages

    def note_outage(self, start: float, end: float) -> None:
        """Rows may have passed in [start, end) and are not counted."""
        if end > start:
            self._outages = [*self._outages, (start, end)][-_OUTAGES:]

    def missed(self, start: float, end: float) -> float:
        """Seconds of [start, end) in which nothing was recorded."""
        pieces = sorted((max(start, a), min(end, b)) for a, b in self._outages if a < end and b > start)
        total, reached = 0.0, start
        for first, last in pieces:
            total += max(0.0, last - max(first, reached))
            reached = max(reached, last)
        return total

    def whole(self, start: float, end: float) -> bool:
        """Whether so little of [start, end) was missed that it can be judged."""
        return self.missed(start, end) <= MISSED_SHARE * (end - start)

    @property
    def outages(self) -> tuple[tuple[float, float], ...]:
        """The last of them, as [start, end) in Unix seconds."""
        return tuple(self._outages)
