"""Fitting a calibration: the baseline's own windows, each compared with the baseline without its neighbours.

Cross-fits use contiguous blocks of days. Random folds would put a window's neighbours on both sides, and
since neighbours resemble each other the variance between windows would come out too small (detection.md 7).

Promises: pure functions of counts; no clock, no random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.baseline.calibration import (
    DEFAULT_ALPHA,
    WINDOW_SECONDS,
    Calibration,
    Extreme,
    RateCalibration,
    freeman_tukey,
)
from exporter.baseline.tail import Tail, chi_square_quantile, fit_tail
from exporter.baseline.timestamps import iso

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

BLOCKS: Final = 5
#: Rows a window needs: below, a PSI over some 18 bins says more about chance than about the column.
WINDOW_ROWS: Final = 20
#: Windows a calibration needs. Twenty days say what is rare at 1 in 200, and 14 days of hours have seen each
#: weekday twice (detection.md 5).
NEEDED_WINDOWS: Final = {"1h": 100, "1d": 20}
NEEDED_DAYS: Final = 14
EXTREMES: Final = 5


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """What each hour of the baseline held, for one column."""

    hours: Integers
    """Wall clock hours since 1970, ascending, shape (hours,)."""
    bins: Integers
    """Observations, shape (hours, K)."""
    missing: Integers
    """Shape (hours,)."""
    unseen: Integers | None
    """Entries of a category that occurs in no other block, shape (hours,); None where that is not known."""


def blocks(hours: Integers) -> Integers:
    """The block, 0 … 4, of each of *hours*: five contiguous runs of as many days each as can be.

    >>> blocks(np.array([0, 23, 24, 48, 72, 96])).tolist()
    [0, 0, 1, 2, 3, 4]
    """
    days = hours // 24
    present = np.unique(days)
    return np.searchsorted(present, days) * BLOCKS // max(present.size, 1)


def calibrations(column: WindowCounts, alpha: float = DEFAULT_ALPHA) -> dict[str, Calibration]:
    """A calibration for each window length that the baseline is long enough for."""
    found = {}
    if np.unique(column.hours // 24).size >= NEEDED_DAYS:
        for window, seconds in WINDOW_SECONDS.items():
            calibration = _calibrate(column, window, seconds // 3_600, alpha)
            if calibration is not None:
                found[window] = calibration
    return found


def psi_rows(expected: Floats, observed: Floats) -> Floats:
    """PSI of each row of *observed* against the same row of *expected*, both counts, shape (windows, K).

    The formula is that of `exporter.statistics.psi`, half a count a bin included; here for all windows at
    once, since 6,000 windows × 100 columns one by one take ten seconds.

    >>> psi_rows(np.array([[50, 50]]), np.array([[80, 20]])).round(3).tolist()
    [0.406]
    """
    p = expected + 0.5
    q = observed + 0.5
    p = p / p.sum(axis=1, keepdims=True)
    q = q / q.sum(axis=1, keepdims=True)
    return np.asarray(((q - p) * np.log(q / p)).sum(axis=1), dtype=np.float64)


def natural_variance(expected: Floats, observed: Floats) -> float:
    """τ²: by how much more than chance the windows differ from what is expected, per degree of freedom.

    Both are counts, shape (windows, K). Pearson's Σ (p - q)² / q has the mean (K - 1) (1/n) under chance
    whatever n, which PSI has not: half a count a bin draws the shares of 50 rows together, so that from hours
    of 50 rows PSI finds no variance where a fleet's hour of 1,000 then shows some (simulated, 20 bins, τ² =
    0.003: 0.0000 by PSI, 0.0031 by Pearson, and 89 % against 0.1 % of clean hours of 1,000 rows marked).
    Where bins are nearly empty PSI is the larger of the two, because of its logarithm; so the larger counts.

    >>> counts = np.tile([500.0, 500.0], (3, 1))
    >>> natural_variance(counts, counts)
    0.0
    """
    degrees = observed.shape[1] - 1
    rows, rest = observed.sum(axis=1), expected.sum(axis=1)
    chance = 1 / rows + 1 / rest
    p, q = observed / rows[:, np.newaxis], expected / rest[:, np.newaxis]
    pearson = np.where(q > 0, (p - q) ** 2 / np.where(q > 0, q, 1.0), 0.0).sum(axis=1)
    by_pearson = float((pearson / degrees - chance).mean())
    by_psi = float((psi_rows(expected, observed) / degrees - chance).mean())
    return max(0.0, by_pearson, by_psi)


def _cut_off(
    hours: Integers, keys: Integers, inverse: Integers, length: int
) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which windows of *length* hours the file holds only a part of: the first or the last, shape (windows,).

    A file that ends at noon would otherwise say that a day without afternoon is natural. Judged by the hours
    in which the other windows begin and end, since nights may be without traffic.
    """
    cut = np.zeros(keys.size, dtype=np.bool_)
    if length == 1 or keys.size < 3:
        return cut
    offset = hours - keys[inverse] * length
    first, last = np.full(keys.size, length), np.full(keys.size, -1)
    np.minimum.at(first, inverse, offset)
    np.maximum.at(last, inverse, offset)
    cut[0] = first[0] > np.median(first[1:-1]) + 1
    cut[-1] = last[-1] < np.median(last[1:-1]) - 1
    return cut


def _calibrate(column: WindowCounts, window: str, hours: int, alpha: float) -> Calibration | None:
    keys, inverse = np.unique(column.hours // hours, return_inverse=True)
    bins = _summed(column.bins, inverse, keys.size)
    missing = _summed(column.missing[:, np.newaxis], inverse, keys.size)[:, 0]
    block = blocks(keys * hours)
    valid = bins.sum(axis=1)
    enough = (valid >= WINDOW_ROWS) & ~_cut_off(column.hours, keys, inverse, hours)
    if enough.sum() < NEEDED_WINDOWS[window]:
        return None
    expected = _others(bins, block)
    rows, rest = valid[enough], expected[enough].sum(axis=1)
    if not rest.all():  # one block alone holds all of the column
        return None
    degrees = bins.shape[1] - 1
    psi = psi_rows(expected[enough], bins[enough].astype(np.float64))
    chance = 1 / rows + 1 / rest
    tau2 = natural_variance(expected[enough], bins[enough].astype(np.float64))
    statistic = psi / (chance + tau2)
    tail = fit_tail(statistic)
    windows = int(enough.sum())
    alpha = max(alpha, 0.1 / windows)
    critical = max(tail.quantile(alpha), chi_square_quantile(alpha, degrees))
    worst = np.argsort(-statistic, kind="stable")[:EXTREMES]
    starts = keys[enough] * hours * 3_600
    unseen = (
        None if column.unseen is None else _summed(column.unseen[:, np.newaxis], inverse, keys.size)[:, 0]
    )
    return Calibration(
        windows=windows,
        rows=int(np.median(rows)),
        alpha=alpha,
        tau2=tau2,
        critical=critical,
        tail=tail,
        missing=_calibrate_rate(missing, valid + missing, _shares(missing, valid + missing, block)),
        unseen=None if unseen is None else _calibrate_rate(unseen, valid, _shares(unseen, valid, block)),
        extremes=tuple(
            Extreme(
                start=iso(float(starts[at])),
                rows=int(rows[at]),
                psi=round(float(psi[at]), 4),
                score=round(float(statistic[at]) / critical, 3),
            )
            for at in worst.tolist()
        ),
    )


def _calibrate_rate(count: Integers, rows: Integers, expected_share: Floats) -> RateCalibration:
    """The natural share of *count* in *rows*, both shape (windows,), against what the other blocks expect."""
    enough = rows >= WINDOW_ROWS
    count, rows, share = count[enough], rows[enough], expected_share[enough]
    if not rows.size:
        return RateCalibration(
            share=0.0, largest=0.0, tau2=0.0, tail=Tail(share=1.0, threshold=0.0, scale=0.0, shape=0.0)
        )
    entries = zip(count.tolist(), (share * rows).tolist(), rows.tolist(), strict=True)
    residual = np.array([freeman_tukey(*entry) for entry in entries])
    chance = 1 / (4 * rows)
    tau2 = max(0.0, float((residual**2 - chance).mean()))
    statistic = np.where(residual > 0, residual, 0.0) ** 2 / (chance + tau2)
    return RateCalibration(
        share=float(count.sum() / rows.sum()),
        largest=float((count / rows).max()),
        tau2=tau2,
        tail=fit_tail(statistic),
    )


def _summed(values: Integers, inverse: Integers, groups: int) -> Integers:
    """*values*, shape (n, width), added up by group."""
    total = np.zeros((groups, values.shape[1]), dtype=np.int64)
    np.add.at(total, inverse, values)
    return total


def _others(bins: Integers, block: Integers) -> Floats:
    """For each window the counts of all windows outside its block, shape (windows, K)."""
    by_block = _summed(bins, block, BLOCKS)
    return np.asarray((by_block.sum(axis=0) - by_block)[block], dtype=np.float64)


def _shares(count: Integers, rows: Integers, block: Integers) -> Floats:
    """For each window the share of *count* in *rows* outside its block."""
    pair = _others(np.stack([count, rows], axis=1), block)
    return np.asarray(pair[:, 0] / np.maximum(pair[:, 1], 1), dtype=np.float64)
