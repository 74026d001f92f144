"""Bins from counted groups of values, where the values themselves are gone: a sketch's, a learner's cells.

The rules are those of `exporter.baseline.edges.numeric_bins`; a group is cut nowhere, so the counts over the
bins are exact. Promises: deterministic.
"""

from __future__ import annotations

import math
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.baseline.edges import HEAVY_SHARE, QUANTILE_BINS
from exporter.sketch.bins import NumericBins
from exporter.sketch.quantile import DEFAULT_K, Quantiles

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

_EXACT_INTEGER: Final = 2.0**53


def weighted_bins(low: Floats, high: Floats, counts: Integers, whole: bool) -> NumericBins:
    """Bins for groups [low, high] with *counts*, ascending and apart, each of shape (G,), G >= 1.

    A group of one value (low = high) that holds `HEAVY_SHARE` has a bin of its own. *whole* says that all
    values are whole numbers.

    >>> weighted_bins(np.arange(3.0), np.arange(3.0), np.array([50, 30, 20]), True).labels
    ('00 < 0', '01 [0, 1)', '02 [1, 2)', '03 = 2', '04 > 2')
    """
    upto = np.cumsum(counts)
    total = int(upto[-1])
    ranks = np.arange(1, QUANTILE_BINS) / QUANTILE_BINS * total
    quantiles = low[np.searchsorted(upto, ranks - 1e-9)]
    heavy = low[(counts >= HEAVY_SHARE * total) & (low == high)]
    maximum = float(high[-1])
    if whole and abs(maximum) < _EXACT_INTEGER and not (heavy.size and heavy[-1] == maximum):
        above = maximum + 1
    else:
        above = math.nextafter(maximum, math.inf)
    with np.errstate(over="ignore"):
        after = np.nextafter(heavy, np.inf)
    edges = np.unique(np.concatenate([quantiles, heavy, after, [float(low[0]), above]]))
    edges = edges[np.isfinite(edges) & (edges >= low[0]) & (edges <= above)]
    inside = np.diff(np.searchsorted(low, edges))
    occupied = np.concatenate([inside > 0, [True]])
    occupied[0] = True
    return NumericBins(edges[occupied])


def weighted_quantiles(low: Floats, high: Floats, counts: Integers) -> Quantiles:
    """A sketch of 200 evenly spaced quantiles of the groups, each spread evenly from its low to its high.

    >>> sketch = weighted_quantiles(np.array([0.0, 5.0]), np.array([0.0, 10.0]), np.array([100, 100]))
    >>> sketch.quantile([0.25, 0.75]).round(1).tolist()
    [0.0, 7.5]
    """
    upto = np.cumsum(counts)
    total = int(upto[-1])
    size = min(DEFAULT_K, total)
    ranks = (np.arange(size) + 0.5) / size * total
    at = np.minimum(np.searchsorted(upto, ranks), low.size - 1)
    part = np.clip((ranks - (upto[at] - counts[at])) / counts[at], 0.0, 1.0)
    sketch = Quantiles()
    # Not low + part * (high - low), whose difference may pass the largest float.
    spread = np.clip(low[at] * (1 - part) + high[at] * part, low[at], high[at])
    sketch.update(np.sort(spread))
    return sketch


def weighted_top(
    low: Floats, high: Floats, counts: Integers, limit: int, smallest_share: float
) -> tuple[tuple[float | str, float], ...]:
    """The most frequent of the values that are known exactly, with their shares of all."""
    total = max(int(counts.sum()), 1)
    lone = np.flatnonzero((low == high) & (counts >= smallest_share * total))
    order = lone[np.lexsort((low[lone], -counts[lone]))][:limit]
    return tuple((float(low[at]), float(counts[at] / total)) for at in order.tolist())
