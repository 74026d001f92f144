"""Times of rows: ISO 8601 texts, timestamp columns and Unix seconds, as wall clock or as Unix seconds.

*Wall clock seconds* here are seconds since 1970-01-01T00:00 as a clock on the wall of the configured time
zone shows them: hours and days of that zone are then plain divisions by 3,600 and 86,400, in zones of half an
hour too. The hour that a change from summer time repeats is one hour of double length, which calibration
bears.

Promises: a naive time is read in the configured time zone, one with an offset is converted to it.
Refuses: anything else, naming the row (`TimestampError`); needs pyarrow (building only).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, TypeAlias
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

Floats: TypeAlias = "np.ndarray[Any, np.dtype[np.float64]]"

#: Unix seconds from 1e11 on lie after the year 5138: they are milliseconds, and are refused rather than
#: guessed.
_LATEST: Final = 1e11
#: Zone offsets in use are whole quarters of an hour, so one look-up per quarter finds every change.
_QUARTER: Final = 900
#: And whole numbers in this range are dates without dashes, not seconds of late summer 1970.
_COMPACT_DATES: Final = (1900_01_01, 2100_12_31)
_OFFSET = r"(?i)(z|[+-]\d{2}:?\d{2}|[+-]\d{2})$"
_DATE_ONLY = r"^\s*\d{4}-\d{2}-\d{2}\s*$"
_NUMBER = r"^\s*-?\d+(\.\d*)?([eE]\+?\d+)?\s*$"


class TimestampError(ValueError):
    """An entry that is no time: its position in the batch, what was expected and what was found."""

    def __init__(self, position: int, found: str, expected: str = "an ISO 8601 time or Unix seconds") -> None:
        self.position = position
        self.expected = expected
        self.found = found
        super().__init__(f"row {position}: expected {expected}, found {found}")


def wall_clock_seconds(array: pa.Array, zone: ZoneInfo) -> Floats:
    """The times in *array* as wall clock seconds of *zone*, float64, shape (n,); NaN where null.

    Raises `TimestampError`.

    >>> times = pa.array(["2013-01-01T05:00:00Z", "2013-01-01 00:00"])
    >>> wall_clock_seconds(times, ZoneInfo("America/New_York"))
    array([1.3569984e+09, 1.3569984e+09])
    """
    kind = array.type
    if pa.types.is_null(kind):
        return np.full(len(array), np.nan)
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        stamps = array.cast(pa.timestamp("us", getattr(kind, "tz", None)), safe=False)
        seconds = _micros(stamps)
        return seconds if getattr(kind, "tz", None) is None else _local(seconds, zone)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _unix(_float64(array), zone)
    if pa.types.is_dictionary(kind):
        array = array.dictionary_decode()
        kind = array.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _texts(array, zone)
    raise TimestampError(0, f"a column of type {kind}")


def unix_seconds(array: pa.Array, zone: ZoneInfo) -> Floats:
    """The times in *array* as Unix seconds, float64, shape (n,); NaN where null. Naive ones are of *zone*.

    A naive time that the clocks showed twice is the first of the two; one that they left out is read as if
    they had not yet changed. Raises `TimestampError`.

    >>> times = pa.array(["2013-01-01T05:00:00Z", "2013-01-01 00:00", "1357016400"])
    >>> unix_seconds(times, ZoneInfo("America/New_York"))
    array([1.3570164e+09, 1.3570164e+09, 1.3570164e+09])
    """
    seconds = wall_clock_seconds(array, ZoneInfo("UTC"))
    naive = _naive(array) & ~np.isnan(seconds)
    if naive.any():
        quarters, inverse = np.unique(np.floor(seconds[naive] / _QUARTER), return_inverse=True)
        offsets = [_offset_shown(quarter * _QUARTER, zone) for quarter in quarters.tolist()]
        seconds[naive] -= np.array(offsets, dtype=np.float64)[inverse]
    return seconds


def _naive(array: pa.Array) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """Which times in *array*, all of them readable, are without a zone, shape (n,)."""
    kind = array.type
    if pa.types.is_dictionary(kind):
        array, kind = array.dictionary_decode(), kind.value_type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return np.full(len(array), getattr(kind, "tz", None) is None)
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return np.zeros(len(array), dtype=bool)
    numbers, zoned = _forms(array)
    naive: np.ndarray[Any, np.dtype[np.bool_]] = ~numbers & ~zoned
    return naive


def iso(wall_clock: float) -> str:
    """A wall clock time for people and for the file.

    >>> iso(1356998400)
    '2013-01-01T00:00:00'
    """
    return datetime.fromtimestamp(wall_clock, UTC).replace(tzinfo=None).isoformat(timespec="seconds")


def _texts(array: pa.Array, zone: ZoneInfo) -> Floats:
    seconds = np.full(len(array), np.nan)
    present = np.asarray(pc.is_valid(array))
    numbers, zoned = _forms(array)
    for chosen, timezone in ((zoned, "UTC"), (present & ~zoned & ~numbers, None)):
        if chosen.any():
            part = pc.utf8_trim_whitespace(array.filter(pa.array(chosen)))
            found = _micros(_cast(part, timezone, np.flatnonzero(chosen)))
            seconds[chosen] = found if timezone is None else _local(found, zone)
    if numbers.any():
        part = pc.utf8_trim_whitespace(array.filter(pa.array(numbers)))
        seconds[numbers] = _unix(_float64(part.cast(pa.float64())), zone, np.flatnonzero(numbers))
    return seconds


def _forms(array: pa.Array) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Which texts are numbers, and which are times with a zone; both shape (n,)."""
    numbers = np.asarray(pc.fill_null(pc.match_substring_regex(array, _NUMBER), False))
    zoned = np.asarray(pc.fill_null(pc.match_substring_regex(array, _OFFSET), False)) & ~numbers
    # The offset pattern also fits the end of a bare date, 2013-01-01.
    zoned &= ~np.asarray(pc.fill_null(pc.match_substring_regex(array, _DATE_ONLY), False))
    return numbers, zoned


def _cast(texts: pa.Array, timezone: str | None, positions: np.ndarray[Any, Any]) -> pa.Array:
    kind = pa.timestamp("us", timezone)
    try:
        return texts.cast(kind)
    except pa.ArrowInvalid:
        for position, text in zip(positions.tolist(), texts, strict=True):
            try:
                pa.array([text.as_py()]).cast(kind)
            except pa.ArrowInvalid:
                raise TimestampError(position, repr(text.as_py())) from None
        raise


def _micros(stamps: pa.Array) -> Floats:
    micros = np.asarray(pc.fill_null(stamps.cast(pa.int64()), 0), dtype=np.float64) / 1e6
    micros[~np.asarray(pc.is_valid(stamps))] = np.nan
    return micros


def _float64(array: pa.Array) -> Floats:
    return np.array(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64)


def _unix(seconds: Floats, zone: ZoneInfo, positions: np.ndarray[Any, Any] | None = None) -> Floats:
    with np.errstate(invalid="ignore"):
        late = np.isinf(seconds) | (np.abs(seconds) >= _LATEST)
        compact = (seconds >= _COMPACT_DATES[0]) & (seconds <= _COMPACT_DATES[1])
    for strange, guess in ((late, "milliseconds"), (compact, "a date without dashes")):
        if strange.any():
            at = int(np.argmax(strange))
            position = at if positions is None else int(positions[at])
            raise TimestampError(position, f"{seconds[at]:.0f} ({guess}?)", "Unix seconds")
    return _local(seconds, zone)


def _local(seconds: Floats, zone: ZoneInfo) -> Floats:
    """UTC seconds as wall clock seconds of *zone*."""
    present = ~np.isnan(seconds)
    quarters, inverse = np.unique(np.floor(seconds[present] / _QUARTER), return_inverse=True)
    offsets = [_offset(quarter * _QUARTER, zone) for quarter in quarters.tolist()]
    local = seconds.copy()
    local[present] += np.array(offsets, dtype=np.float64)[inverse] if offsets else 0.0
    return local


def _offset(seconds: float, zone: ZoneInfo) -> float:
    offset = datetime.fromtimestamp(seconds, zone).utcoffset()
    return offset.total_seconds() if offset is not None else 0.0


def _offset_shown(wall_clock: float, zone: ZoneInfo) -> float:
    """The offset at which *zone*'s clocks first showed *wall_clock* seconds."""
    offset = datetime.fromtimestamp(wall_clock, UTC).replace(tzinfo=zone).utcoffset()
    return offset.total_seconds() if offset is not None else 0.0
