"""Changes: what a fault does to the counts of hours whose values are gone.

A fault that moves numbers is a matrix of shares that go from each bin to each other one, found from the
column's values; a surge of missing entries, a flood, unseen categories move shares of every bin. How many of
a bin's entries go where is drawn, as it is of real rows: 2 % of an hour of 30 rows is seldom one row.

Promises: the same generator state gives the same counts; entries neither appear nor vanish.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, TypeAlias

import numpy as np

from exporter.baseline.baseline import BaselineColumn
from exporter.hourly import HourTable
from exporter.profile.grid import multiples
from exporter.sketch.bins import NumericBins

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

#: Values from which the matrices are found.
_VALUES: Final = 4_000


@dataclass(frozen=True, slots=True)
class Change:
    """What one fault at one strength does to the counts of an hour."""

    move: Floats | None = None
    """Share of each bin's entries that goes to each bin, shape (K, K)."""
    missing: float = 0.0
    """Share of the valid entries that goes missing."""
    unseen: float = 0.0
    """Share of the valid entries that becomes unseen; they go to the last bin."""
    far: Floats | None = None
    """Share of each bin's entries that comes to lie far outside, shape (K,)."""
    grid: Floats | None = None
    """Share of each bin's entries that are multiples of the coarse step afterwards, shape (K,)."""
    top: tuple[float, Floats] | None = None
    """A value, and the share of each bin's entries that become it, shape (K,)."""
    kept: tuple[float, float] | None = None
    """Of a flood's and a clipping's frequent values those in these bounds stay; without, none is known."""


#: The changes of one fault at a strength, each of which is to be found: both tails, both directions.
Changes: TypeAlias = Callable[[float], list[Change]]


def changed(table: HourTable, change: Change, rng: np.random.Generator) -> HourTable:
    """*table* with the fault in every hour."""
    before = table.bins
    missing = _drawn(before, change.missing, rng)
    left = before - missing
    bins = left if change.move is None else _moved(left, change.move, rng)
    unseen = table.unseen
    if change.unseen:
        new = _drawn(bins, change.unseen, rng)
        bins = bins - new
        bins[:, -1] += new.sum(axis=1)
        # Those that were unseen are so still, as far as they are not missing.
        unseen = np.minimum(unseen, bins[:, -1]) + new.sum(axis=1)
    valid = bins.sum(axis=1)
    far = table.far if change.far is None else rng.binomial(left, change.far).sum(axis=1)
    grid = table.grid if change.grid is None else rng.binomial(left, change.grid).sum(axis=1)
    values, counts, moments = table.top_values, table.top_counts, table.moments
    if change.move is not None:
        values, counts = _tops(table, change, left, rng)
        # Moments after a fault are not known by bins; without them nothing is frozen, replayed or stuck.
        moments = np.full_like(moments, np.nan)
    return replace(
        table,
        bins=bins,
        missing=table.missing + missing.sum(axis=1),
        unseen=np.minimum(unseen, valid),
        far=np.minimum(far, valid),
        grid=np.minimum(grid, valid),
        top_values=values,
        top_counts=counts,
        moments=moments,
    )


def _drawn(bins: Integers, share: float, rng: np.random.Generator) -> Integers:
    return rng.binomial(bins, share) if share else np.zeros_like(bins)


def _moved(bins: Integers, move: Floats, rng: np.random.Generator) -> Integers:
    """Entries of *bins*, shape (H, K), each sent to a bin by its row of *move*."""
    order = np.argsort(-move, axis=1, kind="stable")
    shares = np.take_along_axis(move, order, axis=1)
    left = bins.copy()
    after = np.zeros_like(bins)
    rest = np.ones(move.shape[0])
    size = move.shape[0]
    lines = np.arange(bins.shape[0])[:, np.newaxis] * size
    for step in range(size):
        # The likeliest way first: most rows have two or three, and then nothing is left to send.
        share = np.clip(shares[:, step] / np.maximum(rest, 1e-12), 0.0, 1.0)
        if step == size - 1:
            share = np.ones(size)
        gone = left if bool((share >= 1).all()) else rng.binomial(left, share)
        flat = np.bincount((lines + order[:, step]).ravel(), weights=gone.ravel(), minlength=after.size)
        after += flat.reshape(after.shape).astype(np.int64)
        left = left - gone
        rest -= shares[:, step]
        if not left.any():
            break
    return after


def _tops(
    table: HourTable, change: Change, left: Integers, rng: np.random.Generator
) -> tuple[Floats, Integers]:
    """Frequent values afterwards, as far as they are known: the one that the fault makes, and who stayed."""
    if change.top is None:
        return table.top_values, np.zeros_like(table.top_counts)
    value, share = change.top
    counts = np.zeros_like(table.top_counts)
    if change.kept is not None:
        with np.errstate(invalid="ignore"):
            inside = (table.top_values > change.kept[0]) & (table.top_values < change.kept[1])
        counts[inside] = table.top_counts[inside]
    values = table.top_values.copy()
    counts[values == value] = 0
    values[:, -1] = value
    made = rng.binomial(left, share).sum(axis=1)
    # An hour lists its eight most frequent values alone.
    least = table.top_counts[:, -1]
    counts[:, -1] = np.where((made > least) | (least == 0), made, 0)
    return values, counts


def changes_of(column: BaselineColumn, values: Floats) -> Mapping[str, Changes]:
    """What can be injected into the *column*, by name; *values* are its numbers, ascending, shape (n,)."""
    found: dict[str, Changes] = {"null_surge": lambda share: [Change(missing=share)]}
    if not isinstance(column.bins, NumericBins):
        if column.counts.sum():
            to = np.zeros(column.bins.size)
            to[int(column.counts.argmax())] = 1.0
            found["flood"] = lambda share: [Change(move=_flood(to, share))]
        if column.known_complete:
            found["unseen_category"] = lambda share: [Change(unseen=share)]
        return found
    if column.moments is None or not values.size or not values[0] < values[-1]:
        return found
    chosen = values[np.linspace(0, values.size - 1, min(_VALUES, values.size)).astype(np.intp)]
    deviation = float(np.std(values))
    moved = _Moves(column, chosen)
    found["shift"] = lambda strength: [
        moved(chosen + strength * deviation),
        moved(chosen - strength * deviation),
    ]
    found["scale"] = lambda factor: [moved(chosen * factor)]
    found["flood"] = lambda share: [moved.flood(0.0, share)]

    def clip(share: float) -> list[Change]:
        # The same values as `exporter.faults`: what is no change at all can not be found.
        high = float(values[min(round((1 - share) * (values.size - 1)), values.size - 1)])
        low = float(values[max(round(share * (values.size - 1)), 0)])
        clipped = []
        if high < values[-1]:
            clipped.append(moved(np.minimum(chosen, high), high, (-np.inf, high)))
        if low > values[0]:
            clipped.append(moved(np.maximum(chosen, low), low, (low, np.inf)))
        return clipped

    found["clipping"] = clip
    return found


def _flood(to: Floats, share: float) -> Floats:
    """The matrix that moves *share* of every bin to the bin that *to*, shape (K,), marks."""
    return np.asarray((1 - share) * np.eye(to.size) + share * to[np.newaxis])


class _Moves:
    """Changes of a numeric column by what becomes of its values."""

    def __init__(self, column: BaselineColumn, values: Floats) -> None:
        assert isinstance(column.bins, NumericBins)
        self._bins = column.bins
        self._far = column.far
        self._step = column.grid_step
        self._from = column.bins.index(values)
        self._values = values
        self._count = np.maximum(np.bincount(self._from, minlength=column.bins.size), 1)

    def _share(self, flags: Any) -> Floats:
        return np.asarray(np.bincount(self._from, weights=flags, minlength=self._bins.size) / self._count)

    def _outside(self, values: Floats) -> Floats | None:
        return None if self._far is None else self._share((values < self._far[0]) | (values > self._far[1]))

    def _on_grid(self, values: Floats) -> Floats | None:
        return None if self._step is None else self._share(multiples(values, self._step))

    def __call__(
        self, after: Floats, top: float | None = None, kept: tuple[float, float] | None = None
    ) -> Change:
        """The values become *after*; many of them *top*, while frequent values between *kept* stay."""
        size = self._bins.size
        move = np.zeros((size, size))
        np.add.at(move, (self._from, self._bins.index(after)), 1.0)
        empty = move.sum(axis=1) == 0
        move[empty] = np.eye(size)[empty]
        move /= move.sum(axis=1, keepdims=True)
        return Change(
            move=move,
            far=self._outside(after),
            grid=self._on_grid(after),
            top=None if top is None else (top, self._share(after == top)),
            kept=kept,
        )

    def flood(self, value: float, share: float) -> Change:
        """*share* of the entries become *value*."""
        to = np.zeros(self._bins.size)
        to[int(self._bins.index(np.array([value]))[0])] = 1.0
        far, grid = self._outside(self._values), self._on_grid(self._values)
        floods = np.array([value])
        if self._far is not None and far is not None:
            far = (1 - share) * far + share * float(not self._far[0] <= value <= self._far[1])
        if self._step is not None and grid is not None:
            grid = (1 - share) * grid + share * float(multiples(floods, self._step)[0])
        own = (1 - share) * self._share(self._values == value) + share
        # Of the other frequent values fewer are left; that they did not flood is all that is asked of them.
        return Change(move=_flood(to, share), far=far, grid=grid, top=(value, own))
