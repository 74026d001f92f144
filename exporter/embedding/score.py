"""Score: how far two sets of vectors are apart, from their sums alone, and what of that is chance.

MMD² is the squared distance of two distributions in the space of a Gaussian kernel: 0 for equal ones, at most
2. By chance it is (1/n + 1/N) × the features' variance, with the law of a weighted sum of chi-squares, whose
first two moments the baseline keeps as two numbers (`Spread`): a chi-square of as many degrees, scaled, gives
the p-value.

Source: Gretton, Borgwardt, Rasch, Schölkopf, Smola 2012, A kernel two-sample test, J. Mach. Learn. Res. 13,
sections 3 and 6; two moments: Satterthwaite 1946, Biometrics Bulletin 2.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from exporter.embedding.frame import FREQUENCIES, Floats, Frame
from exporter.embedding.projections import Projections, fourier_units
from exporter.statistics import chi_square_survival

#: Vectors of the baseline whose covariance is taken: 1 % off at 10,000.
_SAMPLE = 10_000


class Spread(NamedTuple):
    """How much features of single vectors scatter: what a baseline keeps beside its `Projections`."""

    total: float
    """Trace of the features' covariance, over FREQUENCIES: MMD² by chance is it × (1/n + 1/N)."""
    square: float
    """Trace of the covariance's square, over FREQUENCIES²."""

    @classmethod
    def fit(cls, frame: Frame, vectors: Floats) -> Spread:
        """Of the first 10,000 *vectors* of a baseline, shape (n, d); zeros below two of them."""
        some = vectors[:_SAMPLE]
        if len(some) < 2:
            return cls(0.0, 0.0)
        units = fourier_units(frame, some) / 2.0**30
        covariance = np.cov(units, rowvar=False)
        return cls(
            float(np.trace(covariance)) / FREQUENCIES, float(np.sum(covariance * covariance)) / FREQUENCIES**2
        )


class Drift(NamedTuple):
    """MMD² of two sets of vectors, what of it chance gives, and how probable as much is by chance."""

    mmd_squared: float
    chance: float
    p_value: float


def mmd(expected: Projections, observed: Projections) -> float:
    """Maximum mean discrepancy, squared, of the vectors behind two sums; 0 to 2; NaN when one has none.

    >>> frame, rng = Frame(np.zeros(2), 1.0), np.random.default_rng(0)
    >>> here, there = Projections(), Projections()
    >>> here.update(frame, rng.normal(size=(500, 2)))
    >>> there.update(frame, rng.normal(3, 1, size=(500, 2)))
    >>> mmd(here, here), bool(mmd(here, there) > 0.2)
    (0.0, True)
    """
    difference = observed.mean - expected.mean
    return float(np.dot(difference, difference)) / FREQUENCIES


def drift(expected: Projections, observed: Projections, spread: Spread, natural: float = 0.0) -> Drift:
    """`mmd` of *observed* vectors against a baseline, with what chance gives of it.

    *natural* is the MMD² between the baseline's own windows of this length and the baseline, less chance: the
    natural variation of real traffic, by which the null distribution is widened. NaN and p-value 1 without
    vectors on either side. Simulated without any change, 3,000 windows each: of 400 vectors 2 were below
    0.001, of 50 vectors 7, so that with fewer than 100 a p-value of 0.001 means 0.002.
    """
    if not expected.count or not observed.count:
        return Drift(math.nan, math.nan, 1.0)
    found = mmd(expected, observed)
    chance = spread.total * (1 / expected.count + 1 / observed.count) + max(natural, 0.0)
    if chance == 0.0 or spread.square == 0.0:
        return Drift(found, chance, 1.0 if found <= 1e-15 else 0.0)
    # Satterthwaite: a · χ²_ν with the mean and the variance of the sum; ν whole, as the survival needs.
    degrees = max(int(spread.total**2 / spread.square), 1)
    return Drift(found, chance, chi_square_survival(found / chance * degrees, degrees))
