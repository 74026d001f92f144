"""Onset: since when a column is abnormal, as the boundary of a slot.

Promises: pure; the boundary is the start of one of the slots given. Meant for a window already found
abnormal:
it always answers with the most likely place of one change, whether or not there is one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.sketch.bins import Counts

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

#: Rows the baseline's shares count for in the time before the change. The day's own mix is worth more than
#: the baseline's once this many rows were seen.
_PRIOR_ROWS: Final = 200.0


def onset(series: Counts, baseline: Counts, starts: Sequence[float] | Floats) -> float:
    """When the change most likely happened: one of *starts*, the slots' first Unix seconds.

    *starts* has the shape (slots,). *series* holds the counts of each slot, int64, shape (slots, K), oldest
    first; *baseline* the baseline's, shape (K,). For each boundary the slots before it are explained by
    shares near the baseline's, and those after it by shares of their own, each with its marginal
    (Dirichlet-multinomial) likelihood: the boundary that explains the slots best wins. The marginal
    likelihood charges for fitting shares of its own to a few rows, which the plain likelihood ratio does not:
    that one prefers a boundary close to either end.

    Raises ValueError when shapes differ or there is no slot.

    >>> before, after = [4, 1, 0], [0, 1, 4]
    >>> onset(np.array([before] * 6 + [after] * 6), np.array([800, 200, 10]), np.arange(12) * 300.0)
    1800.0
    """
    if series.ndim != 2 or not len(series) or series.shape != (len(starts), baseline.size):
        expected = f"({len(starts)}, {baseline.size})"
        raise ValueError(f"onset: expected counts of shape {expected}, found {series.shape}")
    shares = (baseline + 0.5) / (baseline.sum() + 0.5 * baseline.size)
    before = np.vstack([np.zeros(baseline.size, dtype=np.int64), np.cumsum(series, axis=0)[:-1]])
    after = series.sum(axis=0) - before
    flat = np.full(baseline.size, 0.5)
    likelihood = _marginal(before, _PRIOR_ROWS * shares) + _marginal(after, flat)
    # An empty slot is as likely as the next one with rows: nothing began where nothing came.
    likelihood = np.where(series.any(axis=1) | ~series.any(), likelihood, -np.inf)
    return float(starts[int(np.argmax(likelihood))])


def _marginal(counts: Counts, prior: Floats) -> Floats:
    """Log likelihood of each row of *counts*, shape (n, K), under shares drawn from Dirichlet(*prior*)."""
    bins = _log_gamma(counts + prior) - _log_gamma(prior)
    total = prior.sum()
    return np.asarray(bins.sum(axis=1) - _log_gamma(counts.sum(axis=1) + total) + math.lgamma(total))


#: math.lgamma over an array: 288 slots × 20 bins take 1 ms, and scipy.special would cost the recorder 28 MB.
_log_gamma = np.vectorize(math.lgamma, otypes=[np.float64])
