"""Hours: at which wall clock hour each row of a file lies."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np

from exporter.baseline.errors import BaselineError
from exporter.baseline.source import Batch, Source
from exporter.baseline.timestamps import Floats, TimestampError, iso, wall_clock_seconds

Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"

#: The hour of a row whose time is missing: below every real one.
NO_HOUR: Final = -(1 << 62)
#: Four bytes each, 268 MB: two years of hours for 170 columns of 20 bins.
CELLS: Final = 1 << 26


class Hours:
    """The hours of a file's rows, found in the first reading by `note` and looked up in the second."""

    def __init__(self, source: Source, timestamp: str | None, zone: ZoneInfo) -> None:
        """Raises `BaselineError` when there is no column *timestamp*."""
        self._file = str(source.path)
        self._name = timestamp
        self._zone = zone
        self._position = None if timestamp is None else position_of(source, timestamp, "--timestamp")
        self._seen: set[int] = set()
        self.missing = 0
        """Rows without a time."""
        self._first = np.inf
        self._last = -np.inf
        self._counted: Integers = np.empty(0, dtype=np.int64)

    @property
    def extent(self) -> tuple[str | None, str | None]:
        """First and last time of the file, ISO 8601; None without timestamps."""
        return (iso(self._first), iso(self._last)) if self._seen else (None, None)

    def note(self, batch: Batch) -> Integers | None:
        """Remembers the hour of each row: `NO_HOUR` where missing, shape (rows,); None without timestamps."""
        seconds = self._seconds(batch)
        if seconds is None:
            return None
        present = seconds[~np.isnan(seconds)]
        self.missing += seconds.size - present.size
        if present.size:
            self._first = min(self._first, float(present.min()))
            self._last = max(self._last, float(present.max()))
        hours = _floored(seconds)
        self._seen.update(np.unique(hours).tolist())
        return hours

    def of(self, batch: Batch) -> Integers | None:
        """What `note` gave of *batch*, in a later reading."""
        seconds = self._seconds(batch)
        return None if seconds is None else _floored(seconds)

    def counted(self, cells_per_hour: int, warnings: list[str]) -> Integers:
        """The hours to count by, ascending, shape (hours,): all, or the latest that fit in `CELLS`.

        Raises `BaselineError` when not a single row has a time.
        """
        hours = np.array(sorted(self._seen - {NO_HOUR}), dtype=np.int64)
        if self._name is not None and not hours.size:
            raise BaselineError(
                self._file, self._name, "an ISO 8601 time or Unix seconds", "missing entries only"
            )
        if self.missing:
            warnings.append(f"{self._name}: {self.missing:,} rows have no time and calibrate nothing")
        fit = max(1, CELLS // max(cells_per_hour, 1))
        if hours.size > fit:
            since = iso(float(hours[-fit]) * 3_600)
            warnings.append(
                f"{self._name}: {hours.size:,} hours are more than fit; those since {since} calibrate"
            )
        self._counted = hours[-fit:]
        return self._counted

    def count_by(self, hours: Integers) -> None:
        """Count by *hours* alone, some of those of `counted`."""
        self._counted = hours

    def positions(self, batch: Batch) -> Integers | None:
        """Where in the counted hours each row lies, -1 for none, shape (rows,); None without timestamps."""
        seconds = self._seconds(batch)
        if seconds is None:
            return None
        hours = _floored(seconds)
        if not self._counted.size:
            return np.full(hours.size, -1, dtype=np.int64)
        positions = np.searchsorted(self._counted, hours).astype(np.int64)
        positions[positions == self._counted.size] = 0
        positions[self._counted[positions] != hours] = -1
        return positions

    def _seconds(self, batch: Batch) -> Floats | None:
        if self._position is None:
            return None
        try:
            return wall_clock_seconds(batch.columns[self._position], self._zone)
        except TimestampError as error:
            row = batch.first_row + error.position + 1
            raise BaselineError(self._file, f"{self._name}, row {row}", error.expected, error.found) from None


def _floored(seconds: Floats) -> Integers:
    hours = np.full(seconds.shape, NO_HOUR, dtype=np.int64)
    present = ~np.isnan(seconds)
    hours[present] = np.floor(seconds[present] / 3_600).astype(np.int64)
    return hours


def position_of(source: Source, name: str, option: str) -> int:
    """Which column of *source* is called *name*; raises `BaselineError` that suggests another."""
    if name in source.names:
        return source.names.index(name)
    nearest: Sequence[str] = difflib.get_close_matches(name, source.names, n=1)
    expected = f"{nearest[0]!r}" if nearest else "one of " + ", ".join(source.names[:20])
    raise BaselineError(str(source.path), option, expected, f"{name!r}, which is no column")
