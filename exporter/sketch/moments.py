"""Moments: count, mean, sum of squared deviations, minimum and maximum of finite numbers.

Promises: any order and any split into merges gives the same numbers up to rounding (1e-12 of the variance;
1e-7 where the spread is a billionth of the mean), since no large sums are subtracted. A column of one
repeated value has exactly that mean and an m2 of exactly 0. Never raises and never warns for finite input:
where squares pass the largest float, `m2` is inf while the mean stays finite.
Refuses: NaN and ±inf (``ValueError``); the caller counts those.
Bytes: 42 serialised.

Source: Chan, Golub, LeVeque 1983, Algorithms for computing the sample variance, The American Statistician 37.
"""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import ClassVar, Final, Self

import numpy as np

from exporter.sketch.bins import Counts, Floats

#: Above this magnitude the squares of up to 1e8 values could pass the largest float, 1.8e308.
_SAFE: Final = 1e150


@dataclass(slots=True)
class Moments:
    """Count, mean, m2, minimum and maximum; of nothing: 0, 0.0, 0.0, inf, -inf.

    >>> left, right = Moments(), Moments()
    >>> left.update(np.array([1.0, 2.0]))
    >>> right.update(np.array([6.0]))
    >>> left.merge(right)
    >>> left
    Moments(count=3, mean=3.0, m2=14.0, minimum=1.0, maximum=6.0)
    >>> round(left.variance, 3)
    4.667
    """

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0
    """Sum of (value - mean)², never negative."""
    minimum: float = math.inf
    maximum: float = -math.inf

    _FORMAT: ClassVar[struct.Struct] = struct.Struct("<2sq4d")
    _TAG: ClassVar[bytes] = b"M1"

    @property
    def variance(self) -> float:
        """m2 / count, the variance of the values themselves; NaN of nothing."""
        return self.m2 / self.count if self.count else math.nan

    @property
    def standard_deviation(self) -> float:
        """Root of `variance`; NaN of nothing."""
        return math.sqrt(self.variance)

    @property
    def nbytes(self) -> int:
        """Memory, about: five numbers of 24 to 32 bytes and the object."""
        return 200

    def update(self, values: Floats) -> None:
        """Adds finite *values*, float64, shape (n,). Raises ValueError, unchanged, when one is not finite."""
        if values.size:
            minimum, maximum = float(np.min(values)), float(np.max(values))
            if not (math.isfinite(minimum) and math.isfinite(maximum)):
                raise ValueError(f"moments: expected finite numbers, found {minimum} to {maximum}")
            self.merge(self._of(values, minimum, maximum))

    @classmethod
    def of_sorted(cls, ascending: Floats) -> Self:
        """Moments of finite *ascending* values, shape (n,), without looking for their ends."""
        if not ascending.size:
            return cls()
        return cls._of(ascending, float(ascending[0]), float(ascending[-1]))

    @classmethod
    def _of(cls, values: Floats, minimum: float, maximum: float) -> Self:
        scale = max(-minimum, maximum)
        if scale > _SAFE:
            values = values / scale
        else:
            scale = 1.0
        # ndarray.mean() takes 2 µs longer for 1,000 values. Rounding may carry a mean past the ends, so
        # it is held between them: a constant column then deviates from its mean by exactly 0.
        mean = float(np.add.reduce(values)) / values.size * scale
        mean = min(max(mean, minimum), maximum)
        deviation = values - mean / scale
        m2 = float(np.dot(deviation, deviation)) * scale * scale
        return cls(values.size, mean, m2, minimum, maximum)

    def merge(self, other: Moments) -> None:
        """Adds what *other* has seen."""
        if not other.count:
            return
        if not self.count:
            self.count, self.mean, self.m2 = other.count, other.mean, other.m2
            self.minimum, self.maximum = other.minimum, other.maximum
            return
        count = self.count + other.count
        delta = other.mean - self.mean
        mean = self.mean + delta * (other.count / count)
        if not math.isfinite(mean):  # ±1e308: the difference has no float, the weighted mean has
            mean = self.mean * (self.count / count) + other.mean * (other.count / count)
        self.m2 += other.m2 + delta * delta * (self.count * (other.count / count))
        self.count = count
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        self.mean = min(max(mean, self.minimum), self.maximum)

    @classmethod
    def combined(cls, counts: Counts, means: Floats, m2s: Floats, minima: Floats, maxima: Floats) -> Self:
        """The merge of many parts at once, each argument of shape (parts,); parts of count 0 are left out."""
        some = counts > 0
        counts, means, m2s = counts[some], means[some], m2s[some]
        if not counts.size:
            return cls()
        minimum, maximum = float(np.min(minima[some])), float(np.max(maxima[some]))
        total = int(counts.sum())
        with np.errstate(over="ignore"):
            mean = min(max(float(np.dot(counts / total, means)), minimum), maximum)
            deviation = means - mean
            m2 = float(np.sum(m2s) + np.dot(counts * deviation, deviation))
        return cls(total, mean, m2, minimum, maximum)

    def error(self) -> float:
        """0: exact, but for rounding."""
        return 0.0

    def to_bytes(self) -> bytes:
        """42 bytes, little-endian."""
        return self._FORMAT.pack(self._TAG, self.count, self.mean, self.m2, self.minimum, self.maximum)

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote. Raises ValueError for anything else."""
        if len(data) != cls._FORMAT.size or data[:2] != cls._TAG:
            raise ValueError(f"moments: expected {cls._FORMAT.size} bytes that begin {cls._TAG!r}")
        return cls(*cls._FORMAT.unpack(data)[1:])
