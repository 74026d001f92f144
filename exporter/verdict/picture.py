"""Picture: what one column looked like over some rows, as far as a name for a fault needs it.

It is made from the baseline, from the last days, or from an incident's rows: always the same shape, so that
naming knows no window and no file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from exporter.schema import Kind
from exporter.sketch.bins import Bins
from exporter.sketch.moments import Moments
from exporter.sketch.quantile import Quantiles

Counts: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One column over some rows."""

    kind: Kind
    bins: Bins
    counts: Counts
    """Valid entries by bin, int64, shape (K,)."""
    rows: int
    """Entries, missing and mismatched ones included."""
    missing: int = 0
    mismatched: int = 0
    unseen: int = 0
    far: int = 0
    grid: int = 0
    quantiles: Quantiles | None = None
    """Of the finite numbers; None for categories, and where no sketch is held."""
    top: tuple[tuple[float | str, float], ...] = ()
    """Most frequent values with their shares of the valid entries, descending: up to 64."""
    distinct: float | None = None
    """Different values; None where not known."""
    moments: Moments | None = None

    @property
    def valid(self) -> int:
        """Entries that are in a bin."""
        return int(self.counts.sum())

    @property
    def shares(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Share of the valid entries in each bin, float64, shape (K,)."""
        return np.asarray(self.counts / max(self.valid, 1), dtype=np.float64)
