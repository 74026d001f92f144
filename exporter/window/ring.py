"""TallyRing: the tallies of the last so many slots of time, in one small table.

Promises: a slot is one row, found by its index modulo the capacity, and each row knows which slot it holds,
so gaps need no clearing and old slots fall off whole. Reading never changes anything. Counts start as 16
bits and become 32 or 64 for the whole ring when a slot first needs it: most columns never pass 65,535 rows
in five minutes (218 a second), and those that do must not lose one.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from exporter.profile import COUNTERS, Tally
from exporter.sketch import Counts, Moments

_WIDTHS: Final = (np.dtype(np.uint16), np.dtype(np.uint32), np.dtype(np.int64))
_NO_SLOT: Final = -(1 << 62)


class TallyRing:
    """Tallies by slot; slot i is the time [i · seconds, (i + 1) · seconds).

    All times are Unix seconds and on slot boundaries (ValueError otherwise), so time zones and daylight
    saving do not come into it: every zone in use is a multiple of 15 minutes off.

    >>> from exporter.profile import Layout
    >>> ring = TallyRing(300, 4, bins=0, numeric=True)
    >>> ring.add(10, Layout("numeric").read([1.0, 3.0])[0]), ring.add(6, Layout("numeric").read([9.0])[0])
    (True, False)
    >>> ring.sum(2700, 3300).moments.mean, ring.sum(3300, 3600).rows
    (2.0, 0)
    """

    __slots__ = ("_bins", "_counts", "_moments", "_slots", "capacity", "numeric", "seconds")

    def __init__(self, seconds: int, capacity: int, bins: int, numeric: bool) -> None:
        """*numeric* says whether moments are kept, 32 bytes a slot, beside 2 bytes for each count."""
        self.seconds = seconds
        self.capacity = capacity
        self.numeric = numeric
        self._bins = bins
        self._slots: Counts = np.full(capacity, _NO_SLOT, np.int64)
        self._counts: np.ndarray[Any, Any] = np.zeros((capacity, len(COUNTERS) + bins), _WIDTHS[0])
        # Mean, m2, minimum, maximum; their count follows from the integers.
        self._moments = np.zeros((capacity if numeric else 0, 4), np.float64)

    @property
    def nbytes(self) -> int:
        """Memory held now: the three tables."""
        return self._slots.nbytes + self._counts.nbytes + self._moments.nbytes

    def add(self, slot: int, tally: Tally) -> bool:
        """Adds *tally* to *slot*, and says so; False when the slot has made room for a later one."""
        row = slot % self.capacity
        held = int(self._slots[row])
        if held > slot:
            return False
        if held == slot:
            counts = self._counts[row] + tally.counts
            moments = self._moments_of(row)
        else:
            self._slots[row] = slot
            counts = tally.counts
            moments = Moments()
        while counts[0] > np.iinfo(self._counts.dtype).max:  # rows, the largest of them
            self._counts = self._counts.astype(_WIDTHS[_WIDTHS.index(self._counts.dtype) + 1])
        self._counts[row] = counts
        if self.numeric and tally.moments is not None:
            moments.merge(tally.moments)
            self._moments[row] = moments.mean, moments.m2, moments.minimum, moments.maximum
        return True

    def _moments_of(self, row: int) -> Moments:
        if not self.numeric:
            return Moments()
        return Moments(int(_finite(self._counts[row : row + 1])[0]), *self._moments[row].tolist())

    def forget_after(self, slot: int) -> None:
        """Drops every slot later than *slot*."""
        later = self._slots > slot
        if later.any():
            self._slots[later] = _NO_SLOT

    def _range(self, start: float, end: float) -> tuple[int, int]:
        if start % self.seconds or end % self.seconds or end < start:
            raise ValueError(
                f"window: expected multiples of {self.seconds} s, early then late, found {start} and {end}"
            )
        return int(start // self.seconds), int(end // self.seconds)

    def _within(self, first: int, stop: int) -> np.ndarray[Any, np.dtype[np.bool_]]:
        return (self._slots >= first) & (self._slots < stop)

    def complete(self, start: float, end: float) -> bool:
        """Whether no slot of [start, end) has made room for a later one. Slots without rows do not matter."""
        first, stop = self._range(start, end)
        newest = int(self._slots.max())
        if first > newest - self.capacity:
            return True
        wanted = np.arange(first, stop)
        held = self._slots[wanted % self.capacity]
        return not bool((held > wanted).any())

    def sum(self, start: float, end: float) -> Tally:
        """What was counted in [start, end), a tally of its own."""
        within = self._within(*self._range(start, end))
        tally = Tally(self._bins, self.numeric)
        counts = self._counts[within]
        counts.sum(axis=0, dtype=np.int64, out=tally.counts)
        if self.numeric:
            tally.moments = Moments.combined(_finite(counts), *self._moments[within].T)
        return tally

    def table(self, start: float, end: float) -> Counts:
        """The integers of each slot of [start, end): int64, shape (slots, 7 + K), `COUNTERS` and then bins.

        A slot in which nothing was seen, or which is no longer held, is a row of zeros.
        """
        first, stop = self._range(start, end)
        table = np.zeros((stop - first, self._counts.shape[1]), np.int64)
        within = self._within(first, stop)
        table[self._slots[within] - first] = self._counts[within]
        return table

    def series(self, start: float, end: float) -> Counts:
        """The bin counts of each slot of [start, end): int64, shape (slots, K)."""
        return self.table(start, end)[:, len(COUNTERS) :]


def _finite(counts: np.ndarray[Any, Any]) -> Counts:
    """Finite numbers in each row of *counts*: rows less missing, mismatched and infinite ones."""
    finite: Counts = counts[:, 0].astype(np.int64) - counts[:, 1] - counts[:, 2] - counts[:, 6]
    return finite
