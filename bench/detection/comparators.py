"""What other tools do with the same windows, by rule: PSI, KS, χ², Jensen-Shannon, Wasserstein.

Each on the same bins as ours, against the whole baseline, with the threshold that people use and with one
tuned to 0.1 % of the baseline's own windows. KS is taken on the binned distribution and Wasserstein on the
rank scale (ranks of the baseline, whose deviation is 0.289), so both are close to, not equal to, what
Evidently computes; the packages themselves run in `peers`. Only valid entries count, as there: a missing
rate would be a rule of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from scipy import special, stats

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

#: Share of the baseline's windows that a tuned rule marks.
TUNED: Final = 0.001
#: Rows a window needs, as ours needs them.
ROWS: Final = {"1h": 20, "1d": 20}


def _shares(counts: Integers, zero: float = 0.0) -> Floats:
    shares: Floats = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)
    return np.where(shares > 0, shares, zero)


def psi(baseline: Integers, windows: Integers) -> Floats:
    """Population stability index with 1e-4 for empty bins, as is usual; shape (W,).

    >>> psi(np.array([50, 50]), np.array([[50, 50], [80, 20]])).round(3).tolist()
    [0.0, 0.416]
    """
    p, q = _shares(baseline, 1e-4), _shares(windows, 1e-4)
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=1))


def jensen_shannon(baseline: Integers, windows: Integers) -> Floats:
    """Jensen-Shannon distance, base 2, shape (W,)."""
    p, q = _shares(baseline)[np.newaxis], _shares(windows)
    mean = (p + q) / 2
    divergence = (special.rel_entr(p, mean) + special.rel_entr(q, mean)).sum(axis=1) / (2 * np.log(2))
    return np.sqrt(np.maximum(divergence, 0))


def wasserstein(baseline: Integers, windows: Integers) -> Floats:
    """Distance on the baseline's ranks in deviations of a rank, shape (W,)."""
    p, q = _shares(baseline), _shares(windows)
    apart = np.abs(np.cumsum(q, axis=1) - np.cumsum(p))
    return np.asarray((apart * p).sum(axis=1) * np.sqrt(12))


def chi_square(baseline: Integers, windows: Integers) -> Floats:
    """-log10 of the p-value of the two-sample χ² test, shape (W,)."""
    both = baseline[np.newaxis] + windows
    n, m = windows.sum(axis=1, keepdims=True), baseline.sum()
    share = both / np.maximum(n + m, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        parts = (windows - n * share) ** 2 / (n * share) + (baseline - m * share) ** 2 / (m * share)
    statistic = np.nansum(np.where(both > 0, parts, 0.0), axis=1)
    degrees = np.maximum((both > 0).sum(axis=1) - 1, 1)
    return np.asarray(np.minimum(-stats.chi2.logsf(statistic, degrees) / np.log(10), 300.0))


def kolmogorov_smirnov(baseline: Integers, windows: Integers) -> Floats:
    """-log10 of the asymptotic p-value of the two-sample KS test on the bins, shape (W,)."""
    p, q = np.cumsum(_shares(baseline)), np.cumsum(_shares(windows), axis=1)
    largest = np.abs(q - p).max(axis=1)
    n, m = windows.sum(axis=1), baseline.sum()
    size = n * m / np.maximum(n + m, 1)
    p_value = np.maximum(special.kolmogorov(np.sqrt(size) * largest), 1e-300)
    return np.asarray(-np.log10(p_value))


@dataclass(frozen=True, slots=True)
class Rule:
    """A statistic that alarms above its threshold."""

    name: str
    numeric: Callable[[Integers, Integers], Floats]
    categorical: Callable[[Integers, Integers], Floats]
    threshold: float | None
    """None: the value that `TUNED` of the baseline's windows exceed, by column and window."""

    def statistic(self, baseline: Integers, windows: Integers, *, numeric: bool) -> Floats:
        """Of each window, counts of shape (W, K)."""
        return (self.numeric if numeric else self.categorical)(baseline, windows)


RULES: Final = (
    Rule("PSI > 0.1", psi, psi, 0.1),
    Rule("PSI > 0.2", psi, psi, 0.2),
    Rule("KS / χ² p < 0.05", kolmogorov_smirnov, chi_square, -np.log10(0.05)),
    Rule("χ² p < 0.05", chi_square, chi_square, -np.log10(0.05)),
    Rule("Jensen-Shannon > 0.1", jensen_shannon, jensen_shannon, 0.1),
    Rule("Wasserstein > 0.1 / JS > 0.1", wasserstein, jensen_shannon, 0.1),
    Rule("PSI, tuned", psi, psi, None),
    Rule("KS / χ², tuned", kolmogorov_smirnov, chi_square, None),
    Rule("χ², tuned", chi_square, chi_square, None),
    Rule("Jensen-Shannon, tuned", jensen_shannon, jensen_shannon, None),
    Rule("Wasserstein / JS, tuned", wasserstein, jensen_shannon, None),
)


def by_day(hours: Integers, bins: Integers) -> tuple[Integers, Integers]:
    """Numbers of the days, shape (D,), and their counts, shape (D, K), of counts by hour.

    >>> days, counts = by_day(np.array([0, 23, 24]), np.array([[1, 0], [1, 1], [0, 5]]))
    >>> days.tolist(), counts.tolist()
    ([0, 1], [[2, 1], [0, 5]])
    """
    if not hours.size:
        return hours, bins
    days, starts = np.unique(hours // 24, return_index=True)
    return days, np.add.reduceat(bins, starts, axis=0)


def thresholds(
    baseline: Integers, windows: Mapping[str, Integers], *, numeric: bool
) -> dict[tuple[str, str], float]:
    """The threshold of each rule and window, from *windows* of the baseline by window, counts (W, K)."""
    found = {}
    for rule in RULES:
        for window, counts in windows.items():
            if rule.threshold is not None:
                found[rule.name, window] = float(rule.threshold)
                continue
            enough = counts[counts.sum(axis=1) >= ROWS[window]]
            value = np.inf
            if enough.size:
                value = float(np.quantile(rule.statistic(baseline, enough, numeric=numeric), 1 - TUNED))
            found[rule.name, window] = value
    return found
