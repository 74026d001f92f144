"""Calibration: how far a column moves by itself, hour by hour and day by day, and so what is abnormal.

What is counted of a column falls into *tests*: ``shape``, the bins; and the *rates*, each of two parts, such
as missing and the rest. A window's counts C are compared with what is expected, E, by residuals on the scale
of square-root shares (`freeman_tukey`), whose variance by chance is 1 / (4 n):

    r = (√C + √(C+1) - √(4E+1)) / (2 √n)            T = Σ r² / (natural variance + chance)

against three references: the baseline (A), a blend of the last days (B) and the last seven days (C), each
with its own natural variance and its own tail of T over the baseline's windows (detection.md 2).

Promises: numbers only, no scipy. How they are found from a baseline is `fit.py`, what is made of them is
`exporter.verdict`.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import Any, Final

import msgspec

from exporter.baseline.tail import Tail

#: The windows on which verdicts are given.
WINDOW_SECONDS: Final = {"1h": 3_600, "1d": 86_400}

#: False alarms per window and detector that a column's own calibration aims at, and never exceeds.
DEFAULT_ALPHA: Final = 1e-4
#: And the smallest, times the number of the baseline's windows: a generalised Pareto tail with a shrunk shape
#: bears a hundred times fewer than there were windows.
SUPPORTED: Final = 0.01

#: A PSI below this, beyond what chance explains, is no reason to wake anybody, however many rows show it: it
#: is a shift of 0.13 standard deviations (0.13² = 0.016), the same floor as Σr² > 0.004.
EFFECT_FLOOR_PSI: Final = 0.016
EFFECT_FLOOR: Final = EFFECT_FLOOR_PSI / 4

#: Smallest critical value of the one-sided detectors, four standard deviations squared: a baseline without a
#: single missing entry would otherwise alarm at the first one.
RATE_FLOOR: Final = 16.0
#: And smallest squared difference of square-root shares that counts, about 0 % → 0.2 % or 10 % → 13 %.
RATE_EFFECT_FLOOR: Final = 0.002

#: References, in the order of every list of them.
REFERENCES: Final = ("baseline", "blend", "last 7 days")


def freeman_tukey(count: float, expected: float, rows: float) -> float:
    """Residual of *count* against *expected* in *rows*, on the scale of square-root shares.

    Its variance is 1 / (4 rows). Unlike a log ratio it stays finite and nearly normal when few or none are
    expected.

    Source: Freeman & Tukey 1950, Annals of Mathematical Statistics 21(4).

    >>> freeman_tukey(0, 0, 100)
    0.0
    """
    return (math.sqrt(count) + math.sqrt(count + 1) - math.sqrt(4 * expected + 1)) / (2 * math.sqrt(rows))


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One test against one reference."""

    natural: list[float]
    """Natural variance of each residual, shape (parts,)."""
    error: float
    """How far off these may be: chance in the baseline's windows hides it, and a fleet's has less."""
    tail: Tail
    """Of T over the baseline's windows."""
    scales: list[float] | None = None
    """How large each bin's own r² / (natural variance + chance) gets, upwards alone; None for rates."""
    peak: Tail | None = None
    """Of the largest of these over their scales; None for rates."""


class Test(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One test at one window length."""

    blend: list[float]
    """Weights of the blend's terms (`exporter.verdict.windows.TERMS`)."""
    references: list[Reference]
    """Three, in the order of `REFERENCES`."""
    largest: float = 0.0
    """Of a rate: its share in the baseline's worst window. What lies below is invisible, by construction."""


class Spike(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How much one exact value without a bin of its own naturally exceeds its share."""

    natural: float
    """Variance on the scale of square-root shares."""
    tail: Tail
    """Of the largest excess, in standard deviations."""


class Spread(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How low the mean logarithm of the variance within hours naturally falls."""

    usual: float
    floor: float
    """What is taken for the variance of an hour without any, so that its logarithm is finite."""
    tails: list[Tail]
    """How far below: against the baseline, and against the last seven days."""


class Evidence(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the evidence of window after window adds up by itself (`exporter.verdict.accumulate`)."""

    mean: float
    deviation: float
    limit: float
    """Above which a sum is a small lasting shift."""


class Extreme(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One of the baseline's most unusual windows: an incident in it makes the verdict blind to its like."""

    start: str
    """In the baseline's time zone, ISO 8601 without offset."""
    rows: int
    detector: str
    score: float


class WindowCalibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """All that is known at one window length."""

    windows: int
    """Baseline windows with enough rows, each compared with the others outside its block."""
    rows: int
    """Median rows of those windows."""
    tests: dict[str, Test]
    spike: Spike | None = None
    spread: Spread | None = None
    frozen: int = 1
    """Longest run of consecutive hours of the baseline whose moments were identical."""
    constant: bool = False
    """Whether a window of the baseline had one value in all its entries."""
    replays: int = 0
    """Hours of the baseline equal to another one of the seven days before, in every count and moment."""
    extremes: list[Extreme] = []
    evidence: Evidence | None = None
    """None of too few windows with a past."""

    def supported(self, alpha: float) -> float:
        """*alpha* within what this many windows can speak of, and at most `DEFAULT_ALPHA`.

        >>> WindowCalibration(windows=20, rows=100, tests={}).supported(1e-9)
        0.0005
        """
        return max(min(alpha, DEFAULT_ALPHA), SUPPORTED / max(self.windows, 1))


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, dict=True):
    """Of one column."""

    days: int
    """Days of the baseline."""
    day_hours: int
    """Hours with rows on a usual day."""
    day_rows: int
    """Valid rows of a usual day."""
    shares: dict[str, list[list[float]]]
    """By test: expected shares, for all hours alike (one list), by hour of the day (24), or by hour of the
    day on work days and then on weekends (48)."""
    windows: dict[str, WindowCalibration]
    """By ``1h`` and ``1d``; those the baseline is long enough for."""

    @cached_property
    def prepared(self) -> dict[Any, Any]:
        """Room for what `exporter.verdict` makes of the numbers once and uses at every window."""
        return {}
