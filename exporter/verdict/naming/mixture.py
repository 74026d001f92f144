"""Mixture: what happened to some of the numbers: a flood of one value, clipping, other shares."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np

from exporter.verdict.naming.cloud import Cloud, held_by
from exporter.verdict.naming.rates import rise
from exporter.verdict.picture import Picture

#: Excess of one value that is worth the name of a flood, and of one that was hardly there before.
EXCESS: Final = 0.015
NEW: Final = 0.004
#: Standard errors and rows of a value that came from nowhere.
_NEW_ERRORS: Final = 5.0
_NEW_ERRORS_TOLD: Final = 3.0
_NEW_ROWS: Final = 4
#: Rows at an end that make it a limit, and how many times as many as usual may be beyond it.
_LIMIT_ROWS: Final = 3
_TAIL: Final = 8.0
#: Rates of exponential tilts over the ranks: from 0.3 to 1.6 standard deviations of a rank.
_TILTS: Final = (1.05, 1.8, 2.6, 3.4, 4.6, 6.5, 10.0, 20.0)
_RATES: Final = np.array([*(-rate for rate in reversed(_TILTS)), *_TILTS])
_NEAREST: Final = 6


def newcomers(before: Picture, now: Picture, told: bool = False) -> Iterator[tuple[float, float]]:
    """Numbers that came from nowhere, with their shares of now.

    Far above chance (five standard errors where the variance of a share is constant: 64 values are looked
    at), and with a third of their rows at most explained by what they had. *told* says that a detector of
    repeats fired: then less evidence is asked for.
    """
    errors = _NEW_ERRORS_TOLD if told else _NEW_ERRORS
    held = dict(before.top)
    for value, share in now.top:
        rows = share * now.valid
        if isinstance(value, str) or not math.isfinite(value) or share < NEW or rows < _NEW_ROWS:
            continue
        old = held.get(value, 0.0)
        if share > 3 * old and rise(min(share, 1.0), now.valid, min(old, 1.0), before.valid) > errors:
            yield float(value), share


def excesses(before: Cloud, now: Cloud) -> list[tuple[float, float]]:
    """Values that repeat more often than before, each with the share that must have been replaced by it.

    The least likely first.
    """
    found = []
    for value, share in now.atoms.items():
        held = before.atoms.get(value, 0.0) or float(before.weights[before.points == value].sum())
        excess = (share - held) / max(1 - held, 1e-9)
        if excess >= (EXCESS if share <= 3 * held else NEW):
            errors = math.sqrt(share) - math.sqrt(held)
            found.append((errors, value, excess))
    return [(value, excess) for _, value, excess in sorted(found, reverse=True)]


def limited(before: Cloud, now: Cloud) -> dict[float, float]:
    """The ends of now at which it has several rows, with the share of before that lies beyond each."""
    ends = ((now.low, before.share_below(now.low)), (now.high, before.share_above(now.high)))
    return {end: beyond for end, beyond in ends if beyond > 0 and held_by(now, end) * now.rows >= _LIMIT_ROWS}


def clipped(before: Cloud, limit: float, held: float, *, high: bool) -> Iterator[Cloud]:
    """All beyond *limit* held at it: as many as before has there, or as now has (*held*) of another day."""
    values = np.minimum(before.points, limit) if high else np.maximum(before.points, limit)
    at = values == limit
    atoms = {v: s for v, s in before.atoms.items() if (v < limit if high else v > limit)}
    usual = float(before.weights[at].sum())
    ends = (before.low, limit) if high else (limit, before.high)
    if not 0 < usual < 1:
        return
    yield before.moved(values, atoms | {limit: usual}, ends)
    # A tail moves by nature more than the rest: of late flights there are five times as many on a bad day.
    if usual / _TAIL <= held <= min(usual * _TAIL, 0.9):
        weights = np.where(at, held / usual, (1 - held) / (1 - usual)) * before.weights
        atoms = {v: s * (1 - held) / (1 - usual) for v, s in atoms.items()}
        yield before.moved(values, atoms | {limit: held}, ends, weights)


def tilts(before: Cloud, now: Cloud) -> Iterator[tuple[float, Cloud]]:
    """Other shares of the same values, rising or falling with their rank.

    Of the rates those that bring the mean rank nearest to that of now.
    """
    ranks = before.cdf(before.points)
    wanted = float(np.dot(now.weights, before.cdf(now.points)))
    weights = before.weights * np.exp(_RATES[:, np.newaxis] * (ranks - 0.5))
    weights /= weights.sum(axis=1, keepdims=True)
    nearest = np.argsort(np.abs(weights @ ranks - wanted), kind="stable")[:_NEAREST]
    for at in nearest.tolist():
        yield float(_RATES[at]), before.weighted(weights[at])
