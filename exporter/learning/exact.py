"""ExactSums: count, sum and sum of squares of finite numbers without any rounding.

`Moments` merge to within rounding, which is enough for a page and not for a file that must be the same from
one recorder and from twenty. Here every float64 is what it is, a whole number of 2⁻¹⁰⁷⁴, and Python's
integers add those up; squares are kept with the part that rounding would lose (Dekker's product).

Promises: any split and any order give the same bytes. Refuses: NaN and ±inf (``ValueError``). Squares of
numbers beyond 1e150 are not kept: the deviation is then infinite.
Bytes: about 170, whatever comes. 60 µs per 1,000 values.

Source: Dekker 1971, A floating-point technique for extending the available precision, Numer. Math. 18.
"""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import ClassVar, Final, Self

import numpy as np

from exporter.sketch.bins import Floats
from exporter.sketch.moments import Moments

#: 2⁻¹⁰⁷⁴ is the smallest float64; the lowest part of a square may lie below it, where it is 0.
_UNIT: Final = 1074
_SPLIT: Final = 134217729.0  # 2²⁷ + 1
_SAFE: Final = 1e150
_HALF: Final = 26


class ExactSums:
    """Exact sums.

    >>> left, right = ExactSums(), ExactSums()
    >>> left.update(np.array([1e16, 1.0]))
    >>> right.update(np.array([-1e16]))
    >>> left.merge(right)
    >>> left.count, left.mean == 1 / 3
    (3, True)
    """

    __slots__ = ("_squares", "_sum", "count")

    _TAG: ClassVar[bytes] = b"E1"

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0
        self._squares: int | None = 0

    @property
    def nbytes(self) -> int:
        """Memory held now, about: two long integers and the object."""
        return 250

    def update(self, values: Floats) -> None:
        """Adds finite *values*, float64, shape (n,). Raises ValueError, unchanged, when one is not finite."""
        if not values.size:
            return
        largest = float(np.abs(values).max())
        if not math.isfinite(largest):
            raise ValueError(f"exact sums: expected finite numbers, found {largest}")
        self._sum += _whole(values)
        self.count += int(values.size)
        if largest > _SAFE:
            self._squares = None
        elif self._squares is not None:
            square = values * values
            split = values * _SPLIT
            high = split - (split - values)
            low = values - high
            rest = ((high * high - square) + 2 * high * low) + low * low
            self._squares += _whole(square) + _whole(rest)

    def merge(self, other: ExactSums) -> None:
        """Adds what *other* has seen."""
        self.count += other.count
        self._sum += other._sum
        both = None not in (self._squares, other._squares)
        self._squares = (self._squares or 0) + (other._squares or 0) if both else None

    @property
    def mean(self) -> float:
        """The float64 next to the true mean; 0 of nothing."""
        return float(Fraction(self._sum, self.count << _UNIT)) if self.count else 0.0

    @property
    def m2(self) -> float:
        """Sum of squared deviations from the mean; inf where squares are not kept."""
        if not self.count:
            return 0.0
        if self._squares is None:
            return math.inf
        deviation = Fraction(self._squares, 1 << _UNIT) - Fraction(self._sum**2, self.count << (2 * _UNIT))
        return max(0.0, float(deviation))  # squares of the smallest numbers are 0, their sum is not

    def moments(self, minimum: float, maximum: float) -> Moments:
        """As `Moments`, with the extremes, which are kept elsewhere."""
        if not self.count:
            return Moments()
        return Moments(self.count, min(max(self.mean, minimum), maximum), self.m2, minimum, maximum)

    def error(self) -> float:
        """0: exact."""
        return 0.0

    def to_bytes(self) -> bytes:
        """A tag, then JSON in ASCII: [count, sum, squares], the last two in hexadecimal."""
        squares = None if self._squares is None else hex(self._squares)
        return self._TAG + json.dumps([self.count, hex(self._sum), squares], separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote. Raises ValueError for anything else."""
        if data[:2] != cls._TAG:
            raise ValueError(f"exact sums: expected bytes that begin {cls._TAG!r}, found {data[:2]!r}")
        sums = cls()
        try:
            count, total, squares = json.loads(data[2:])
            sums.count, sums._sum = int(count), int(total, 16)
            sums._squares = None if squares is None else int(squares, 16)
        except (ValueError, TypeError) as error:
            raise ValueError(f"exact sums: {error}") from error
        return sums


def _whole(values: Floats) -> int:
    """The sum of finite *values* in units of 2⁻¹⁰⁷⁴, exactly."""
    fraction, exponent = np.frexp(values)
    mantissa = np.ldexp(fraction, 53).astype(np.int64)
    lowest = int(exponent.min())
    place = exponent - lowest
    # Halves of 26 bits: bincount adds floats, exact below 2⁵³, so up to 2²⁵ values.
    high = np.bincount(place, weights=(mantissa >> _HALF).astype(np.float64))
    low = np.bincount(place, weights=(mantissa & ((1 << _HALF) - 1)).astype(np.float64))
    total = 0
    for at in np.flatnonzero((high != 0) | (low != 0)).tolist():
        part = (int(high[at]) << _HALF) + int(low[at])
        shift = at + lowest - 53 + _UNIT
        total += part << shift if shift >= 0 else part >> -shift
    return total
