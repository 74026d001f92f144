"""HourTable: what each hour of one column held, the only form in which verdicts look at the past.

A baseline's file is counted into one, a recorder's ring of eight days is one, and a backtest's too; so the
same functions calibrate, judge and replay. It adds up: the table of a fleet is the sum over its pods.

Promises: hours ascend, each stands once, hours without rows are absent; all arrays have one row per hour.
Refuses: shapes that do not fit (``ValueError``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import numpy as np

Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

#: Hours of a day and kinds of day (work day, weekend): the cells whose shares may differ.
CELLS: Final = 48
#: Most frequent values of an hour that are kept: what floods an hour is among them.
TOPS: Final = 8


@dataclass(frozen=True, slots=True)
class HourTable:
    """One column, hour by hour; H hours, K bins.

    >>> table = HourTable.empty(bins=2)
    >>> table.hours.size, table.bins.shape, table.valid.tolist()
    (0, (0, 2), [])
    """

    hours: Integers
    """Number of the hour, ascending, shape (H,); 24 apart are the same hour of neighbouring days."""
    cells: Integers
    """Hour of the local day, 0 … 23, plus 24 on Saturdays and Sundays, shape (H,)."""
    rows: Integers
    """Entries, missing and mismatched ones included, shape (H,)."""
    missing: Integers
    mismatched: Integers
    unseen: Integers
    """Valid entries that are in no category of the baseline; they are in a bin, too."""
    far: Integers
    """Valid entries far outside the baseline's range; they are in a bin, too."""
    grid: Integers
    """Valid entries that are whole multiples of the column's coarse step; they are in a bin, too."""
    bins: Integers
    """Valid entries by bin, shape (H, K)."""
    moments: Floats
    """Mean, sum of squared deviations, minimum, maximum of the finite numbers, shape (H, 4); NaN of none."""
    top_values: Floats
    """Most frequent numbers, descending by count, shape (H, TOPS), NaN where fewer; categories: all NaN."""
    top_counts: Integers
    """How often, at least (a sketch may have lost some), shape (H, TOPS), 0 where fewer."""

    def __post_init__(self) -> None:
        size = self.hours.shape[0]
        for name in self.__slots__:
            array = getattr(self, name)
            if array.shape[0] != size:
                raise ValueError(f"hour table: {name}: expected {size} hours, found shape {array.shape}")
        if size > 1 and not bool((np.diff(self.hours) > 0).all()):
            raise ValueError("hour table: expected hours that ascend, each once")

    @property
    def valid(self) -> Integers:
        """Entries that are in a bin, shape (H,)."""
        total: Integers = self.bins.sum(axis=1)
        return total

    @classmethod
    def empty(cls, bins: int) -> Self:
        """No hours of a column with *bins* bins."""
        none = np.zeros(0, np.int64)
        return cls(
            hours=none,
            cells=none,
            rows=none,
            missing=none,
            mismatched=none,
            unseen=none,
            far=none,
            grid=none,
            bins=np.zeros((0, bins), np.int64),
            moments=np.zeros((0, 4)),
            top_values=np.zeros((0, TOPS)),
            top_counts=np.zeros((0, TOPS), np.int64),
        )

    def part(self, chosen: Any) -> Self:
        """Some of the hours, by a slice, a boolean mask or ascending positions."""
        return type(self)(*(getattr(self, name)[chosen] for name in self.__slots__))
