"""Guard: which hours of a column are so unlike the others that a baseline must not learn from them.

Each hour is compared with the median of the same hours of the other days (work days and weekends apart, once
there are three of each), in squared Hellinger distance over its bins and its missing entries:

    chance = (K - 1) / 4n        τ² = median over the hours of H² - chance, at least 0

An hour is left out when H² > `RATIO` (chance + τ²), H² - chance > `EFFECT`, and 4n H² is rarer than `RARE` by
chance, where it has the χ² distribution with K - 1 degrees of freedom (this matters for few bins and rows). A
day of which a third of the hours are left out is left out whole. `EFFECT` is what a shift of half a standard
deviation does: smaller changes are learnt as the column's own movement, which makes the baseline duller and
never wrong.

On twelve fortnights of real flights at most 2 % of the hours of any of seven columns were left out in nine,
6 % in two with storms, and 12 % in that of the blizzard of February 2013: its two days.

Promises: pure, no random numbers. Where more than a quarter of all hours would go, none does and the caller
is told (`trusted` False): then there is no majority to believe.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.baseline.tail import chi_square_quantile
from exporter.sketch import Counts, Floats

Booleans: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"

RATIO: Final = 6.0
#: Squared Hellinger distance, 2 - 2 Σ√(pq): 0.062 for a shift of half a standard deviation (2 - 2 e^(-δ²/8)).
EFFECT: Final = 0.062
RARE: Final = 1e-6
#: Rows an hour needs to be judged at all.
ROWS: Final = 20
DAY_SHARE: Final = 1 / 3
LARGEST_SHARE: Final = 0.25
#: Days of one kind that make a median of their own.
_KIND_DAYS: Final = 3


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What the guard says of one column."""

    hours: Booleans
    """Shape (H,): True where the hour is left out."""
    trusted: bool
    """False when too many hours stood out, so that none is left out."""
    stood_out: int
    """Hours that stood out, left out or not."""


def drifted_hours(hours: Counts, counts: Counts, known: Collection[int] = ()) -> LeftOut:
    """The hours to leave out. *hours* are wall clock hours, ascending, shape (H,).

    *counts*, shape (H, K), are the bins of each hour, missing and mismatched entries as bins of their own.
    *known* are hours of incidents that verdicts have told: always left out.

    >>> hours = np.arange(14 * 24)
    >>> counts = np.tile([500, 500], (hours.size, 1))
    >>> counts[100:103] = [900, 100]
    >>> np.flatnonzero(drifted_hours(hours, counts).hours).tolist()
    [100, 101, 102]
    """
    told = np.isin(hours, list(known))
    rows = counts.sum(axis=1)
    judged = (rows >= ROWS) & ~told
    if judged.sum() < _KIND_DAYS:
        return LeftOut(told, True, 0)
    shares = np.sqrt(counts / np.maximum(rows, 1)[:, np.newaxis])
    expected = _medians(hours, shares, judged)
    distance = np.asarray(((shares - expected) ** 2).sum(axis=1))
    occupied = max(int((counts[judged].sum(axis=0) > 0).sum()), 2)
    chance = (occupied - 1) / (4 * np.maximum(rows, 1))
    beyond = distance - chance
    natural = max(0.0, float(np.median(beyond[judged])))
    rare = chi_square_quantile(RARE, occupied - 1) / (4 * np.maximum(rows, 1))
    odd = judged & (distance > np.maximum(rare, RATIO * (chance + natural))) & (beyond > EFFECT)
    odd |= _odd_days(hours, odd, judged)
    stood_out = int(odd.sum())
    if stood_out > LARGEST_SHARE * judged.sum():
        return LeftOut(told, False, stood_out)
    return LeftOut(told | odd, True, stood_out)


def _medians(hours: Counts, shares: Floats, judged: Booleans) -> Floats:
    """For each hour the median of its like, of unit length again, shape (H, K)."""
    days = hours // 24
    weekend = (days + 3) % 7 >= 5  # day 0, 1970-01-01, was a Thursday
    expected = np.empty_like(shares)
    overall = np.median(shares[judged], axis=0)
    for of_day in range(24):
        at = hours % 24 == of_day
        kinds = (at & ~weekend, at & weekend)
        apart = all((kind & judged).sum() >= _KIND_DAYS for kind in kinds)
        for chosen in kinds if apart else (at,):
            like = chosen & judged
            enough = like.sum() >= _KIND_DAYS
            expected[chosen] = np.median(shares[like], axis=0) if enough else overall
    length = np.sqrt((expected**2).sum(axis=1, keepdims=True))
    return np.asarray(expected / np.where(length > 0, length, 1.0))


def _odd_days(hours: Counts, odd: Booleans, judged: Booleans) -> Booleans:
    """The judged hours of every day of which `DAY_SHARE` are odd, at least two of them."""
    _, day = np.unique(hours // 24, return_inverse=True)
    some, all_ = np.bincount(day, weights=odd), np.bincount(day, weights=judged)
    whole = (some >= 2) & (some >= DAY_SHARE * all_)
    return np.asarray(judged & whole[day])
