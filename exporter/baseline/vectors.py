"""Vectors of a file: the first reading finds an embedding's frame, the last sums what that frame shows.

Promises: the mean is that of all vectors; the sample, of which the bandwidth and the scatter come, is every
vector of a file that has few, else every 2nd, 4th, … of them, at most `SAMPLE`. Memory: 8 bytes a number, 50
MB of vectors of 1,536.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import pyarrow as pa

from exporter.baseline import entries
from exporter.embedding import Frame, Projections, Reference, Spread
from exporter.embedding.reference import fitted_frame, natural_of

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

SAMPLE: Final = 4_096


@dataclass(slots=True)
class VectorSurvey:
    """Mean and sample of a column's vectors; those of another length than the first ones are passed over.

    >>> survey = VectorSurvey()
    >>> survey.add(pa.array([[0.0, 0.0], None, [3.0, 4.0]]))
    >>> survey.frame().centroid.tolist(), survey.frame().bandwidth
    ([1.5, 2.0], 5.0)
    """

    dimension: int = 0
    _count: int = 0
    _sum: Floats = field(default_factory=lambda: np.zeros(0))
    _parts: list[Floats] = field(default_factory=list)
    _size: int = 0
    _step: int = 1
    _next: int = 0
    """Vectors until the next one that is kept."""

    def add(self, array: pa.Array) -> None:
        """One batch."""
        if not self.dimension:
            self.dimension = entries.usual_length(array)
            self._sum = np.zeros(self.dimension)
        if not self.dimension:
            return
        vectors, _ = entries.vectors(array, self.dimension)
        with np.errstate(over="ignore"):
            self._sum += vectors.sum(axis=0)
        self._count += len(vectors)
        kept = vectors[self._next :: self._step]
        self._next = (self._next - len(vectors)) % self._step
        self._parts.append(kept)
        self._size += len(kept)
        while self._size > SAMPLE:
            # The first of the whole stays the first, so the next one is on the coarser grid or one step off.
            odd = self._size % 2
            self._parts = [np.concatenate(self._parts)[::2]]
            self._next += self._step * odd
            self._step *= 2
            self._size = len(self._parts[0])

    def sample(self) -> Floats:
        """Those kept, shape (n, dimension)."""
        return np.concatenate(self._parts) if self._parts else np.zeros((0, self.dimension))

    def frame(self) -> Frame | None:
        """What vectors are looked at from; None where there are none, or none that add up."""
        sample = self.sample()
        if not len(sample):
            return None
        with np.errstate(over="ignore", invalid="ignore"):
            try:
                frame = fitted_frame(self._sum / self._count, sample)
            except ValueError:  # the bandwidth is beyond the largest float
                return None
        return frame if np.isfinite(frame.centroid).all() else None


@dataclass(slots=True)
class VectorSums:
    """Sums over a column's vectors, all and by hour; `add` takes one batch."""

    position: int
    """Of the column in the batches."""
    frame: Frame
    sample: Floats
    _whole: Projections = field(default_factory=Projections)
    _hours: dict[int, Projections] = field(default_factory=dict)

    def add(self, array: pa.Array, positions: Integers | None) -> None:
        """One batch; *positions* say in which hour each row lies, -1 for none, shape (rows,)."""
        vectors, rows = entries.vectors(array, self.frame.dimension)
        if positions is None:
            self._whole.update(self.frame, vectors)
            return
        hours = positions[rows]
        order = np.argsort(hours, kind="stable")
        ordered = hours[order]
        begins = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1)) if ordered.size else ordered
        for begin, stop in zip(begins.tolist(), [*begins.tolist()[1:], ordered.size], strict=True):
            part = Projections()
            part.update(self.frame, vectors[order[begin:stop]])
            self._whole.merge(part)
            if ordered[begin] >= 0:
                self._hours.setdefault(int(ordered[begin]), Projections()).merge(part)

    def reference(self) -> Reference:
        """What the baseline keeps."""
        spread = Spread.fit(self.frame, self.sample)
        return Reference(
            self.frame, self._whole, spread, natural_of(self._whole, self._hours.values(), spread)
        )
