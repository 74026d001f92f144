"""Windows: each window's counts, and those of the times it is compared with, out of one table of hours.

| window | terms of the blend |
|---|---|
| hour | same hour yesterday, of the last 7 days, last week; yesterday |
| day | yesterday, the last 7 days, the same day last week |

The last 7 days are the 168 hours before the window's day began.

Nothing of a window's own day is among what it is compared with: a fault that the first hours of a day did not
show would otherwise become what the later ones are measured by.

Promises: pure; the sums for one window and for ten thousand are the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

#: Terms of the blend by window.
TERMS: Final = {
    "1h": ("same hour yesterday", "same hour of 7 days", "same hour last week", "yesterday"),
    "1d": ("yesterday", "7 days", "same day last week"),
}
_DAY: Final = 24
_WEEK: Final = 168
_BACK: Final = np.arange(1, 8) * _DAY
_BOUNDS: Final = np.array([[0], [_DAY], [_WEEK - _DAY], [_WEEK]])
#: Below this many windows, slices are faster than running sums (192 hours, 50 columns: 60 µs).
_FEW: Final = 4


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums of an array with one row per hour over each window's times."""

    terms: Floats
    """Shape (W, terms, columns)."""
    week: Floats
    """Of the last seven days, shape (W, columns)."""


def day_starts(window: str, first: Integers, hours: Integers, cells: Integers) -> Integers:
    """The hour at which the local day of each window began, shape (W,).

    By the cells of the hours at hand; a day on which the clocks change is off by the hour that it shifts.
    """
    if window == "1d":
        return first
    at = np.minimum(np.searchsorted(hours, first), max(hours.size - 1, 0))
    if not hours.size:
        return first
    # The cell of a later (or the last) hour, counted back to the window's own.
    of_day = (cells[at] + first - hours[at]) % _DAY
    return np.asarray(first - of_day, dtype=np.int64)


def sum_over(values: Floats, hours: Integers, first: Integers, stop: Integers) -> Floats:
    """*values*, shape (H, columns), summed over the hours of each [first, stop), shape (W, columns)."""
    low, high = hours.searchsorted(first), hours.searchsorted(stop)
    return _ranges(values, None, low, high)


def _running(values: Floats) -> Floats:
    total = np.zeros((values.shape[0] + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=total[1:])
    return total


def _ranges(values: Floats, running: Floats | None, low: Any, high: Any) -> Floats:
    if low.size <= _FEW:
        out = np.empty((low.size, values.shape[1]))
        for at, (a, b) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
            np.add.reduce(values[a:b], axis=0, out=out[at])
        return out
    total = _running(values) if running is None else running
    return np.asarray(total[high] - total[low])


def past(window: str, values: Floats, hours: Integers, first: Integers, starts: Integers) -> Sums:
    """Sums of *values*, shape (H, columns), ascending *hours*, over what windows at *first* compare with.

    *starts* are the hours at which the windows' days began.
    """
    running = None if first.size <= _FEW else _running(values)
    bounds = hours.searchsorted(starts[np.newaxis, :] - _BOUNDS)
    now, yesterday, last_week, week = bounds
    in_week = _ranges(values, running, week, now)
    in_yesterday = _ranges(values, running, yesterday, now)
    if window == "1d":
        of_week_ago = _ranges(values, running, week, last_week)
        return Sums(np.stack([in_yesterday, in_week, of_week_ago], axis=1), in_week)
    terms = np.empty((first.size, 4, values.shape[1]))
    wanted = first[:, np.newaxis] - _BACK
    at = hours.searchsorted(wanted)
    np.minimum(at, max(hours.size - 1, 0), out=at)
    if hours.size:
        same = values[at] * (hours[at] == wanted)[:, :, np.newaxis]
        terms[:, 0] = same[:, 0]
        np.add.reduce(same, axis=1, out=terms[:, 1])
        terms[:, 2] = same[:, 6]
    else:
        terms[:] = 0.0
    terms[:, 3] = in_yesterday
    return Sums(terms, in_week)
