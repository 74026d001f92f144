"""Reader: the rows of a file in order of their times, each column as the recorder would have got it.

The file is read twice: first its times alone, which tell how far it is out of order and what it covers; then
the columns that the baseline knows.

Promises: bounded memory: some blocks of 65,536 rows of a file in order; of one out of order up to `SORTED`
values. Rows without a time are left out and counted.
Refuses (`BacktestError`): a file of more than `SORTED` values that is out of order by more than an hour; rows
a year and more apart, of which one most likely has a wrong time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np

from exporter.backtest.ahead import ahead
from exporter.backtest.errors import BacktestError
from exporter.backtest.lines import utc
from exporter.backtest.values import Array, joined, numbers_written_out, read_values
from exporter.baseline.errors import BaselineError
from exporter.baseline.hours import position_of
from exporter.baseline.source import Batch, Source
from exporter.baseline.timestamps import TimestampError, unix_seconds
from exporter.schema import Kind
from exporter.window import SLOT_SECONDS

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"
Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

#: Values, rows × columns, that are sorted in memory: 1 GB of numbers, some more where there are texts.
SORTED: Final = 1 << 27
#: A larger file is put in order as it is read, when no row comes later than this after a younger one.
DISORDER_SECONDS: Final = 3600.0
#: Longest time without a single row.
LONGEST_GAP_DAYS: Final = 366


@dataclass(slots=True)
class Extent:
    """What a file's times tell, before any value of it is read."""

    rows: int = 0
    """Rows with a time."""
    timeless: int = 0
    """Rows without."""
    disorder: float = 0.0
    """Seconds by which a row comes after a younger one, at most."""
    oldest: float = np.inf
    newest: float = -np.inf
    slots: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    """Slots of five minutes with rows, ascending, shape (s,); slot i begins at 300 i."""
    counts: Integers = field(default_factory=lambda: np.empty(0, np.int64))
    """Rows in each, shape (s,)."""

    def add(self, times: Floats) -> None:
        """The times of more rows, Unix seconds in the order of the file, shape (n,), NaN where none."""
        present = times[~np.isnan(times)]
        self.timeless += times.size - present.size
        if not present.size:
            return
        self.rows += present.size
        self.oldest = min(self.oldest, float(present.min()))
        newest = np.maximum(np.maximum.accumulate(present), self.newest)
        self.disorder = max(self.disorder, float((newest - present).max()))
        self.newest = float(newest[-1])
        slots, counts = np.unique(slots_of(present), return_counts=True)
        self.slots, inverse = np.unique(np.concatenate((self.slots, slots)), return_inverse=True)
        weights = np.concatenate((self.counts, counts))
        self.counts = np.bincount(inverse, weights=weights, minlength=self.slots.size).astype(np.int64)

    def between(self, start: float, end: float) -> int:
        """Rows in the slots that begin in [start, end)."""
        first, stop = np.searchsorted(self.slots, (-(-start // SLOT_SECONDS), -(-end // SLOT_SECONDS)))
        return int(self.counts[first:stop].sum())


def slots_of(times: Floats) -> Integers:
    """The slot of five minutes in which each time lies, shape (n,)."""
    return np.floor(times / SLOT_SECONDS).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows in order of their times."""

    times: Floats
    """Unix seconds, ascending, shape (n,)."""
    columns: Mapping[str, Array]
    """As `values.read_values` has them."""
    fraction: float
    """How much of the file is read, 0 to 1."""

    def part(self, chosen: Any) -> Block:
        """Some of the rows, by a slice or by positions."""
        columns = {name: values[chosen] for name, values in self.columns.items()}
        return Block(self.times[chosen], columns, self.fraction)


class Reader:
    """One file, whose times are in the column *timestamp*, naive ones in *zone*.

    *kinds* are the columns to read. Raises `BaselineError` or `BacktestError`, as do the methods.
    """

    def __init__(self, source: Source, timestamp: str, zone: ZoneInfo, kinds: Mapping[str, Kind]) -> None:
        self._source = source
        self._file = str(source.path)
        self._timestamp = timestamp
        self._zone = zone
        self._kinds = kinds
        self._canonical: dict[str, bool | None] = dict.fromkeys(kinds, False if source.parquet else None)
        position_of(source, timestamp, "--timestamp")

    def extent(self) -> Extent:
        """Read the times alone."""
        extent = Extent()
        for batch in self._source.batches((self._timestamp,)):
            extent.add(self._times(batch))
        if not extent.rows:
            found = "missing entries only" if extent.timeless else "a header alone"
            raise BacktestError(self._file, self._timestamp, "an ISO 8601 time or Unix seconds", found)
        if extent.disorder > DISORDER_SECONDS and extent.rows * len(self._kinds) > SORTED:
            limit = f"{SORTED // max(len(self._kinds), 1):,} rows"
            expected = f"rows in order of time within an hour, in a file of more than {limit}"
            found = f"one {extent.disorder / 3600:,.1f} hours late"
            raise BacktestError(self._file, self._timestamp, expected, found)
        gaps = np.diff(extent.slots)
        if gaps.size and gaps.max() * SLOT_SECONDS > LONGEST_GAP_DAYS * 86_400:
            at = int(gaps.argmax())
            sides = [utc(float(slot) * SLOT_SECONDS) for slot in extent.slots[at : at + 2]]
            expected = f"rows without a gap of more than {LONGEST_GAP_DAYS} days"
            raise BacktestError(self._file, self._timestamp, expected, f"none from {sides[0]} to {sides[1]}")
        return extent

    def blocks(self, extent: Extent) -> Iterator[Block]:
        """All rows with a time, in order; *extent* is what `extent` found."""
        read = ahead(self._read())
        if extent.disorder == 0:
            yield from read
        elif extent.rows * len(self._kinds) <= SORTED:
            blocks = list(read)
            if blocks:
                yield _sorted(blocks)
        else:
            yield from _nearly_sorted(read)

    def _read(self) -> Iterator[Block]:
        """Blocks as they stand in the file, rows without a time left out."""
        names = [name for name in self._kinds if name != self._timestamp]
        for batch in self._source.batches((self._timestamp, *names)):
            times = self._times(batch)
            columns = {
                name: self._values(name, batch.columns[at])
                for name, at in zip(names, range(1, len(names) + 1), strict=True)
            }
            if self._timestamp in self._kinds:
                columns[self._timestamp] = self._values(self._timestamp, batch.columns[0])
            block = Block(times, columns, batch.fraction)
            present = ~np.isnan(times)
            yield block if present.all() else block.part(present)

    def _values(self, name: str, array: Any) -> Array:
        canonical = self._canonical[name]
        if canonical is None and self._kinds[name] in ("categorical", "boolean"):
            canonical = self._canonical[name] = numbers_written_out(array)
        return read_values(array, self._kinds[name], bool(canonical))

    def _times(self, batch: Batch) -> Floats:
        try:
            return unix_seconds(batch.columns[0], self._zone)
        except TimestampError as error:
            key = f"{self._timestamp}, row {batch.first_row + error.position + 1}"
            raise BaselineError(self._file, key, error.expected, error.found) from None


def _sorted(blocks: Sequence[Block]) -> Block:
    """All rows of *blocks*, in order of their times; those of one time as they stood."""
    times = np.concatenate([block.times for block in blocks])
    names = blocks[0].columns
    columns = {name: joined([block.columns[name] for block in blocks]) for name in names}
    block = Block(times, columns, blocks[-1].fraction)
    return block if np.all(times[1:] >= times[:-1]) else block.part(np.argsort(times, kind="stable"))


def _nearly_sorted(blocks: Iterator[Block]) -> Iterator[Block]:
    """*blocks* in order, when no row comes more than `DISORDER_SECONDS` after a younger one."""
    held: list[Block] = []
    newest = -np.inf
    for block in blocks:
        if not block.times.size:
            continue
        held.append(block)
        newest = max(newest, float(block.times.max()))
        oldest = min(float(part.times.min()) for part in held)
        if newest - oldest <= 2 * DISORDER_SECONDS:
            continue  # joining all that is held at each block would take the square of it
        whole = _sorted(held)
        ready = int(np.searchsorted(whole.times, newest - DISORDER_SECONDS))
        yield whole.part(slice(0, ready))
        held = [whole.part(slice(ready, None))]
    if held:
        yield _sorted(held)
