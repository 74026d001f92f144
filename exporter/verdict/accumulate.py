"""Accumulate: a shift too small for any day, found because it lasts.

    z = (evidence - mean) / deviation, in [-3, 2]          evidence: `Judgement.evidence` of each day
    sum ← max(0, sum + z - level - 1)                      Page's cumulative sum
    level ← max(0, level + (z - level) / 60)               how unusual the last months are by themselves

A sum above its limit, which the baseline's own days give, is a *small lasting shift*: a ticket, never a page.
No day counts more than two deviations, so that it takes several days; and a season whose days are all
somewhat unlike the baseline raises the level, not the sum.

Source: Page 1954, Biometrika 41(1/2); the level is that of a self-starting sum (Hawkins 1987).

Promises: pure; a state of three numbers; a day without evidence (too few rows, no past, an incident)
changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from exporter.baseline.calibration import Evidence

#: The detector's name.
SMALL_SHIFT: Final = "small shift"
#: Deviations above the level at which a day adds nothing.
ALLOWANCE: Final = 1.0
#: What one day counts for, at most; measured on the design streams: with 3 twice the tickets.
CLIP: Final = (-3.0, 2.0)
#: Days over which the level follows.
LEVEL_DAYS: Final = 60.0
#: The smallest limit: at least four of the most unusual days in a row.
LEAST_LIMIT: Final = 4.0
#: How far beyond its limit a sum grows, so that a shift that is over is soon forgotten.
BEYOND: Final = 3.0


@dataclass(frozen=True, slots=True)
class Sum:
    """What the days so far add up to."""

    sum: float = 0.0
    level: float = 0.0
    days: int = 0
    """Days since the sum was 0."""

    def state(self) -> list[float]:
        """Plain numbers, for a checkpoint."""
        return [self.sum, self.level, float(self.days)]

    @classmethod
    def restored(cls, state: Sequence[float]) -> Sum:
        """Go on where *state* was taken.

        Raises ValueError when that is no state.

        >>> Sum.restored(Sum(1.5, 0.25, 3).state())
        Sum(sum=1.5, level=0.25, days=3)
        """
        if len(state) != 3 or not all(math.isfinite(number) and number >= 0 for number in state):
            raise ValueError(f"sum of evidence: expected three numbers of at least 0, found {state!r:.80}")
        return cls(float(state[0]), float(state[1]), int(state[2]))


def add(before: Sum, evidence: float, usual: Evidence, *, cap: float | None = None) -> Sum:
    """The sum after a day with this *evidence*; *cap* is its largest value, by default 3 above the limit.

    >>> usual = Evidence(mean=-1.0, deviation=0.5, limit=4.0)
    >>> day = Sum()
    >>> for _ in range(6):
    ...     day = add(day, 0.5, usual)
    >>> round(day.sum, 2), day.days, lasting(day, usual)
    (5.51, 6, True)
    """
    z = min(max((evidence - usual.mean) / usual.deviation, CLIP[0]), CLIP[1])
    cap = usual.limit + BEYOND if cap is None else cap
    total = min(max(0.0, before.sum + z - before.level - ALLOWANCE), cap)
    level = max(0.0, before.level + (z - before.level) / LEVEL_DAYS)
    return Sum(total, level, before.days + 1 if total else 0)


def lasting(now: Sum, usual: Evidence) -> bool:
    """Whether this is a small lasting shift."""
    return now.sum > usual.limit


def sums(series: Sequence[float], usual: Evidence, *, cap: float | None = None) -> Iterator[Sum]:
    """The sum after each day of *series*."""
    now = Sum()
    for evidence in series:
        now = add(now, evidence, usual, cap=cap)
        yield now


def sentence(now: Sum) -> str:
    """For people.

    >>> sentence(Sum(5.0, 0.1, 6))
    'a small lasting shift: for 6 days a little less like the baseline and the week before than usual'
    """
    return (
        f"a small lasting shift: for {now.days} days a little less like the baseline and the week before "
        "than usual"
    )
