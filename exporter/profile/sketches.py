"""Sketches: the part of a profile that is approximate: quantiles, distinct values, frequent values."""

from __future__ import annotations

import struct
from typing import Final, Self

from exporter.profile.layout import Batch
from exporter.sketch import Distinct, Frequent, Quantiles

_TAG: Final = b"S1"
_LENGTHS: Final = struct.Struct("<2s2I")


class Sketches:
    """Quantiles of the numbers (None for kinds without), distinct and frequent values, of one column.

    Numbers are the finite ones alone. For text, quantiles and frequent are of lengths, and distinct of texts:
    no text is kept.

    >>> from exporter.profile.layout import Layout
    >>> sketches = Sketches(numeric=True)
    >>> sketches.update(Layout("numeric").read([1.0, 5.0, 5.0])[1])
    >>> sketches.distinct.estimate(), sketches.frequent.top(1)
    (2.0, [FrequentItem(item=5.0, lower=2, upper=2)])
    """

    __slots__ = ("distinct", "frequent", "quantiles")

    def __init__(self, numeric: bool, k: int = 200) -> None:
        self.quantiles: Quantiles | None = Quantiles(k) if numeric else None
        self.distinct = Distinct()
        self.frequent = Frequent()

    @property
    def nbytes(self) -> int:
        """Memory held now, about."""
        own = self.distinct.nbytes + self.frequent.nbytes
        return own + (self.quantiles.nbytes if self.quantiles is not None else 0)

    def update(self, batch: Batch) -> None:
        """Adds a batch."""
        if self.quantiles is not None and batch.ascending.size:
            self.quantiles.update(batch.ascending)
        if len(batch.different):
            self.distinct.update(batch.different)
            # A hash is all that is kept of a different value, but a frequent one itself: never a text.
            self.frequent.update(*(batch.lengths or (batch.different, batch.repeats)))

    def merge(self, other: Sketches) -> None:
        """Adds what *other* has seen, of the same kind of column."""
        if self.quantiles is not None and other.quantiles is not None:
            self.quantiles.merge(other.quantiles)
        self.distinct.merge(other.distinct)
        self.frequent.merge(other.frequent)

    def to_bytes(self) -> bytes:
        """The three, one after the other, behind their lengths."""
        quantiles = b"" if self.quantiles is None else self.quantiles.to_bytes()
        distinct = self.distinct.to_bytes()
        head = _LENGTHS.pack(_TAG, len(quantiles), len(distinct))
        return b"".join((head, quantiles, distinct, self.frequent.to_bytes()))

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote. Raises ValueError for anything else."""
        if len(data) < _LENGTHS.size or data[:2] != _TAG:
            raise ValueError(f"sketches: expected bytes that begin {_TAG!r}, found {data[:2]!r}")
        _, quantiles, distinct = _LENGTHS.unpack_from(data)
        middle = _LENGTHS.size + quantiles
        sketches = cls(numeric=False)
        if quantiles:
            sketches.quantiles = Quantiles.from_bytes(data[_LENGTHS.size : middle])
        sketches.distinct = Distinct.from_bytes(data[middle : middle + distinct])
        sketches.frequent = Frequent.from_bytes(data[middle + distinct :])
        return sketches
