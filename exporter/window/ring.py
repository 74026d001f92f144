"""TallyRing: the tallies of the last so many slots of time, in one small table.

Promises: a slot is one row, found by its index modulo the capacity, and each row knows which slot it holds,
so gaps need no clearing and old slots fall off whole. Reading never changes anything. Counts start as 16
bits and become 32 or 64 for the whole ring when a slot first needs it: most columns never pass 65,535 rows
in five minutes (218 a second), and those that do must not lose one.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np

from exporter.profile import COUNTERS, Tally
from exporter.sketch import Counts, Moments
from exporter.window.state import RingState, array

Moments4: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
"""Mean, m2, minimum, maximum by row."""

_WIDTHS: Final = (np.dtype(np.uint16), np.dtype(np.uint32), np.dtype(np.int64))
_NO_SLOT: Final = -(1 << 62)


class TallyRing:
    """Tallies by slot; slot i is the time [phase + i · seconds, phase + (i + 1) · seconds).

    All times are Unix seconds and on slot boundaries (ValueError otherwise), so time zones and daylight
    saving do not come into it: every zone in use is a multiple of 15 minutes off, which for slots of an hour
    is their phase.

    >>> from exporter.profile import Layout
    >>> ring = TallyRing(300, 4, bins=0, numeric=True)
    >>> ring.add(10, Layout("numeric").read([1.0, 3.0])[0]), ring.add(6, Layout("numeric").read([9.0])[0])
    (True, False)
    >>> ring.sum(2700, 3300).moments.mean, ring.sum(3300, 3600).rows
    (2.0, 0)
    """

    __slots__ = ("_bins", "_counts", "_moments", "_slots", "capacity", "numeric", "phase", "seconds")

    def __init__(self, seconds: int, capacity: int, bins: int, numeric: bool, phase: int = 0) -> None:
        """*numeric* says whether moments are kept, 32 bytes a slot, beside 2 bytes for each count."""
        self.seconds = seconds
        self.capacity = capacity
        self.numeric = numeric
        self.phase = phase
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
        self._widen(int(counts[0]))
        self._counts[row] = counts
        if self.numeric and tally.moments is not None:
            moments.merge(tally.moments)
            self._moments[row] = moments.mean, moments.m2, moments.minimum, moments.maximum
        return True

    def add_all(self, slots: Counts, counts: Counts, moments: Moments4) -> bool:
        """Adds what several *slots* held, ascending and each once, and says so; False, and nothing is added,
        when one of them has made room for a later one.

        *counts* are as `Tally.counts`, shape (n, 8 + K), *moments* as `Parts.moments`. 12 slots take 15 µs,
        one after the other they take 100.
        """
        places = slots % self.capacity
        held = self._slots[places]
        if slots.size > self.capacity or (held > slots).any():
            return False
        if (known := held == slots).any():
            counts, moments = counts.copy(), moments.copy()
            for row in known.nonzero()[0].tolist():
                if self.numeric:
                    whole = self._moments_of(int(places[row]))
                    whole.merge(Moments(int(_finite(counts[row : row + 1])[0]), *moments[row].tolist()))
                    moments[row] = whole.mean, whole.m2, whole.minimum, whole.maximum
                counts[row] += self._counts[places[row]]
        self._widen(int(counts[:, 0].max()))
        self._slots[places] = slots
        self._counts[places] = counts
        if self.numeric:
            self._moments[places] = moments
        return True

    def _widen(self, rows: int) -> None:
        while rows > np.iinfo(self._counts.dtype).max:  # rows, the largest of a slot's integers
            self._counts = self._counts.astype(_WIDTHS[_WIDTHS.index(self._counts.dtype) + 1])

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
        first, off = divmod(start - self.phase, self.seconds)
        stop, too = divmod(end - self.phase, self.seconds)
        if off or too or end < start:
            after = f" and {self.phase}" if self.phase else ""
            raise ValueError(
                f"window: expected multiples of {self.seconds} s{after}, early then late, "
                f"found {start} and {end}"
            )
        return int(first), int(stop)

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
        """The integers of each slot of [start, end): int64, shape (slots, 8 + K), `COUNTERS` and then bins.

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

    def rows(self, first: int, stop: int) -> tuple[Counts, Counts, Moments4]:
        """What is held of the slots first … stop - 1, in order of time.

        Their numbers, shape (n,), integers as in `table`, and mean, m2, minimum and maximum, shape (n, 4),
        NaN where there was no finite number.
        """
        if stop - first <= self.capacity:
            wanted = np.arange(first, stop)
            held = wanted % self.capacity
            held = held[self._slots[held] == wanted]
        else:
            held = self._within(first, stop).nonzero()[0]
            held = held[np.argsort(self._slots[held])]
        counts = self._counts[held].astype(np.int64)
        if not self.numeric:
            return self._slots[held], counts, np.full((held.size, 4), np.nan)
        moments = self._moments[held]
        moments[_finite(counts) == 0] = np.nan
        return self._slots[held], counts, moments

    @property
    def newest(self) -> int | None:
        """The latest slot held; None while empty."""
        newest = int(self._slots.max())
        return None if newest == _NO_SLOT else newest

    def rows_back(self, slot: int, count: int) -> int:
        """The latest slot, at most *slot*, from which on up to *slot* at least *count* rows were seen.

        The earliest slot that can be held when there were fewer.
        """
        first = slot + 1 - self.capacity
        seen = self.table((first) * self.seconds + self.phase, (slot + 1) * self.seconds + self.phase)[:, 0]
        enough = (np.cumsum(seen[::-1]) >= count).nonzero()[0]
        return slot - int(enough[0]) if enough.size else first

    def state(self) -> RingState:
        """Its rows in use."""
        held = (self._slots != _NO_SLOT).nonzero()[0]
        moments = self._moments[held].tobytes() if self.numeric else b""
        counts = self._counts[held]
        return RingState(self._slots[held].tobytes(), counts.itemsize, counts.tobytes(), moments)

    def restore(self, state: RingState) -> None:
        """Become, while empty, what a ring of the same shape was. Raises ValueError when it was another."""
        slots = array(state.slots, np.int64, -1)
        width = next((width for width in _WIDTHS if width.itemsize == state.bytes_each), None)
        if width is None:
            raise ValueError(f"ring: expected counts of 2, 4 or 8 bytes, found {state.bytes_each}")
        counts = array(state.counts, width, slots.size, self._counts.shape[1])
        moments = array(state.moments, np.float64, slots.size if self.numeric else 0, 4)
        places = slots % self.capacity
        if slots.size > self.capacity or np.unique(places).size != slots.size or (counts < 0).any():
            raise ValueError("ring: expected slots of different places, and counts not below 0")
        self._counts = np.zeros(self._counts.shape, width)
        self._counts[places] = counts
        self._slots[places] = slots
        if self.numeric:
            self._moments[places] = moments


def _finite(counts: np.ndarray[Any, Any]) -> Counts:
    """Finite numbers in each row of *counts*: rows less missing, mismatched and infinite ones."""
    finite: Counts = counts[:, 0].astype(np.int64) - counts[:, 1] - counts[:, 2] - counts[:, 6]
    return finite
