"""Columns: counters per bin and fault since the start, and the statistics of the sliding windows."""

from __future__ import annotations

from collections.abc import Iterable

from exporter import metrics
from exporter.collectors.budget import NUMBERS
from exporter.collectors.scrape import Scrape
from exporter.metrics import Family


def collect(scrape: Scrape) -> Iterable[Family]:
    """The families of columns that the budget shows."""
    return *_counters(scrape), *_windows(scrape)


def _counters(scrape: Scrape) -> Iterable[Family]:
    rows = metrics.COLUMN_ROWS.family()
    observations = metrics.COLUMN_BIN_OBSERVATIONS.family()
    missing = metrics.COLUMN_MISSING.family()
    mismatch = metrics.COLUMN_TYPE_MISMATCH.family()
    infinite = metrics.COLUMN_INFINITE.family()
    out_of_range = metrics.COLUMN_OUT_OF_RANGE.family()
    far = metrics.COLUMN_FAR.family()
    grid = metrics.COLUMN_GRID.family()
    unseen = metrics.COLUMN_UNSEEN_CATEGORY.family()
    scaled_sum = metrics.COLUMN_SCALED_SUM.family()
    scaled_square = metrics.COLUMN_SCALED_SQUARE.family()
    for column in scrape.shown.columns:
        labels = (column.model, column.version, column.role, column.column)
        rows.add(column.rows, *labels)
        missing.add(column.missing, *labels)
        mismatch.add(column.type_mismatch, *labels)
        if column.kind in NUMBERS:
            infinite.add(column.infinite, *labels)
            out_of_range.add(column.out_of_range, *labels)
            far.add(column.far, *labels)
            grid.add(column.grid, *labels)
            scaled_sum.add(column.scaled_sum, *labels, column.bins)
            scaled_square.add(column.scaled_square, *labels, column.bins)
        if column.kind == "categorical":
            unseen.add(column.unseen, *labels)
        if column.bin_counts is not None:
            for bin_label, count in zip(column.bin_labels, column.bin_counts.tolist(), strict=True):
                observations.add(count, *labels, column.bins, bin_label)
    return (
        rows, observations, missing, mismatch, infinite, out_of_range, far, grid, unseen, scaled_sum,
        scaled_square,
    )  # fmt: skip


def _windows(scrape: Scrape) -> Iterable[Family]:
    window_rows = metrics.COLUMN_WINDOW_ROWS.family()
    psi = metrics.COLUMN_PSI.family()
    jensen_shannon = metrics.COLUMN_JENSEN_SHANNON.family()
    kolmogorov_smirnov = metrics.COLUMN_KOLMOGOROV_SMIRNOV.family()
    wasserstein = metrics.COLUMN_WASSERSTEIN.family()
    mmd = metrics.COLUMN_EMBEDDING_MMD.family()
    mean = metrics.COLUMN_MEAN.family()
    distinct = metrics.COLUMN_DISTINCT_VALUES.family()
    value = metrics.COLUMN_VALUE.family()
    for column in scrape.shown.columns:
        for window in column.windows:
            labels = (column.model, column.version, column.role, column.column, window.window)
            window_rows.add(window.rows, *labels)
            psi.add(window.psi, *labels)
            mean.add(window.mean, *labels)
            distinct.add(window.distinct, *labels)
            if scrape.shown.secondary_distances:
                jensen_shannon.add(window.jensen_shannon, *labels)
                kolmogorov_smirnov.add(window.kolmogorov_smirnov, *labels)
                wasserstein.add(window.wasserstein, *labels)
                mmd.add(window.mmd, *labels)
            if scrape.shown.quantiles:
                for rank, quantile in window.quantiles.items():
                    value.add(quantile, *labels, f"{rank:g}")
    return window_rows, psi, jensen_shannon, kolmogorov_smirnov, wasserstein, mmd, mean, distinct, value
