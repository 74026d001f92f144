"""Model: a column's calibration as arrays, made once and used at every window.

Promises: read-only once made; the thresholds of one alpha are worked out once.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.baseline.calibration import (
    EFFECT_FLOOR,
    RATE_EFFECT_FLOOR,
    RATE_FLOOR,
    Calibration,
    WindowCalibration,
)
from exporter.baseline.tail import chi_square_quantile
from exporter.hourly import CELLS
from exporter.verdict.measures import SHAPE, kinds, starts

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

PEAK: Final = "peak"
#: Smallest Σr² beyond chance that counts, by detector. For unseen categories it is their share: a new
#: seasonal destination was 1 % of a day's flights for weeks, and no fault.
FLOORS: Final = {SHAPE: EFFECT_FLOOR, PEAK: RATE_EFFECT_FLOOR, "unseen": 0.01}


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What T must pass at one alpha."""

    tests: Floats
    """Shape (3, tests)."""
    shape: Floats
    """Of the shape in windows about as large as the baseline's, shape (3,)."""
    peak: Floats
    """Shape (3,)."""
    scales: Floats
    """Shape (3, bins)."""


@dataclass(frozen=True, slots=True)
class WindowModel:
    """One window length."""

    calibration: WindowCalibration
    blend: Floats
    """Shape (terms, M)."""
    natural: Floats
    """Shape (3, M)."""
    errors: Floats
    """Of the natural variances, shape (3, M)."""
    largest: Floats
    """Worst shares of the rates, shape (tests,), 0 for the shape."""
    usual: Floats
    """The shape's T that one usual window in ten or twenty exceeds, shape (3,)."""
    _thresholds: dict[float, Thresholds] = field(default_factory=dict)

    def thresholds(self, alpha: float, degrees: int) -> Thresholds:
        """At *alpha*, once it is within what is supported; *degrees* of freedom of the shape."""
        alpha = self.calibration.supported(alpha)
        found = self._thresholds.get(alpha)
        if found is None:
            tests = self.calibration.tests
            floors = dict.fromkeys(tests, RATE_FLOOR)
            floors[SHAPE] = chi_square_quantile(alpha, degrees)
            values = [
                [max(floors[test], one.references[at].tail.quantile(alpha)) for test, one in tests.items()]
                for at in range(3)
            ]
            shape = [
                _measured(reference.tail.quantile(alpha), floors[SHAPE], self.calibration, degrees)
                for reference in tests[SHAPE].references
            ]
            peaks, scales = [], []
            # The largest of K bins is as rare as alpha when one bin is as rare as alpha / K.
            least = chi_square_quantile(alpha / (degrees + 1), 1)
            for reference in tests[SHAPE].references:
                assert reference.peak is not None
                assert reference.scales is not None
                limit = max(1.0, reference.peak.quantile(alpha))
                peaks.append(limit)
                scales.append(np.maximum(reference.scales, least / limit))
            found = self._thresholds[alpha] = Thresholds(
                np.array(values), np.array(shape), np.array(peaks), np.array(scales)
            )
        return found


#: A schedule repeats itself more exactly than chance would: then T's own tail lies well below that of χ², and
#: is believed down to this share of it, where it is below `_CLEARLY`, for windows of rows within a factor of
#: `NEAR` of the baseline's, with so many rows a bin, by so many windows. (Part of a fleet's rows has chance
#: again.) Kilometres sent for miles are then found in 97 % of the hours of flights rather than in 69 %.
_LEAST, _CLEARLY, NEAR, _DENSE, _MANY = 0.4, 0.75, 2.0, 2.0, 1000


def _measured(quantile: float, floor: float, calibration: WindowCalibration, degrees: int) -> float:
    few = calibration.rows < _DENSE * (degrees + 1) or calibration.windows < _MANY
    if quantile >= _CLEARLY * floor or few:
        return max(quantile, floor)
    return max(quantile, _LEAST * floor)


@dataclass(frozen=True, slots=True)
class Model:
    """One column."""

    tests: tuple[str, ...]
    bins: int
    kinds: Any
    starts: Any
    shares: Floats
    """Expected share of each part in each cell, shape (CELLS, M)."""
    floors: Floats
    """Smallest effects, shape (tests,)."""
    windows: dict[str, WindowModel]

    @property
    def degrees(self) -> int:
        """Of freedom, of the shape."""
        return max(self.bins - 1, 1)


def expand(shares: list[list[float]] | Floats) -> Floats:
    """Shares by 1, 24 or 48 cells as shares by `CELLS`.

    >>> expand([[0.25, 0.75]]).shape
    (48, 2)
    """
    given = np.asarray(shares, dtype=np.float64)
    return np.asarray(given[np.arange(CELLS) % given.shape[0]])


def model_of(calibration: Calibration) -> Model:
    """The model of *calibration*, made at the first call."""
    found = calibration.prepared.get("model")
    if found is None:
        tests = tuple(calibration.shares)
        bins = len(calibration.shares[SHAPE][0])
        found = calibration.prepared["model"] = Model(
            tests=tests,
            bins=bins,
            kinds=kinds(tests, bins),
            starts=starts(tests, bins),
            shares=np.concatenate([expand(calibration.shares[test]) for test in tests], axis=1),
            floors=np.array([FLOORS.get(test, RATE_EFFECT_FLOOR) for test in tests]),
            windows={window: _window(one, tests, bins) for window, one in calibration.windows.items()},
        )
    return found


def _window(calibration: WindowCalibration, tests: tuple[str, ...], bins: int) -> WindowModel:
    sizes = [bins if test == SHAPE else 2 for test in tests]
    return WindowModel(
        calibration=calibration,
        blend=np.repeat(np.array([calibration.tests[test].blend for test in tests]).T, sizes, axis=1),
        natural=np.array(
            [
                [value for test in tests for value in calibration.tests[test].references[at].natural]
                for at in range(3)
            ]
        ),
        errors=np.repeat(
            np.array([[calibration.tests[test].references[at].error for test in tests] for at in range(3)]),
            sizes,
            axis=1,
        ),
        largest=np.array([calibration.tests[test].largest for test in tests]),
        usual=np.maximum([one.tail.threshold for one in calibration.tests[SHAPE].references], 1e-9),
    )
