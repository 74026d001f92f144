"""Slices of a file: the prediction columns once more for the rows of each slice value.

Promises: the same bins as over all rows, so that a slice's counts are a part of the column's; no sketches.
Memory as for the columns, times the slice values; a column that is no category or has too many values is
still sliced by its most frequent ones, the rest together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from exporter.baseline import entries
from exporter.baseline.baseline import BaselineColumn, SliceKey
from exporter.baseline.count import ColumnCount
from exporter.baseline.fit import fit
from exporter.baseline.source import Batch
from exporter.baseline.survey import ColumnSurvey
from exporter.hourly import HourTable
from exporter.profile.textual import category_text

Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

_RECENT_HOURS: Final = 8 * 24


@dataclass(slots=True)
class SliceCount:
    """The rows of one slice, by value."""

    survey: ColumnSurvey
    """Of the column that slices."""
    values: Sequence[str]
    """Those followed; the rest is one more."""
    counts: list[list[ColumnCount]]
    """For each value, and for the rest, one of each prediction column."""
    rows: Integers = field(init=False)
    missing: Integers = field(init=False)
    """By value and prediction column."""

    def __post_init__(self) -> None:
        shape = (len(self.counts), len(self.counts[0]) if self.counts else 0)
        self.rows, self.missing = np.zeros(shape, np.int64), np.zeros(shape, np.int64)

    def add(self, batch: Batch, positions: Integers | None) -> None:
        """One batch; *positions* as in `ColumnCount.add`."""
        codes = self._codes(batch.columns[self.survey.position])
        for at, counts in enumerate(self.counts):
            inside = codes == at
            if not inside.any():
                continue
            mask = pa.array(inside)
            within = None if positions is None else positions[inside]
            for number, count in enumerate(counts):
                array = batch.columns[count.survey.position].filter(mask)
                before = int(count.counts.sum())
                count.add(array, within)
                lost = len(array) - (int(count.counts.sum()) - before)
                self.rows[at, number] += len(array)
                self.missing[at, number] += lost

    def _codes(self, array: pa.Array) -> Any:
        """The value of each row, as a position in `values`, one more for the rest."""
        rest = len(self.values)
        position = {value: at for at, value in enumerate(self.values)}
        kind = self.survey.kind
        assert kind is not None
        if kind in ("categorical", "boolean"):
            read = entries.categories(array, kind, self.survey.canonical)
            return np.array([*(position.get(name, rest) for name in read.names), rest])[read.codes]
        different, inverse = np.unique(entries.numbers(array, kind).values, return_inverse=True)
        return np.array([position.get(category_text(value) or "", rest) for value in different.tolist()])[
            inverse
        ]


def slice_values(survey: ColumnSurvey, limit: int) -> list[str]:
    """The most frequent values of a column, at most *limit*, as texts of categories."""
    if survey.kind in ("categorical", "boolean"):
        dictionary = survey.dictionary
        return sorted(dictionary, key=lambda name: (-dictionary[name].count, name))[:limit]
    different, counts = np.unique(survey.sample.values(), return_counts=True)
    order = np.lexsort((different, -counts))[:limit]
    return [text for value in different[order].tolist() if (text := category_text(value)) is not None]


def sliced(
    count: SliceCount, columns: dict[str, BaselineColumn], alpha: float
) -> dict[SliceKey, dict[str, BaselineColumn]]:
    """The baseline's columns of each value; *columns* are the prediction columns over all rows."""
    found: dict[SliceKey, dict[str, BaselineColumn]] = {}
    values: list[str | None] = [*count.values, None]
    for at, (value, counts) in enumerate(zip(values, count.counts, strict=True)):
        made = {
            one.survey.name: _column(
                one,
                columns[one.survey.name],
                int(count.rows[at, number]),
                int(count.missing[at, number]),
                alpha,
            )
            for number, one in enumerate(counts)
            if count.rows[at, number]
        }
        if made:
            found[count.survey.name, value] = made
    return found


def _column(count: ColumnCount, whole: BaselineColumn, rows: int, lost: int, alpha: float) -> BaselineColumn:
    table = count.table()
    mismatched = 0 if table is None else int(table.mismatched.sum())
    calibration = recent = None
    if table is not None and table.hours.size:
        table = _without_tops(table)
        calibration = fit(
            table,
            numeric=whole.kind not in ("categorical", "boolean"),
            known=whole.known_complete,
            grid=whole.grid_step is not None,
            top=(),
            alpha=alpha,
        )
        last = table.part(table.hours > table.hours[-1] - _RECENT_HOURS)
        recent = replace(last, unseen=np.zeros_like(last.unseen))
    return replace(
        whole,
        counts=count.counts,
        rows=rows,
        missing=max(lost - mismatched, 0),
        mismatched=mismatched,
        infinite=0,
        moments=None,
        quantiles=None,
        top=(),
        calibration=calibration,
        recent=recent,
        blind_below={},
        embedding=None,
    )


def _without_tops(table: HourTable) -> HourTable:
    # A recorder keeps no frequent values by slice, so a spike has nothing to be measured by.
    return replace(
        table, top_values=np.full_like(table.top_values, np.nan), top_counts=np.zeros_like(table.top_counts)
    )
