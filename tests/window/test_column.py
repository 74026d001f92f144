"""ColumnWindows: which rows a window holds: boundaries, gaps, late rows, clock steps, summer time, memory."""

from __future__ import annotations

import math
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import exporter.window.slots as slots_module
from exporter.profile import COUNTERS, ColumnProfile, Layout
from exporter.sketch import CategoryBins, NumericBins
from exporter.window import HOUR_SECONDS, SLOT_SECONDS, SLOTS, ColumnWindows, WindowState

BINS = NumericBins(np.array([10.0, 20.0]))
LAYOUT = Layout("numeric", BINS)
MIDNIGHT = 1_767_225_600  # 2026-01-01 00:00 UTC
ONE_PM = MIDNIGHT + 13 * HOUR_SECONDS
TWO_PM = MIDNIGHT + 14 * HOUR_SECONDS


def windows_of(*events: tuple[float, Any], layout: Layout = LAYOUT) -> ColumnWindows:
    windows = ColumnWindows(layout)
    for time, values in events:
        windows.add(time, values)
    return windows


def check(state: WindowState, values: list[Any]) -> None:
    """That *state* is what one profile of *values* would be."""
    whole = ColumnProfile("numeric", BINS)
    whole.update(values)
    assert state.tally.counts.tolist() == whole.tally.counts.tolist()
    assert state.rows == whole.rows
    assert state.missing == whole.missing
    assert state.moments is not None
    assert whole.moments is not None
    assert state.moments.count == whole.moments.count
    assert state.moments.mean == pytest.approx(whole.moments.mean, abs=1e-9)
    assert state.moments.m2 == pytest.approx(whole.moments.m2, abs=1e-6)
    assert (state.moments.minimum, state.moments.maximum) == (whole.moments.minimum, whole.moments.maximum)
    assert state.mean == (None if not whole.moments.count else pytest.approx(whole.moments.mean, abs=1e-9))
    assert state.complete
    if state.sketches is not None:
        assert state.quantiles is not None
        assert state.distinct is not None
        assert state.frequent is not None
        assert state.quantiles.count == whole.moments.count
        assert state.distinct.to_bytes() == whole.distinct.to_bytes()
        assert state.frequent.total == whole.frequent.total
        if whole.distinct.estimate() <= 64:
            assert state.frequent.top() == whole.frequent.top()


def test_the_sliding_hour_is_every_slot_that_begins_after_an_hour_ago() -> None:
    events = [(TWO_PM + 300 * n + 1, [float(n)]) for n in range(-20, 10)]
    windows = windows_of(*events)
    for now in (TWO_PM + 2100.0, TWO_PM + 2250.5, TWO_PM + 2399.999):
        state = windows.window(now)
        # 14:35 belongs to the slot 14:35, and 13:35 is not after 13:35: the first one is 13:40.
        check(state, [float(n) for n in range(-4, 8)])
        assert (state.start, state.end) == (TWO_PM - 1200, TWO_PM + 2400)
        assert all(state.start <= time < state.end for time, (v,) in events if -4 <= v < 8)
        assert state.start > now - 3600
    check(windows.window(TWO_PM + 2400.0), [float(n) for n in range(-3, 9)])


def test_a_sliding_window_may_have_another_length() -> None:
    windows = windows_of(*((MIDNIGHT + 300 * n, [float(n)]) for n in range(SLOTS)))
    now = MIDNIGHT + 300 * SLOTS - 1
    check(windows.window(now, 300), [float(SLOTS - 1)])
    day = windows.window(now, 86_400)
    check(day, [float(n) for n in range(SLOTS - 288, SLOTS)])
    assert (day.sketches, day.quantiles, day.distinct, day.frequent) == (None, None, None, None)


def test_the_hour_just_ended_is_whole_when_the_next_has_begun() -> None:
    values = [float(n) for n in range(30)]
    windows = windows_of(
        *((ONE_PM + 120 * n, [values[n]]) for n in range(30)), (TWO_PM, [99.0]), (ONE_PM - 1, [-1.0])
    )
    state = windows.tumbling(ONE_PM, TWO_PM)
    check(state, values)
    assert state.sketches is not None
    check(windows.tumbling(TWO_PM, TWO_PM + 3600), [99.0])
    check(windows.tumbling(TWO_PM, TWO_PM), [])


def test_rows_at_the_boundaries_go_to_the_slot_they_begin() -> None:
    windows = windows_of((ONE_PM, [1.0]), (math.nextafter(TWO_PM, 0.0), [2.0]), (TWO_PM, [3.0]))
    check(windows.tumbling(ONE_PM, TWO_PM), [1.0, 2.0])
    assert windows.series(ONE_PM, TWO_PM + 300)[[0, 11, 12], 0].tolist() == [1, 1, 1]


times = st.integers(0, 12 * 3600 - 1)
values = st.lists(st.one_of(st.none(), st.floats(-50, 50), st.just(math.inf), st.just("x")), max_size=4)


@settings(max_examples=60, deadline=None)
@given(
    events=st.lists(st.tuples(times, values), max_size=40),
    cut=st.tuples(st.integers(0, 144), st.integers(0, 144)),
)
def test_any_window_is_the_rows_of_its_time_in_whatever_order_they_came(
    events: list[tuple[int, list[Any]]], cut: tuple[int, int]
) -> None:
    windows = windows_of(*((MIDNIGHT + time, row) for time, row in events))
    start, end = sorted(cut)
    inside = [v for time, row in events for v in row if start * 300 <= time < end * 300]
    check(windows.tumbling(MIDNIGHT + start * 300, MIDNIGHT + end * 300), inside)
    assert windows.total.rows == sum(len(row) for _, row in events)
    assert windows.late == 0
    series = windows.series(MIDNIGHT + start * 300, MIDNIGHT + end * 300)
    assert series.shape == (end - start, 3)
    assert series.dtype == np.int64
    for slot in range(start, end):
        rows = [v for time, row in events for v in row if time // 300 == slot and isinstance(v, float)]
        assert series[slot - start].tolist() == BINS.count(np.array(rows)).tolist()
    hours = windows.hours.table(MIDNIGHT, MIDNIGHT + 12 * 3600)
    for hour in range(12):
        rows = [v for time, row in events for v in row if time // 3600 == hour]
        assert hours[hour, : len(COUNTERS)].tolist() == [
            len(rows), rows.count(None), rows.count("x"), 0, 0, 0, rows.count(math.inf), 0
        ]  # fmt: skip
        assert hours[hour, len(COUNTERS) :].sum() == len(rows) - rows.count(None) - rows.count("x")


def test_a_gap_is_nothing_and_old_slots_fall_off_whole() -> None:
    windows = windows_of((MIDNIGHT, [1.0]), (MIDNIGHT + 7 * 86_400, [2.0]))
    now = MIDNIGHT + 7 * 86_400
    check(windows.window(now), [2.0])
    check(windows.window(now, 86_400), [2.0])
    assert windows.series(now - 3600, now + 300)[:, 0].tolist() == [0] * 12 + [1]
    assert windows.hours.series(MIDNIGHT, now + 3600).sum(axis=0).tolist() == [2, 0, 0]
    assert windows.total.rows == 2
    check(windows.window(now + 40 * 86_400), [])


def test_late_rows_go_to_their_slot_while_it_is_held_and_are_counted_afterwards() -> None:
    now = MIDNIGHT + 26 * HOUR_SECONDS
    windows = windows_of(*((time, [0.0]) for time in range(MIDNIGHT, now + 1, 300)))
    assert windows.window(now).sketches is not None
    windows.add(now - 600, [15.0])  # ten minutes late: its slot has sketches
    check(windows.window(now), [0.0] * 12 + [15.0])
    windows.add(now - 7200, [25.0])  # two hours late: counts only, and no window has sketches without it
    hour = windows.tumbling(now - 7200, now - 3600)
    assert hour.bin_counts is not None
    assert hour.bin_counts.tolist() == [12, 0, 1]
    assert hour.complete
    assert hour.sketches is None
    assert windows.late == 0
    windows.add(MIDNIGHT, [1.0, 2.0])  # 26 hours late: its slot has made room for the current one
    assert windows.late == 2
    assert windows.total.rows == SLOTS + 1 + 2 + 2
    assert not windows.tumbling(MIDNIGHT, MIDNIGHT + 3600).complete
    assert windows.tumbling(MIDNIGHT + 300, MIDNIGHT + 3600).complete


def test_a_day_of_25_hours_is_whole_for_an_hour() -> None:
    zone = ZoneInfo("Europe/Berlin")
    start = int(datetime(2026, 10, 25, tzinfo=zone).timestamp())
    end = int(datetime(2026, 10, 26, tzinfo=zone).timestamp())
    assert end - start == 25 * HOUR_SECONDS
    windows = windows_of(*((time, [1.0]) for time in range(start, end + 3600, 300)))
    day = windows.tumbling(start, end)
    assert (day.rows, day.complete) == (300, True)
    windows.add(end + 3600, [1.0])
    assert not windows.tumbling(start, end).complete


def test_a_clock_set_back_adds_to_the_slots_of_then() -> None:
    windows = windows_of((TWO_PM, [1.0]), (ONE_PM, [2.0]), (ONE_PM + 10, [3.0]))
    assert windows.total.rows == 3
    check(windows.window(ONE_PM + 20), [2.0, 3.0])  # read by that clock, 14:00 has not been
    check(windows.window(TWO_PM), [])  # 13:00 is not after 13:00, and what was at 14:00 is forgotten
    check(windows.window(TWO_PM - 1), [2.0, 3.0])
    windows.add(TWO_PM + 5, [4.0])
    check(windows.window(TWO_PM + 5), [4.0])
    assert windows.total.rows == 4
    assert windows.late == 0


def test_a_clock_trimmed_by_moments_loses_nothing() -> None:
    windows = windows_of((TWO_PM + 0.01, [1.0]))
    check(windows.window(TWO_PM - 0.01), [])
    check(windows.window(TWO_PM + 0.02), [1.0])


def test_a_clock_that_leapt_ten_years_and_came_back_is_forgiven() -> None:
    leap = TWO_PM + 10 * 365 * 86_400
    windows = windows_of((TWO_PM, [1.0]), (leap, [2.0]), (leap + 86_400, [3.0]), (TWO_PM + 301, [4.0]))
    state = windows.window(TWO_PM + 302)
    assert state.bin_counts is not None
    assert state.bin_counts.tolist() == [2, 0, 0]  # 1.0 and 4.0
    assert state.sketches is None  # those of 14:00 were dropped
    assert windows.late == 0
    for n in range(2, 15):
        windows.add(TWO_PM + 300 * n, [float(n)])
    state = windows.window(TWO_PM + 300 * 14)
    check(state, [float(n) for n in range(3, 15)])
    assert state.sketches is not None
    assert windows.total.rows == 4 + 13


def test_a_state_changes_no_more() -> None:
    windows = windows_of((ONE_PM, [1.0]))
    state = windows.window(ONE_PM)
    windows.add(ONE_PM + 1, [2.0] * 600)
    windows.add(ONE_PM + 300, [3.0])
    check(state, [1.0])
    check(windows.window(ONE_PM + 300), [1.0, *[2.0] * 600, 3.0])


def test_a_second_lookthaws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = windows_of(*((ONE_PM + 300 * n, np.arange(600.0) + n) for n in range(12)))
    thawed = []
    thaw = slots_module.thaw
    monkeypatch.setattr(slots_module, "thaw", lambda data: thawed.append(len(data)) or thaw(data))
    now = TWO_PM - 1
    first = windows.window(now)
    assert len(thawed) == 11
    windows.add(now, [1e6] * 300)
    second = windows.window(now)
    assert len(thawed) == 11
    assert first.quantiles is not None
    assert second.quantiles is not None
    assert second.quantiles.count == first.quantiles.count + 300 == 7500
    windows.tumbling(ONE_PM + 300, TWO_PM)  # another reader does not push it out
    assert len(thawed) == 21
    windows.window(now)
    assert len(thawed) == 21
    windows.add(ONE_PM, np.arange(300.0))  # late into a closed slot: thawed once to take it, then all anew
    assert windows.window(now).rows == second.rows + 300
    assert len(thawed) == 21 + 1 + 11


def test_an_hour_of_slots_is_within_the_stated_rank_error() -> None:
    rng = np.random.default_rng(9)
    rows = rng.lognormal(0, 2, (12, 10_000))
    windows = windows_of(
        *((ONE_PM + 300 * n, part) for n, slot in enumerate(rows) for part in np.split(slot, 5))
    )
    quantiles = windows.window(TWO_PM - 1).quantiles
    assert quantiles is not None
    assert quantiles.error() == pytest.approx(0.0205, abs=1e-4)
    ordered = np.sort(rows.ravel())
    points = ordered[:: len(ordered) // 100]
    truth = np.searchsorted(ordered, points, side="right") / len(ordered)
    # 99 of 100 are below 0.0072; twice that is met less than once in a million.
    assert np.abs(quantiles.cdf(points) - truth).max() < 0.0144


@pytest.mark.parametrize("kind", ["numeric", "categorical", "text"])
def test_memory_of_a_busy_column_is_bounded(kind: Any) -> None:
    bins = (
        CategoryBins(tuple(f"c{n}" for n in range(21)))
        if kind == "categorical"
        else NumericBins(np.arange(21.0))
    )
    windows = ColumnWindows(Layout(kind, bins))
    rng = np.random.default_rng(10)
    for slot in range(14):
        rows: Any = rng.normal(10, 5, 5000)
        windows.add(ONE_PM + 300 * slot, rows if kind == "numeric" else [f"value {v:.12f}" for v in rows])
        windows.window(ONE_PM + 300 * slot)
    assert windows.window(ONE_PM + 300 * 13).rows == 12 * 5000
    # Of one hour; for all that is ever held: test_history.py.
    assert windows.nbytes < 145_000


def test_counts_grow_wider_when_they_must() -> None:
    windows = windows_of((ONE_PM, [25.0]), (ONE_PM + 300, np.full(65_534, 15.0)))
    narrow = windows.nbytes
    windows.add(ONE_PM + 300, [15.0, 15.0])
    windows.add(ONE_PM + 300, np.full(200_000, 5.0))
    assert windows.series(ONE_PM, ONE_PM + 600).tolist() == [[0, 0, 1], [200_000, 65_536, 0]]
    assert windows.hours.sum(ONE_PM, TWO_PM).rows == 265_537
    assert windows.nbytes > narrow


@pytest.mark.parametrize(
    ("start", "end"), [(1, 300), (0, 301), (600, 300), (0.5, 300), (math.nan, 300)], ids=lambda v: str(v)
)
def test_windows_off_the_slots_are_refused(start: float, end: float) -> None:
    with pytest.raises(ValueError, match="expected multiples of 300 s"):
        ColumnWindows(LAYOUT).tumbling(start, end)
    with pytest.raises(ValueError, match="expected multiples of 300 s"):
        ColumnWindows(LAYOUT).series(start, end)


def test_a_sliding_window_off_the_slots_is_refused() -> None:
    with pytest.raises(ValueError, match="expected multiples of 300 s"):
        ColumnWindows(LAYOUT).window(TWO_PM, 1000)


def test_times_before_1970_are_times_too() -> None:
    windows = windows_of((-1.0, [1.0]), (-300.0, [2.0]), (-301.0, [3.0]))
    check(windows.tumbling(-300, 0), [1.0, 2.0])
    check(windows.window(-1.0), [1.0, 2.0, 3.0])


def test_a_column_without_bins_has_series_without_bins() -> None:
    windows = windows_of((ONE_PM, ["a", "b"]), layout=Layout("categorical"))
    state = windows.window(ONE_PM)
    assert (state.bin_counts, state.moments, state.mean, state.quantiles) == (None, None, None, None)
    assert state.distinct is not None
    assert state.distinct.estimate() == 2.0
    assert windows.series(ONE_PM, TWO_PM).shape == (12, 0)
    assert windows.hours.table(ONE_PM, TWO_PM).tolist() == [[2, 0, 0, 0, 0, 0, 0, 0]]


def test_slots_are_those_of_the_other_parts() -> None:
    assert (SLOT_SECONDS, SLOTS * SLOT_SECONDS) == (300, 26 * 3600)
