"""Spike: one exact number that takes more of a window than it ever did.

    z = 2 √n (√share - √usual) / √(1 + 4 n · natural)         the largest over the window's frequent values

Values with a bin of their own are left to the shape's largest bin, which knows each one's natural variance.

Promises: pure; counts of frequent values are lower bounds, so the excess is one, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.hourly import HourTable

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

#: Entries of one value, and its share beyond the usual one, that are worth speaking of.
ENTRIES: Final = 4
EXCESS: Final = 0.01
#: Smallest critical value: 4.5 standard deviations.
FLOOR: Final = 4.5
#: A baseline's value of at least this share has a bin of its own (`exporter.baseline.edges`).
OWN_BIN: Final = 0.6 / 16


@dataclass(frozen=True, slots=True)
class Usual:
    """Values that the baseline is full of, ascending, and their shares of its valid entries."""

    values: Floats
    shares: Floats

    @classmethod
    def of(cls, top: Sequence[tuple[float | str, float]]) -> Usual:
        """From a baseline's most frequent values; texts have none."""
        numbers = sorted((float(value), share) for value, share in top if not isinstance(value, str))
        return cls(np.array([value for value, _ in numbers]), np.array([share for _, share in numbers]))

    def share(self, values: Floats) -> Floats:
        """The usual share of each of *values*; 0 of those that are not among the frequent ones."""
        if not self.values.size:
            return np.zeros(values.shape)
        at = np.minimum(np.searchsorted(self.values, values), self.values.size - 1)
        return np.asarray(np.where(self.values[at] == values, self.shares[at], 0.0))


def tops(table: HourTable, low: int, high: int) -> tuple[Floats, Floats]:
    """The frequent values of the hours at [*low*, *high*) and how often each was seen, at least."""
    if high - low == 1:
        counts = table.top_counts[low]
        chosen = counts > 0
        return table.top_values[low][chosen], counts[chosen].astype(np.float64)
    counts = table.top_counts[low:high]
    chosen = counts > 0
    values, inverse = np.unique(table.top_values[low:high][chosen], return_inverse=True)
    total = np.bincount(inverse, weights=counts[chosen], minlength=values.size)
    return values, total.astype(np.float64)


def excess(
    table: HourTable, low: Integers, high: Integers, total: Floats, usual: Usual
) -> tuple[Floats, Floats, Floats]:
    """Of each window of hours at [*low*, *high*): the largest excess √share - √usual, its value, its count.

    Shape (W,) each; an excess of 0 and NaN where no value exceeds.
    """
    size = low.size
    largest, value, count = np.zeros(size), np.full(size, np.nan), np.zeros(size)
    if not table.top_counts.size or not table.top_counts.any():
        return largest, value, count
    if size > 8 and bool((high - low <= 1).all()):
        return _excess_of_hours(table, low, high, total, usual)
    for at, (a, b) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        if b <= a or not total[at]:
            continue
        values, counts = tops(table, a, b)
        if not values.size:
            continue
        over, best = _largest(values, counts, total[at], usual)
        if over > 0:
            largest[at], value[at], count[at] = over, values[best], counts[best]
    return largest, value, count


def _largest(values: Any, counts: Any, total: Any, usual: Usual) -> Any:
    """The largest excess of the last axis, and where."""
    shares = counts / total
    known = usual.share(values)
    over = np.sqrt(shares) - np.sqrt(known)
    over[(counts < ENTRIES) | (shares - known <= EXCESS) | (known >= OWN_BIN)] = 0.0
    if over.ndim == 1:
        best = int(over.argmax())
        return float(over[best]), best
    best = over.argmax(axis=-1)
    return np.take_along_axis(over, best[:, np.newaxis], axis=-1)[:, 0], best


def _excess_of_hours(
    table: HourTable, low: Integers, high: Integers, total: Floats, usual: Usual
) -> tuple[Floats, Floats, Floats]:
    at = np.minimum(low, table.hours.size - 1)
    values = table.top_values[at]
    counts = table.top_counts[at] * (high > low)[:, np.newaxis]
    over, best = _largest(values, counts, np.maximum(total, 1)[:, np.newaxis], usual)
    chosen = best[:, np.newaxis]
    value = np.take_along_axis(values, chosen, axis=1)[:, 0]
    count = np.take_along_axis(counts, chosen, axis=1)[:, 0].astype(np.float64)
    return over, np.where(over > 0, value, np.nan), np.where(over > 0, count, 0.0)


def deviations(over: Floats, total: Floats, natural: float) -> Floats:
    """The excess *over* in standard deviations, chance and *natural* variance added.

    >>> deviations(np.array([0.5]), np.array([100.0]), 0.0).tolist()
    [10.0]
    """
    return np.asarray(2 * np.sqrt(total) * over / np.sqrt(1 + 4 * total * natural))


def share_of(table: HourTable, low: int, high: int, value: float) -> float:
    """The share of *value* in the valid entries of the hours at [*low*, *high*), at least; 0 of none."""
    valid = int(table.bins[low:high].sum())
    if not valid:
        return 0.0
    seen = table.top_counts[low:high][table.top_values[low:high] == value]
    return int(seen.sum()) / valid
