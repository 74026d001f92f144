"""Chi-square: Pearson's test that two rows of counts come from one distribution, without scipy.

Promises: closed forms over the standard library and numpy alone. A bin that only one side has (an unseen
category) counts fully and stays finite; a bin that neither has is left out.
Refuses: what `exporter.statistics.distance` refuses.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from exporter.statistics.distance import Counted, checked, same_shape


class ChiSquare(NamedTuple):
    """The test's statistic, its degrees of freedom, and the probability of as much by chance."""

    statistic: float
    degrees: int
    p_value: float


def chi_square_test(expected: Counted, observed: Counted) -> ChiSquare:
    """Pearson's chi-square test of homogeneity of two rows of *counts* (not shares), shape (bins,).

    Degrees of freedom: bins that either side has, less 1. With no degree left, statistic 0 and p-value 1.
    The p-value is that of the limit: right within a factor of 1.5 where every bin is expected to hold 5.

    Raises ValueError when the shapes differ, a count is negative, or either sums to 0.

    Source: Pearson 1900, Philosophical Magazine 50; of two samples: Cramér 1946, Mathematical Methods of
    Statistics, section 30.6.

    >>> found = chi_square_test(np.array([50, 50]), np.array([80, 20]))
    >>> round(found.statistic, 3), found.degrees, round(found.p_value, 7)
    (19.78, 1, 8.7e-06)
    """
    same_shape(expected, observed)
    e, o = checked(expected), checked(observed)
    some = e + o > 0
    e, o = e[some], o[some]
    e_rows, o_rows = float(e.sum()), float(o.sum())
    # Σ (o/n - e/N)² / (o + e) · n N: the sum over both rows of (found - expected)² / expected, simplified.
    statistic = e_rows * o_rows * float(np.sum((o / o_rows - e / e_rows) ** 2 / (o + e)))
    degrees = e.size - 1
    return ChiSquare(statistic, degrees, chi_square_survival(statistic, degrees) if degrees else 1.0)


def chi_square(expected: Counted, observed: Counted) -> float:
    """Pearson's chi-square of two samples: n N Σ (o/n - e/N)² / (o + e) over counts e, o of sums N, n.

    Both are counts (not shares) over the same bins, shape (bins,). Returns a number from 0 to n + N; it
    grows with n, so numbers of different n do not compare; the same when the two are exchanged.

    Raises ValueError when the shapes differ, a count is negative, or either sums to 0.

    Source: Pearson 1900, Philosophical Magazine 50; of two samples: Cramér 1946, section 30.6.

    >>> round(chi_square(np.array([50, 50]), np.array([80, 20])), 3)
    19.78
    """
    return chi_square_test(expected, observed).statistic


def chi_square_p_value(expected: Counted, observed: Counted) -> float:
    """Probability of at least this chi-square between two samples of one distribution.

    Both are counts (not shares) over the same bins, shape (bins,). Returns a number from 0 to 1, which says
    how surprised to be and not how far the two are apart: at large n everything is "significant".

    Raises ValueError when the shapes differ, a count is negative, or either sums to 0.

    Source: Pearson 1900, Philosophical Magazine 50; the survival function: Abramowitz & Stegun 26.4.4-5.

    >>> round(chi_square_p_value(np.array([50, 50]), np.array([60, 40])), 3)
    0.155
    """
    return chi_square_test(expected, observed).p_value


def chi_square_survival(value: float, degrees: int) -> float:
    """P(χ² > *value*) at a whole number of *degrees* of freedom.

    The finite sum for the incomplete gamma function at half-integers: Abramowitz & Stegun 26.4.4-5.

    >>> round(chi_square_survival(40.79, 17), 5)
    0.001
    """
    half = value / 2
    if half <= 0:
        return 1.0
    # Even: the terms x^j / j! for j = 0, 1, …; odd: the same at j = 1/2, 3/2, … after the normal tail.
    start = 0.0 if degrees % 2 == 0 else 0.5
    total = 0.0 if degrees % 2 == 0 else math.erfc(math.sqrt(half))
    for step in range(degrees // 2):
        power = start + step
        total += math.exp(power * math.log(half) - half - math.lgamma(power + 1))
    return min(total, 1.0)
