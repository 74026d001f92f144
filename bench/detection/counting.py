"""Counting: arrays of one column into an `HourTable`, whole streams or the hours of one faulted day.

Promises: the same counts as a recorder with these bins would have; vectorised, about 0.5 µs a row.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from exporter.baseline.baseline import BaselineColumn
from exporter.faults.facts import on_step
from exporter.hourly import TOPS, HourTable
from exporter.sketch.bins import CategoryBins, NumericBins

Values: TypeAlias = "np.ndarray[Any, Any]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"


def cells_of(hours: Integers) -> Integers:
    """The cell of each wall clock hour: hour of the day, plus 24 on Saturdays and Sundays.

    >>> cells_of(np.array([0, 13, 48, 61])).tolist()  # 1 January 1970 was a Thursday
    [0, 13, 24, 37]
    """
    weekday = (hours // 24 + 3) % 7
    return np.asarray(hours % 24 + 24 * (weekday >= 5), dtype=np.int64)


def hour_table(
    column: BaselineColumn, values: Values, seconds: Integers, upto: Integers | None = None
) -> HourTable:
    """Hour by hour counts of *values* (float64 with NaN, or objects with None), at ascending *seconds*.

    Both have shape (n,). Objects of another type than the column's, texts among numbers, are mismatched.
    *upto*: the hours that stand in the table, instead of those with rows.
    """
    hours = seconds // 3600
    present = np.unique(hours) if upto is None else upto
    at = np.searchsorted(present, hours)
    size, k = present.size, column.bins.size
    rows = np.bincount(at, minlength=size).astype(np.int64)
    unseen = np.zeros(size, np.int64)
    far, grid, missing, mismatched = unseen.copy(), unseen.copy(), unseen.copy(), unseen.copy()
    moments = np.full((size, 4), np.nan)
    top_values, top_counts = np.full((size, TOPS), np.nan), np.zeros((size, TOPS), np.int64)
    if isinstance(column.bins, NumericBins):
        numbers, wrong = _numbers(values)
        mismatched = _per_hour(at, wrong, size)
        gone = np.isnan(numbers) & ~wrong
        missing = _per_hour(at, gone, size)
        kept = ~np.isnan(numbers)
        where, x = at[kept], numbers[kept]
        index = column.bins.index(x)
        limits, step = getattr(column, "far", None), getattr(column, "grid_step", None)
        if limits is not None:
            far = _per_hour(where, (x < limits[0]) | (x > limits[1]), size)
        if step is not None:
            grid = _per_hour(where, on_step(x, step), size)
        moments = _moments(where, x, size)
        top_values, top_counts = _tops(where, x, size)
    else:
        codes, names, gone, wrong = _coded(values)
        missing, mismatched = _per_hour(at, gone, size), _per_hour(at, wrong, size)
        kept = codes >= 0
        where = at[kept]
        lookup, strange = _lookup(column.bins, names)
        index = lookup[codes[kept]]
        if column.known_complete:
            unseen = _per_hour(where, strange[codes[kept]], size)
    bins = np.bincount(where * k + index, minlength=size * k).reshape(size, k).astype(np.int64)
    return HourTable(
        hours=present,
        cells=cells_of(present),
        rows=rows,
        missing=missing,
        mismatched=mismatched,
        unseen=unseen,
        far=far,
        grid=grid,
        bins=bins,
        moments=moments,
        top_values=top_values,
        top_counts=top_counts,
    )


def spliced(table: HourTable, part: HourTable) -> HourTable:
    """*table* with the hours of *part* in place of its own; hours of *table* inside part's span go."""
    low = int(np.searchsorted(table.hours, part.hours[0]))
    high = int(np.searchsorted(table.hours, part.hours[-1], side="right"))
    joined = (
        np.concatenate([getattr(table, name)[:low], getattr(part, name), getattr(table, name)[high:]])
        for name in HourTable.__slots__
    )
    return HourTable(*joined)


def _per_hour(at: Integers, chosen: Values, size: int) -> Integers:
    return np.bincount(at[chosen], minlength=size).astype(np.int64)


def _numbers(values: Values) -> tuple[Floats, Values]:
    """As float64, and which of them are texts where numbers belong."""
    if values.dtype != object:
        return values, np.zeros(values.size, bool)
    wrong = np.array([value is not None and not isinstance(value, (int, float)) for value in values], bool)
    numbers = np.full(values.size, np.nan)
    fine = ~wrong & np.array([value is not None for value in values], bool)
    numbers[fine] = values[fine].astype(np.float64)
    return numbers, wrong


def _coded(values: Values) -> tuple[Integers, list[str], Values, Values]:
    """Codes (-1: none), the names they stand for, which entries are missing, which are no texts."""
    position: dict[str, int] = {}
    codes = np.empty(values.size, np.int64)
    for at, value in enumerate(values.tolist()):
        if isinstance(value, str):
            codes[at] = position.setdefault(value, len(position))
        elif value is None or value != value:
            codes[at] = -1
        elif isinstance(value, (list, dict)):
            codes[at] = -2
        else:
            codes[at] = position.setdefault(str(value), len(position))
    return codes, list(position), codes == -1, codes == -2


def _lookup(bins: CategoryBins, names: list[str]) -> tuple[Integers, Values]:
    place = {name: at for at, name in enumerate(bins.categories)}
    other = len(place)
    lookup = np.array([place.get(name, other) for name in names], dtype=np.int64)
    return lookup, np.array([name not in bins.known for name in names], dtype=bool)


def _moments(at: Integers, x: Floats, size: int) -> Floats:
    finite = np.isfinite(x)
    at, x = at[finite], x[finite]
    count = np.bincount(at, minlength=size)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(at, x, minlength=size) / count
    found = np.full((size, 4), np.nan)
    found[:, 0] = mean
    found[:, 1] = np.where(count > 0, np.bincount(at, (x - mean[at]) ** 2, minlength=size), np.nan)
    if x.size:
        starts = np.searchsorted(at, np.flatnonzero(count))
        found[count > 0, 2] = np.minimum.reduceat(x, starts)
        found[count > 0, 3] = np.maximum.reduceat(x, starts)
    return found


def _tops(at: Integers, x: Floats, size: int) -> tuple[Floats, Integers]:
    values, counts = np.full((size, TOPS), np.nan), np.zeros((size, TOPS), np.int64)
    if not x.size:
        return values, counts
    order = np.lexsort((x, at))
    at, x = at[order], x[order]
    first = np.flatnonzero(np.concatenate([[True], (x[1:] != x[:-1]) | (at[1:] != at[:-1])]))
    lengths = np.diff(np.concatenate([first, [x.size]]))
    hour, value = at[first], x[first]
    order = np.lexsort((value, -lengths, hour))
    hour, value, lengths = hour[order], value[order], lengths[order]
    begin = np.searchsorted(hour, hour)  # where each hour's values begin
    rank = np.arange(hour.size) - begin
    kept = rank < TOPS
    values[hour[kept], rank[kept]] = value[kept]
    counts[hour[kept], rank[kept]] = lengths[kept]
    return values, counts
