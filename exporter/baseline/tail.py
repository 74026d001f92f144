"""Tails: the value that a statistic exceeds with a given small probability.

Promises: closed forms over numpy alone, so that the running recorder needs no scipy (28 MB once imported).
`fit_tail` is for building, `Tail.quantile` and `chi_square_quantile` are for judging.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final, TypeAlias

import msgspec
import numpy as np

from exporter.statistics.chi_square import chi_square_survival as chi_square_survival

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

#: Shape towards which a fitted one is shrunk, and the exceedances that prior is worth: a shape from 20
#: exceedances alone scatters by ±0.3, which moves a 1e-4 quantile by a factor of three (detection.md 2.4).
_PRIOR_SHAPE: Final = 0.15
_PRIOR_WEIGHT: Final = 30.0
#: A shape above 0.6 extrapolates to values no window has; below 0 the tail would have an end.
_LARGEST_SHAPE: Final = 0.6
#: From this many windows on, the tail begins at the 95th percentile rather than the 90th.
_MANY: Final = 2_000


class Tail(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A generalised Pareto tail: P(T > t) = share × (1 + shape × (t - threshold) / scale) ** (-1 / shape).

    >>> tail = Tail(share=0.1, threshold=20.0, scale=5.0, shape=0.0)
    >>> round(tail.quantile(0.001), 2)  # 20 + 5 × ln(0.1 / 0.001)
    43.03
    """

    share: float
    """Share of the windows above `threshold`."""
    threshold: float
    scale: float
    shape: float

    def quantile(self, alpha: float) -> float:
        """The value exceeded with probability *alpha*; the threshold where alpha is above its share."""
        if alpha >= self.share:
            return self.threshold
        ratio = self.share / alpha
        if self.shape < 1e-9:
            return float(self.threshold + self.scale * np.log(ratio))
        return float(self.threshold + self.scale / self.shape * (ratio**self.shape - 1))


def fit_tail(statistic: Floats) -> Tail:
    """The tail of *statistic*, shape (windows,), at least one value.

    Probability-weighted moments of what exceeds the 90th percentile (the 95th from 2,000 windows on),
    the shape shrunk towards 0.15 and clipped to [0, 0.6], the mean excess kept.

    Source: Hosking & Wallis 1987, Technometrics 29(3), with plotting positions (i - 0.35) / m.

    >>> exponential = np.random.default_rng(0).exponential(5.0, 4000)
    >>> 40 < fit_tail(exponential).quantile(1e-4) < 80  # 5 × ln(10000) is 46; the prior's tail is heavier
    True
    """
    ordered = np.sort(np.asarray(statistic, dtype=np.float64))
    threshold = float(np.quantile(ordered, 0.95 if ordered.size >= _MANY else 0.9))
    excess = ordered[ordered > threshold] - threshold
    m = excess.size
    if m == 0:  # every window has the same value
        return Tail(share=1.0 / ordered.size, threshold=threshold, scale=0.0, shape=0.0)
    mean = float(excess.mean())
    survival = 1 - (np.arange(1, m + 1) - 0.35) / m
    weighted = float((excess * survival).mean())
    shape = 2 - mean / (mean - 2 * weighted) if mean > 2 * weighted else _LARGEST_SHAPE
    shape = (shape * m + _PRIOR_SHAPE * _PRIOR_WEIGHT) / (m + _PRIOR_WEIGHT)
    shape = min(max(shape, 0.0), _LARGEST_SHAPE)
    return Tail(share=m / ordered.size, threshold=threshold, scale=mean * (1 - shape), shape=shape)


@lru_cache(maxsize=4096)
def chi_square_quantile(alpha: float, degrees: int) -> float:
    """The value a χ² with *degrees* degrees of freedom exceeds with probability *alpha* in (0, 1).

    Bisection to 1e-9 of the value; cached, since a recorder asks the same few questions every hour.

    >>> round(chi_square_quantile(0.001, 17), 2)
    40.79
    """
    low, high = 0.0, float(degrees) + 1
    while chi_square_survival(high, degrees) > alpha:
        high *= 2
    while high - low > 1e-9 * high:
        middle = (low + high) / 2
        if chi_square_survival(middle, degrees) > alpha:
            low = middle
        else:
            high = middle
    return high
