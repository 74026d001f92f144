"""HourRing: eight days of one column hour by hour: tallies, moments, and the most frequent numbers.

It is the only form in which verdicts see the past (`exporter.hourly.HourTable`), together with hours that
came with a baseline: those count in `history` only, and an hour that was seen here is never taken from there.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from exporter.hourly import TOPS, HourTable
from exporter.profile import COUNTERS, Tally
from exporter.sketch import Frequent
from exporter.window.calendar import Calendar
from exporter.window.ring import TallyRing
from exporter.window.state import HoursState, array

HOUR_SECONDS: Final = 3600
#: Hours that a verdict looks back: eight days.
HISTORY: Final = 8 * 24
#: Eight local days, of which one may have 25 hours, the hour being filled, and two in which a day is judged.
HOURS: Final = HISTORY + 4

_ROWS, _MISSING, _MISMATCH, _FAR, _UNSEEN, _GRID = (
    COUNTERS.index(name) for name in ("rows", "missing", "type_mismatch", "far", "unseen", "grid")
)


class HourRing:
    """Tallies by hour number, and up to 8 frequent numbers of each hour.

    *tops* says whether frequent numbers are kept: 96 bytes an hour. Texts are in no table.
    """

    __slots__ = ("_bins", "_calendar", "_seed", "_top_counts", "_top_hours", "_top_values", "ring")

    def __init__(self, bins: int, numeric: bool, tops: bool, calendar: Calendar) -> None:
        self.ring = TallyRing(HOUR_SECONDS, HOURS, bins, numeric, calendar.phase)
        self._bins = bins
        self._calendar = calendar
        self._seed: HourTable | None = None
        rows = HOURS if tops else 0
        self._top_hours = np.full(rows, -1 << 62, np.int64)
        self._top_values = np.zeros((rows, TOPS), np.float64)
        self._top_counts = np.zeros((rows, TOPS), np.uint32)

    @property
    def nbytes(self) -> int:
        """Memory held now; seeded hours are the baseline's."""
        return self.ring.nbytes + self._top_hours.nbytes + self._top_values.nbytes + self._top_counts.nbytes

    def add(self, hour: int, tally: Tally) -> bool:
        """Adds *tally* to *hour*; False when it has made room for a later one."""
        return self.ring.add(hour, tally)

    def set_tops(self, hour: int, frequent: Frequent) -> None:
        """What was most frequent in *hour*, which is over or asked for."""
        if not self._top_hours.size:
            return
        row = hour % HOURS
        if self._top_hours[row] > hour:
            return
        top = [item for item in frequent.top(TOPS) if not isinstance(item.item, str)]
        self._top_hours[row] = hour
        self._top_values[row] = [item.item for item in top] + [np.nan] * (TOPS - len(top))
        largest = np.iinfo(np.uint32).max
        self._top_counts[row] = [min(item.lower, largest) for item in top] + [0] * (TOPS - len(top))

    def forget_after(self, hour: int) -> None:
        """Drops every hour later than *hour*."""
        self.ring.forget_after(hour)
        self._top_hours[self._top_hours > hour] = -1 << 62

    def seed(self, table: HourTable, now: float) -> None:
        """Let `history` begin with *table*: those of its hours that are of the eight days before *now*.

        The table's arrays are kept, not copied. Raises ValueError when it has other bins.
        """
        if table.bins.shape[1] != self._bins:
            raise ValueError(f"history: expected {self._bins} bins, found {table.bins.shape[1]}")
        current = self._calendar.hour(now)
        low, high = np.searchsorted(table.hours, [current - HISTORY, current])
        self._seed = table.part(slice(int(low), int(high))) if high > low else None

    def history(self, last_hours: int, before: float | None) -> HourTable:
        """See `ColumnWindows.history`."""
        if before is None:
            newest = self.ring.newest
            if self._seed is not None and (newest is None or newest < self._seed.hours[-1]):
                newest = int(self._seed.hours[-1])
            stop = newest + 1 if newest is not None else 0
        else:
            stop = self._calendar.hour(before)
        first = stop - last_hours
        own = self._own(first, stop)
        if self._seed is None:
            return own
        if self._seed.hours[-1] < stop - HISTORY and before is None:
            self._seed = None
            return own
        seed = self._seed
        low, high = np.searchsorted(seed.hours, (first, stop)).tolist()
        wanted = np.arange(low, high)
        if own.hours.size:  # both ascend, and np.isin takes 40 µs
            at = np.searchsorted(own.hours, seed.hours[low:high])
            wanted = wanted[own.hours.take(at, mode="clip") != seed.hours[low:high]]
        return _joined(seed.part(wanted), own) if wanted.size else own

    def _own(self, first: int, stop: int) -> HourTable:
        hours, counts, moments = self.ring.rows(first, stop)
        some = counts[:, _ROWS] > 0
        if not some.all():
            hours, counts, moments = hours[some], counts[some], moments[some]
        values = np.full((hours.size, TOPS), np.nan)
        tops = np.zeros((hours.size, TOPS), np.int64)
        if self._top_hours.size:
            rows = hours % HOURS
            known = self._top_hours[rows] == hours
            values[known] = self._top_values[rows[known]]
            tops[known] = self._top_counts[rows[known]]
        return HourTable(
            hours=hours,
            cells=self._calendar.cells(hours),
            rows=counts[:, _ROWS],
            missing=counts[:, _MISSING],
            mismatched=counts[:, _MISMATCH],
            unseen=counts[:, _UNSEEN],
            far=counts[:, _FAR],
            grid=counts[:, _GRID],
            bins=counts[:, len(COUNTERS) :],
            moments=moments,
            top_values=values,
            top_counts=tops,
        )

    def state(self) -> HoursState:
        """Its hours in use, without seeded ones: those are in their file."""
        held = (self._top_hours > -1 << 62).nonzero()[0]
        return HoursState(
            self.ring.state(),
            self._top_hours[held].tobytes(),
            self._top_values[held].tobytes(),
            self._top_counts[held].tobytes(),
        )

    def restore(self, state: HoursState) -> None:
        """Become, while empty, what a ring of the same column was. Raises ValueError for another's."""
        hours = array(state.tops, np.int64, -1)
        values = array(state.values, np.float64, hours.size, TOPS)
        counts = array(state.counts, np.uint32, hours.size, TOPS)
        rows = hours % HOURS
        if np.unique(rows).size != hours.size or (hours.size and not self._top_hours.size):
            raise ValueError("hours: expected frequent numbers of different hours, of a column of numbers")
        self.ring.restore(state.ring)
        if hours.size:
            self._top_hours[rows] = hours
            self._top_values[rows] = values
            self._top_counts[rows] = counts


def _joined(one: HourTable, other: HourTable) -> HourTable:
    """Hours of both, which share none, in order of time."""
    order = np.argsort(np.concatenate((one.hours, other.hours)))
    columns: list[Any] = [
        np.concatenate((getattr(one, name), getattr(other, name)))[order] for name in HourTable.__slots__
    ]
    return HourTable(*columns)
