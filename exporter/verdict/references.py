"""References: how far windows are from the baseline, from a blend of the last days, and from the last week.

    A   r                          r: residual against what the baseline expects at these hours of the day
    B   r - Σ blend_l · L_l        L_l: the same residual, pooled over a time before (`windows.TERMS`)
    C   r - L_week

so B and C ask whether the window departs from the baseline as the last days did. The chance in L is added to
the chance in r, so that a pod's thin history and a fleet's are judged by the same file.

Promises: pure; one implementation, for fitting, for the live window and for the bench.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.hourly import HourTable
from exporter.verdict.measures import chance, parts_of, residuals, totals_of
from exporter.verdict.steady import constant
from exporter.verdict.windows import Sums, past, sum_over

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Flags: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"


@dataclass(frozen=True, slots=True)
class Hours:
    """A table's hours as numbers to be summed: parts, what is expected of them, two totals, `EXTRAS`."""

    hours: Integers
    values: Floats
    """Shape (H, 2 M + 2 + extras)."""
    parts: int
    """M."""


#: Far entries; log variance where measured; hours where it was; hours of one value; hours with rows.
EXTRAS: Final = ("far", "log_variance", "measured", "constant", "present")
#: Entries that an hour needs for its variance to be one of the mean's.
_MEASURED: Final = 10


def lay_out(
    table: HourTable, tests: tuple[str, ...], kinds: Any, shares: Floats, floor: float = 1e-300
) -> Hours:
    """*table* with what *shares*, shape (CELLS, M), expect of each hour; *floor* is added to variances."""
    totals = totals_of(table)
    m = kinds.size
    values = np.empty((table.hours.size, 2 * m + 2 + len(EXTRAS)))
    values[:, :m] = parts_of(table, tests, totals)
    # clip: np.take with an output array copies it first in its default mode, which checks the cells.
    np.take(shares, table.cells, axis=0, out=values[:, m : 2 * m], mode="clip")
    values[:, m : 2 * m] *= totals[:, kinds]
    values[:, 2 * m : 2 * m + 2] = totals
    extras = values[:, 2 * m + 2 :]
    extras[:, 0] = table.far
    valid = totals[:, 0]
    measured = (valid >= _MEASURED) & np.isfinite(table.moments[:, 1])
    extras[:, 1] = 0.0
    if measured.any():
        variance = table.moments[:, 1] / np.maximum(valid, 1) + floor
        np.log(variance, out=extras[:, 1], where=measured)
    extras[:, 2] = measured
    extras[:, 3] = constant(table, valid)
    extras[:, 4] = totals[:, 1] > 0
    return Hours(table.hours, values, m)


@dataclass(frozen=True, slots=True)
class Compared:
    """Windows beside their past; slot 0 is the window, 1 … L the blend's terms, -1 the week."""

    residual: Floats
    """Shape (W, L + 2, M)."""
    chance: Floats
    """Variance by chance, by total, shape (W, L + 2, 2)."""
    totals: Floats
    """Valid entries and rows of the windows, shape (W, 2)."""
    counts: Floats
    """Parts of the windows, shape (W, M)."""
    own: Floats
    """`EXTRAS` of the windows, shape (W, extras)."""
    week: Floats
    """And of what was kept of the last seven days."""
    week_valid: Floats
    """Valid entries in them, shape (W,)."""


def compare(
    window: str,
    now: Hours,
    history: Hours,
    first: Integers,
    stop: Integers,
    day_starts: Integers,
    kinds: Any,
    keep: Flags | None = None,
    before: Sums | None = None,
) -> Compared:
    """The windows [*first*, *stop*) of *now* beside their past in *history*, less the hours not to *keep*.

    *before* is that past, where it has been summed already.
    """
    m = now.parts
    if before is None:
        kept = history.values if keep is None else history.values * keep[:, np.newaxis]
        before = past(window, kept, history.hours, first, day_starts)
    own = sum_over(now.values, now.hours, first, stop)
    stacked = np.concatenate(
        [own[:, np.newaxis], before.terms, before.week[:, np.newaxis]], axis=1
    )  # (W, L + 2, 2 M + 2 + extras)
    totals = stacked[:, :, 2 * m : 2 * m + 2]
    residual = residuals(stacked[:, :, :m], np.maximum(stacked[:, :, m : 2 * m], 0.0), totals[:, :, kinds])
    return Compared(
        residual=residual,
        chance=chance(totals),
        totals=totals[:, 0],
        counts=own[:, :m],
        own=own[:, 2 * m + 2 :],
        week=before.week[:, 2 * m + 2 :],
        week_valid=before.week[:, 2 * m],
    )


@dataclass(frozen=True, slots=True)
class Departures:
    """Residuals against the three references, and their variance by chance."""

    residual: Floats
    """Shape (W, 3, M)."""
    chance: Floats
    """Shape (W, 3, M)."""


def departures(compared: Compared, blend: Floats, kinds: Any, baseline_totals: Floats) -> Departures:
    """How far the windows are from each reference; *blend* has the shape (L, M)."""
    residual, by_total = compared.residual, compared.chance
    windows, _, m = residual.shape
    own = residual[:, 0]
    three = np.empty((windows, 3, m))
    three[:, 0] = own
    np.subtract(own, np.einsum("lm,wlm->wm", blend, residual[:, 1:-1]), out=three[:, 1])
    np.subtract(own, residual[:, -1], out=three[:, 2])
    noise = by_total[:, :, kinds]
    variance = np.empty((windows, 3, m))
    variance[:] = noise[:, :1]
    variance[:, 0] += chance(baseline_totals)[..., kinds]
    variance[:, 1] += np.einsum("lm,wlm->wm", blend * blend, noise[:, 1:-1])
    variance[:, 2] += noise[:, -1]
    return Departures(three, variance)


@dataclass(frozen=True, slots=True)
class Statistics:
    """T of each window, reference and test."""

    tests: Floats
    """Shape (W, 3, tests)."""
    effects: Floats
    """Σr², shape (W, 3, tests)."""
    gains: Floats
    """r² / (natural + chance) of the bins that gained, 0 of the others, shape (W, 3, bins)."""
    squares: Floats
    """r² of the bins, shape (W, 3, bins)."""
    chance: Floats
    """Variance of one bin's residual by chance, shape (W, 3)."""


def statistics(departed: Departures, natural: Floats, starts: Any, bins: int) -> Statistics:
    """T from residuals and *natural* variances, shape (3, M) or (W, 3, M)."""
    residual = departed.residual
    square = residual * residual
    relative = square / (departed.chance + natural + 1e-300)
    tests = np.add.reduceat(relative, starts, axis=2)
    effects = np.add.reduceat(square, starts, axis=2)
    if starts.size > 1:
        fewer = residual[:, :, starts[1:]] <= 0  # rates are one-sided
        tests[:, :, 1:][fewer] = 0.0
        effects[:, :, 1:][fewer] = 0.0
    gained = np.where(residual[:, :, :bins] > 0, relative[:, :, :bins], 0.0)
    return Statistics(
        tests=tests,
        effects=effects,
        gains=gained,
        squares=square[:, :, :bins],
        chance=departed.chance[:, :, 0],
    )


def peaks(found: Statistics, scales: Floats) -> tuple[Floats, Floats]:
    """The largest gain over its bin's own scale, *scales* of shape (3, bins), and its r²; shape (W, 3) each.

    Each bin has its own measure: days of snow fill the bins of long delays, and would otherwise decide how
    much of one usual delay is too much.
    """
    relative = found.gains / scales
    windows, references, _ = relative.shape
    # Plain indices: `take_along_axis` makes the same ones at ten times the cost for one window.
    at = (np.arange(windows)[:, np.newaxis], np.arange(references), relative.argmax(axis=2))
    return relative[at], found.squares[at]
