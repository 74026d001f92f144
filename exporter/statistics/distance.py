"""Distances between two distributions over the same bins, from counts.

Promises: every answer is finite. Where a logarithm is taken, half a count per bin is added to both sides
first, so a bin that is empty on one side is large but not infinite, and PromQL computes the same number from
the same counters; the others compare the bare shares. The answer depends on n: it is a number to be shown
(`exporter.statistics.chance` says how much of it chance gives); whether it is abnormal is for
`exporter.verdict` to say.
Refuses: shapes that differ, negative counts, nothing counted (``ValueError``), never a quiet 0.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np

#: Counts or expected counts over bins, shape (bins,), integers or floats.
Counted: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"
Shares: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

#: Added to each bin of either side: the Jeffreys prior, for which the log of a share is nearly unbiased.
SMOOTHING: Final = 0.5


def checked(counts: Counted) -> Shares:
    """*counts* as float64, shape (bins,). Raises ValueError unless they are a distribution's."""
    values = np.asarray(counts, dtype=np.float64)
    if values.ndim != 1 or not values.size:
        raise ValueError(f"counts: expected a row of at least one bin, found shape {values.shape}")
    if not (np.isfinite(values).all() and values.min() >= 0.0):
        raise ValueError(f"counts: expected finite numbers from 0 up, found {values.min()}")
    if not values.any():
        raise ValueError("counts: expected some observations, found none")
    return values


def bare_shares(counts: Counted) -> Shares:
    """Each bin's share of *counts*: float64, shape (bins,), sum 1. Raises ValueError as `checked` does.

    >>> bare_shares(np.array([3, 0])).tolist()
    [1.0, 0.0]
    """
    values = checked(counts)
    return values / float(values.sum())


def smoothed_shares(counts: Counted) -> Shares:
    """Each bin's share after `SMOOTHING` was added to every bin: float64, shape (bins,), all above 0, sum 1.

    Raises ValueError when *counts* is no row of at least one bin, has a negative or non-finite entry, or
    sums to 0.

    >>> smoothed_shares(np.array([3, 0])).tolist()
    [0.875, 0.125]
    """
    values = checked(counts)
    return (values + SMOOTHING) / (float(values.sum()) + SMOOTHING * values.size)


def psi(expected: Counted, observed: Counted) -> float:
    """Population stability index of *observed* against *expected*: Σ (o - e) · ln(o / e) over shares o, e.

    Both are counts over the same bins, shape (bins,), any scale. Each gets half a count per bin added first,
    so that an empty bin is large but finite. Returns a number from 0 (equal shares), unbounded above; no
    unit; the same when the two are exchanged.

    Raises ValueError when the shapes differ, a count is negative, or either sums to 0.

    Source: Siddiqi 2006, Credit Risk Scorecards, ch. 6 (it is Jeffreys' divergence, Jeffreys 1946, Proc. R.
    Soc. A 186); smoothing: Krichevsky, Trofimov 1981, IEEE Trans. Inf. Theory 27.

    >>> round(psi(np.array([50, 50]), np.array([80, 20])), 3)
    0.406
    """
    e, o = _both(expected, observed)
    return max(0.0, float(np.sum((o - e) * np.log(o / e))))


def jensen_shannon_distance(expected: Counted, observed: Counted) -> float:
    """Jensen-Shannon distance, base 2: √(½ Σ e log₂(e / m) + ½ Σ o log₂(o / m)), shares e, o; their mean m.

    Both are counts over the same bins, shape (bins,), any scale, with half a count per bin added first.
    Returns a number from 0 (equal shares) to 1 (disjoint, approached as counts grow); no unit; a metric. The
    *divergence*, which some tools show under the same name, is its square.

    Raises ValueError when the shapes differ, a count is negative, or either sums to 0.

    Source: Lin 1991, Divergence measures based on the Shannon entropy, IEEE Trans. Inf. Theory 37; as a
    metric: Endres, Schindelin 2003, IEEE Trans. Inf. Theory 49.

    >>> round(jensen_shannon_distance(np.array([50, 50]), np.array([80, 20])), 3)
    0.267
    """
    e, o = _both(expected, observed)
    m = (e + o) / 2
    divergence = 0.5 * float(np.sum(e * np.log2(e / m) + o * np.log2(o / m)))
    # Rounding may carry equal shares below 0 and disjoint ones above 1, by 1e-16.
    return float(np.sqrt(min(max(divergence, 0.0), 1.0)))


def kullback_leibler_divergence(expected: Counted, observed: Counted) -> float:
    """Kullback-Leibler divergence of *observed* from *expected*: Σ o · ln(o / e) over shares o, e, in nats.

    Both are counts over the same bins, shape (bins,), any scale, with half a count per bin added first.
    Returns a number from 0 (equal shares), unbounded above; *not* the same when the two are exchanged: PSI is
    the sum of both directions.

    Raises ValueError when the shapes differ, a count is negative, or either sums to 0.

    Source: Kullback, Leibler 1951, On information and sufficiency, Ann. Math. Stat. 22.

    >>> round(kullback_leibler_divergence(np.array([50, 50]), np.array([80, 20])), 3)
    0.189
    """
    e, o = _both(expected, observed)
    return max(0.0, float(np.sum(o * np.log(o / e))))


def hellinger_distance(expected: Counted, observed: Counted) -> float:
    """Hellinger distance: √(½ Σ (√o - √e)²) over shares o, e.

    Both are counts over the same bins, shape (bins,), any scale. Returns a number from 0 (equal shares) to 1
    (no bin in common); no unit; a metric.

    Raises ValueError when the shapes differ, a count is negative, or either sums to 0.

    Source: Hellinger 1909, J. reine angew. Math. 136; Le Cam, Yang 2000, Asymptotics in Statistics, 2nd ed.

    >>> round(hellinger_distance(np.array([50, 50]), np.array([80, 20])), 3)
    0.227
    """
    e, o = _bare(expected, observed)
    return float(min(np.sqrt(0.5 * np.sum((np.sqrt(o) - np.sqrt(e)) ** 2)), 1.0))


def total_variation_distance(expected: Counted, observed: Counted) -> float:
    """Total variation distance: ½ Σ |o - e| over shares o, e: the share of rows that changed their bin.

    Both are counts over the same bins, shape (bins,), any scale. Returns a number from 0 (equal shares) to 1
    (no bin in common); no unit; a metric.

    Raises ValueError when the shapes differ, a count is negative, or either sums to 0.

    Source: Levin, Peres 2017, Markov Chains and Mixing Times, 2nd ed., proposition 4.2.

    >>> round(total_variation_distance(np.array([50, 50]), np.array([80, 20])), 3)
    0.3
    """
    e, o = _bare(expected, observed)
    return float(min(0.5 * np.abs(o - e).sum(), 1.0))


def same_shape(expected: Counted, observed: Counted) -> None:
    """Raises ValueError unless both are over as many bins."""
    if np.shape(expected) != np.shape(observed):
        raise ValueError(
            f"counts: expected equal shapes, found {np.shape(expected)} and {np.shape(observed)}"
        )


def _both(expected: Counted, observed: Counted) -> tuple[Shares, Shares]:
    same_shape(expected, observed)
    return smoothed_shares(expected), smoothed_shares(observed)


def _bare(expected: Counted, observed: Counted) -> tuple[Shares, Shares]:
    same_shape(expected, observed)
    return bare_shares(expected), bare_shares(observed)
