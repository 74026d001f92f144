"""Projections: sums of random Fourier features of vectors, 1 kB for any number of vectors of any dimension.

Promises: any order and any split into merges gives *the same bytes*: each cosine and sine is rounded to a
2⁻³⁰th and summed as an integer, which loses 1e-9 a vector and holds 8·10⁹ vectors. (Processors whose matrix
products round differently may differ by one such unit.) Bytes: 1,036 serialised.
Refuses: nothing on content; bytes of something else (``ValueError``).

Source: Rahimi, Recht 2007, Random features for large-scale kernel machines, NIPS 20.
"""

from __future__ import annotations

import struct
from typing import Any, ClassVar, Final, Self, TypeAlias

import numpy as np

from exporter.embedding.frame import FREQUENCIES, Floats, Frame

Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

_UNIT: Final = 2.0**30
#: Vectors at once: 4,096 × 64 angles are 2 MB.
_BATCH: Final = 4096


class Projections:
    """Count and sums of cosines and sines over the vectors seen, in one `Frame`.

    >>> frame = Frame(np.zeros(2), 1.0)
    >>> one, two, both = Projections(), Projections(), Projections()
    >>> one.update(frame, np.array([[1.0, 2.0]]))
    >>> two.update(frame, np.array([[3.0, 4.0]]))
    >>> both.update(frame, np.array([[3.0, 4.0], [1.0, 2.0]]))
    >>> one.merge(two)
    >>> one.to_bytes() == both.to_bytes(), one.count
    (True, 2)
    """

    __slots__ = ("_sums", "count")

    _HEAD: ClassVar[struct.Struct] = struct.Struct("<2sHq")
    _TAG: ClassVar[bytes] = b"P1"

    def __init__(self) -> None:
        self.count = 0
        self._sums: Integers = np.zeros(2 * FREQUENCIES, np.int64)

    @property
    def nbytes(self) -> int:
        """Memory, about: the one array and its object."""
        return 200 + self._sums.nbytes

    def update(self, frame: Frame, vectors: Floats) -> None:
        """Adds *vectors*, finite, shape (n, d) of the frame's dimension. 11 µs each of 768 numbers."""
        for at in range(0, len(vectors), _BATCH):
            self._sums += fourier_units(frame, vectors[at : at + _BATCH]).sum(axis=0)
        self.count += len(vectors)

    def merge(self, other: Projections) -> None:
        """Adds what *other* has seen, in the same frame."""
        self._sums += other._sums
        self.count += other.count

    @property
    def mean(self) -> Floats:
        """The mean feature, shape (2 × FREQUENCIES,); NaN of nothing."""
        if not self.count:
            return np.full(2 * FREQUENCIES, np.nan)
        return self._sums / (_UNIT * self.count)

    def to_bytes(self) -> bytes:
        """Tag, frequencies and count, then the sums, little-endian."""
        return self._HEAD.pack(self._TAG, FREQUENCIES, self.count) + self._sums.astype("<i8").tobytes()

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote. Raises ValueError for anything else."""
        size = cls._HEAD.size
        if len(data) != size + 16 * FREQUENCIES or data[:2] != cls._TAG:
            raise ValueError(f"projections: expected {size + 16 * FREQUENCIES} bytes that begin {cls._TAG!r}")
        _, frequencies, count = cls._HEAD.unpack_from(data)
        sums = np.frombuffer(data, "<i8", offset=size).astype(np.int64)
        if frequencies != FREQUENCIES or count < 0 or np.abs(sums).max() > count * _UNIT:
            raise ValueError(f"projections: expected sums of {FREQUENCIES} cosines, found other numbers")
        one = cls()
        one.count, one._sums = count, sums
        return one


def fourier_units(frame: Frame, vectors: Floats) -> Integers:
    """Cosines, then sines, of the angles of each vector, as integers of 2⁻³⁰: shape (n, 2 × FREQUENCIES)."""
    angles = frame.angles(vectors)
    # Beyond 2⁵³ an angle has no digits left: such a vector, 1e15 bandwidths away, is as good as any other.
    angles = np.where(np.abs(angles) < 2.0**53, angles, 0.0)
    return np.rint(np.concatenate((np.cos(angles), np.sin(angles)), axis=1) * _UNIT).astype(np.int64)
