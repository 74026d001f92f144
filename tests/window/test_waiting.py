"""Values that wait to be read together count as if each had been read when it came."""

from __future__ import annotations

import math
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.profile import Layout
from exporter.schema import Kind
from exporter.sketch import CategoryBins, NumericBins
from exporter.window import Calendar, ColumnWindows, WindowState

MIDNIGHT = 1_767_225_600
HOUR, DAY = 3600, 86_400
LAYOUTS = {
    "numeric": Layout("numeric", NumericBins(np.array([1.0, 5.0])), (0, 10), (-20, 20), 0.5),
    "categorical": Layout("categorical", CategoryBins(("a", "b"), frozenset("ab"))),
    "boolean": Layout("boolean", CategoryBins(("false", "true"))),
    "text": Layout("text", NumericBins(np.array([3.0]))),
}
VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    "numeric": st.one_of(
        st.floats(-30, 30), st.none(), st.just(math.inf), st.just("x"), st.integers(0, 3), st.just(1e200)
    ),
    "categorical": st.sampled_from(["a", "b", "c", 1, True, "a very long text " * 20, None, "日本", [1]]),
    "boolean": st.sampled_from([True, False, None, 2, "no"]),
    "text": st.one_of(st.none(), st.text(max_size=5)),
}
# Mostly a sparse column's rows; now and then late ones, a gap, a clock set back.
STEPS = st.one_of(
    st.integers(0, 700), st.integers(0, 700), st.integers(-900, 0), st.integers(0, 4 * HOUR), st.just(-DAY)
)


def told(state: WindowState) -> Any:
    sketches, moments = state.sketches, state.moments
    return (
        (state.start, state.end, state.complete, state.tally.counts.tolist()),
        None if moments is None else (moments.count, moments.minimum, moments.maximum),
        None
        if sketches is None
        else (
            sketches.distinct.to_bytes(),
            sketches.frequent.top(),
            None if sketches.quantiles is None else repr(sketches.quantiles.quantile(np.linspace(0, 1, 9))),
        ),
    )


def answers(windows: ColumnWindows, now: float) -> Any:
    """All that is exact of what a column says."""
    hour = windows.calendar.hour_start(windows.calendar.hour(now))
    day = windows.calendar.day(windows.calendar.hour(now))
    table = windows.history(before=hour + HOUR)
    exact = [
        getattr(table, name).tolist() for name in table.__slots__ if not name.startswith(("moments", "top"))
    ]
    return (
        windows.total.counts.tolist(),
        windows.late,
        exact,
        repr(table.top_values.tolist()),
        table.top_counts.tolist(),
        told(windows.tumbling(hour, hour + HOUR)),
        told(windows.picture(hour - HOUR, hour)),
        [told(windows.picture(*windows.calendar.day_bounds(day - back))) for back in range(3)],
        windows.series(hour - DAY, hour + HOUR).tolist(),
        told(windows.window(now)),
    )


@settings(max_examples=150, deadline=None)
@given(data=st.data(), zone=st.sampled_from(["UTC", "Asia/Kolkata", "Europe/Berlin"]))
def test_waiting_changes_nothing(data: st.DataObject, zone: str) -> None:
    layout = LAYOUTS[data.draw(st.sampled_from(sorted(LAYOUTS)))]
    step = st.tuples(STEPS, st.lists(VALUES[layout.kind], max_size=4))
    waiting, at_once = (ColumnWindows(layout, Calendar(ZoneInfo(zone))) for _ in range(2))
    now = float(MIDNIGHT)
    for seconds, values in data.draw(st.lists(step, max_size=30)):
        now += seconds
        waiting.add(now, values)
        at_once.add(now, values)
        at_once.settle()
    one, other = waiting.history().moments, at_once.history().moments
    np.testing.assert_allclose(one[:, 0], other[:, 0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(one[:, 2:], other[:, 2:])
    np.testing.assert_allclose(one[:, 1], other[:, 1], rtol=1e-9, atol=1e-9)
    assert answers(waiting, now) == answers(at_once, now)


@pytest.mark.parametrize("decimals", [1, 12])
@pytest.mark.parametrize("rows", [3, 20, 60, 200, 700, 2000])
def test_slots_of_any_size_have_the_sketches_of_their_rows(rows: int, decimals: int) -> None:
    rng = np.random.default_rng(rows)
    layout = LAYOUTS["numeric"]
    windows = ColumnWindows(layout)
    values = rng.normal(3, 2, (37, rows)).round(decimals)
    for slot, part in enumerate(values):
        windows.add(MIDNIGHT + 300 * slot, part)
    now = MIDNIGHT + 3 * HOUR
    for sketches, wanted in (
        (windows.tumbling(now - HOUR, now).sketches, values[24:36].ravel()),
        (windows.window(now - 1).sketches, values[24:36].ravel()),
        (windows.day_sketches(MIDNIGHT, MIDNIGHT + DAY), values.ravel()),
    ):
        assert sketches is not None
        assert sketches.quantiles is not None
        ordered = np.sort(wanted)
        assert sketches.quantiles.count == sketches.frequent.total == wanted.size
        assert sketches.quantiles.quantile([0.0, 1.0]).tolist() == [ordered[0], ordered[-1]]
        assert sketches.distinct.estimate() == pytest.approx(np.unique(wanted).size, rel=0.1)
        truth = np.searchsorted(ordered, ordered, side="right") / ordered.size
        assert np.abs(sketches.quantiles.cdf(ordered) - truth).max() < 0.03


def test_a_listener_hears_of_each_slot_by_itself() -> None:
    heard: list[tuple[float, int]] = []
    windows = ColumnWindows(
        LAYOUTS["numeric"], heard=lambda time, tally, batch: heard.append((time, tally.rows))
    )
    for slot in range(3):
        windows.add(MIDNIGHT + 300 * slot + 7, [1.0, 2.0])
    windows.settle()
    assert heard == [(MIDNIGHT + 300.0 * slot, 2) for slot in range(3)]


def test_an_hour_of_few_rows_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    windows = ColumnWindows(LAYOUTS["numeric"])
    reads: list[int] = []
    read = windows._reader.read
    monkeypatch.setattr(
        windows._reader, "read", lambda values, starts: reads.append(len(starts)) or read(values, starts)
    )
    for slot in range(30):
        windows.add(MIDNIGHT + 300 * slot, [1.0, 2.0, 3.0])
    assert windows.total.rows == 90
    assert reads == [12, 12, 6]
