"""Cloud: a column's numbers as a hundred weighted points, on which a fault can be tried out.

The quantile sketch gives the points, the frequent values their exact weights; so a fault is applied to the
points of before, and what comes out is compared with the points of now.

Promises: points ascend and are finite, weights sum to 1; nothing here is random.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final, Self, TypeAlias

import numpy as np

from exporter.sketch.bins import NumericBins
from exporter.verdict.picture import Picture

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

#: Quantiles that stand for a column. A sketch with k = 200 knows ranks to 1.3 %, so more would say no more.
POINTS: Final = 128
#: A value is an atom when it holds this share and was seen this often (detection.md 2.3: four).
ATOM_SHARE: Final = 0.012
ATOM_ROWS: Final = 4
#: Smallest step that is looked for, as a share of the spread: cents in amounts of thousands. A float of the
#: same size that is on none has a chance of 2e-6 to lie on one.
_FINEST: Final = 1e-6
#: Steps on which the values of a column may lie, per power of ten.
_STEPS: Final = np.array(sorted((m * 10.0**p for p in range(-9, 10) for m in (1.0, 2.0, 5.0)), reverse=True))
_NOTHING: Final = np.zeros(1)


@dataclass(frozen=True, slots=True)
class Cloud:
    """Weighted points; see the module."""

    points: Floats
    """Ascending, shape (m,)."""
    weights: Floats
    """Sum 1, shape (m,)."""
    atoms: dict[float, float]
    """Values that repeat, with their shares of the rows."""
    rows: int
    low: float
    """Smallest value seen."""
    high: float
    step: float | None
    """The largest 1, 2 or 5 times a power of ten of which all points are multiples; None when there is none
    coarser than a millionth of the spread."""
    upto: Floats
    """Weight of all points before each, and of all, shape (m + 1,)."""

    @classmethod
    def of(cls, picture: Picture, also: Collection[float] = ()) -> Self | None:
        """The cloud of *picture*, in which the values *also* are atoms however few rows they have.

        None when it holds no finite numbers.
        """
        sketch = picture.quantiles
        if sketch is None or not sketch.count:
            return None
        size = min(POINTS, sketch.count)
        points = sketch.quantile((np.arange(size) + 0.5) / size)
        points = points[np.isfinite(points)]
        if not points.size:
            return None
        rows = sketch.count
        atoms = {
            float(value): share
            for value, share in picture.top
            if isinstance(value, (int, float))
            and math.isfinite(value)
            and (value in also or (share >= ATOM_SHARE and share * rows >= ATOM_ROWS))
        }
        low, high = (float(edge) for edge in sketch.quantile([0.0, 1.0]))
        if not math.isfinite(low):
            low = float(points[0])
        if not math.isfinite(high):
            high = float(points[-1])
        step = step_of(points, float(points[-1] - points[0]))
        kept = points[~np.isin(points, list(atoms))]
        held = min(sum(atoms.values()), 1.0)
        if not kept.size:
            held = 1.0
        values = np.concatenate([list(atoms), kept])
        weights = np.concatenate([list(atoms.values()), np.full(kept.size, (1 - held) / max(kept.size, 1))])
        factor = _by_bins(picture, values, weights)
        weights = weights * factor
        total = float(weights.sum())
        atoms = {
            v: s * f / total for (v, s), f in zip(atoms.items(), factor[: len(atoms)].tolist(), strict=True)
        }
        return cls._made(values, weights, atoms, rows, low, high, step)

    @classmethod
    def _made(
        cls,
        values: Floats,
        weights: Floats,
        atoms: dict[float, float],
        rows: int,
        low: float,
        high: float,
        step: float | None,
    ) -> Self:
        order = np.argsort(values, kind="stable")
        total = float(weights.sum())
        weights = weights[order] / total if total > 0 else np.full(values.size, 1 / values.size)
        upto = np.concatenate([_NOTHING, np.cumsum(weights)])
        return cls(values[order], weights, atoms, rows, low, high, step, upto)

    def moved(
        self,
        values: Floats,
        atoms: dict[float, float],
        ends: tuple[float, float] | None = None,
        weights: Floats | None = None,
    ) -> Cloud:
        """The same weights, or *weights*, at other points: what a fault made of each, and of the ends."""
        low, high = ends if ends is not None else (float(values.min()), float(values.max()))
        chosen = self.weights if weights is None else weights
        return self._made(values, chosen, atoms, self.rows, low, high, None)

    def weighted(self, weights: Floats) -> Cloud:
        """The same points with other weights, atoms alike."""
        factor = weights / weights.sum() / np.maximum(self.weights, 1e-300)
        at = np.searchsorted(self.points, list(self.atoms))
        atoms = {
            value: share * float(factor[i]) for (value, share), i in zip(self.atoms.items(), at, strict=True)
        }
        return self._made(self.points, weights, atoms, self.rows, self.low, self.high, self.step)

    def with_atom(self, value: float, share: float) -> Cloud:
        """A *share* of all rows replaced by *value*."""
        values, weights = np.append(self.points, value), np.append(self.weights * (1 - share), share)
        atoms = {known: held * (1 - share) for known, held in self.atoms.items()}
        atoms[value] = atoms.get(value, 0.0) + share
        low, high = min(self.low, value), max(self.high, value)
        return self._made(values, weights, atoms, self.rows, low, high, self.step)

    def without(self, value: float) -> Cloud:
        """All but one value; itself when nothing would be left."""
        others = self.points != value
        if not others.any():
            return self
        held = float(self.weights[~others].sum())
        atoms = {known: share / (1 - held) for known, share in self.atoms.items() if known != value}
        return self._made(
            self.points[others],
            self.weights[others],
            atoms,
            max(1, round(self.rows * (1 - held))),
            self.low,
            self.high,
            self.step,
        )

    def quantile(self, ranks: Floats) -> Floats:
        """The points at *ranks*."""
        at = np.searchsorted(self.upto[1:], np.asarray(ranks) - 1e-12)
        return np.asarray(self.points[np.minimum(at, self.points.size - 1)])

    def off(self, step: float, tolerance: float = 0.02, skip: float | None = None) -> float:
        """Share of the rows that are no multiples of *step*, the value *skip* apart."""
        wrong = _off(self.points, step, tolerance)
        if skip is not None:
            wrong &= self.points != skip
        return float(self.weights[wrong].sum())

    def share_above(self, value: float) -> float:
        """Share of the rows above *value*."""
        return float(self.upto[-1] - self.upto[np.searchsorted(self.points, value, side="right")])

    def share_below(self, value: float) -> float:
        """Share of the rows below *value*."""
        return float(self.upto[np.searchsorted(self.points, value, side="left")])

    def cdf(self, at: Floats) -> Floats:
        """Middle of the ranks at each of *at*: an atom counts half."""
        left = self.upto[np.searchsorted(self.points, at, side="left")]
        right = self.upto[np.searchsorted(self.points, at, side="right")]
        return np.asarray((left + right) / 2)


def _by_bins(picture: Picture, values: Floats, weights: Floats) -> Floats:
    """By what to multiply *weights* so that the bins hold the shares that were counted, shape (m,).

    Counts are exact where the sketch is not; and they may be those of other hours than the sketch's: an hour
    is compared with the same hour of the last days, of which counts are kept and no sketches.
    """
    if not isinstance(picture.bins, NumericBins) or not picture.valid:
        return np.ones(values.size)
    at = picture.bins.index(values)
    held = np.bincount(at, weights, picture.bins.size)
    counted = picture.shares
    factor = np.divide(counted, held, out=np.ones(held.size), where=held > 0)
    # Bins that the points do not reach have no weight to be given to.
    return np.asarray(np.clip(factor, 0.02, 50.0)[at])


def distance(one: Cloud, other: Cloud) -> float:
    """Mean difference of ranks, twice: 0 when alike, 1 when one lies all below the other."""
    return 2 * float(
        0.5 * np.dot(one.weights, np.abs(one.cdf(one.points) - other.cdf(one.points)))
        + 0.5 * np.dot(other.weights, np.abs(one.cdf(other.points) - other.cdf(other.points)))
    )


def atom_difference(now: Cloud, expected: Cloud, tolerance: float = 0.0) -> float:
    """Share of the rows in repeated values that *expected* has not, or that it has and *now* has not.

    What chance makes of so few rows is taken off (three standard errors), and a hundredth.
    """
    total = 0.0
    for one, other in ((now, expected), (expected, now)):
        if one.atoms:
            values = np.fromiter(one.atoms, np.float64, len(one.atoms))
            share = np.fromiter(one.atoms.values(), np.float64, values.size)
            held = _held(other, values, tolerance)
            middle = (share * one.rows + held * other.rows) / (one.rows + other.rows)
            chance = np.sqrt(np.maximum(middle * (1 - middle), 0.0) * (1 / one.rows + 1 / other.rows))
            total += float(np.maximum(share - held - 3 * chance - 0.01, 0.0).sum())
    return total


def held_by(cloud: Cloud, value: float) -> float:
    """Share of the rows that have *value*, or one as near as the last digits of floats."""
    return float(_held(cloud, np.array([value]), 0.0)[0])


def _held(cloud: Cloud, values: Floats, tolerance: float) -> Floats:
    # Floats that went through a factor differ in their last digits.
    near = np.maximum(np.abs(values) * 1e-6, tolerance)
    low = np.searchsorted(cloud.points, values - near, side="left")
    high = np.searchsorted(cloud.points, values + near, side="right")
    return np.asarray(cloud.upto[high] - cloud.upto[low])


def step_of(values: Floats, spread: float) -> float | None:
    """See `Cloud.step`."""
    different = np.unique(values)
    if different.size < 3 or not 0 < spread < math.inf:
        return None
    # Below that, ratios to the step are no whole numbers any more that a float could hold.
    finest = max(spread * _FINEST, float(np.abs(different).max()) * 1e-12)
    steps = _STEPS[(finest <= _STEPS) & (spread > _STEPS)]
    # A few of the values rule out most of the steps.
    few = different[:: max(1, different.size // 8)]
    wrong = _off(few[:, np.newaxis], steps[np.newaxis, :], 1e-6).sum(axis=0)
    for step in steps[wrong <= 1].tolist():
        if off_step(different, step, 1e-6) <= 0.01:
            return float(step)
    return None


def off_step(values: Floats, step: float, tolerance: float) -> float:
    """Share of *values* that are no multiples of *step*, within *tolerance* of a step.

    >>> off_step(np.array([1.0, 2.0, 2.5, 3.0]), 1.0, 0.01)
    0.25
    """
    return float(np.mean(_off(values, step, tolerance)))


def _off(values: Floats, step: float | Floats, tolerance: float) -> np.ndarray[Any, np.dtype[np.bool_]]:
    with np.errstate(all="ignore"):  # the largest floats over a small step
        ratio = values / step
        return np.asarray(~(np.abs(ratio - np.round(ratio)) <= tolerance))
