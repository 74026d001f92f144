"""Reference: what a baseline keeps of an embedding: frame, sums, and how far its own hours are from them.

Promises: d × 4 + 1,100 bytes of vectors of d numbers (4 kB at 768). The centroid is rounded to float32 before
anything is measured from it, so that what is built and what is read back are the same frame.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from exporter.embedding.frame import Floats, Frame
from exporter.embedding.projections import Projections
from exporter.embedding.score import Drift, Spread, drift


@dataclass(frozen=True, slots=True, eq=False)
class Reference:
    """Of all vectors of one column of a baseline."""

    frame: Frame
    sums: Projections
    spread: Spread
    natural: float = 0.0
    """Mean MMD² of the baseline's own hours from all of it, less chance; 0 without timestamps."""

    def drift(self, observed: Projections) -> Drift:
        """How far *observed* is from the baseline, beside what chance and an hour of its own are."""
        return drift(self.sums, observed, self.spread, self.natural)


def fitted_frame(mean: Floats, sample: Floats) -> Frame:
    """The frame of vectors with this *mean*, shape (d,), of which *sample* are some, shape (n, d), n above 0.

    >>> fitted_frame(np.array([0.1]), np.array([[0.0], [3.0]])).centroid.tolist()
    [0.10000000149011612]
    """
    return Frame(mean.astype(np.float32).astype(np.float64), Frame.fit(sample).bandwidth)


def natural_of(whole: Projections, hours: Iterable[Projections], spread: Spread) -> float:
    """`Reference.natural`: the mean over *hours*, those with more vectors counting for more; 0 of none."""
    found = [(drift(whole, hour, spread), hour.count) for hour in hours if hour.count]
    total = sum(count for _, count in found)
    # An hour is a part of the whole, so chance gives less of its distance; by 1/N, which is nothing.
    excess = sum((one.mmd_squared - one.chance) * count for one, count in found) / max(total, 1)
    return max(float(excess), 0.0)
