"""History, days, last rows and earlier hours: against plain sums over the rows, whatever the clock does."""

from __future__ import annotations

import math
from collections import Counter
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.hourly import TOPS, HourTable
from exporter.profile import ColumnProfile, Layout
from exporter.sketch import CategoryBins, NumericBins
from exporter.window import DAYS, HISTORY, HOURS, Calendar, ColumnWindows

BINS = NumericBins(np.array([10.0, 20.0]))
LAYOUT = Layout("numeric", BINS, far=(-100.0, 100.0), grid=0.5)
KOLKATA = ZoneInfo("Asia/Kolkata")
BERLIN = ZoneInfo("Europe/Berlin")
MIDNIGHT = 1_767_225_600  # 2026-01-01 00:00 UTC
HOUR, DAY = 3600, 86_400

Event = tuple[float, list[Any]]


def windows_of(*events: Event, layout: Layout = LAYOUT, zone: ZoneInfo | None = None) -> ColumnWindows:
    windows = ColumnWindows(layout, Calendar(zone))
    for time, values in events:
        windows.add(time, values)
    return windows


def profile_of(values: list[Any]) -> ColumnProfile:
    profile = ColumnProfile("numeric", BINS, None, LAYOUT.far, LAYOUT.grid)
    profile.update(values)
    return profile


def check_history(table: HourTable, events: list[Event], calendar: Calendar) -> None:
    """That *table* is what plain sums over *events* give."""
    by_hour: dict[int, list[Any]] = {}
    for time, values in events:
        by_hour.setdefault(calendar.hour(time), []).extend(values)
    by_hour = {hour: values for hour, values in by_hour.items() if values}
    assert table.hours.tolist() == sorted(by_hour)
    assert table.cells.tolist() == calendar.cells(table.hours).tolist()
    for row, hour in enumerate(table.hours.tolist()):
        profile = profile_of(by_hour[hour])
        moments, counts = profile.moments, profile.bin_counts
        assert moments is not None
        assert counts is not None
        assert [
            int(getattr(table, name)[row])
            for name in ("rows", "missing", "mismatched", "unseen", "far", "grid")
        ] == [
            *(profile.rows, profile.missing, profile.type_mismatch, profile.unseen, profile.far),
            profile.grid,
        ]
        assert table.bins[row].tolist() == counts.tolist()
        finite = [v for v in by_hour[hour] if isinstance(v, float) and math.isfinite(v)]
        if not finite:
            assert np.isnan(table.moments[row]).all()
        else:
            wanted = (moments.mean, moments.m2, min(finite), max(finite))
            np.testing.assert_allclose(table.moments[row], wanted, rtol=1e-9, atol=1e-6)


def check_tops(table: HourTable, events: list[Event], calendar: Calendar) -> None:
    """That the most frequent numbers of each hour are right; for columns of few different ones."""
    counts: dict[int, Counter[float]] = {}
    for time, values in events:
        counts.setdefault(calendar.hour(time), Counter()).update(v for v in values if v is not None)
    for row, hour in enumerate(table.hours.tolist()):
        wanted = sorted(counts[hour].items(), key=lambda pair: (-pair[1], str(pair[0])))[:TOPS]
        found = zip(table.top_values[row].tolist(), table.top_counts[row].tolist(), strict=True)
        assert [pair for pair in found if pair[1]] == wanted
        assert np.isnan(table.top_values[row][len(wanted) :]).all()


entries = st.one_of(
    st.none(), st.floats(-300, 300), st.just(math.inf), st.just("x"), st.sampled_from([1.0, 2.5])
)
steps = st.one_of(st.integers(0, 900), st.integers(0, 4 * HOUR), st.integers(-600, 0), st.just(30 * HOUR))


def events_of(steps: list[tuple[int, list[Any]]], start: float = MIDNIGHT) -> list[Event]:
    events, time = [], start
    for step, values in steps:
        time += step
        events.append((time, values))
    return events


@settings(max_examples=80, deadline=None)
@given(
    steps=st.lists(st.tuples(steps, st.lists(entries, max_size=3)), max_size=40),
    zone=st.sampled_from([None, KOLKATA, BERLIN]),
)
def test_history_is_the_rows_of_each_hour_through_gaps_and_late_rows(
    steps: list[tuple[int, list[Any]]], zone: ZoneInfo | None
) -> None:
    events = events_of(steps)
    windows = windows_of(*events, zone=zone)
    newest = max((windows.calendar.hour(time) for time, values in events if values), default=0)
    held = [(time, values) for time, values in events if windows.calendar.hour(time) > newest - HISTORY]
    check_history(windows.history(), held, windows.calendar)
    assert windows.late == 0


@settings(max_examples=40, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.integers(-600, 2400), st.lists(st.sampled_from([0.0, 1.0, 2.5, 7.0]), max_size=4)),
        max_size=60,
    ),
    zone=st.sampled_from([None, KOLKATA]),
    looks=st.sets(st.integers(0, 59), max_size=3),
)
def test_frequent_numbers_of_an_hour_are_known_when_it_is_over_and_while_it_runs(
    steps: list[tuple[int, list[Any]]], zone: ZoneInfo | None, looks: set[int]
) -> None:
    events, newest = [], 0.0
    for time, values in events_of(steps):
        newest = max(newest, time)
        events.append((max(time, newest - 290), values))  # later still, they are in the counts alone
    windows = ColumnWindows(LAYOUT, Calendar(zone))
    for number, (time, values) in enumerate(events):
        windows.add(time, values)
        if number in looks:
            windows.history()
    check_tops(windows.history(), events, windows.calendar)


def test_the_hour_that_runs_can_be_left_out() -> None:
    events = [(MIDNIGHT + n * 600.0, [float(n)]) for n in range(15)]
    windows = windows_of(*events)
    start = MIDNIGHT + 2 * HOUR
    before = windows.history(before=start)
    assert before.hours.tolist() == [start // HOUR - 2, start // HOUR - 1]
    assert windows.history(1, before=start).hours.tolist() == [start // HOUR - 1]
    assert windows.history().hours.tolist() == [*before.hours.tolist(), start // HOUR]
    check_tops(before, events[:12], windows.calendar)


def test_categories_have_no_frequent_numbers() -> None:
    layout = Layout("categorical", CategoryBins(("a", "b")))
    table = windows_of((MIDNIGHT, ["a", "c", None, "3"]), layout=layout).history()
    assert (table.rows.tolist(), table.missing.tolist(), table.unseen.tolist()) == ([4], [1], [2])
    assert np.isnan(table.top_values).all()
    assert np.isnan(table.moments).all()
    assert table.top_counts.tolist() == [[0] * TOPS]


def test_history_looks_back_eight_days_and_the_days_before_are_gone() -> None:
    windows = windows_of(*((MIDNIGHT + HOUR * n, [float(n)]) for n in range(400)))
    assert windows.history().hours.tolist() == [MIDNIGHT // HOUR + n for n in range(400 - HISTORY, 400)]
    assert windows.history(10_000).hours.size == HOURS
    assert windows.total.rows == 400


def test_a_day_of_25_hours_and_the_same_day_a_week_before_are_both_held_when_it_is_judged() -> None:
    start = datetime(2026, 10, 18, tzinfo=BERLIN).timestamp()
    end = datetime(2026, 10, 26, tzinfo=BERLIN).timestamp()
    windows = windows_of(
        *((time, [1.0]) for time in np.arange(start - 2 * DAY, end + 1, HOUR).tolist()), zone=BERLIN
    )
    assert end - start == 8 * DAY + HOUR
    table = windows.history(HOURS, before=end)
    assert table.hours[-1] - table.hours[0] + 1 >= 8 * 24 + 1
    day = windows.picture(datetime(2026, 10, 25, tzinfo=BERLIN).timestamp(), end)
    assert (day.rows, day.complete) == (25, True)
    first = windows.picture(start, datetime(2026, 10, 19, tzinfo=BERLIN).timestamp())
    assert (first.rows, first.complete) == (24, True)


def test_a_clock_set_back_forgets_the_hours_it_took_back() -> None:
    windows = windows_of(*((MIDNIGHT + 900 * n, [1.0]) for n in range(24)))  # six hours
    now = MIDNIGHT + 2 * HOUR
    windows.window(now)
    assert windows.history().hours.tolist() == [now // HOUR - 2, now // HOUR - 1, now // HOUR]
    again = [(now + 300.0 * n, [2.0]) for n in range(1, 30)]
    for time, values in again:
        windows.add(time, values)
    table = windows.history(before=now + 2 * HOUR)
    # Of the hour in which the clock stands now, what it had counted stays.
    assert table.rows.tolist() == [4, 4, 4 + 11, 12]
    assert windows.total.rows == 24 + 29


def test_a_leap_of_ten_years_and_back_leaves_what_was_before() -> None:
    leap = MIDNIGHT + 10 * 365 * DAY
    windows = windows_of(*((MIDNIGHT + HOUR * n, [1.0]) for n in range(100)))
    windows.add(leap, [5.0])
    now = MIDNIGHT + 100 * HOUR
    windows.add(now, [2.0])
    windows.window(now)
    table = windows.history()
    # The place of one hour was taken by the leap.
    assert (table.hours[-1], table.hours.size) == (now // HOUR, 101 - (leap // HOUR % HOURS in {
        hour % HOURS for hour in range(MIDNIGHT // HOUR, MIDNIGHT // HOUR + 101)
    }))  # fmt: skip
    windows.add(now + DAY, [3.0])
    assert windows.history().hours[-1] == (now + DAY) // HOUR


# Seeds


def seed_of(calendar: Calendar, start: float, hours: int) -> HourTable:
    twin = ColumnWindows(LAYOUT, calendar)
    for n in range(hours):
        twin.add(start + HOUR * n, [15.0, 15.0, None])
    return twin.history()


def test_a_baselines_hours_are_history_and_nothing_else() -> None:
    windows = windows_of((MIDNIGHT + 60, [5.0]))
    seed = seed_of(windows.calendar, MIDNIGHT - 3 * HOUR, 6)
    windows.seed(seed, MIDNIGHT + 120)
    table = windows.history()
    assert table.hours.tolist() == [MIDNIGHT // HOUR + n for n in (-3, -2, -1, 0)]
    assert table.rows.tolist() == [3, 3, 3, 1]  # of the hour that runs, what was seen here
    assert table.top_values[:, 0].tolist() == [15.0, 15.0, 15.0, 5.0]
    assert (windows.total.rows, windows.hours.sum(MIDNIGHT - 3 * HOUR, MIDNIGHT + HOUR).rows) == (1, 1)
    assert windows.history(before=MIDNIGHT - HOUR).rows.tolist() == [3, 3]
    assert windows.state().hours.ring.slots == windows_of((MIDNIGHT + 60, [5.0])).state().hours.ring.slots


@pytest.mark.parametrize(("ago", "held"), [(HOUR, 6), (8 * DAY - 2 * HOUR, 3), (8 * DAY + 6 * HOUR, 0)])
def test_hours_of_a_baseline_count_for_eight_days(ago: int, held: int) -> None:
    windows = windows_of()
    now = MIDNIGHT + 6 * HOUR - HOUR + ago
    windows.seed(seed_of(windows.calendar, MIDNIGHT, 6), now)
    assert windows.history(before=now).hours.size == held
    windows.add(now + 9 * DAY, [1.0])
    assert windows.history().rows.tolist() == [1]


def test_a_baselines_hours_are_not_copied() -> None:
    windows = windows_of()
    seed = seed_of(windows.calendar, MIDNIGHT, 150)
    before = windows.nbytes
    windows.seed(seed, MIDNIGHT + 150 * HOUR)
    kept = windows._hours._seed
    assert windows.nbytes == before
    assert kept is not None
    assert np.shares_memory(kept.bins, seed.bins)


def test_a_seed_with_other_bins_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 3 bins, found 2"):
        windows_of().seed(HourTable.empty(2), MIDNIGHT)


# Days


@settings(max_examples=30, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(-600, 5 * HOUR), st.lists(entries, max_size=3)), max_size=60),
    zone=st.sampled_from([None, KOLKATA, BERLIN]),
    looks=st.sets(st.integers(0, 59), max_size=3),
)
def test_a_days_sketches_are_those_of_its_rows_however_late_and_whenever_asked(
    steps: list[tuple[int, list[Any]]], zone: ZoneInfo | None, looks: set[int]
) -> None:
    events = events_of(steps)
    windows = ColumnWindows(LAYOUT, Calendar(zone))
    for number, (time, values) in enumerate(events):
        windows.add(time, values)
        if number in looks:
            windows.day_sketches(time - DAY, windows.calendar.hour_start(windows.calendar.hour(time)))
    days = {windows.calendar.day(windows.calendar.hour(time)) for time, _ in events}
    for day in sorted(days)[-DAYS:]:
        start, end = windows.calendar.day_bounds(day)
        inside = [v for time, values in events for v in values if start <= time < end]
        profile = profile_of(inside)
        sketches = windows.day_sketches(start, end)
        if sketches is None:
            assert inside == []
            continue
        assert sketches.distinct.to_bytes() == profile.distinct.to_bytes()
        assert sketches.frequent.top() == profile.frequent.top()
        assert sketches.quantiles is not None
        assert profile.quantiles is not None
        ranks = np.linspace(0, 1, 11)
        np.testing.assert_array_equal(sketches.quantiles.quantile(ranks), profile.quantiles.quantile(ranks))
        state = windows.picture(start, end)
        assert state.tally.counts.tolist() == profile.tally.counts.tolist()


@pytest.mark.parametrize("late", [5, 20, 70, 3 * 60, 26 * 60, 5 * 24 * 60])
def test_a_late_row_is_in_its_hour_and_in_its_days_sketches(late: int) -> None:
    windows = windows_of(*((MIDNIGHT + 300.0 * slot, [1.0]) for slot in range(6 * 288)))
    windows.add(MIDNIGHT + 6 * DAY - 300 - 60 * late, [7.0, 7.0])
    windows.add(MIDNIGHT + 6 * DAY + HOUR, [2.0])
    start = (6 * DAY - 300 - 60 * late) // DAY * DAY + MIDNIGHT
    day = windows.picture(start, start + DAY)
    assert day.frequent is not None
    assert [(item.item, item.lower) for item in day.frequent.top()] == [(1.0, 288), (7.0, 2)]
    assert day.rows == 290
    table = windows.history()
    hour = table.hours == windows.calendar.hour(MIDNIGHT + 6 * DAY - 300 - 60 * late)
    assert table.rows[hour].tolist() == [14]


def test_a_picture_of_several_days_has_the_sketches_of_whole_days() -> None:
    windows = windows_of(*((MIDNIGHT + HOUR * n, [float(n // 24)]) for n in range(24 * 9)))
    start = MIDNIGHT + 2 * DAY
    state = windows.picture(start, start + 3 * DAY)
    assert state.quantiles is not None
    assert (state.rows, state.quantiles.count) == (72, 72)
    assert state.mean == pytest.approx(3.0)
    assert state.frequent is not None
    assert [(item.item, item.lower) for item in state.frequent.top()] == [(2.0, 24), (3.0, 24), (4.0, 24)]
    half = windows.picture(start + 12 * HOUR, start + 36 * HOUR)
    assert (half.rows, half.sketches) == (24, None)
    assert windows.day_sketches(MIDNIGHT, MIDNIGHT + DAY) is None  # the ninth day has its place


def test_the_picture_of_the_hour_just_ended_is_that_hour() -> None:
    windows = windows_of(*((MIDNIGHT + 300 * n, [float(n)]) for n in range(13)))
    state = windows.picture(MIDNIGHT, MIDNIGHT + HOUR)
    assert state.quantiles is not None
    assert (state.rows, state.quantiles.quantile([0, 1]).tolist(), state.complete) == (12, [0.0, 11.0], True)


def test_an_hour_of_which_more_than_a_little_was_missed_is_not_complete() -> None:
    windows = windows_of(*((MIDNIGHT + 300 * n, [1.0]) for n in range(36)))
    windows.calendar.note_outage(MIDNIGHT + 100, MIDNIGHT + 220)
    windows.calendar.note_outage(MIDNIGHT + HOUR - 60, MIDNIGHT + 2 * HOUR - 1800)
    states = [windows.tumbling(MIDNIGHT + HOUR * n, MIDNIGHT + HOUR * (n + 1)) for n in range(3)]
    assert [state.complete for state in states] == [True, False, True]
    assert not windows.picture(MIDNIGHT, MIDNIGHT + 3 * HOUR).complete


# Displays


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.integers(0, 30), min_size=1, max_size=60), count=st.integers(1, 500))
def test_the_last_rows_are_the_fewest_slots_that_hold_them(rows: list[int], count: int) -> None:
    windows = windows_of(*((MIDNIGHT + 300 * n, [float(n)] * size) for n, size in enumerate(rows)))
    state = windows.last_rows(MIDNIGHT + 300 * len(rows) - 1, count)
    sums = np.cumsum(rows[::-1])
    slots = int((sums < count).sum()) + 1
    if slots > len(rows):
        assert (state.rows, state.end - state.start) == (sum(rows), 26 * HOUR)
    else:
        assert (state.rows, state.end - state.start) == (sums[slots - 1], 300 * slots)
        # Thirteen slots have sketches.
        assert state.sketches is None or state.quantiles is not None
        assert slots > 13 or state.sketches is not None


@pytest.mark.parametrize(
    ("now", "then"),
    [
        ("2026-01-05T14:20:00", "2026-01-04T14:20:00"),
        ("2026-10-25T14:20:00", "2026-10-24T14:20:00"),  # 25 hours before
        ("2026-03-29T14:20:00", "2026-03-28T14:20:00"),  # 23
    ],
)
def test_the_same_hour_yesterday_is_the_sliding_hour_of_then(now: str, then: str) -> None:
    at, before = (datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp() for text in (now, then))
    windows = ColumnWindows(LAYOUT, Calendar(BERLIN))
    for time in np.arange(before - 4 * HOUR, at + 300, 300).tolist():
        windows.add(time, [float(abs(time - before) < 1)])
    state = windows.earlier(at, 1)
    assert (state.start, state.end) == (before - 3300, before + 300)
    assert (state.rows, state.mean, state.complete) == (12, 1 / 12, True)


@pytest.mark.parametrize(("minute", "hour"), [(20, 13), (29, 13), (31, 14), (59, 14)])
def test_the_same_hour_last_week_is_the_hour_of_the_clock_that_the_window_had_most_of(
    minute: int, hour: int
) -> None:
    start = datetime(2026, 10, 20, tzinfo=KOLKATA).timestamp()
    windows = windows_of(*((start + HOUR * n, [float(n)]) for n in range(180)), zone=KOLKATA)
    state = windows.earlier(datetime(2026, 10, 27, 14, minute, tzinfo=KOLKATA).timestamp(), 7)
    assert (state.start, state.end) == (start + hour * HOUR, start + (hour + 1) * HOUR)
    assert (state.rows, state.mean, state.sketches, state.complete) == (1, float(hour), None, True)


# Memory


def test_memory_of_a_column_with_every_slot_hour_and_day_in_use_is_bounded() -> None:
    layout = Layout("numeric", NumericBins(np.arange(21.0)), None, (-50.0, 50.0), 0.5)
    windows = ColumnWindows(layout)
    rng = np.random.default_rng(10)
    slots = HOURS * 12
    for slot in range(slots):
        windows.add(MIDNIGHT + 300 * slot, rng.normal(10, 5, 5000 if slot >= slots - 13 else 300))
        if slot >= slots - 13:
            windows.window(MIDNIGHT + 300 * slot)
    # Counts have 16 bits, of hours too: 8 kB of slots' moments, 6 of hours', 19 of frequent numbers.
    assert windows._slots.nbytes == 312 * (8 + 2 * (8 + 22) + 32)
    assert windows._hours.nbytes == HOURS * (8 + 2 * (8 + 22) + 32 + 8 + 12 * TOPS)
    assert len(windows._days.held) == DAYS
    assert windows._days.nbytes < 45_000
    assert windows._sketches.nbytes < 75_000
    assert windows.nbytes < 185_000


def test_memory_of_a_column_does_not_grow_with_time() -> None:
    windows = windows_of()
    sizes = []
    for day in range(30):
        for hour in range(24):
            windows.add(MIDNIGHT + day * DAY + hour * HOUR, [float(n) for n in range(20)])
        sizes.append(windows.nbytes + len(msgspec.msgpack.encode(windows._days.state())))
    assert max(sizes[DAYS + 1 :]) <= 1.01 * sizes[DAYS + 1]
    assert len(windows._dirty) <= 2
