"""Sketches: summaries of many values in little memory, that can be merged.

Promises of every class here: ``merge`` of any split equals the whole, exactly or within `error`; bytes read
back; the memory is bounded, whatever comes. tests/sketch/test_contract.py finds each class by itself.
This package alone imports datasketches.
"""

from __future__ import annotations

from typing import Any, Protocol, Self

from exporter.sketch.bins import Bins, CategoryBins, Counts, Floats, NumericBins, bins_from_json
from exporter.sketch.cardinality import Distinct
from exporter.sketch.frequent import Frequent, FrequentItem
from exporter.sketch.moments import Moments
from exporter.sketch.quantile import Quantiles


class Sketch(Protocol):
    """What all of them can do."""

    @property
    def nbytes(self) -> int:
        """Memory held now, about, in bytes."""
        ...

    def update(self, values: Any) -> None:
        """Adds values: float64 of shape (n,), and texts where the class says so."""
        ...

    def merge(self, other: Self) -> None:
        """Adds what *other* has seen; *other* stays as it is."""
        ...

    def error(self) -> float:
        """Bound of the answer's error, in the unit the class states; 0 while it is exact."""
        ...

    def to_bytes(self) -> bytes:
        """The state, little-endian, headed by a tag of class and version."""
        ...

    @classmethod
    def from_bytes(cls, data: bytes) -> Self:
        """What `to_bytes` wrote. Raises ValueError for anything else."""
        ...


#: Every sketch there is.
SKETCHES: tuple[type[Moments] | type[Quantiles] | type[Distinct] | type[Frequent], ...] = (
    Moments,
    Quantiles,
    Distinct,
    Frequent,
)

__all__ = [
    "SKETCHES",
    "Bins",
    "CategoryBins",
    "Counts",
    "Distinct",
    "Floats",
    "Frequent",
    "FrequentItem",
    "Moments",
    "NumericBins",
    "Quantiles",
    "Sketch",
    "bins_from_json",
]
