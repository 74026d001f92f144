"""Quantiles: a KLL sketch of numbers, with its own answers where datasketches raises or is silent.

Promises: the rank of every answer is within `error` of the true one with 99 % confidence, after any merges;
exact as long as no part held more than k values. With k = 200 that is 1.33 % and at most 4.6 kB serialised
(measured: 559 values kept of 20,000, and 0.7 kB of live memory more); k = 128 gives 2.1 % and 2.9 kB.
The smallest k that lost anything is tracked over merges (datasketches does so only in memory). NaN is
counted apart in `nan`, where datasketches drops it silently; ±inf are ordered like any number.
Empty: NaN, where datasketches raises. Two runs over the same values may differ within the error: the
library has no seed.

Source: Karnin, Lang, Liberty 2016, Optimal quantile approximation in streams, arXiv 1603.05346;
error: the 99th percentile fitted by Apache DataSketches over thousands of trials.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any, ClassVar, Final, Self

import datasketches
import numpy as np

from exporter.sketch.bins import Floats

DEFAULT_K: Final = 200


class Quantiles:
    """Quantiles and ranks of float64 values.

    >>> sketch = Quantiles()
    >>> sketch.update(np.array([3.0, 1.0, np.nan, 2.0]))
    >>> sketch.count, sketch.nan, sketch.quantile([0.0, 0.5, 1.0]).tolist()
    (3, 1, [1.0, 2.0, 3.0])
    >>> sketch.cdf([0.5, 1.0, 9.0]).round(3).tolist()
    [0.0, 0.333, 1.0]
    >>> Quantiles().quantile([0.5]).tolist()
    [nan]
    """

    __slots__ = ("_sketch", "_smallest_k", "nan")

    _HEAD: ClassVar[struct.Struct] = struct.Struct("<2sHq")
    _TAG: ClassVar[bytes] = b"Q1"

    def __init__(self, k: int = DEFAULT_K) -> None:
        """Raises ValueError unless 8 <= *k* <= 65535, the library's limits."""
        if not 8 <= k <= 65_535:
            raise ValueError(f"quantiles: expected k from 8 to 65535, found {k}")
        self._sketch: Any = datasketches.kll_doubles_sketch(k)
        self._smallest_k = k
        self.nan = 0

    @property
    def k(self) -> int:
        """The size this sketch was made with."""
        return int(self._sketch.k)

    @property
    def count(self) -> int:
        """Values seen, without NaN."""
        return int(self._sketch.n)

    @property
    def nbytes(self) -> int:
        """Memory, about: what is kept in float64, half of it again as room to grow, and 300 bytes."""
        return 300 + 12 * int(self._sketch.num_retained)

    def update(self, values: Floats) -> None:
        """Adds *values*, float64, shape (n,). Ascending values take 10 µs per 1,000, others 24 µs."""
        if not values.flags.writeable or not values.dtype.isnative:
            values = values.astype(np.float64)  # a copy: the binding refuses both with a TypeError
        before = self.count
        self._sketch.update(values)
        self.nan += values.size - (self.count - before)

    def merge(self, other: Quantiles) -> None:
        """Adds what *other* has seen; the error becomes that of the coarser of the two."""
        if other._sketch.is_estimation_mode():
            self._smallest_k = min(self._smallest_k, other._smallest_k)
        self._sketch.merge(other._sketch)
        self.nan += other.nan

    def quantile(self, ranks: Sequence[float] | Floats) -> Floats:
        """For each rank in [0, 1] the smallest value kept of which at least that share is not above.

        float64 of the length of *ranks*; NaN when nothing was seen. Ranks 0 and 1 are the exact minimum and
        maximum. Raises ValueError for a rank outside [0, 1].
        """
        wanted = [float(rank) for rank in ranks]
        for rank in wanted:
            if not 0.0 <= rank <= 1.0:
                raise ValueError(f"quantile: expected a rank from 0 to 1, found {rank}")
        if not self.count:
            return np.full(len(wanted), np.nan)
        answers = np.array(self._sketch.get_quantiles(wanted, True), dtype=np.float64)
        # The library keeps both ends, but answers ranks 0 and 1 from among the sampled values.
        answers[np.equal(wanted, 0.0)] = self._sketch.get_min_value()
        answers[np.equal(wanted, 1.0)] = self._sketch.get_max_value()
        return answers

    def cdf(self, points: Sequence[float] | Floats) -> Floats:
        """For each of *points* (any order) the share of values not above it; NaN when nothing was seen.

        Raises ValueError for a point that is NaN.
        """
        wanted = [float(point) for point in points]
        if any(point != point for point in wanted):
            raise ValueError("cdf: expected numbers, found NaN")
        if not self.count:
            return np.full(len(wanted), np.nan)
        return np.array([self._sketch.get_rank(point, True) for point in wanted], dtype=np.float64)

    def points(self, most: int = 200) -> tuple[Floats, Floats]:
        """Values ascending and the weight of each, shape (min(count, most),): all of them, in short.

        All values with a weight of 1, or those at *most* evenly spaced ranks (0.5 / most, 1.5 / most, …), as
        a baseline keeps them; ranks are then off by 0.5 / most more. 10 µs.

        >>> sketch = Quantiles()
        >>> sketch.update(np.arange(100.0))
        >>> [column.tolist() for column in sketch.points(4)]
        [[12.0, 37.0, 62.0, 87.0], [25.0, 25.0, 25.0, 25.0]]
        """
        size = min(self.count, most)
        if not size:
            return np.empty(0), np.empty(0)
        return self.quantile((np.arange(size) + 0.5) / size), np.full(size, self.count / size)

    def error(self) -> float:
        """Largest error of a rank, as a share of `count`, at 99 % confidence; 0 while nothing was lost."""
        if not self._sketch.is_estimation_mode():
            return 0.0
        return float(datasketches.kll_doubles_sketch.get_normalized_rank_error(self._smallest_k, False))

    def to_bytes(self) -> bytes:
        """Twelve bytes of our own, then the library's compact form."""
        return self._HEAD.pack(self._TAG, self._smallest_k, self.nan) + bytes(self._sketch.serialize())

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote. Raises ValueError for anything else."""
        size = cls._HEAD.size
        if len(data) < size or data[:2] != cls._TAG:
            raise ValueError(f"quantiles: expected bytes that begin {cls._TAG!r}, found {data[:2]!r}")
        sketch = cls.__new__(cls)
        _, sketch._smallest_k, sketch.nan = cls._HEAD.unpack_from(data)
        try:
            sketch._sketch = datasketches.kll_doubles_sketch.deserialize(data[size:])
        except (RuntimeError, ValueError, IndexError) as error:  # the library's answers to damage
            raise ValueError(f"quantiles: {error}") from error
        return sketch
