"""Counting: the second reading of a file, which counts every row into the bins that the first one found.

Promises: counts are exact. Memory: four bytes for each hour, column and bin, and the hour's moments, bounded
by `exporter.baseline.hours`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from exporter.baseline import entries
from exporter.baseline.fit import blocks
from exporter.baseline.survey import ColumnSurvey
from exporter.baseline.table import TableCount, local_cells
from exporter.hourly import HourTable
from exporter.profile.grid import multiples
from exporter.sketch.bins import Bins, CategoryBins, NumericBins

Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"


@dataclass(slots=True)
class ColumnCount:
    """Counts of one column; `add` takes one batch."""

    survey: ColumnSurvey
    bins: Bins
    hours: Integers
    """Wall clock hours to count by, ascending, shape (hours,); none without timestamps."""
    grid_step: float | None = None
    """Coarse step whose multiples are counted."""
    counts: Integers = field(init=False)
    """Of all rows, shape (K,)."""
    _table: TableCount | None = field(init=False, default=None)
    _lone: frozenset[str] = field(init=False, default=frozenset())
    """Categories that one block alone has: the other blocks would call them unseen."""

    def __post_init__(self) -> None:
        self.counts = np.zeros(self.bins.size, dtype=np.int64)
        if not self.hours.size:
            return
        numeric = isinstance(self.bins, NumericBins)
        self._table = TableCount(self.hours, local_cells(self.hours), self.bins.size, numeric)
        if isinstance(self.bins, CategoryBins):
            block = blocks(self.hours)
            self._lone = frozenset(
                name
                for name, category in self.survey.dictionary.items()
                if self._block(block, category.first) == self._block(block, category.last)
            )

    def _block(self, block: Integers, hour: int) -> int:
        return int(block[min(max(int(np.searchsorted(self.hours, hour)), 0), self.hours.size - 1)])

    def add(self, array: pa.Array, positions: Integers | None) -> None:
        """One batch; *positions* say at which of `hours` each row lies, -1 for none; shape (rows,)."""
        index = np.full(len(array), -1, dtype=np.intp)
        values = lone = grid = None
        kind = self.survey.kind
        assert kind is not None
        if isinstance(self.bins, NumericBins):
            numbers = entries.numbers(array, kind)
            present = ~np.isnan(numbers.values)
            index[present] = self.bins.index(numbers.values[present])
            mismatched = numbers.mismatched
            values = numbers.values
            if self.grid_step is not None:
                finite = np.isfinite(values)
                grid = np.zeros(len(array), dtype=np.bool_)
                grid[finite] = multiples(values[finite], self.grid_step)
        else:
            read = entries.categories(array, kind, self.survey.canonical)
            position = {name: at for at, name in enumerate(self.bins.categories)}
            other = len(position)
            lookup = np.array([*(position.get(name, other) for name in read.names), -1], dtype=np.intp)
            index = lookup[read.codes]
            if self.survey.dictionary_complete:
                lone = np.array([*(name in self._lone for name in read.names), False])[read.codes]
            mismatched = read.mismatched
        self.counts += np.bincount(index[index >= 0], minlength=self.bins.size)
        if positions is None or self._table is None:
            return
        self._table.add(
            positions,
            index,
            values,
            missing=(index < 0) & ~mismatched,
            mismatched=mismatched,
            unseen=lone,
            grid=grid,
        )

    def table(self) -> HourTable | None:
        """What each hour held; None without timestamps. Unseen are the categories that no other block has."""
        return None if self._table is None else self._table.table()


#: Steps that are tried, as powers of ten of the column's range, and the share of the values below which few
#: are multiples of one.
_FINEST: Final = -6
_FEW_MULTIPLES: Final = 0.7


def coarse_step(values: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    """The finest power of ten of which fewer than 70 % of *values* are multiples; None where none is.

    Values that are rounded more coarsely become its multiples, and only then.

    >>> coarse_step(np.arange(1000) / 10), coarse_step(np.random.default_rng(0).normal(size=1000))
    (1.0, 1e-06)
    """
    if values.size < 2:
        return None
    width = float(values.max()) / 2 - float(values.min()) / 2  # halves: the range may pass the largest float
    if not 0 < width < np.inf:
        return None
    top = int(np.floor(np.log10(width)))
    for power in range(max(top + _FINEST, -300), min(top + 1, 300)):
        step = float(f"1e{power}")
        if float(multiples(values, step).mean()) < _FEW_MULTIPLES:
            return step
    return None
