"""Measures: what is counted of a column in each hour, laid side by side, and the residuals of counts.

Each *test* is a run of parts that add up to its total: ``shape`` is the bins, whose total is the valid
entries; a rate, such as ``missing``, is two parts, what is counted and the rest.

Promises: pure; one formula for one window and for ten thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.hourly import HourTable

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Indices: TypeAlias = "np.ndarray[Any, np.dtype[np.intp]]"

#: Rates, and which total they are a share of: 0 the valid entries, 1 all rows.
RATES: Final = {"missing": 1, "mismatched": 1, "unseen": 0, "grid": 0}
SHAPE: Final = "shape"


def kinds(tests: Sequence[str], bins: int) -> Indices:
    """Which total each part belongs to, 0 or 1, shape (M,).

    >>> kinds(("shape", "missing"), 3).tolist()
    [0, 0, 0, 1, 1]
    """
    per_test = [[0] * bins if test == SHAPE else [RATES[test]] * 2 for test in tests]
    return np.array([kind for one in per_test for kind in one], dtype=np.intp)


def starts(tests: Sequence[str], bins: int) -> Indices:
    """At which part each test begins, shape (tests,).

    >>> starts(("shape", "missing", "grid"), 3).tolist()
    [0, 3, 5]
    """
    sizes = [bins if test == SHAPE else 2 for test in tests]
    return np.cumsum([0, *sizes[:-1]]).astype(np.intp)


def totals_of(table: HourTable) -> Floats:
    """Valid entries and rows of each hour, shape (H, 2)."""
    totals = np.empty((table.hours.size, 2))
    totals[:, 0] = table.valid
    totals[:, 1] = table.rows
    return totals


def parts_of(table: HourTable, tests: Sequence[str], totals: Floats) -> Floats:
    """All parts of *tests* in each hour, shape (H, M)."""
    bins = table.bins.shape[1]
    parts = np.empty((table.hours.size, bins + 2 * (len(tests) - 1)))
    parts[:, :bins] = table.bins
    at = bins
    for test in tests:
        if test != SHAPE:
            parts[:, at] = getattr(table, test)
            parts[:, at + 1] = totals[:, RATES[test]] - parts[:, at]
            at += 2
    return parts


def residuals(counts: Floats, expected: Floats, total: Floats) -> Floats:
    """Freeman-Tukey residuals of *counts* against *expected* in *total*, any one shape; 0 where total is 0.

    >>> residuals(np.array([0.0, 9.0]), np.array([0.0, 4.0]), np.array([0.0, 25.0])).round(4).tolist()
    [0.0, 0.2039]
    """
    change = np.sqrt(counts)
    change += np.sqrt(counts + 1)
    change -= np.sqrt(4 * expected + 1)
    change /= 2 * np.sqrt(np.maximum(total, 1e-300))
    change[total == 0] = 0.0
    return change


def chance(total: Floats) -> Floats:
    """Variance of a residual by chance, 1 / (4 total), 0 where the total is 0 (the residual is 0, too)."""
    return np.divide(0.25, total, out=np.zeros_like(total), where=total > 0)
