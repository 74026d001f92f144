"""Tumbling windows follow each other without gap or overlap, and each is told once."""

from __future__ import annotations

from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.tumbling import HOUR, SET_BACK, WINDOWS, Schedule, containing

ZONES = [
    "UTC",
    "America/New_York",
    "Asia/Kolkata",
    "Australia/Lord_Howe",
    "America/Sao_Paulo",
    "Pacific/Apia",
]
YEARS = st.floats(1.3e9, 1.9e9, allow_nan=False)


@settings(max_examples=300)
@given(st.sampled_from(WINDOWS), YEARS, st.sampled_from(ZONES))
def test_every_moment_is_in_one_window_and_the_next_begins_where_it_ends(
    window: str, time: float, zone: str
) -> None:
    start, end = containing(window, time, ZoneInfo(zone))
    assert start <= time < end
    assert containing(window, end, ZoneInfo(zone))[0] == end
    assert containing(window, start, ZoneInfo(zone)) == (start, end)


@settings(max_examples=100)
@given(
    st.sampled_from(WINDOWS), YEARS, st.lists(st.floats(-5000, 90_000), max_size=40), st.sampled_from(ZONES)
)
def test_windows_are_told_once_each_in_order_unless_the_clock_goes_back_by_more_than_an_hour(
    window: str, start: float, steps: list[float], zone: str
) -> None:
    schedule = Schedule(window, ZoneInfo(zone), 60.0, start)
    now, told = start, []
    for step in steps:
        now = max(now + step, schedule.state() - SET_BACK)
        for begin, end in schedule.complete(now):
            assert end + 60.0 <= now
            told.append((begin, end))
    assert told == sorted(set(told))
    assert all(a[1] == b[0] for a, b in pairwise(told))


def test_a_leap_of_years_tells_the_last_windows_only() -> None:
    schedule = Schedule("1h", ZoneInfo("UTC"), 0.0, 0.0, catch_up=3)
    now = 1_000_000 * HOUR
    assert schedule.complete(now) == [(now - (3 - k) * HOUR, now - (2 - k) * HOUR) for k in range(3)]
    assert schedule.complete(now + HOUR) == [(now, now + HOUR)]


@pytest.mark.parametrize("window", WINDOWS)
def test_a_clock_that_was_a_year_ahead_and_is_put_right_silences_nothing(window: str) -> None:
    day, now = 24 * HOUR, 500 * 24 * HOUR
    schedule = Schedule(window, ZoneInfo("UTC"), 60.0, now)
    schedule.complete(now + 365 * day)
    assert schedule.complete(now + 0.25 * HOUR) == []
    start, end = containing(window, now, ZoneInfo("UTC"))
    assert schedule.complete(end + 60.0) == [(start, end)]


@pytest.mark.parametrize(("day", "hours"), [("2013-03-10", 23), ("2013-11-03", 25), ("2013-11-04", 24)])
def test_a_day_on_which_the_clocks_change_has_its_hours(day: str, hours: int) -> None:
    from datetime import datetime

    noon = datetime.fromisoformat(f"{day}T12:00:00-05:00").timestamp()
    start, end = containing("1d", noon, ZoneInfo("America/New_York"))
    assert (end - start) / HOUR == hours
