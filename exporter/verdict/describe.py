"""Describe: what is to be seen in a column, in half a sentence for people.

Promises: says what the numbers say and nothing about causes, but for the hint of a unit where a factor is
one.
Order: missing and unseen where they decided; then, for numbers of which no one bin took from all others, the
simplest movement of the quantiles that explains at least half of the change (one value, scale, shift,
spread); else the bin that changed most.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

import numpy as np

from exporter.baseline.baseline import BaselineColumn
from exporter.sketch.bins import Bins, CategoryBins, Counts
from exporter.sketch.quantile import Quantiles
from exporter.verdict.judge import Detector
from exporter.verdict.naming.words import number, percent, unit_of

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

_RANKS: Final = np.arange(1, 20) / 20
_MEDIAN: Final = 9
#: A movement is named when it leaves at most half of the distance between the quantiles unexplained.
_UNEXPLAINED: Final = 0.5
_DEGREES: Final = 0.15
#: Share that a single bin must have gained for the change to be its alone.
_GROWN: Final = 0.15


def describe(
    column: BaselineColumn,
    quantiles: Quantiles | None,
    counts: Counts,
    *,
    detector: Detector | None = None,
    missing: int = 0,
    unseen: int = 0,
) -> str:
    """What moved in a window with these *quantiles* (None when there are none) and *counts*, shape (K,).

    *detector* is the one that decided (`exporter.verdict.judge.Judgement.detector`); *missing* entries come
    on top of the counts, *unseen* ones are among them. Answers are such as

        median 1.61 × that of the baseline, as miles sent as kilometres would be
        median +12.3
        share of "UA" 12 % → 41 %
        missing 0.2 % → 31 %
    """
    valid = int(counts.sum())
    rows = valid + missing
    if not rows:
        return "no rows"
    if detector == "missing" or not valid:
        return f"missing {percent(column.missing_share)} → {percent(missing / rows)}"
    if detector == "unseen":
        return f"categories unseen in the baseline {percent(unseen / valid)}"
    known = column.quantiles
    if known is not None and quantiles is not None and not one_bin_grew(column.shares, counts):
        movement = describe_quantiles(known.quantile(_RANKS), quantiles.quantile(_RANKS))
        if movement:
            return movement
    return describe_bins(column.bins, column.shares, counts / valid)


def describe_quantiles(before: Floats, now: Floats) -> str:
    """The simplest movement from quantiles *before* to *now*, at ranks 0.05 … 0.95; empty when there is none.

    >>> x = np.arange(1.0, 20.0)
    >>> describe_quantiles(x, 2 * x), describe_quantiles(x, x + 5), describe_quantiles(x, x)
    ('median 2 × that of the baseline', 'median +5', '')
    """
    if not (np.isfinite(before).all() and np.isfinite(now).all()):
        return ""
    if now[0] == now[-1] and before[0] != before[-1]:
        return f"nearly all values are {number(now[0])}"
    with np.errstate(
        all="ignore"
    ):  # factors between the smallest and the largest floats overflow: no account
        distance = _residual(now - before)
        movements = (
            _scale(before, now),
            _fahrenheit(before, now, distance),
            _shift(before, now),
            _spread(before, now),
        )
    found = [movement for movement in movements if np.isfinite(movement[0])]
    if not found or not 0 < distance < np.inf:
        return ""
    residual, sentence = min(found, key=lambda movement: movement[0])
    return sentence if residual <= _UNEXPLAINED * distance else ""


def _residual(difference: Floats) -> float:
    return float(np.abs(difference).mean())


def _scale(before: Floats, now: Floats) -> tuple[float, str]:
    nonzero = before != 0
    if not nonzero.any():
        return np.inf, ""
    # The median of the ratios, since a least-squares slope follows the longest tail alone.
    factor = float(np.median(now[nonzero] / before[nonzero]))
    if factor <= 0:
        return np.inf, ""
    ratio = now[_MEDIAN] / before[_MEDIAN] if before[_MEDIAN] else 0.0
    subject = "median" if abs(ratio / factor - 1) < 0.005 else "values"
    whose = "that" if subject == "median" else "those"
    sentence = f"{subject} {number(factor)} × {whose} of the baseline"
    unit = unit_of(factor)
    if unit:
        sentence += f", as {unit} would be"
    return _residual(now - factor * before), sentence


def _fahrenheit(before: Floats, now: Floats, distance: float) -> tuple[float, str]:
    # A fixed line has no freedom to be fitted, so it has to be close to be worth naming.
    to = _residual(now - (1.8 * before + 32))
    back = _residual(now - (before - 32) / 1.8)
    text = f"median {number(before[_MEDIAN])} → {number(now[_MEDIAN])}, as degrees"
    if min(to, back) > _DEGREES * distance:
        return np.inf, ""
    if to < back:
        return to, f"{text} Celsius sent as Fahrenheit would be"
    return back, f"{text} Fahrenheit sent as Celsius would be"


def _shift(before: Floats, now: Floats) -> tuple[float, str]:
    shift = float(np.median(now - before))
    return _residual(now - before - shift), f"median {'+' if shift > 0 else '-'}{number(abs(shift))}"


def _spread(before: Floats, now: Floats) -> tuple[float, str]:
    width = before[-1] - before[0]
    if not width:
        return np.inf, ""
    factor = (now[-1] - now[0]) / width
    predicted = before[_MEDIAN] + factor * (before - before[_MEDIAN])
    return _residual(now - predicted), f"spread {number(factor)} × that of the baseline"


def one_bin_grew(before: Floats, counts: Counts) -> bool:
    """Whether one bin took rows from all others alike, as when values are replaced by one.

    Shares *before* and *counts* now, both shape (K,). Of the others at most a quarter of the whole change may
    remain, beyond what chance makes of so few rows.

    >>> one_bin_grew(np.array([0.2, 0.4, 0.4]), np.array([600, 200, 200]))
    True
    >>> one_bin_grew(np.array([0.2, 0.4, 0.4]), np.array([600, 400, 0]))
    False
    """
    now = counts / counts.sum()
    at = int(np.argmax(now - before))
    grown = now[at] - before[at]
    others = np.delete(before, at)
    rest = int(counts.sum() - counts[at])
    if grown < _GROWN or not rest or not others.sum():
        return False
    expected = others / others.sum()
    moved = 0.5 * float(np.abs(np.delete(counts, at) / rest - expected).sum())
    chance = 0.5 * float(np.sqrt(2 * expected * (1 - expected) / (np.pi * rest)).sum())
    return bool(moved <= 1.5 * chance + 0.25 * grown)


def describe_bins(bins: Bins, before: Floats, now: Floats) -> str:
    """The bin whose share changed most from *before* to *now*, both shape (K,).

    >>> bins = CategoryBins(("UA", "AA"), frozenset({"UA", "AA"}))
    >>> describe_bins(bins, np.array([0.1, 0.9, 0.0]), np.array([0.41, 0.59, 0.0]))
    'share of "UA" 10 % → 41 %'
    """
    change = np.abs(now - before)
    at = int(np.argmax(np.where(change >= change.max() - 1e-12, now - before, -2.0)))  # of equals, what grew
    if isinstance(bins, CategoryBins) and at < len(bins.categories):
        name = f'"{bins.categories[at]}"'
    else:
        name = bins.labels[at].split(" ", 1)[1]
        name = "other categories" if isinstance(bins, CategoryBins) else f"values {name}"
    return f"share of {name} {percent(before[at])} → {percent(now[at])}"


__all__ = ["describe", "describe_bins", "describe_quantiles", "number", "one_bin_grew", "percent"]
