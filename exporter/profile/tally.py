"""Tally: the part of a profile that is exact and adds up: integers, bin counts, moments, scaled sums."""

from __future__ import annotations

from typing import Final, Self

import numpy as np

from exporter.sketch import Counts, Moments

#: The integers of a tally, in the order in which `Tally.counts` holds them before the bins.
COUNTERS: Final = ("rows", "missing", "type_mismatch", "out_of_range", "far", "unseen", "infinite", "grid")


class Tally:
    """What was counted in some batches of one column.

    `counts` is int64, shape (8 + K,): `COUNTERS`, then one count per bin (K = 0 without bins). It is one
    array because adding two tallies is then one addition of 0.4 µs. Whenever there are bins, rows = missing +
    type_mismatch + the sum over bins. `moments` is None for kinds without numbers.

    >>> tally = Tally(bins=2, numeric=True)
    >>> tally.counts += [3, 1, 0, 0, 0, 0, 0, 0, 1, 1]
    >>> tally.rows, tally.missing, tally.bin_counts.tolist()
    (3, 1, [1, 1])
    """

    __slots__ = ("counts", "moments", "scaled_square", "scaled_sum")

    def __init__(self, bins: int, numeric: bool) -> None:
        self.counts: Counts = np.zeros(len(COUNTERS) + bins, np.int64)
        self.moments: Moments | None = Moments() if numeric else None
        self.scaled_sum = 0.0
        """Sum of x over finite values, where x runs from 0 at far low to 1 at far high and stops there: so it
        never falls, as a counter must not, and no single value outweighs the rest. 0 without a far range."""
        self.scaled_square = 0.0
        """Sum of x²."""

    def merge(self, other: Tally) -> None:
        """Adds *other*. Raises ValueError when it has another number of bins."""
        self.counts += other.counts
        if self.moments is not None and other.moments is not None:
            self.moments.merge(other.moments)
        self.scaled_sum += other.scaled_sum
        self.scaled_square += other.scaled_square

    def copy(self) -> Self:
        """A tally of its own with the same content."""
        twin = type(self)(self.counts.size - len(COUNTERS), self.moments is not None)
        twin.merge(self)
        return twin

    @property
    def rows(self) -> int:
        """Entries, missing and mismatched ones included."""
        return int(self.counts[0])

    @property
    def missing(self) -> int:
        """None and NaN."""
        return int(self.counts[1])

    @property
    def type_mismatch(self) -> int:
        """Entries that are no value of the column's kind."""
        return int(self.counts[2])

    @property
    def out_of_range(self) -> int:
        """Numbers outside the declared range, infinite ones included."""
        return int(self.counts[3])

    @property
    def far(self) -> int:
        """Numbers outside the far range, infinite ones included."""
        return int(self.counts[4])

    @property
    def unseen(self) -> int:
        """Texts that are in no category known to the baseline."""
        return int(self.counts[5])

    @property
    def infinite(self) -> int:
        """Numbers that are inf or -inf."""
        return int(self.counts[6])

    @property
    def grid(self) -> int:
        """Finite numbers that are whole multiples of the column's coarse step; 0 without one."""
        return int(self.counts[7])

    @property
    def bin_counts(self) -> Counts | None:
        """One count per bin, int64, shape (K,), a view; None without bins."""
        return self.counts[len(COUNTERS) :] if self.counts.size > len(COUNTERS) else None
