"""A column restored answers as the one that was kept, whatever it had seen, and damage costs an error."""

from __future__ import annotations

import math
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.profile import Layout
from exporter.schema import Kind
from exporter.sketch import CategoryBins, NumericBins
from exporter.window import Calendar, ColumnWindows, WindowsState, WindowState

MIDNIGHT = 1_767_225_600
HOUR, DAY = 3600, 86_400
LAYOUTS = {
    "numeric": Layout("numeric", NumericBins(np.array([1.0, 5.0])), (0, 10), (-20, 20), 0.5),
    "bare": Layout("numeric"),
    "categorical": Layout("categorical", CategoryBins(("a", "b"), frozenset("ab"))),
    "boolean": Layout("boolean", CategoryBins(("false", "true"))),
    "text": Layout("text", NumericBins(np.array([3.0]))),
    "embedding": Layout("embedding"),
}
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    "numeric": st.one_of(st.floats(-30, 30), st.none(), st.just(math.inf), st.just("x"), st.integers(0, 3)),
    "categorical": st.sampled_from(["a", "b", "c", "a very long text " * 20, None, "日本", [1]]),
    "boolean": st.sampled_from([True, False, None, 2]),
    "text": st.one_of(st.none(), st.text(max_size=5)),
    "embedding": st.lists(st.floats(-3, 3), min_size=0, max_size=3),
}
STEPS = st.one_of(st.integers(-900, 900), st.integers(0, 6 * HOUR), st.just(26 * HOUR), st.just(-2 * HOUR))


@st.composite
def streams(draw: st.DrawFn) -> tuple[Layout, ZoneInfo, list[tuple[float, list[Any]]]]:
    layout = LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))]
    zone = ZoneInfo(draw(st.sampled_from(["UTC", "Asia/Kolkata", "Europe/Berlin"])))
    steps = draw(st.lists(st.tuples(STEPS, st.lists(VALUES[layout.kind], max_size=4)), max_size=25))
    events, time = [], float(MIDNIGHT)
    for step, values in steps:
        time += step
        events.append((time, values))
    return layout, zone, events


def kept(windows: ColumnWindows) -> ColumnWindows:
    """*windows* as a recorder after this one has them."""
    data = msgspec.msgpack.encode(windows.state())
    fresh = ColumnWindows(windows.layout, windows.calendar)
    fresh.restore(msgspec.msgpack.decode(data, type=WindowsState))
    return fresh


def told(state: WindowState) -> Any:
    """All that a window says, to compare."""
    sketches = state.sketches
    ranks = np.linspace(0, 1, 5)
    return (
        *(state.start, state.end, state.complete, state.tally.counts.tolist(), repr(state.moments)),
        None
        if sketches is None
        else (
            sketches.distinct.to_bytes(),
            sketches.frequent.top(),
            None if sketches.quantiles is None else repr(sketches.quantiles.quantile(ranks).tolist()),
        ),
    )


def answers(windows: ColumnWindows, now: float) -> Any:
    """What a column says of everything that anybody asks."""
    day = windows.calendar.day(windows.calendar.hour(now))
    hour = windows.calendar.hour_start(windows.calendar.hour(now))
    table = windows.history(before=hour + HOUR)
    return (
        windows.total.counts.tolist(),
        repr(windows.total.moments),
        (windows.total.scaled_sum, windows.total.scaled_square, windows.late),
        [getattr(table, name).tobytes() for name in table.__slots__],
        told(windows.tumbling(hour, hour + HOUR)),
        told(windows.picture(hour - HOUR, hour)),
        [told(windows.picture(*windows.calendar.day_bounds(day - back))) for back in range(3)],
        told(windows.last_rows(now, 5)),
        told(windows.earlier(now, 1)),
        told(windows.earlier(now, 7)),
        windows.series(hour, hour + HOUR).tolist(),
        told(windows.window(now)),
    )


@settings(max_examples=120, deadline=None)
@given(stream=streams())
def test_a_restored_column_answers_as_the_one_that_was_kept(stream: Any) -> None:
    layout, zone, events = stream
    windows = ColumnWindows(layout, Calendar(zone))
    for time, values in events:
        windows.add(time, values)
    now = events[-1][0] if events else MIDNIGHT
    twin = kept(windows)
    assert answers(twin, now) == answers(windows, now)
    # And it goes on alike.
    for time, values in events[:5]:
        for one in (windows, twin):
            one.add(time + DAY, values)
    assert answers(twin, now + DAY) == answers(windows, now + DAY)


@settings(max_examples=60, deadline=None)
@given(stream=streams(), cuts=st.sets(st.integers(0, 24), max_size=4))
def test_restarts_at_any_points_change_nothing(stream: Any, cuts: set[int]) -> None:
    layout, zone, events = stream
    whole = ColumnWindows(layout, Calendar(zone))
    cut = ColumnWindows(layout, whole.calendar)
    for number, (time, values) in enumerate(events):
        if number in cuts:
            cut = kept(cut)
            whole.total  # noqa: B018  (reads what waits, as keeping does: sums are then rounded alike)
        whole.add(time, values)
        cut.add(time, values)
    now = events[-1][0] if events else MIDNIGHT
    assert answers(cut, now) == answers(whole, now)


def busy(layout: Layout, slots: int = 40) -> ColumnWindows:
    windows = ColumnWindows(layout)
    rng = np.random.default_rng(3)
    for slot in range(slots):
        windows.add(MIDNIGHT + 300 * slot, rng.normal(3, 2, 70_000 if slot == 7 else 300))
    return windows


def test_wide_counts_and_large_sketches_are_kept() -> None:
    windows = busy(LAYOUTS["numeric"])
    now = MIDNIGHT + 300 * 39
    twin = kept(windows)
    # Merging KLL sketches draws lots: quantiles are within their error, the rest is the same.
    for one, other in (
        (twin.tumbling(MIDNIGHT, MIDNIGHT + HOUR), windows.tumbling(MIDNIGHT, MIDNIGHT + HOUR)),
        (twin.picture(MIDNIGHT, MIDNIGHT + HOUR), windows.picture(MIDNIGHT, MIDNIGHT + HOUR)),
        (twin.window(now), windows.window(now)),
    ):
        assert told(one)[:5] == told(other)[:5]
    assert twin.series(MIDNIGHT, MIDNIGHT + HOUR).sum() == 70_000 + 11 * 300
    assert answers(twin, now)[:4] == answers(windows, now)[:4]


@pytest.mark.parametrize("other", ["bare", "categorical", "text"])
def test_another_columns_state_is_refused(other: str) -> None:
    state = ColumnWindows(LAYOUTS[other]).state()
    with pytest.raises(ValueError, match="windows: expected layout"):
        ColumnWindows(LAYOUTS["numeric"]).restore(state)


def test_hours_that_begin_at_another_minute_are_refused() -> None:
    state = ColumnWindows(LAYOUTS["numeric"]).state()
    with pytest.raises(ValueError, match=r"phase 1800, found .* and 0"):
        ColumnWindows(LAYOUTS["numeric"], Calendar(ZoneInfo("Asia/Kolkata"))).restore(state)


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_damage_that_a_checksum_did_not_see_is_an_error_and_no_crash(data: st.DataObject) -> None:
    layout = LAYOUTS["numeric"]
    raw = bytearray(_RAW)
    for _ in range(data.draw(st.integers(1, 3))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    windows = ColumnWindows(layout)
    try:
        windows.restore(msgspec.msgpack.decode(bytes(raw), type=WindowsState))
    except ValueError:
        return
    windows.total  # noqa: B018  (whatever it says now, it says it)


_RAW = msgspec.msgpack.encode(busy(LAYOUTS["numeric"], 14).state())


def test_a_busy_columns_state_is_small() -> None:
    windows = ColumnWindows(LAYOUTS["numeric"])
    rng = np.random.default_rng(3)
    for slot in range(196 * 12):
        windows.add(MIDNIGHT + 300 * slot, rng.normal(3, 2, 100))
    # Of 13 slots, 8 days and all hours: 100 columns are within 15 MB.
    assert 50_000 < len(msgspec.msgpack.encode(windows.state())) < 150_000
