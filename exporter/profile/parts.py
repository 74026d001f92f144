"""Parts: values of several slots of time, read at once and told apart.

Reading a batch takes 45 µs before its first value. A column of four values in five minutes pays that twelve
times an hour; here the hour is read in one go, 80 µs, and each of its slots gets what `Layout.read` would
have given it. Sums of floats may be rounded in another order; all else is the same
(tests/profile/test_parts.py).
Refuses (None) what is rare and would take care: texts that are neither str nor None, numbers beyond 1e150.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf, nextafter
from typing import Any, Final

import numpy as np

from exporter.profile.few import Few, encoded
from exporter.profile.grid import multiples
from exporter.profile.layout import Layout
from exporter.profile.tally import COUNTERS, Tally
from exporter.profile.textual import bounded
from exporter.rows import Values
from exporter.sketch import CategoryBins, Counts, Floats, Moments, NumericBins

_ROWS, _MISSING, _MISMATCH, _OUT, _FAR, _UNSEEN, _INFINITE, _GRID = range(len(COUNTERS))
_LARGEST: Final = float(np.finfo(np.float64).max)
#: Squares of larger numbers may have no float; `Moments` scales them.
_SAFE: Final = 1e150
#: Categories whose place is remembered.
_REMEMBERED: Final = 4096
_TEXT_TYPES: Final = frozenset({str, type(None)})


@dataclass(frozen=True, slots=True)
class Parts:
    """What several parts of a column held, in their order."""

    tally: Tally
    """Of all of them."""
    counts: Counts
    """int64, shape (parts, 8 + K), each row as `Tally.counts`."""
    moments: Floats
    """Mean, m2, minimum and maximum, shape (parts, 4); 0, 0, inf, -inf where there was no finite number."""
    few: Sequence[Few]
    """The values."""


class PartReader:
    """Reads several parts at once, as *layout* says; for kinds that may wait (`Pending`).

    >>> from exporter.sketch import NumericBins
    >>> reader = PartReader(Layout("numeric", NumericBins(np.array([2.0]))))
    >>> parts = reader.read(np.array([1.0, np.nan, 3.0, 5.0]), [0, 2])
    >>> parts.counts[:, 8:].tolist(), parts.moments[:, 0].tolist(), parts.tally.missing
    ([[1, 0], [0, 2]], [1.0, 4.0], 1)
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._places: dict[str, tuple[int, int]] = {}
        """Of a category: its bin, and 1 when the baseline has not seen it."""

    def read(self, values: Values, starts: Sequence[int]) -> Parts | None:
        """What `Layout.read` says of each part; the first begins at 0, the others at *starts*, none is empty.

        None when they are better read one by one.
        """
        lengths = np.diff(np.array([*starts, len(values)]))
        if self._layout.kind == "numeric" and isinstance(values, np.ndarray):
            return self._numbers(values, lengths)
        if self._layout.kind == "boolean" and isinstance(values, np.ndarray):
            return self._flags(values, lengths)
        if self._layout.kind == "categorical" and _TEXT_TYPES.issuperset(map(type, values)):
            return self._texts(list(values), starts, lengths)
        return None

    # Numbers

    @cached_property
    def _cuts(self) -> Floats:
        """Where what a number counts as can change: each is the first of the numbers from there on."""
        layout = self._layout
        cuts = [-_LARGEST, inf]
        if isinstance(layout.bins, NumericBins):
            cuts += layout.bins.edges.tolist()
        for low, high in (limits for limits in (layout.range, layout.far) if limits is not None):
            cuts += [low, nextafter(high, inf)]
        return np.unique(np.array(cuts))

    @cached_property
    def _meaning(self) -> Floats:
        """What a number between two cuts counts as: shape (cuts + 2, 8 + K); the last row is of NaN."""
        layout = self._layout
        numbers = np.concatenate(([-inf], self._cuts))  # one of each class
        meaning = np.zeros((numbers.size + 1, len(COUNTERS) + layout.size))
        meaning[:, _ROWS] = 1
        meaning[-1, _MISSING] = 1
        meaning[:-1, _INFINITE] = np.isinf(numbers)
        for at, limits in ((_OUT, layout.range), (_FAR, layout.far)):
            if limits is not None:
                meaning[:-1, at] = (numbers < limits[0]) | (numbers > limits[1])
        if isinstance(layout.bins, NumericBins):
            bins = layout.bins.edges.searchsorted(numbers, "right")
            meaning[np.arange(numbers.size), len(COUNTERS) + bins] = 1
        return meaning

    def _numbers(self, values: Floats, lengths: Counts) -> Parts | None:
        layout = self._layout
        classes = self._cuts.searchsorted(values, "right")
        missing = np.isnan(values)
        classes[missing] = self._cuts.size + 1
        counts = _sums(classes, lengths, self._meaning)
        sizes = counts[:, _ROWS] - counts[:, _MISSING] - counts[:, _INFINITE]
        finite = values.copy() if int(sizes.sum()) == values.size else values[np.isfinite(values)]
        moments = np.tile((0.0, 0.0, inf, -inf), (lengths.size, 1))
        stops = np.cumsum(sizes)
        tally = layout.tally()
        if finite.size:
            some = sizes > 0
            firsts = (stops - sizes)[some]
            low, high = np.minimum.reduceat(finite, firsts), np.maximum.reduceat(finite, firsts)
            if max(-low.min(), high.max()) > _SAFE:
                return None
            means = np.clip(np.add.reduceat(finite, firsts) / sizes[some], low, high)
            deviations = finite - np.repeat(means, sizes[some])
            deviations *= deviations
            moments[some] = np.stack((means, np.add.reduceat(deviations, firsts), low, high), axis=1)
            tally.moments = Moments.combined(sizes, *moments.T)
            if layout.grid is not None:
                flags = multiples(finite, layout.grid)
                counts[some, _GRID] = np.add.reduceat(flags, firsts, dtype=np.int64)
        tally.counts[:] = counts.sum(axis=0)
        if layout.far is not None and finite.size:
            within = finite
            if tally.far > tally.infinite:
                within = np.sort(finite[(finite >= layout.far[0]) & (finite <= layout.far[1])])
            layout.scale(tally, within, int(np.count_nonzero(finite > layout.far[1])))
        ends = stops.tolist()
        few = [Few(finite[a:b].copy()) for a, b in zip([0, *ends[:-1]], ends, strict=True)]
        return Parts(tally, counts, moments, few)

    # Flags and texts

    def _flags(self, values: Floats, lengths: Counts) -> Parts:
        # 0 and 1 are themselves, NaN is 2, everything else 3.
        classes = np.full(values.size, 3)
        classes[np.isnan(values)] = 2
        classes[values == 0.0] = 0
        classes[values == 1.0] = 1
        meaning = self._meaning_of(["false", "true"], 2)
        meaning[2, _MISSING] = meaning[3, _MISMATCH] = 1
        counts = _sums(classes, lengths, meaning)
        seen = _sums(classes, lengths, np.eye(4)).tolist()
        texts = [{text: n for text, n in zip(("false", "true"), row, strict=False) if n} for row in seen]
        return self._parts(counts, texts)

    def _texts(self, values: Sequence[Any], starts: Sequence[int], lengths: Counts) -> Parts:
        different = [text for text in dict.fromkeys(values) if text is not None]
        at: dict[str | None, int] = {text: place for place, text in enumerate(different)}
        at[None] = len(different)
        names = different
        if not all(map(str.isascii, different)):
            names = [next(iter(bounded({text: 1}))) for text in different]
        meaning = self._meaning_of(names, 1)
        meaning[-1, _MISSING] = 1
        classes = np.fromiter(map(at.__getitem__, values), np.int64, len(values))
        counts = _sums(classes, lengths, meaning)
        texts = []
        for start, stop in zip(starts, [*starts[1:], len(values)], strict=True):
            counted = Counter(values[start:stop])
            counted.pop(None, None)
            texts.append(counted if names is different else Counter(bounded(counted)))
        return self._parts(counts, texts)

    def _meaning_of(self, texts: Sequence[str], more: int) -> Floats:
        """What each of *texts* counts as, and *more* classes of rows that are no text."""
        meaning = np.zeros((len(texts) + more, len(COUNTERS) + self._layout.size))
        meaning[:, _ROWS] = 1
        if isinstance(self._layout.bins, CategoryBins):
            for row, text in enumerate(texts):
                place = self._places.get(text)
                if place is None:
                    place = self._place(self._layout.bins, text)
                meaning[row, len(COUNTERS) + place[0]] = 1
                meaning[row, _UNSEEN] = place[1]
        return meaning

    def _place(self, bins: CategoryBins, text: str) -> tuple[int, int]:
        counts, unseen = bins.count([text])
        if len(self._places) >= _REMEMBERED:
            self._places.clear()
        place = self._places[text] = (int(counts.argmax()), unseen)
        return place

    def _parts(self, counts: Counts, texts: Sequence[dict[str, int]]) -> Parts:
        tally = self._layout.tally()
        tally.counts[:] = counts.sum(axis=0)
        few = [Few(texts=encoded(counted)) for counted in texts]
        return Parts(tally, counts, np.empty((len(texts), 0)), few)


def _sums(classes: Counts, lengths: Counts, meaning: Floats) -> Counts:
    """For each part the sum of what its entries, by their class, count as: int64, shape (parts, …)."""
    width = len(meaning)
    flat = np.repeat(np.arange(0, lengths.size * width, width), lengths)
    flat += classes
    found = np.bincount(flat, minlength=lengths.size * width).reshape(lengths.size, width)
    # Floats, which numpy multiplies ten times faster: whole numbers below 2⁵³, so nothing is rounded.
    return (found.astype(np.float64) @ meaning).astype(np.int64)
