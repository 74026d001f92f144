from __future__ import annotations

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pytest

from exporter.baseline.timestamps import TimestampError, iso, wall_clock_seconds

NEW_YORK = ZoneInfo("America/New_York")
KOLKATA = ZoneInfo("Asia/Kolkata")


def read(values: pa.Array, zone: ZoneInfo = NEW_YORK) -> list[str | None]:
    return [None if np.isnan(second) else iso(second) for second in wall_clock_seconds(values, zone)]


@pytest.mark.parametrize(
    ("text", "wall_clock"),
    [
        ("2013-07-01T00:00:00", "2013-07-01T00:00:00"),
        ("2013-07-01 00:00", "2013-07-01T00:00:00"),
        ("2013-07-01", "2013-07-01T00:00:00"),
        (" 2013-07-01T05:15:00.250 ", "2013-07-01T05:15:00"),
        ("2013-07-01T04:00:00Z", "2013-07-01T00:00:00"),
        ("2013-01-01T05:00:00Z", "2013-01-01T00:00:00"),
        ("2013-07-01T06:00:00+02:00", "2013-07-01T00:00:00"),
        ("2013-07-01T00:00:00-0400", "2013-07-01T00:00:00"),
        ("1372651200", "2013-07-01T00:00:00"),
        ("1372651200.75", "2013-07-01T00:00:00"),
        ("1.3726512e9", "2013-07-01T00:00:00"),
        (None, None),
    ],
)
def test_a_text_is_read_as_the_wall_clock_shows_it(text: str | None, wall_clock: str | None) -> None:
    assert read(pa.array([text], pa.string())) == [wall_clock]
    assert read(pa.array([text], pa.string()).dictionary_encode()) == [wall_clock]


def test_texts_of_every_form_may_stand_in_one_column() -> None:
    column = pa.array(["2013-07-01", None, "2013-07-01T04:00:00Z", "1372651200"])
    assert read(column) == ["2013-07-01T00:00:00", None, "2013-07-01T00:00:00", "2013-07-01T00:00:00"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1372651200]),
        pa.array([1372651200.0]),
        pa.array([dt.datetime(2013, 7, 1, 4)], pa.timestamp("ns", "UTC")),
        pa.array([dt.datetime(2013, 7, 1)], pa.timestamp("s")),
        pa.array([dt.date(2013, 7, 1)], pa.date32()),
    ],
)
def test_a_typed_column_is_read_too(column: pa.Array) -> None:
    assert read(column) == ["2013-07-01T00:00:00"]


def test_zones_of_half_an_hour_have_their_own_hours() -> None:
    assert read(pa.array(["2013-07-01T00:00:00Z"]), KOLKATA) == ["2013-07-01T05:30:00"]


def test_the_hour_that_the_clocks_repeat_is_one_hour() -> None:
    column = pa.array(["2013-11-03T05:30:00Z", "2013-11-03T06:30:00Z"])
    assert read(column) == ["2013-11-03T01:30:00"] * 2


@pytest.mark.parametrize(
    ("values", "position", "found"),
    [
        (["2013-07-01", "01/07/2013"], 1, "'01/07/2013'"),
        (["soon"], 0, "'soon'"),
        (["2013-02-30"], 0, "'2013-02-30'"),
        ([None, "1372651200000"], 1, "1372651200000 (milliseconds?)"),
        ([1372651200, 1372651200000], 1, "1372651200000 (milliseconds?)"),
        (["20130701"], 0, "20130701 (a date without dashes?)"),
        ([True], 0, "a column of type bool"),
    ],
)
def test_what_is_no_time_is_refused_with_its_row(values: list[Any], position: int, found: str) -> None:
    with pytest.raises(TimestampError) as caught:
        wall_clock_seconds(pa.array(values), NEW_YORK)
    assert (caught.value.position, caught.value.found) == (position, found)


def test_nothing_has_no_times() -> None:
    assert read(pa.array([None, None])) == [None, None]
    assert read(pa.array([], pa.string())) == []
