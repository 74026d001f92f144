"""Chance: what a statistic shows on average when nothing has changed.

A window of n rows is a sample, so its distance from a baseline of N rows is never 0: a PSI of 0.09 is what
100 rows in ten bins give without any drift. Shown beside a distance, this number says how much to ignore.

Promises: the mean of the statistic over windows of n rows drawn from the baseline's own shares, within 10 %
(over values 20 %) from 50 rows on, sparse bins included; tests/statistics/test_chance.py holds
it against simulation. It is *sampling* noise alone: the hour of the day and the natural variation of real
traffic come on top, and judging by all of them is for `exporter.verdict`. Where a sketch is used, its error
acts like fewer rows: `effective_rows`.

Sources: Yurdakul 2018, Statistical Properties of the Population Stability Index (a chi-square times
1/n + 1/N); the same second-order expansion for the others; sparse bins by the exact binomial sum.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeAlias

import numpy as np

from exporter.statistics.distance import SMOOTHING, Counted, Shares, checked
from exporter.statistics.ordered import Points, cumulative, standard_deviation

#: Terms of a divergence, bin by bin: (expected share, observed share) → its contribution, shapes alike.
Term: TypeAlias = Callable[[Shares, Shares], Shares]

#: From as many rows expected in a bin, the second-order expansion is within 4 %; below, the binomial sum.
_PLENTY: Final = 30.0
#: Largest count of a bin with fewer expected: 13 standard deviations off.
_MOST: Final = 110
#: E[sup |Brownian bridge|] = √(π/2) ln 2: Kolmogorov's distance of a continuous column, times √(1/n + 1/N).
_BRIDGE: Final = math.sqrt(math.pi / 2) * math.log(2)
#: A sketch's error by the standard deviation of one of its ranks: 5.0 to 5.9 measured, 7 to 8 after merges.
_SKETCH: Final = 5.0
_DRAWS: Final = 400
"""Of a bridge at the steps of a column with few values: 1.5 % off."""


def sketch_rows(error: float) -> float:
    """As many rows as leave ranks as uncertain as a sketch with this `Quantiles.error()`; inf for 0.

    A KLL sketch's rank is off by a standard deviation of error / 5 (measured for k from 128 to 2048; the
    error is the 99th percentile of the *largest* one anywhere), a sample's by 1/√(4n) at the median.

    >>> round(sketch_rows(0.01329))  # k = 200
    35386
    """
    return math.inf if error == 0.0 else 0.25 * (_SKETCH / error) ** 2


def effective_rows(rows: float, error: float = 0.0) -> float:
    """*rows* seen through a sketch with this `Quantiles.error()`: 1 / (1/rows + 1/sketch_rows(error)).

    >>> round(effective_rows(1_000_000, 0.01329)), effective_rows(1000)
    (34177, 1000.0)
    """
    return 1 / (1 / rows + 1 / sketch_rows(error))


def _psi_term(e: Shares, o: Shares) -> Shares:
    return (o - e) * np.log(o / e)


def _kl_term(e: Shares, o: Shares) -> Shares:
    return o * np.log(o / e) - o + e  # the last two add up to 0 over the bins


def _js_term(e: Shares, o: Shares) -> Shares:
    m = (e + o) / 2
    return (e * np.log2(e / m) + o * np.log2(o / m)) / 2


def _hellinger_term(e: Shares, o: Shares) -> Shares:
    return (np.sqrt(o) - np.sqrt(e)) ** 2 / 2


# For small changes each term is curvature × (o - e)² / e.


def psi_chance(expected: Counted, rows: float) -> float:
    """Mean PSI of a window of *rows* drawn from the shares of *expected*: about (K - 1)(1/n + 1/N).

    >>> round(psi_chance(np.full(10, 10_000), 100), 3)
    0.086
    """
    return _divergence(expected, rows, _psi_term, 1.0, SMOOTHING)


def kullback_leibler_chance(expected: Counted, rows: float) -> float:
    """Mean Kullback-Leibler divergence by chance: half of PSI's, but for sparse bins."""
    return _divergence(expected, rows, _kl_term, 0.5, SMOOTHING)


def jensen_shannon_chance(expected: Counted, rows: float) -> float:
    """Mean Jensen-Shannon distance by chance: about √((K - 1)(1/n + 1/N) / (8 ln 2))."""
    return _rooted(expected, _divergence(expected, rows, _js_term, 1 / (8 * math.log(2)), SMOOTHING))


def hellinger_chance(expected: Counted, rows: float) -> float:
    """Mean Hellinger distance by chance: about √((K - 1)(1/n + 1/N) / 8)."""
    return _rooted(expected, _divergence(expected, rows, _hellinger_term, 0.125, 0.0))


def total_variation_chance(expected: Counted, rows: float) -> float:
    """Mean total variation distance by chance: about ½ Σ √(2 p (1 - p)(1/n + 1/N) / π).

    Sparse bins: the mean deviation of a binomial, in de Moivre's closed form, where N is much larger than n.
    """
    counts = checked(expected)
    total = float(counts.sum())
    p = counts / total
    if rows >= total / 4:  # both sides scatter: their difference is nearer to a normal one
        return float(0.5 * np.sqrt(2 * p * (1 - p) * (1 / rows + 1 / total) / math.pi).sum())
    own = np.array([_mean_deviation(int(rows), share) for share in p.tolist()]) / rows
    other = np.sqrt(2 * p * (1 - p) / total / math.pi)
    return float(0.5 * np.hypot(own, other).sum())


def chi_square_chance(expected: Counted, rows: float) -> float:
    """Mean chi-square by chance: the degrees of freedom."""
    p = checked(expected)
    present = p > 0
    return float(max(int(present.sum()) - 1, 0))


def p_value_chance(expected: Counted, rows: float) -> float:
    """Mean p-value by chance: 0.5 (evenly spread over 0 to 1); 1 where there is only one bin."""
    return 0.5 if chi_square_chance(expected, rows) else 1.0


def binned_kolmogorov_smirnov_chance(expected: Counted, rows: float) -> float:
    """Mean Kolmogorov-Smirnov distance at the edges by chance: a Brownian bridge's largest height there.

    400 bridges with a fixed seed, so the same question has the same answer: 1.5 % off, 60 µs for 20 bins.
    """
    counts = checked(expected)
    total = float(counts.sum())
    return _bridge(counts / total) * math.sqrt(1 / rows + 1 / total)


def kolmogorov_smirnov_chance(
    expected: Points, rows: float, expected_rows: float | None = None, error: float = 0.0
) -> float:
    """Mean Kolmogorov-Smirnov distance by chance: 0.869 √(1/n + 1/N) for a column of many values, else less.

    *expected_rows* is N, where the points of *expected* are quantiles and not the rows themselves: half a
    step of theirs is then added. *error* is the `Quantiles.error()` of the window; half of it is how far off
    a sketch is where it is furthest off, on average (measured for k from 128 to 2048: 0.42 to 0.50 of it).

    >>> normal = Points(np.linspace(-3, 3, 200), np.ones(200))
    >>> round(kolmogorov_smirnov_chance(normal, 1000, 300_000, 0.01329), 4)
    0.0308
    """
    _, heights = cumulative(expected)
    steps = np.diff(heights, prepend=0.0)
    largest = _BRIDGE if steps.max() < 0.02 else _bridge(steps)
    half_step = 0.0 if expected_rows is None else 0.5 / expected.weights.size
    return math.hypot(largest * math.sqrt(_by_rows(expected, rows, expected_rows)), error / 2) + half_step


def wasserstein_chance(
    expected: Points, rows: float, expected_rows: float | None = None, error: float = 0.0
) -> float:
    """Mean Wasserstein distance by chance: √(2/π) ∫ √(F (1 - F)(1/n + 1/N) + (error / 5)²) dx.

    Arguments as above; a rank of a sketch scatters as much in the tails as in the middle, so that a column
    with far tails shows more than the rows alone would give.
    """
    x, heights = cumulative(expected)
    variance = np.clip(heights * (1 - heights), 0.0, None) * _by_rows(expected, rows, expected_rows)
    with np.errstate(over="ignore"):
        spread = float(2 * np.dot(np.sqrt(variance + (error / _SKETCH) ** 2)[:-1], np.diff(x / 2)))
    return math.sqrt(2 / math.pi) * spread


def normed_wasserstein_chance(
    expected: Points, rows: float, expected_rows: float | None = None, error: float = 0.0
) -> float:
    """Mean normed Wasserstein distance by chance; 0 where *expected* has one value only."""
    deviation = standard_deviation(expected)
    if deviation == 0.0:
        return 0.0
    return wasserstein_chance(expected, rows, expected_rows, error) / deviation


def _by_rows(expected: Points, rows: float, expected_rows: float | None) -> float:
    total = float(np.sum(expected.weights)) if expected_rows is None else expected_rows
    return 1 / rows + 1 / total


def _divergence(expected: Counted, rows: float, term: Term, curvature: float, smoothing: float) -> float:
    """Σ over bins of the mean of *term* when a window of *rows* is drawn from the shares of *expected*."""
    counts = checked(expected)
    bins, total = counts.size, float(counts.sum())
    p, e = counts / total, (counts + smoothing) / (total + smoothing * bins)
    # Each bin's own term, and the baseline's sampling, which is small beside it or well expanded.
    mean = curvature * (1 - p) / rows
    sparse = (p * rows < _PLENTY) & (e > 0.0)
    if sparse.any():
        mean[sparse] = _binomial_mean(p[sparse], e[sparse], rows, term, smoothing, bins)
    own = float(mean[e > 0.0].sum())
    return own + curvature * max(int((counts > 0).sum()) - 1, 0) / total


def _binomial_mean(p: Shares, e: Shares, rows: float, term: Term, smoothing: float, bins: int) -> Shares:
    """Mean of *term* over the binomial counts of bins of shares *p*, compared with *e*, shape (sparse,)."""
    n = max(int(rows), 1)
    found = np.arange(0, min(n, _MOST) + 1, dtype=np.float64)
    # ln C(n, x) from x to x + 1 adds ln((n - x) / (x + 1)): no factorial overflows, and no library is needed.
    choose = np.concatenate(([0.0], np.cumsum(np.log((n - found[:-1]) / (found[:-1] + 1)))))
    share = np.clip(p, 1e-300, 1 - 1e-12)[:, None]
    weight = np.exp(choose + found * np.log(share) + (n - found) * np.log1p(-share))
    o = np.broadcast_to((found + smoothing) / (n + smoothing * bins), weight.shape)
    return np.asarray((weight * term(np.broadcast_to(e[:, None], weight.shape), o)).sum(axis=1))


def _rooted(expected: Counted, mean: float) -> float:
    """Mean of the root of a chi-square-like number from its own mean: √mean × the ratio for K - 1 degrees."""
    degrees = max(int((checked(expected) > 0).sum()) - 1, 1)
    ratio = math.exp(math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2)) / math.sqrt(degrees / 2)
    return math.sqrt(mean) * ratio


def _mean_deviation(n: int, p: float) -> float:
    """E|X - np| of a binomial X. Source: de Moivre 1730; Diaconis, Zabell 1991, Stat. Sci. 6."""
    if not 0.0 < p < 1.0:
        return 0.0
    m = min(int(n * p) + 1, n)
    log_mass = (
        math.lgamma(n + 1)
        - math.lgamma(m + 1)
        - math.lgamma(n - m + 1)
        + m * math.log(p)
        + (n - m) * math.log1p(-p)
    )
    return 2 * m * (1 - p) * math.exp(log_mass)


@lru_cache(maxsize=8)
def _normals(steps: int) -> Shares:
    return np.random.default_rng(1).standard_normal((_DRAWS, steps))


def _bridge(shares: Shares) -> float:
    """Mean of the largest height of a Brownian bridge at the sums of *shares*."""
    some = shares[shares > 0]
    walk = np.cumsum(_normals(some.size) * np.sqrt(some), axis=1)
    heights = walk - walk[:, -1:] * np.cumsum(some)
    return float(np.abs(heights).max(axis=1).mean())
