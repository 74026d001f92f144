"""Counting into hours: rows with their values become a column's `HourTable`.

Promises: bins, missing, mismatched, unseen and grid are exact; moments are merged in order (Chan); of
frequent numbers a column keeps some per hour while batches come, so their counts are lower bounds where an
hour's rows are spread over many batches. Memory: see `exporter.baseline.hours`.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np

from exporter.hourly import TOPS, HourTable

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Flags: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

#: What is counted of each hour before the bins.
COUNTED: Final = ("missing", "mismatched", "unseen", "grid")
#: Frequent numbers kept per hour between batches, and new ones taken of an hour in each.
_KEPT: Final = 32
_TAKEN: Final = 16


class TableCount:
    """Counts by hour of one column.

    >>> count = TableCount(np.array([0, 1]), np.array([0, 1]), bins=2, numeric=True)
    >>> gone = np.array([False, False, True])
    >>> count.add(np.array([0, 0, 1]), np.array([0, 1, -1]), np.array([1.0, 5.0, np.nan]), missing=gone)
    >>> table = count.table()
    >>> table.rows.tolist(), table.missing.tolist(), table.bins.tolist(), table.moments[0].tolist()
    ([2, 1], [0, 1], [[1, 1], [0, 0]], [3.0, 8.0, 1.0, 5.0])
    """

    def __init__(self, hours: Integers, cells: Integers, bins: int, numeric: bool) -> None:
        """*hours* ascend, shape (H,); *cells* are theirs (`exporter.hourly`)."""
        self.hours = hours
        self.cells = cells
        self.bins = bins
        self._counts = np.zeros((hours.size, len(COUNTED) + bins), dtype=np.int32)
        size = hours.size if numeric else 0
        self._count = np.zeros(size, np.int64)
        self._moments = np.zeros((size, 4))
        self._moments[:, 2], self._moments[:, 3] = np.inf, -np.inf
        self._tops: dict[int, dict[float, int]] = {}

    def add(
        self,
        positions: Integers,
        index: Any,
        values: Floats | None = None,
        *,
        missing: Flags,
        mismatched: Flags | None = None,
        unseen: Flags | None = None,
        grid: Flags | None = None,
    ) -> None:
        """Rows of one batch: at which of the hours each lies, -1 for none; its bin, -1 for none.

        *values* are the numbers, NaN where there is none; all of shape (rows,).
        """
        inside = positions >= 0
        if not inside.any():
            return
        at = positions[inside]
        low, high = int(at.min()), int(at.max()) + 1
        width = self._counts.shape[1]
        # Files are mostly in order of time, so a batch spans few hours: count in those alone.
        target = self._counts[low:high]
        for column, flags in enumerate((missing, mismatched, unseen, grid)):
            if flags is not None and flags.any():
                target[:, column] += np.bincount(at[flags[inside]] - low, minlength=high - low).astype(
                    np.int32
                )
        binned = index[inside]
        valid = binned >= 0
        flat = np.bincount(
            (at[valid] - low) * width + len(COUNTED) + binned[valid], minlength=(high - low) * width
        )
        target += flat.reshape(high - low, width).astype(np.int32)
        if values is not None and self._count.size:
            numbers = values[inside]
            finite = np.isfinite(numbers)
            if finite.any():
                self._add_numbers(at[finite], numbers[finite])

    def _add_numbers(self, at: Integers, numbers: Floats) -> None:
        order = np.lexsort((numbers, at))
        at, numbers = at[order], numbers[order]
        begins = np.flatnonzero(np.concatenate([[True], at[1:] != at[:-1]]))
        ends = np.append(begins[1:], at.size)
        hours = at[begins]
        count = ends - begins
        mean = np.add.reduceat(numbers, begins) / count
        apart = numbers - np.repeat(mean, count)
        squares = np.add.reduceat(apart * apart, begins)
        held = self._count[hours]
        moments = self._moments[hours]
        total = held + count
        difference = mean - moments[:, 0]
        moments[:, 1] += squares + difference**2 * held * count / total
        moments[:, 0] += difference * count / total
        moments[:, 2] = np.minimum(moments[:, 2], numbers[begins])
        moments[:, 3] = np.maximum(moments[:, 3], numbers[ends - 1])
        self._moments[hours] = moments
        self._count[hours] = total
        self._add_tops(at, numbers)

    def _add_tops(self, at: Integers, numbers: Floats) -> None:
        """*numbers* ascend within each hour *at*."""
        begins = np.flatnonzero(np.concatenate([[True], (at[1:] != at[:-1]) | (numbers[1:] != numbers[:-1])]))
        # Values seen once count, too: where an hour is one row, a day of them is how often a value comes.
        hour, value, count = at[begins], numbers[begins], np.diff(np.append(begins, at.size))
        order = np.lexsort((value, -count, hour))
        hour, value, count = hour[order], value[order], count[order]
        first = (
            np.flatnonzero(np.concatenate([[True], hour[1:] != hour[:-1]])) if hour.size else np.zeros(0, int)
        )
        rank = np.arange(hour.size) - np.repeat(first, np.diff(np.append(first, hour.size)))
        for h, v, c in zip(*(part[rank < _TAKEN].tolist() for part in (hour, value, count)), strict=True):
            held = self._tops.setdefault(h, {})
            held[v] = held.get(v, 0) + c
            if len(held) > 2 * _KEPT:
                self._tops[h] = dict(sorted(held.items(), key=lambda item: (-item[1], item[0]))[:_KEPT])

    def table(self) -> HourTable:
        """The hours that have rows."""
        counts = self._counts.astype(np.int64)
        bins = counts[:, len(COUNTED) :]
        rows = bins.sum(axis=1) + counts[:, 0] + counts[:, 1]
        size = self.hours.size
        moments = np.full((size, 4), np.nan)
        if self._count.size:
            some = self._count > 0
            moments[some] = self._moments[some]
        top_values, top_counts = np.full((size, TOPS), np.nan), np.zeros((size, TOPS), np.int64)
        for hour, held in self._tops.items():
            best = sorted(held.items(), key=lambda item: (-item[1], item[0]))[:TOPS]
            top_values[hour, : len(best)] = [value for value, _ in best]
            top_counts[hour, : len(best)] = [count for _, count in best]
        table = HourTable(
            hours=self.hours,
            cells=self.cells,
            rows=rows,
            missing=counts[:, 0],
            mismatched=counts[:, 1],
            unseen=counts[:, 2],
            far=np.zeros(size, np.int64),
            grid=counts[:, 3],
            bins=bins,
            moments=moments,
            top_values=top_values,
            top_counts=top_counts,
        )
        return table.part(rows > 0)


def local_cells(hours: Integers) -> Integers:
    """The cell of each wall clock hour since 1970: its hour of the day, plus 24 on weekends.

    >>> local_cells(np.array([0, 25, 48 + 23])).tolist()  # a Thursday, a Friday, a Saturday
    [0, 1, 47]
    """
    days = hours // 24
    return np.asarray(hours % 24 + 24 * ((days + 3) % 7 >= 5), dtype=np.int64)
