"""A monitor kept and restored: everything goes on, nothing is told twice, and what changed begins anew."""

from __future__ import annotations

import threading
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.checkpoint import CheckpointError, Store
from exporter.configuration import parse
from exporter.hourly import HourTable
from exporter.monitor import Monitor, encode_shown, load_baselines, restore, save
from exporter.rows import Rows
from exporter.schema import Configuration
from tests.monitor.baselines import build_baseline

HOUR, DAY = 3600.0, 86_400.0
START = 1_698_537_600.0  # 2023-10-29T00:00Z, where the baseline's four weeks end


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_baseline(tmp_path_factory.mktemp("baseline"))


@pytest.fixture
def store(tmp_path: Path) -> Any:
    made = Store(tmp_path)
    yield made
    made.close()


def monitor(baseline: Path | None = None, start: float = START, text: str = "") -> Monitor:
    configuration = parse(
        text or (f"models: [{{name: m, baseline: {baseline.name}}}]" if baseline else ""), "f"
    )
    loaded = load_baselines(configuration, baseline.parent) if baseline else {}
    return Monitor(configuration, loaded, late_seconds=60.0, start=start)


def rows(
    time: float, count: int = 3, model: str = "m", version: str = "1", seed: int = 0, scale: float = 1.0
) -> Rows:
    generator = np.random.default_rng(seed)
    columns: dict[str, Any] = {
        "x": generator.normal(100, 20, count) * scale,
        "carrier": generator.choice(["AA", "UA", "DL"], count).tolist(),
    }
    return Rows(model, version, "feature", time, count, columns)


def keep(watched: Monitor, store: Store, now: float) -> None:
    save(store, watched, lambda: now, nullcontext())


def told(watched: Monitor, now: float) -> Any:
    """All counters and verdicts, to compare."""
    columns, counted, _ = watched.views(now)
    # How far learning is, is looked at once a minute; rows that were read when they were kept count already.
    silent = [
        replace(column, baseline=None, verdicts=tuple(replace(one, sentence="") for one in column.verdicts))
        for column in columns
    ]
    return repr((counted, silent))


def test_everything_goes_on(baseline: Path, store: Store) -> None:
    watched = monitor(baseline)
    for slot in range(30):
        watched.record(rows(START + 300 * slot, 12, seed=slot))  # of so few, KLL is exact
        watched.record(rows(START + 300 * slot, 2, "other", "7", seed=slot))
        watched.tick(START + 300 * slot)
    now = START + 300 * 30
    keep(watched, store, now)
    again = monitor(baseline, now)
    restored = restore(store, again, now)
    assert restored is not None
    assert (restored.columns, restored.left_out, restored.other_baselines) == (4, 0, ())
    assert told(again, now) == told(watched, now)
    for one in (watched, again):
        one.record(rows(now + 10, 5))
        one.tick(now + HOUR + 61)
    assert told(again, now + HOUR + 61) == told(watched, now + HOUR + 61)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.sets(st.integers(0, 40), max_size=5), steps=st.lists(st.integers(0, 4000), max_size=40))
def test_the_same_stream_with_restarts_has_the_same_history(
    store: Store, cuts: set[int], steps: list[int]
) -> None:
    whole = monitor()
    cut = monitor()
    now = START
    for number, step in enumerate(steps):
        now += step
        if number in cuts:
            told(whole, now)  # what waits is read at the same places
            keep(cut, store, now)
            cut = monitor(None, now)
            restore(store, cut, now)
        for one in (whole, cut):
            one.record(rows(now, seed=number))
            one.tick(now)
    for mine, other in zip(whole.columns(), cut.columns(), strict=True):
        left, right = mine._windows, other._windows
        assert left is not None
        assert right is not None
        for name in HourTable.__slots__:
            found = getattr(right.history(), name)
            np.testing.assert_array_equal(getattr(left.history(), name), found)
        assert left.total.counts.tolist() == right.total.counts.tolist()


def test_a_restart_judges_no_window_twice_and_none_that_it_missed(baseline: Path, store: Store) -> None:
    heard: list[tuple[str, float, str]] = []

    def listen(model: str, version: str, role: str, name: str, verdict: Any) -> None:
        if name == "x":
            heard.append((verdict.window, verdict.start, verdict.state))

    watched = monitor(baseline)
    watched._on_verdict = listen
    for slot in range(14):
        watched.record(rows(START + 300 * slot, 40, seed=slot))
        watched.tick(START + 300 * slot)
    down = START + 300 * 14
    keep(watched, store, down)
    up = START + 5 * HOUR + 1200  # the rest of 01:00, three whole hours, and a third of 05:00
    again = monitor(baseline, up)
    again._on_verdict = listen
    restore(store, again, up)
    for slot in range(40):
        now = up + 300 * slot
        again.record(rows(now, 40, seed=slot))
        again.tick(now)
    hours = [(start, state) for window, start, state in heard if window == "1h"]
    assert [start for start, _ in hours] == [START + HOUR * n for n in range(8)]
    assert [state == "insufficient" for _, state in hours] == [False, *[True] * 5, False, False]
    assert "drifted" not in {state for _, _, state in heard}


def test_a_short_interruption_leaves_an_hour_judged(baseline: Path, store: Store) -> None:
    watched = monitor(baseline)
    watched.record(rows(START + 600, 100))
    keep(watched, store, START + 700)
    again = monitor(baseline, START + 760)
    restore(store, again, START + 760)
    again.record(rows(START + 1000, 100, seed=1))
    again.tick(START + HOUR + 61)
    verdicts = {column.column: column.verdicts[0].state for column in again.views(START + HOUR + 61)[0]}
    assert verdicts["x"] != "insufficient"


def test_an_open_incident_stays_open(baseline: Path, store: Store) -> None:
    watched = monitor(baseline)
    for hour in range(3):
        for slot in range(12):
            time = START + HOUR * hour + 300 * slot
            watched.record(rows(time, 40, seed=hour * 12 + slot, scale=5.0))
        watched.tick(START + HOUR * (hour + 1) + 61)
    now = START + 3 * HOUR + 70
    keep(watched, store, now)
    again = monitor(baseline, now)
    restore(store, again, now)
    before, after = (
        next(c for c in one.views(now)[0] if c.column == "x").verdicts[0] for one in (watched, again)
    )
    assert before.incident_start is not None
    assert after == before


def test_a_checkpoint_taken_while_rows_come_is_whole(store: Store) -> None:
    watched, lock, done = monitor(), threading.Lock(), threading.Event()

    def feed() -> None:
        for n in range(400):
            with lock:
                # Of 1,200 different numbers a window's quantiles are drawn by lot; of equal ones they are not.
                watched.record(rows(START + n, seed=n, scale=0.0))
        done.set()

    thread = threading.Thread(target=feed)
    thread.start()
    while not done.is_set():
        save(store, watched, lambda: START + 400, lock)
    thread.join()
    keep(watched, store, START + 400)
    again = monitor()
    assert restore(store, again, START + 400) is not None
    assert told(again, START + 400) == told(watched, START + 400)


def test_verdicts_that_come_meanwhile_are_all_in_it_or_none(store: Store) -> None:
    watched = monitor()
    watched.record(rows(START))
    pauses = 0

    def pause() -> None:
        nonlocal pauses
        pauses += 1
        if pauses == 1:  # between the first and the second column
            watched.tick(START + HOUR + 61)

    save(store, watched, lambda: START + HOUR + 61, nullcontext(), pause)
    assert pauses == 8  # both columns and what is learnt of them, twice
    again = monitor()
    restore(store, again, START + HOUR + 61)
    assert told(again, START + HOUR + 70) == told(watched, START + HOUR + 70)


def test_verdicts_that_are_being_given_are_waited_for(store: Store) -> None:
    watched = monitor()
    watched.record(rows(START))
    now = START + HOUR + 61
    under_way = watched.judging(now)
    for _ in range(2):  # the version's slices, and one of two columns
        next(under_way)
    seen = [watched.is_judging]
    watched.record(rows(now, seed=1))  # as the recorder does in between
    save(store, watched, lambda: now, nullcontext(), lambda: next(under_way, None))
    assert [*seen, watched.is_judging] == [True, False]
    again = monitor()
    restore(store, again, now)
    assert told(again, now) == told(watched, now)


def test_a_recorder_killed_while_it_judged_has_its_successor_judge_that_hour(
    baseline: Path, store: Store
) -> None:
    watched = monitor(baseline)
    for slot in range(12):
        watched.record(rows(START + 300 * slot, 40, seed=slot))
    now = START + HOUR + 61
    next(watched.judging(now))
    keep(watched, store, now)  # nobody goes on: no more than a state of before is to be had
    again = monitor(baseline, now)
    restore(store, again, now)
    again.tick(now)
    assert {(c.column, c.verdicts[0].state) for c in again.views(now)[0]} == {("carrier", "ok"), ("x", "ok")}


@pytest.mark.parametrize("recorded", ["before", "between"])
def test_verdicts_given_column_by_column_are_those_given_at_once(baseline: Path, recorded: str) -> None:
    whole, piecewise = monitor(baseline), monitor(baseline)
    now = START + HOUR + 61
    for one in (whole, piecewise):
        for slot in range(12):
            one.record(rows(START + 300 * slot, 12, seed=slot, scale=1.609))  # of so few, KLL is exact
    later = rows(now, 12, seed=99)
    if recorded == "before":
        piecewise.record(later)
    whole.tick(now)
    whole.record(later)
    for step, _ in enumerate(piecewise.judging(now)):
        if recorded == "between" and step == 1:
            piecewise.record(later)
    assert told(piecewise, now) == told(whole, now)


def test_counters_never_go_on_below_what_was_shown(store: Store) -> None:
    watched = monitor()
    watched.record(rows(START, 10))
    keep(watched, store, START + 1)
    watched.record(rows(START + 2, 7))
    columns, counted, _ = watched.views(START + 3)
    store.save_exposed(encode_shown(columns, counted))
    watched.record(rows(START + 4, 100))  # of which nobody has heard
    again = monitor()
    restore(store, again, START + 5)
    found, rows_found, _ = again.views(START + 5)
    assert [(c.column, c.rows) for c in found] == [("carrier", 17), ("x", 17)]
    assert [view.rows for view in rows_found] == [17]
    assert [c.windows[0].rows for c in found] == [10, 10]


def test_a_model_with_another_baseline_begins_anew_and_the_file_is_set_aside(
    baseline: Path, store: Store, tmp_path: Path
) -> None:
    watched = monitor(baseline)
    watched.record(rows(START))
    watched.record(rows(START, 5, "other"))
    keep(watched, store, START + 1)
    again = monitor(None, START + 2)
    restored = restore(store, again, START + 2)
    assert restored is not None
    assert restored.other_baselines == ("m",)
    assert {(view.model, view.rows) for view in again.views(START + 2)[1]} == {("other", 5)}
    assert store.failures["baseline"] == 1
    assert (store.directory / "checkpoint.corrupt").exists()


def test_another_time_zone_is_refused_whole(store: Store) -> None:
    watched = monitor()
    watched.record(rows(START))
    keep(watched, store, START + 1)
    again = monitor(text="timezone: Asia/Kolkata")
    with pytest.raises(CheckpointError, match="expected time zone Asia/Kolkata, found UTC"):
        restore(store, again, START + 2)
    assert again.columns() == []
    assert store.failures["baseline"] == 1


def test_sections_that_say_nothing_are_an_error(store: Store) -> None:
    for sections in ([], [b"\x00"], [b"", b"\xc1"]):
        store.save(sections)
        with pytest.raises(CheckpointError):
            restore(store, monitor(), START)
    assert store.failures["corrupt"] == 3


def test_a_column_that_can_not_be_read_costs_itself_alone(store: Store) -> None:
    watched = monitor()
    watched.record(rows(START))
    keep(watched, store, START + 1)
    sections = store.load()
    assert sections is not None
    store.save([sections[0][:-1], *sections[1:]])
    again = monitor()
    restored = restore(store, again, START + 1)
    assert restored is not None
    assert (restored.columns, restored.left_out) == (1, 1)


def test_a_column_that_is_declared_otherwise_now_begins_anew(store: Store) -> None:
    watched = monitor()
    watched.record(rows(START))
    keep(watched, store, START + 1)
    again = monitor(text="models: [{name: m, columns: [{name: x, kind: numeric, range: [0, 1]}]}]")
    restored = restore(store, again, START + 1)
    assert restored is not None
    assert (restored.columns, restored.left_out) == (1, 1)
    assert {c.column: c.rows for c in again.views(START + 2)[0]} == {"carrier": 3, "x": 0}


def test_versions_without_a_row_for_eight_days_are_let_go(store: Store) -> None:
    watched = monitor()
    watched.record(rows(START, version="old"))
    watched.record(rows(START + 5 * DAY, version="new"))
    keep(watched, store, START + 5 * DAY)
    now = START + 9 * DAY
    again = monitor(None, now)
    restore(store, again, now)
    assert {view.version for view in again.views(now)[1]} == {"new"}


def test_no_more_versions_are_restored_than_may_be_followed(store: Store) -> None:
    watched = monitor()
    for version in range(6):
        watched.record(rows(START, version=str(version)))
    keep(watched, store, START)
    again = monitor(text="limits: {models: 4}")
    restore(store, again, START)
    assert len(again.views(START)[1]) == 4


def test_a_clock_that_stands_before_the_checkpoint_goes_on_judging(store: Store) -> None:
    watched = monitor()
    watched.record(rows(START + DAY))
    watched.tick(START + DAY)
    keep(watched, store, START + DAY)
    again = Monitor(Configuration(), {}, late_seconds=60.0, start=START)
    restore(store, again, START)
    again.record(rows(START))
    again.tick(START + HOUR + 61)
    column = next(c for c in again.views(START + HOUR + 61)[0] if c.column == "x")
    assert (column.verdicts[0].start, column.verdicts[0].end) == (START, START + HOUR)
