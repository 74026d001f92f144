"""Frame: from where vectors are looked at: a centroid, a bandwidth, fixed random directions.

Promises: the directions follow from the dimension alone, by integer arithmetic and a fixed formula: equal in
every process and version, so that sums over them add up. A frame is made once, from the baseline, and stands
in its file: the centroid (dimension × 8 bytes) and the bandwidth. Never raises on content: what is no vector
of this dimension is counted.
Refuses: a dimension below 1, a bandwidth that is not above 0 (``ValueError``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Positions: TypeAlias = "np.ndarray[Any, np.dtype[np.intp]]"

#: Random frequencies. The error of the estimated MMD² is 1/√64 of its size; 64 products of 768 numbers take
#: 11 µs a vector, and the sums are 1 kB.
FREQUENCIES: Final = 64
#: Of them, those whose plain projections are columns of their own.
SHOWN: Final = 4
#: The median distance of two of the baseline's vectors is looked for among as many pairs.
_PAIRS: Final = 2_000

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)
_FACTOR_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_FACTOR_2: Final = np.uint64(0x94D049BB133111EB)


class Vectors(NamedTuple):
    """Finite vectors of the expected dimension, float64, shape (n, d), and how many entries were none."""

    values: Floats
    missing: int
    mismatched: int
    rows: Positions
    """Which of the entries they were, ascending, shape (n,)."""


def vectors_of(entries: Sequence[object] | Floats, dimension: int) -> Vectors:
    """The vectors in *entries*: rows of an array, or lists of numbers; None is missing. Never raises.

    Another dimension, a NaN, an infinite number or anything else is a mismatch.

    >>> found = vectors_of([[3.0, 4.0], None, [1.0], [float("nan"), 0.0]], 2)
    >>> found.values.tolist(), found.missing, found.mismatched
    ([[3.0, 4.0]], 1, 2)
    """
    if isinstance(entries, np.ndarray) and entries.ndim == 2 and entries.dtype.kind in "iuf":
        if entries.shape[1] != dimension:
            return Vectors(np.empty((0, dimension)), 0, len(entries), np.empty(0, np.intp))
        values, missing, rows = entries.astype(np.float64), 0, np.arange(len(entries))
    else:
        if isinstance(entries, np.ndarray):
            entries = entries.tolist()
        kept: list[Floats] = []
        at: list[int] = []
        missing = 0
        for number, entry in enumerate(entries):
            if entry is None:
                missing += 1
                continue
            try:
                row = np.asarray(entry)
            except (TypeError, ValueError, OverflowError):
                continue
            if row.shape == (dimension,) and row.dtype.kind in "biuf":  # numbers in quotes are none
                kept.append(row)
                at.append(number)
        values = np.array(kept, dtype=np.float64).reshape(len(kept), dimension)
        rows = np.array(at, dtype=np.intp)
    finite = np.isfinite(values).all(axis=1)
    if not finite.all():
        values, rows = values[finite], rows[finite]
    return Vectors(values, missing, len(entries) - missing - len(values), rows)


@lru_cache(maxsize=8)
def directions(dimension: int) -> Floats:
    """FREQUENCIES random directions with normal entries, shape (FREQUENCIES, dimension), always the same.

    SplitMix64 over a counter, then Box and Muller: numpy does not promise its own stream between versions.

    >>> directions(3).shape, bool(abs(directions(1000).std() - 1) < 0.01)
    ((64, 3), True)
    """
    size = FREQUENCIES * dimension
    with np.errstate(over="ignore"):
        mixed = np.arange(1, 2 * size + 1, dtype=np.uint64) * _GOLDEN
        mixed = (mixed ^ (mixed >> np.uint64(30))) * _FACTOR_1
        mixed = (mixed ^ (mixed >> np.uint64(27))) * _FACTOR_2
        mixed ^= mixed >> np.uint64(31)
    uniform = ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) / 2.0**53
    radius = np.sqrt(-2 * np.log(uniform[:size]))
    normal: Floats = radius * np.cos(2 * np.pi * uniform[size:])
    normal = normal.reshape(FREQUENCIES, dimension)
    normal.setflags(write=False)
    return normal


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """The baseline's view of vectors of one dimension."""

    centroid: Floats
    """Mean vector of the baseline, shape (d,)."""
    bandwidth: float
    """Width of the Gaussian kernel: the median distance of two vectors of the baseline."""

    def __post_init__(self) -> None:
        if self.centroid.ndim != 1 or not self.centroid.size:
            raise ValueError(f"frame: expected a centroid of shape (d,), found {self.centroid.shape}")
        if not (np.isfinite(self.bandwidth) and self.bandwidth > 0):
            raise ValueError(f"frame: expected a finite bandwidth above 0, found {self.bandwidth}")

    @property
    def dimension(self) -> int:
        """Numbers in a vector."""
        return int(self.centroid.size)

    @classmethod
    def fit(cls, vectors: Floats) -> Frame:
        """The frame of a baseline's *vectors*, finite, shape (n, d), n above 0; the same for the same order.

        Where all are equal the bandwidth is 1. 2,000 pairs are looked at, evenly spaced.

        >>> Frame.fit(np.array([[0.0, 0.0], [3.0, 4.0]])).bandwidth
        5.0
        """
        n = len(vectors)
        first = np.arange(_PAIRS) % n
        # The step runs through all offsets, so that neighbours in time are no more often paired than others.
        second = (first + 1 + (np.arange(_PAIRS) * max(n // 3, 1)) % max(n - 1, 1)) % n
        distances = np.linalg.norm(vectors[first] - vectors[second], axis=1)
        some = distances[distances > 0]
        return cls(vectors.mean(axis=0), float(np.median(some)) if some.size else 1.0)

    def angles(self, vectors: Floats) -> Floats:
        """w · (x - centroid) / bandwidth for each vector and direction, shape (n, FREQUENCIES)."""
        projected: Floats = (vectors - self.centroid) @ directions(self.dimension).T
        return projected / self.bandwidth


def features(frame: Frame, vectors: Floats) -> dict[str, Floats]:
    """Columns of small numbers, each of shape (n,), of *vectors*, finite, shape (n, d).

    `norm`; `cosine` to the centroid, 0 where either has no length; `projection_0` … `projection_3` on fixed
    random directions, in units of the bandwidth.

    >>> frame = Frame(np.array([1.0, 0.0]), 2.0)
    >>> columns = features(frame, np.array([[3.0, 4.0]]))
    >>> list(columns), columns["norm"].tolist(), columns["cosine"].tolist()
    (['norm', 'cosine', 'projection_0', 'projection_1', 'projection_2', 'projection_3'], [5.0], [0.6])
    """
    norm = np.linalg.norm(vectors, axis=1)
    length = float(np.linalg.norm(frame.centroid))
    both = norm * length
    cosine = np.divide(vectors @ frame.centroid, both, out=np.zeros_like(norm), where=both > 0)
    shown = (vectors - frame.centroid) @ directions(frame.dimension)[:SHOWN].T / frame.bandwidth
    return {
        "norm": norm,
        "cosine": np.clip(cosine, -1.0, 1.0),
        **{f"projection_{at}": shown[:, at].copy() for at in range(SHOWN)},
    }
