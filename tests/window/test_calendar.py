"""Calendar: hours and days of the clock on the wall, and outages, in zones of every kind."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.hourly import HourTable
from exporter.tumbling import containing
from exporter.window import Calendar

ZONES = (
    "UTC",
    "America/New_York",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "America/Sao_Paulo",
)
TIMES = st.integers(1_300_000_000, 1_900_000_000)


@settings(max_examples=200, deadline=None)
@given(time=TIMES, name=st.sampled_from(ZONES))
def test_hours_and_days_are_those_of_the_tumbling_windows(time: int, name: str) -> None:
    zone = ZoneInfo(name)
    calendar = Calendar(zone, time)
    hour = calendar.hour(time)
    start = calendar.hour_start(hour)
    assert (start, start + 3600) == containing("1h", time, zone)
    assert calendar.day_bounds(calendar.day(hour)) == containing("1d", time, zone)
    shown = datetime.fromtimestamp(start, zone)
    assert date.fromordinal(calendar.day(hour)) == shown.date()
    assert calendar.cells(np.array([hour])).tolist() == [shown.hour + 24 * (shown.weekday() >= 5)]


@settings(max_examples=200, deadline=None)
@given(time=TIMES, name=st.sampled_from([zone for zone in ZONES if zone != "Australia/Lord_Howe"]))
def test_hours_begin_when_the_clock_on_the_wall_says_so(time: int, name: str) -> None:
    calendar = Calendar(ZoneInfo(name), time)
    shown = datetime.fromtimestamp(calendar.hour_start(calendar.hour(time)), calendar.zone)
    assert (shown.minute, shown.second) == (0, 0)


def test_where_summer_time_is_half_an_hour_hours_stay_those_of_standard_time() -> None:
    zone = ZoneInfo("Australia/Lord_Howe")
    summer, winter = datetime(2026, 1, 1, 12, tzinfo=zone), datetime(2026, 7, 1, 12, tzinfo=zone)
    assert {Calendar(zone, moment.timestamp()).phase for moment in (summer, winter)} == {1800}
    start, end = containing("1d", summer.timestamp(), zone)
    assert [datetime.fromtimestamp(time, zone).strftime("%d %H:%M") for time in (start, end)] == [
        "01 00:30", "02 00:30"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("day", "hours", "cells"),
    [
        ("2026-03-29", 23, [24, 25, 27]),  # 02:00 is skipped
        ("2026-10-25", 25, [24, 25, 26, 26, 27]),  # 02:00 comes twice
        ("2026-10-26", 24, [0, 1, 2]),  # a Monday
    ],
)
def test_days_of_23_24_and_25_hours(day: str, hours: int, cells: list[int]) -> None:
    calendar = Calendar(ZoneInfo("Europe/Berlin"))
    start, end = calendar.day_bounds(date.fromisoformat(day).toordinal())
    assert (end - start) / 3600 == hours
    numbers = np.arange(calendar.hour(start), calendar.hour(end))
    assert calendar.cells(numbers)[: len(cells)].tolist() == cells


@settings(max_examples=100, deadline=None)
@given(time=TIMES, days=st.integers(0, 8), name=st.sampled_from(ZONES))
def test_days_before_is_the_same_time_on_the_wall(time: int, days: int, name: str) -> None:
    zone = ZoneInfo(name)
    then = Calendar(zone).days_before(time + 0.25, days)
    wanted = datetime.fromtimestamp(time, zone).replace(tzinfo=None) - timedelta(days=days)
    assert then % 1 == 0.25
    if then == wanted.replace(tzinfo=zone).timestamp() + 0.25 and days:
        found = datetime.fromtimestamp(then - 0.25, zone).replace(tzinfo=None)
        # A time that the clocks skipped is told by the hour after it.
        assert abs(found - wanted) in (
            timedelta(0),
            timedelta(hours=1),
            timedelta(minutes=30),
            timedelta(days=1),
        )


def table_of(hours: list[int]) -> HourTable:
    none = HourTable.empty(1)
    size = len(hours)
    columns = {
        name: np.zeros((size, *getattr(none, name).shape[1:]), getattr(none, name).dtype)
        for name in HourTable.__slots__
    }
    columns["hours"] = np.array(hours)
    columns["rows"] = np.arange(size) + 1
    return HourTable(**columns)


def test_hours_of_a_file_become_those_of_the_calendar() -> None:
    calendar = Calendar(ZoneInfo("Asia/Kathmandu"))
    wall = int(datetime(2026, 1, 5, 10).timestamp() - datetime(1970, 1, 1).timestamp()) // 3600
    found = calendar.from_wall(table_of([wall, wall + 1, wall + 24]))
    assert [
        datetime.fromtimestamp(calendar.hour_start(hour), calendar.zone).strftime("%d %H:%M")
        for hour in found.hours.tolist()
    ] == ["05 10:00", "05 11:00", "06 10:00"]


def test_an_hour_that_summer_time_skipped_is_left_out() -> None:
    calendar = Calendar(ZoneInfo("Europe/Berlin"))
    midnight = (date(2026, 3, 29) - date(1970, 1, 1)).days * 24
    found = calendar.from_wall(table_of([midnight + hour for hour in range(5)]))
    assert np.diff(found.hours).tolist() == [1, 1, 1]
    assert found.rows.tolist() == [1, 2, 3, 5]  # 02:00 and 03:00 there are one


@given(
    outages=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=8),
    window=st.tuples(st.integers(0, 100), st.integers(0, 100)),
)
def test_what_was_missed_is_the_seconds_of_any_outage(
    outages: list[tuple[int, int]], window: tuple[int, int]
) -> None:
    calendar = Calendar()
    start, end = min(window), max(window)
    for outage in outages:
        calendar.note_outage(*outage)
    missed = {second for a, b in outages for second in range(a, b)} & set(range(start, end))
    assert calendar.missed(start, end) == len(missed)
    assert calendar.whole(start, end) == (len(missed) <= 0.05 * (end - start))


def test_outages_and_hours_are_remembered_in_bounded_memory() -> None:
    calendar = Calendar()
    for n in range(10_000):
        calendar.note_outage(2.0 * n, 2.0 * n + 1)
        calendar.day(n)
    assert len(calendar.outages) == 32
    assert calendar.outages[-1] == (19_998.0, 19_999.0)
    assert len(calendar._known) <= 512
