"""Atoms: faults that show in which values repeat: stuck, frozen, coarser steps."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from exporter.verdict.naming.cloud import ATOM_SHARE, Cloud, off_step
from exporter.verdict.naming.named import Named
from exporter.verdict.naming.words import number, percent
from exporter.verdict.picture import Picture

#: One value holds nearly all entries now, and did not before (detection.md 2.5).
STUCK: Final = 0.97
_NOT_STUCK: Final = 0.9
#: Fewer different values than this share of what so many rows of before would hold.
FROZEN: Final = 0.5
_EXPECTED: Final = 8.0


def name_stuck(before: Picture, now: Picture) -> Named | None:
    """One value in nearly all entries."""
    if not now.top or not now.valid:
        return None
    value, share = now.top[0]
    held = dict(before.top).get(value, 0.0)
    if share < STUCK or held >= _NOT_STUCK:
        return None
    return Named("stuck", f"{percent(share)} of the values are {shown(value)}")


def shown(value: float | str) -> str:
    """A value in a sentence.

    >>> shown("UA"), shown(-1.0)
    ('"UA"', '-1')
    """
    return f'"{value}"' if isinstance(value, str) else number(float(value))


def expected_distinct(before: Picture, rows: float) -> float | None:
    """How many different values *rows* draws from before would hold; None where that is not known.

    Of the frequent values their shares are known; all others are taken as equally frequent.
    """
    if before.distinct is None or not before.valid:
        return None
    shares = [share for _, share in before.top]
    others = max(before.distinct - len(shares), 0.0)
    rest = max(1.0 - sum(shares), 0.0)
    found = sum(-math.expm1(-share * rows) for share in shares)
    if others > 0:
        found += others * -math.expm1(-rest * rows / others)
    return min(found, rows)


def name_frozen(before: Picture, now: Picture, ends: tuple[float, float] | None = None) -> Named | None:
    """Far fewer different values than so many rows would hold, none of which has most of them.

    *ends* are those of the numbers of now: values of before beyond them are not expected, so that a limit at
    which numbers are held does not look like a source that stopped.
    """
    if now.distinct is None or not now.valid or not now.top:
        return None
    largest = now.top[0][1]
    if largest > 0.75:
        return None
    inside = _between(before, *ends) if ends is not None else before
    expected = expected_distinct(inside, now.valid)
    if expected is None or expected < _EXPECTED or now.distinct > FROZEN * expected:
        return None
    # Values of one moment, again and again: without the most frequent one there are still too few.
    rest = expected_distinct(inside, now.valid * (1 - largest))
    if rest is None or now.distinct - 1 > FROZEN * rest or now.valid * (1 - largest) < 3 * now.distinct:
        return None
    return Named(
        "frozen",
        f"only {now.distinct:.0f} different values in {now.valid:,} rows, about {expected:.0f} were usual",
    )


def _between(before: Picture, low: float, high: float) -> Picture:
    """*before* with its frequent values, and its different ones, between *low* and *high* alone."""
    kept = tuple((v, s) for v, s in before.top if not isinstance(v, str) and low <= v <= high)
    if before.distinct is None or before.quantiles is None or not before.quantiles.count:
        return before
    share = float(before.quantiles.cdf([high])[0] - before.quantiles.cdf([np.nextafter(low, -np.inf)])[0])
    held = sum(s for _, s in kept)
    rest = max(before.distinct - len(before.top), 0.0)
    # As many of the rare values lie there as of the rows that have rare values.
    others = max(1.0 - sum(s for _, s in before.top), 1e-9)
    rest *= min(max(share - held, 0.0) / others, 1.0)
    total = max(share, 1e-9)
    return replace(before, top=tuple((v, min(s / total, 1.0)) for v, s in kept), distinct=len(kept) + rest)


def coarser_step(before: Cloud, now: Cloud) -> float | None:
    """The step on which nearly all values of now lie, where those of before do not; None without one.

    That is a fact which an account has to explain: values that were rounded, or multiples of two after whole
    numbers were doubled.
    """
    values = np.unique(now.points)
    if values.size < 4:
        return None
    for step in _coarser(before, now):
        was = 1.0 - off_step(before.points, step, 1e-6)
        if was > 0.7:
            return None
        # By chance all of so many different values would lie there with this likelihood.
        if off_step(values, step, 1e-6) <= 0.02 and values.size * math.log(max(was, 1e-9)) < math.log(1e-3):
            return step
    return None


def rounded(before: Cloud, step: float) -> Iterator[Cloud]:
    """The numbers of *before* on a coarser *step*: the nearest, and the one below."""
    for values in (np.round(before.points / step) * step, np.floor(before.points / step) * step):
        different, at = np.unique(values, return_inverse=True)
        held = np.bincount(at, before.weights).tolist()
        atoms = {v: s for v, s in zip(different.tolist(), held, strict=True) if s >= ATOM_SHARE}
        yield before.moved(values, atoms)


def _coarser(before: Cloud, now: Cloud) -> Iterator[float]:
    spread = float(before.quantile(np.array([0.95]))[0] - before.quantile(np.array([0.05]))[0])
    if not 1e-290 < spread < 1e290:  # powers of ten around it overflow, or are 0
        return
    top = math.floor(math.log10(spread)) + 1
    for power in range(top, top - 7, -1):
        for multiple in (5.0, 2.5, 2.0, 1.0):
            step = multiple * 10.0**power
            if before.step is None or step > before.step * 1.5:
                yield step
