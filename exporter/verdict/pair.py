"""Pair: how far two tables of one column are apart, without a baseline: two versions, or now and lately.

Both are split into the same *strata* (the same hours, or the same hours of the day), and only within these
are they compared, so that different loads at different times of the day are no difference. Stratum h weighs
w = n₁ n₂ / (n₁ + n₂) (Mantel & Haenszel 1959); then the shares of both differ by chance with the variance
p (1 - p) / W, W = Σ w, and the residuals on the scale of square-root shares with 1 / (4 W):

    r = FT(share₁) - FT(share₂), each against the shares of both     T = Σ r² / (natural variance + 1 / (4 W))

| test | of | abnormal when |
|---|---|---|
| ``shape`` | the bins | T is above χ²(alpha, K - 1), and Σr² above the effect floor and chance |
| ``missing``, ``mismatched``, ``unseen`` | shares | r² / (…) is above 16, and r² above the floor of rates |
| ``mean`` | numbers without a baseline's bins | t² above χ²(alpha, 1), d² above the PSI's floor |

Promises: pure, symmetric in the two tables but for the sign of what moved; alpha is clipped as everywhere.
Refuses: fewer than `PAIR_ROWS` comparable rows on either side (None); tables of other bins (ValueError).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.baseline.calibration import (
    DEFAULT_ALPHA,
    EFFECT_FLOOR,
    EFFECT_FLOOR_PSI,
    RATE_EFFECT_FLOOR,
    RATE_FLOOR,
    Calibration,
)
from exporter.baseline.tail import chi_square_quantile
from exporter.hourly import HourTable
from exporter.verdict.measures import RATES, SHAPE, residuals

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

#: Rows that either side needs, valid ones for the shape; as a window without calibration.
PAIR_ROWS: Final = 100
MEAN: Final = "mean"
_PAIR_RATES: Final = ("missing", "mismatched", "unseen")
_MOVED: Final = 5
#: The score of two different constants.
_APART: Final = 1e6


@dataclass(frozen=True, slots=True)
class Pair:
    """Two tables beside each other."""

    score: float
    """Above 1 they differ."""
    detectors: tuple[str, ...]
    """The tests whose score is above 1, the highest first."""
    rows: int
    """Entries of the first in the strata that both have."""
    other_rows: int
    moved: tuple[tuple[int, float, float], ...] = ()
    """Bins that differ most: position, share of the other, share of the first; while the shape differs."""


def compare_pair(
    one: HourTable,
    other: HourTable,
    strata: tuple[Integers, Integers],
    *,
    calibration: Calibration | None = None,
    window: str = "1h",
    alpha: float = DEFAULT_ALPHA,
    means: bool = False,
) -> Pair | None:
    """Compare *one* with the *other*; *strata* number the stratum of each of their hours.

    The column's *calibration* brings its natural variance at that *window*. None when either has too few
    rows.
    With *means* those of numbers are compared even where there are bins, which may be decades wide.

    >>> table = HourTable.empty(bins=3)
    >>> compare_pair(table, table, (table.hours, table.hours)) is None
    True
    """
    if one.bins.shape[1] != other.bins.shape[1]:
        found = f"{one.bins.shape[1]} and {other.bins.shape[1]}"
        raise ValueError(f"pair: expected tables of equal bins, found {found}")
    mine, its, kept, kept_other = _together(one, other, strata)
    rows, other_rows = mine[:, _ROWS], its[:, _ROWS]
    if rows.sum() < PAIR_ROWS or other_rows.sum() < PAIR_ROWS:
        return None
    alpha = min(alpha, DEFAULT_ALPHA)
    windowed = None if calibration is None else calibration.windows.get(window)
    if windowed is not None:
        alpha = windowed.supported(alpha)
    natural = {
        test: np.array(found.references[0].natural)
        for test, found in (windowed.tests if windowed else {}).items()
    }
    scores: dict[str, float] = {}
    moved: tuple[tuple[int, float, float], ...] = ()
    bins, other_bins = mine[:, _BINS:], its[:, _BINS:]
    valid = bins.sum(axis=1), other_bins.sum(axis=1)
    if bins.shape[1] > 1 and min(valid[0].sum(), valid[1].sum()) >= PAIR_ROWS:
        two = _two(bins, other_bins, *valid)
        if two is not None:
            degrees = bins.shape[1] - 1
            statistic, effect = two.statistic(natural.get(SHAPE))
            floor = EFFECT_FLOOR + degrees * two.chance
            scores[SHAPE] = min(statistic / chi_square_quantile(alpha, degrees), effect / floor)
            if scores[SHAPE] > 1:
                moved = two.moved()
    for test in _PAIR_RATES:
        at = _COUNTED.index(test)
        total = (rows, other_rows) if RATES[test] == 1 else valid
        rate = _two(_split(mine[:, at], total[0]), _split(its[:, at], total[1]), *total)
        if rate is not None:
            variance = natural.get(test)
            spread = rate.chance + (float(variance[0]) if variance is not None else 0.0)
            effect = float(rate.residual[0] ** 2)
            scores[test] = min(effect / spread / RATE_FLOOR, effect / (RATE_EFFECT_FLOOR + rate.chance))
    if means or not bins.shape[1]:
        inside = strata[0][kept], strata[1][kept_other]
        mean = _mean(one.part(kept), other.part(kept_other), inside, alpha)
        if mean is not None:
            scores[MEAN] = mean
    if not scores:
        return None
    order = sorted(scores, key=lambda test: -scores[test])
    fired = tuple(test for test in order if scores[test] > 1)
    return Pair(scores[order[0]], fired, int(rows.sum()), int(other_rows.sum()), moved)


#: What is laid side by side of each stratum, before the bins.
_COUNTED: Final = ("rows", "missing", "mismatched", "unseen")
_ROWS: Final = 0
_BINS: Final = len(_COUNTED)


def _together(
    one: HourTable, other: HourTable, strata: tuple[Integers, Integers]
) -> tuple[Floats, Floats, Any, Any]:
    """Counts by the strata that both have, shape (S, `_BINS` + K) each, and which hours lie in them."""
    shared = np.intersect1d(strata[0], strata[1])
    found = []
    for table, numbers in zip((one, other), strata, strict=True):
        inside = np.isin(numbers, shared)
        counts = np.zeros((shared.size, _BINS + table.bins.shape[1]))
        laid = np.column_stack([*(getattr(table, name) for name in _COUNTED), table.bins]).astype(np.float64)
        np.add.at(counts, np.searchsorted(shared, numbers[inside]), laid[inside])
        found.append((counts, inside))
    return found[0][0], found[1][0], found[0][1], found[1][1]


def _split(counts: Floats, total: Floats) -> Floats:
    return np.stack([counts, total - counts], axis=1)


@dataclass(frozen=True, slots=True)
class _Two:
    """Shares of both over the same parts."""

    residual: Floats
    """Shape (K,)."""
    chance: float
    shares: tuple[Floats, Floats]

    def statistic(self, natural: Floats | None) -> tuple[float, float]:
        """T and Σr²."""
        square = self.residual**2
        variance = self.chance if natural is None else self.chance + natural
        return float((square / variance).sum()), float(square.sum())

    def moved(self) -> tuple[tuple[int, float, float], ...]:
        order = np.argsort(-np.abs(self.residual), kind="stable")[:_MOVED]
        one, other = self.shares
        return tuple((at, float(other[at]), float(one[at])) for at in order.tolist())


def _two(one: Floats, other: Floats, total: Floats, other_total: Floats) -> _Two | None:
    """Stratified shares of *one* and *other*, shape (S, K), in their totals, shape (S,)."""
    both = (total > 0) & (other_total > 0)
    if not both.any():
        return None
    n1, n2 = total[both], other_total[both]
    weight = n1 * n2 / (n1 + n2)
    whole = float(weight.sum())
    shares = [
        (weight[:, np.newaxis] * counts[both] / n[:, np.newaxis]).sum(axis=0) / whole
        for counts, n in ((one, n1), (other, n2))
    ]
    # As many rows as give the same chance where all lie in one stratum.
    sizes = [whole * whole / float((weight * weight / n).sum()) for n in (n1, n2)]
    pooled = (sizes[0] * shares[0] + sizes[1] * shares[1]) / (sizes[0] + sizes[1])
    apart = [
        residuals(share * size, pooled * size, np.full(share.size, size))
        for share, size in zip(shares, sizes, strict=True)
    ]
    return _Two(apart[0] - apart[1], 0.25 / whole, (shares[0], shares[1]))


def _mean(one: HourTable, other: HourTable, strata: tuple[Integers, Integers], alpha: float) -> float | None:
    """The score of the difference of means within the *strata* that both have; None with too few numbers."""
    shared = np.intersect1d(*strata)
    n1, m1, v1 = _moments(one, np.searchsorted(shared, strata[0]), shared.size)
    n2, m2, v2 = _moments(other, np.searchsorted(shared, strata[1]), shared.size)
    both = (n1 > 0) & (n2 > 0) & (n1 + n2 > 2)
    if min(n1[both].sum(), n2[both].sum()) < PAIR_ROWS:
        return None
    n1, m1, v1, n2, m2, v2 = (part[both] for part in (n1, m1, v1, n2, m2, v2))
    weight = n1 * n2 / (n1 + n2)
    whole = float(weight.sum())
    difference = float((weight * (m1 - m2)).sum() / whole) ** 2
    # Pooled within each stratum: a variance of the two rows that a canary had in an hour is worth nothing.
    within = ((n1 - 1) * v1 + (n2 - 1) * v2) / (n1 + n2 - 2)
    spread = float((weight * within).sum()) / whole
    chance = spread / whole
    if difference == 0:
        return 0.0
    if chance == 0:  # two constants
        return _APART
    limit = chi_square_quantile(alpha, 1)
    return float(min(difference / chance / limit, difference / (EFFECT_FLOOR_PSI * spread + chance)))


def _moments(table: HourTable, at: Any, size: int) -> tuple[Floats, Floats, Floats]:
    """Count, mean and variance of the numbers of each stratum; hours weigh as their entries with a value."""
    some = np.isfinite(table.moments[:, 0]) & np.isfinite(table.moments[:, 1])
    at, moments = at[some], table.moments[some]
    count = (table.rows - table.missing - table.mismatched)[some].astype(np.float64)
    total = np.asarray(np.bincount(at, count, minlength=size), np.float64)
    mean = np.bincount(at, count * moments[:, 0], minlength=size) / np.maximum(total, 1)
    squares = np.bincount(at, moments[:, 1] + count * (moments[:, 0] - mean[at]) ** 2, minlength=size)
    return total, mean, squares / np.maximum(total - 1, 1)
