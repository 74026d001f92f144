"""Counting: the second reading of a file, which counts every row into the bins that the first one found.

Promises: counts are exact. Memory: four bytes for each hour, column and bin, bounded by
`exporter.baseline.hours`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from exporter.baseline import entries
from exporter.baseline.fit import WindowCounts, blocks
from exporter.baseline.survey import ColumnSurvey
from exporter.sketch.bins import Bins, CategoryBins, NumericBins

Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"


@dataclass(slots=True)
class ColumnCount:
    """Counts of one column; `add` takes one batch."""

    survey: ColumnSurvey
    bins: Bins
    hours: Integers
    """Wall clock hours to count by, ascending, shape (hours,); none without timestamps."""
    counts: Integers = field(init=False)
    """Of all rows, shape (K,)."""
    _cells: np.ndarray[Any, np.dtype[np.int32]] = field(init=False)
    """Shape (hours, K + 2): the bins, missing, and of a category that only this hour's block knows."""
    _lone: frozenset[str] = field(init=False, default=frozenset())

    def __post_init__(self) -> None:
        self.counts = np.zeros(self.bins.size, dtype=np.int64)
        self._cells = np.zeros((self.hours.size, self.bins.size + 2), dtype=np.int32)
        if isinstance(self.bins, CategoryBins) and self.hours.size:
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
        missing = self.bins.size
        lone = np.zeros(len(array), dtype=bool)
        kind = self.survey.kind
        assert kind is not None
        if isinstance(self.bins, NumericBins):
            numbers = entries.numbers(array, kind)
            index = np.full(len(array), missing, dtype=np.intp)
            present = ~np.isnan(numbers.values)
            index[present] = self.bins.index(numbers.values[present])
            mismatched = numbers.mismatched
        else:
            read = entries.categories(array, kind, self.survey.canonical)
            position = {name: at for at, name in enumerate(self.bins.categories)}
            other = len(position)
            lookup = np.array([*(position.get(name, other) for name in read.names), missing], dtype=np.intp)
            index = lookup[read.codes]
            lone = np.array([*(name in self._lone for name in read.names), False])[read.codes]
            mismatched = read.mismatched
        self.counts += np.bincount(index[index < missing], minlength=missing)
        if positions is None:
            return
        counted = ~mismatched & (positions >= 0)
        self._add_cells(positions[counted], index[counted])
        self._add_cells(positions[counted & lone], np.full(int((counted & lone).sum()), missing + 1))

    def _add_cells(self, positions: Integers, index: Integers) -> None:
        if not positions.size:
            return
        # Files are mostly in order of time, so a batch spans few hours: count in those alone.
        low, high = int(positions.min()), int(positions.max()) + 1
        width = self._cells.shape[1]
        flat = np.bincount((positions - low) * width + index, minlength=(high - low) * width)
        self._cells[low:high] += flat.reshape(high - low, width).astype(np.int32)

    def windows(self) -> WindowCounts:
        """Counts by hour, for the calibration."""
        cells = self._cells.astype(np.int64)
        k = self.bins.size
        known = isinstance(self.bins, CategoryBins) and self.survey.dictionary_complete
        return WindowCounts(
            hours=self.hours,
            bins=cells[:, :k],
            missing=cells[:, k],
            unseen=cells[:, k + 1] if known else None,
        )
