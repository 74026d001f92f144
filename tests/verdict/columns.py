"""Baseline columns and hours made for tests, without a file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from exporter.baseline import BaselineColumn, Calibration
from exporter.baseline.edges import category_bins, numeric_bins
from exporter.baseline.fit import fit
from exporter.baseline.table import TableCount, local_cells
from exporter.hourly import HourTable
from exporter.sketch.bins import NumericBins
from exporter.sketch.moments import Moments
from exporter.sketch.quantile import Quantiles


def numeric(values: Any, calibration: Calibration | None = None, missing: int = 0) -> BaselineColumn:
    """A numeric column of *values*."""
    values = np.asarray(values, dtype=np.float64)
    moments, quantiles = Moments(), Quantiles(k=4096)
    moments.update(values)
    quantiles.update(values)
    bins = numeric_bins(values, float(values.min()), float(values.max()))
    return BaselineColumn(
        name="x",
        role="feature",
        kind="numeric",
        bins=bins,
        counts=bins.count(values),
        rows=len(values) + missing,
        missing=missing,
        mismatched=0,
        infinite=0,
        distinct=float(np.unique(values).size),
        range=(float(values.min()), float(values.max())),
        moments=moments,
        quantiles=quantiles,
        top=(),
        known_complete=True,
        calibration=calibration,
    )


def categorical(
    counts: dict[str, int], calibration: Calibration | None = None, complete: bool = True
) -> BaselineColumn:
    """A categorical column with *counts*."""
    bins = category_bins(counts, None, counts)
    rows = sum(counts.values())
    return BaselineColumn(
        name="c",
        role="feature",
        kind="categorical",
        bins=bins,
        counts=bins.count(list(counts), list(counts.values()))[0],
        rows=rows,
        missing=0,
        mismatched=0,
        infinite=0,
        distinct=float(len(counts)),
        range=None,
        moments=None,
        quantiles=None,
        top=tuple((name, count / rows) for name, count in counts.items()),
        known_complete=complete,
        calibration=calibration,
    )


def table_of(column: BaselineColumn, hours: Any, values: Any) -> HourTable:
    """The hours of numbers *values*, NaN where missing, at *hours*, both of shape (n,)."""
    assert isinstance(column.bins, NumericBins)
    values = np.asarray(values, dtype=np.float64)
    present = np.unique(hours)
    count = TableCount(present, local_cells(present), column.bins.size, True)
    missing = np.isnan(values)
    index = np.full(values.size, -1)
    index[~missing] = column.bins.index(values[~missing])
    count.add(np.searchsorted(present, hours), index, values, missing=missing)
    table = count.table()
    if column.far is None:
        return table
    outside = (values < column.far[0]) | (values > column.far[1])
    far = np.bincount(np.searchsorted(present, hours[outside]), minlength=present.size)
    return replace(table, far=far.astype(np.int64))


def counted(hours: Any, bins: Any, missing: Any = None, unseen: Any = None) -> HourTable:
    """Hours with these counts, shape (H, K); categories, which have no moments."""
    hours, bins = np.asarray(hours, np.int64), np.asarray(bins, np.int64)
    none = np.zeros(hours.size, np.int64)
    missing = none if missing is None else np.asarray(missing, np.int64)
    empty = HourTable.empty(bins.shape[1])
    return replace(
        empty,
        hours=hours,
        cells=local_cells(hours),
        rows=bins.sum(axis=1) + missing,
        missing=missing,
        mismatched=none,
        unseen=none if unseen is None else np.asarray(unseen, np.int64),
        far=none,
        grid=none,
        bins=bins,
        moments=np.full((hours.size, 4), np.nan),
        top_values=np.full((hours.size, 8), np.nan),
        top_counts=np.zeros((hours.size, 8), np.int64),
    )


def multinomial(shares: Any, rows: int, hours: Any, seed: int = 0) -> HourTable:
    """Hours of *rows* rows each, drawn from *shares*, (K,) or (H, K)."""
    rng = np.random.default_rng(seed)
    hours = np.asarray(hours, np.int64)
    shares = np.broadcast_to(shares, (hours.size, np.shape(shares)[-1]))
    return counted(hours, rng.multinomial(rows, shares))


def fitted(table: HourTable) -> BaselineColumn:
    """A categorical column calibrated by *table*; its last bin is "other"."""
    names = [f"c{at:04}" for at in range(table.bins.shape[1] - 1)]
    total = table.bins.sum(axis=0)
    counts = dict(zip(names, total.tolist(), strict=False)) | {"rest": int(total[-1])}
    column = categorical(counts)
    bins = type(column.bins)(tuple(names), frozenset(counts))  # type: ignore[call-arg, arg-type]
    return replace(
        column,
        bins=bins,
        counts=total,
        rows=int(table.rows.sum()),
        missing=int(table.missing.sum()),
        calibration=fit(table, numeric=False),
    )


def followed(*tables: HourTable) -> HourTable:
    """Tables one after the other."""
    joined = (np.concatenate([getattr(table, name) for table in tables]) for name in HourTable.__slots__)
    return HourTable(*joined)
