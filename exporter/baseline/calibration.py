"""Calibration: how far a column moves by itself in windows of one length, and so what is abnormal.

The simplest form of the verdict (design section 4):

    T = PSI / (1/n + 1/N + τ²)          n rows in the window, N in the baseline

τ² is the column's natural variance at that window length. Without any, T has the χ² distribution with
K - 1 degrees of freedom (Yurdakul & Naranjo 2020); with it, T's own tail over the baseline's windows says
what is rare. Because n stands in the formula, one calibration serves a pod and a fleet.

Promises: numbers only, closed forms, no scipy. How they are found from a baseline is `fit.py`.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec

from exporter.baseline.tail import Tail, chi_square_quantile

#: The windows on which verdicts are given.
WINDOW_SECONDS: Final = {"1h": 3_600, "1d": 86_400}

#: False alarms per window that a column's own calibration aims at.
DEFAULT_ALPHA: Final = 1e-4

#: A PSI below this, beyond what chance explains, is no reason to wake anybody, however many rows show it: it
#: is a shift of 0.13 standard deviations (0.13² = 0.016), the same floor as Σr² > 0.004 in detection.md 2.2.
EFFECT_FLOOR_PSI: Final = 0.016

#: Smallest critical value of the one-sided detectors, four standard deviations squared: a baseline without a
#: single missing entry would otherwise alarm at the first one.
RATE_FLOOR: Final = 16.0
#: And smallest squared difference of square-root shares that counts, about 0 % → 0.2 % or 10 % → 13 %.
RATE_EFFECT_FLOOR: Final = 0.002
#: For unseen categories 2 %: a new seasonal destination was 1 % of a day's flights for weeks, and no fault.
UNSEEN_EFFECT_FLOOR: Final = 0.02


def freeman_tukey(count: float, expected: float, rows: float) -> float:
    """Residual of *count* against *expected* in *rows*, on the scale of square-root shares.

    Its variance is 1 / (4 rows). Unlike a log ratio it stays finite and nearly normal when few or none are
    expected.

    Source: Freeman & Tukey 1950, Annals of Mathematical Statistics 21(4).

    >>> freeman_tukey(0, 0, 100)
    0.0
    """
    return (math.sqrt(count) + math.sqrt(count + 1) - math.sqrt(4 * expected + 1)) / (2 * math.sqrt(rows))


class RateCalibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What share of a window is naturally missing (or of an unseen category): one-sided, upwards."""

    share: float
    """Over the whole baseline."""
    largest: float
    """In the baseline's worst window. What lies below is invisible to this detector, by construction."""
    tau2: float
    tail: Tail

    def score(
        self, count: int, rows: int, baseline_rows: int, alpha: float, floor: float = RATE_EFFECT_FLOOR
    ) -> float:
        """Above 1 when *count* of *rows* is abnormally many at *alpha*.

        Either the residual is rarer than alpha and its square above *floor*, or the share is more than half
        way from the baseline's worst window to everything (a heavy tail may say that no share at all is rare
        enough).

        >>> quiet = Tail(share=0.1, threshold=2.0, scale=1.0, shape=0.1)
        >>> rate = RateCalibration(share=0.001, largest=0.02, tau2=0.0, tail=quiet)
        >>> rate.score(1, 1000, 100_000, 1e-4) < 1 < rate.score(50, 1000, 100_000, 1e-4)
        True
        """
        residual = freeman_tukey(count, self.share * rows, rows)
        if residual <= 0:
            return 0.0
        noise = self.tau2 + 1 / (4 * rows) + 1 / (4 * baseline_rows)
        rare = residual**2 / noise / max(RATE_FLOOR, self.tail.quantile(alpha))
        half_way = (1 + self.largest) / 2
        return max(min(rare, residual**2 / floor), count / rows / half_way)


class Extreme(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of the baseline's most unusual windows: an incident in it makes the verdict blind to its like."""

    start: str
    """In the baseline's time zone, ISO 8601 without offset."""
    rows: int
    psi: float
    score: float


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Natural variance and critical value of one column at one window length."""

    windows: int
    """Baseline windows with enough rows, each compared with the others outside its block."""
    rows: int
    """Median rows of those windows."""
    alpha: float
    """The false alarms per window at which `critical` is stated."""
    tau2: float
    critical: float
    """T's critical value at `alpha`."""
    tail: Tail
    """T's tail, for critical values at other alphas."""
    missing: RateCalibration
    unseen: RateCalibration | None = None
    """None for numbers, and where the dictionary was too large to be whole."""
    extremes: tuple[Extreme, ...] = ()

    def supported(self, alpha: float) -> float:
        """*alpha*, or the smallest that this many windows can speak of: 0.1 / windows (design section 4)."""
        return max(alpha, 0.1 / self.windows)

    def critical_at(self, alpha: float, degrees: int) -> float:
        """T's critical value at *alpha* (raised to what is supported), never below the χ² null's."""
        alpha = self.supported(alpha)
        return max(self.tail.quantile(alpha), chi_square_quantile(alpha, degrees))

    def critical_psi(self, rows: int, baseline_rows: int, degrees: int, alpha: float) -> float:
        """The PSI at which a window of *rows* becomes abnormal: never below chance plus the effect floor."""
        chance = 1 / rows + 1 / baseline_rows
        rare = self.critical_at(alpha, degrees) * (chance + self.tau2)
        return max(rare, EFFECT_FLOOR_PSI + degrees * chance)
