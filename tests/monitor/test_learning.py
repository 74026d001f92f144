"""What a monitor learns of columns without a baseline, and what it tells of traffic that does not match one."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exporter.checkpoint import Store
from exporter.configuration import parse
from exporter.learning import ModelLearner, live_bins
from exporter.learning.model import read_states
from exporter.monitor import Monitor, load_baselines, restore, save
from exporter.monitor.fit import ENTRIES, Fit
from exporter.rows import Rows
from exporter.schema import Configuration
from tests.monitor.baselines import build_baseline

HOUR, DAY = 3600.0, 86_400.0
START = 1_698_537_600.0  # 2023-10-29T00:00Z, where the baseline's four weeks end
UNCONFIGURED = Configuration()


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_baseline(tmp_path_factory.mktemp("baseline"))


def judged(baseline: Path) -> Monitor:
    configuration = parse(f"models: [{{name: m, baseline: {baseline.name}}}]", "f")
    return Monitor(configuration, load_baselines(configuration, baseline.parent), 60.0, START)


def rows(
    time: float, count: int = 30, version: str = "1", seed: int = 0, centre: float = 100.0, **others: Any
) -> Rows:
    generator = np.random.default_rng(seed)
    columns: dict[str, Any] = {
        "x": generator.normal(centre, 20, count),
        "carrier": generator.choice(["AA", "UA", "DL"], count, p=[0.5, 0.3, 0.2]).tolist(),
        **others,
    }
    columns = {name: values for name, values in columns.items() if values is not None}
    return Rows("m", version, "feature", time, count, columns)


def learnt(watched: Monitor) -> ModelLearner:
    (state,) = read_states(watched.learnt(nullcontext()), "state")
    return state


def sentences(watched: Monitor, now: float) -> set[str]:
    return {verdict.sentence for column in watched.views(now)[0] for verdict in column.verdicts}


# Learning


def test_versions_learn_together_every_row_that_came() -> None:
    watched = Monitor(UNCONFIGURED, {}, 60.0, START)
    for n in range(20):
        watched.record(rows(START + 600 * n, 7, version=str(n % 3), seed=n))
    found = learnt(watched)  # most of the rows were still waiting to be read
    assert {key: column.state.rows for key, column in found.columns.items()} == {
        ("feature", "x"): 140,
        ("feature", "carrier"): 140,
    }
    assert found.state.hours == 4


def test_columns_without_a_baseline_have_bins_that_every_pod_has() -> None:
    watched = Monitor(UNCONFIGURED, {}, 60.0, START)
    flags = [True, False] * 15
    watched.record(rows(START, flag=flags))
    found = {column.column: column for column in watched.views(START)[0]}
    assert (found["x"].bins, found["x"].bin_labels) == (live_bins().id, live_bins().labels)
    assert int(found["x"].bin_counts.sum()) == 30  # type: ignore[union-attr]
    assert found["flag"].bin_labels[:2] == ("00 false", "01 true")
    assert found["carrier"].bin_counts is None  # whatever is sent would become a label


def test_how_far_it_is_stands_in_verdicts_and_views() -> None:
    watched = Monitor(UNCONFIGURED, {}, 60.0, START)
    for hour in range(3):
        watched.record(rows(START + HOUR * hour, seed=hour))
    watched.tick(START + 3 * HOUR + 61)
    (view,) = watched.learning_views()
    assert (view.model, view.stage, view.rows, view.freezes) == ("m", "learning", 90, START + 14 * DAY)
    assert sentences(watched, START + 3 * HOUR) == {view.sentence}
    assert view.sentence.startswith("learning: 90 rows of 0.1 live days; it freezes on 2023-11-12")


def test_after_fourteen_live_days_it_is_frozen_and_told_once() -> None:
    watched = Monitor(parse("models: [{name: m}]", "f"), {}, 60.0, START)
    told = []
    for hour in range(15 * 24):
        now = START + HOUR * hour
        watched.record(rows(now, 3, seed=hour))
        watched.record(rows(now + 1, 255, seed=hour))
        watched.tick(now + 1800)
        told += [(hour, notice.event, notice.fields) for notice in watched.take_notices()]
    event = "learning is over: what was learnt can be promoted"
    assert told == [(14 * 24 - 1, event, {"model": "m"})]
    found = learnt(watched)
    assert (found.frozen, found.state.rows, found.state.hours) == (True, 14 * 24 * 258, 14 * 24)
    (view,) = watched.learning_views()
    assert (view.stage, view.freezes) == ("frozen", None)
    assert sentences(watched, now) == {view.sentence}


def test_a_model_that_nobody_configured_is_not_named_in_the_log() -> None:
    watched = Monitor(UNCONFIGURED, {}, 60.0, START)
    for hour in range(14 * 24 + 1):
        watched.record(rows(START + HOUR * hour, 256))
    watched.tick(START + 14 * DAY + HOUR)
    assert [dict(notice.fields) for notice in watched.take_notices()] == [{}]


def test_hours_in_which_known_columns_drifted_are_told_to_the_learner(baseline: Path) -> None:
    watched = judged(baseline)
    for hour in range(6):
        for slot in range(12):
            now = START + HOUR * hour + 300 * slot
            centre = 300.0 if hour in (3, 4) else 100.0
            watched.record(rows(now, 40, seed=hour * 12 + slot, centre=centre, new=np.arange(40.0)))
        watched.tick(START + HOUR * (hour + 1) + 61)
    found = learnt(watched)
    assert found.columns.keys() == {("feature", "new")}
    assert {hour - int(START // 3600) for hour in found.told} == {3, 4}
    new = next(column for column in watched.views(now)[0] if column.column == "new")
    assert {verdict.sentence for verdict in new.verdicts} == {"the baseline does not have this column"}
    assert watched.learning_views() == ()


# Checkpoints


@pytest.fixture
def store(tmp_path: Path) -> Any:
    made = Store(tmp_path)
    yield made
    made.close()


def keep(watched: Monitor, store: Store, now: float) -> None:
    save(store, watched, lambda: now, nullcontext())


def taught(seed: int = 0) -> Monitor:
    watched = Monitor(UNCONFIGURED, {}, 60.0, START)
    for hour in range(5):
        watched.record(rows(START + HOUR * hour, 300, seed=seed + hour))
    return watched


def test_learning_goes_on_after_a_restart(store: Store) -> None:
    watched = taught()
    now = START + 5 * HOUR
    keep(watched, store, now)
    again = Monitor(UNCONFIGURED, {}, 60.0, now)
    restored = restore(store, again, now)
    assert restored is not None
    assert (restored.columns, restored.left_out) == (2, 0)
    assert again.learnt(nullcontext()) == watched.learnt(nullcontext())
    assert again.learning_views()[0].rows == 1500
    for one in (watched, again):
        one.record(rows(START + 4 * HOUR + 600, 300, seed=77))  # into an hour that was begun before
        one.record(rows(now, 300, seed=78))
    assert again.learnt(nullcontext()) == watched.learnt(nullcontext())


def test_a_bad_section_costs_one_learnt_column_alone(store: Store) -> None:
    watched = taught()
    keep(watched, store, START)
    sections = store.load()
    assert sections is not None
    at = next(n for n, section in enumerate(sections) if section.startswith(b"learner "))
    store.save([*sections[:at], sections[at][:-40], *sections[at + 1 :]])
    again = Monitor(UNCONFIGURED, {}, 60.0, START)
    restored = restore(store, again, START)
    assert restored is not None
    assert (restored.columns, restored.left_out) == (2, 1)
    assert len(learnt(again).columns) == 1


def test_what_a_baseline_knows_now_is_learnt_no_more(store: Store, baseline: Path) -> None:
    watched = taught()
    watched.record(rows(START + 5 * HOUR, 300, new=np.arange(300.0)))
    keep(watched, store, START)
    again = judged(baseline)
    restore(store, again, START)
    assert learnt(again).columns.keys() == {("feature", "new")}


# Does the traffic match the baseline?


def reasons(watched: Monitor) -> dict[str, int]:
    (view,) = watched.match_views()
    return {reason: count for reason, count in view.columns.items() if count}


def test_traffic_like_the_baseline_is_said_to_match(baseline: Path) -> None:
    watched = judged(baseline)
    watched.record(rows(START, ENTRIES - 1))
    watched.tick(START + 1)
    assert watched.match_views() == ()
    watched.record(rows(START, 1))
    watched.tick(START + 2)
    (view,) = watched.match_views()
    assert (dict(view.columns), view.sentences) == (
        {"missing": 0, "kind": 0, "order": 0, "extra": 0},
        (),
    )
    assert watched.take_notices() == []


def test_names_and_kinds_are_told_once_and_the_log_names_no_column_of_the_wire(baseline: Path) -> None:
    watched = judged(baseline)
    for n in range(3):
        text = [f"{value:.3f}" for value in np.random.default_rng(n).normal(100, 20, 300)]
        watched.record(rows(START, 300, x=text, carrier=None, carier=["AA"] * 300))
        watched.tick(START + 61 * n)
    notices = watched.take_notices()
    assert [dict(notice.fields) for notice in notices] == [
        {"model": "m", "reason": "missing", "count": 1, "columns": "carrier"},
        {"model": "m", "reason": "kind", "count": 1, "columns": "x"},
        {"model": "m", "reason": "extra", "count": 1},
    ]
    (view,) = watched.match_views()
    assert [sentence for _, sentence in view.sentences] == [
        "feature 'carrier' of the baseline does not come; 'carier' does, did you mean that?",
        "feature 'x' comes as numbers in quotes, the baseline has numbers",
        "feature 'carier' is not in the baseline: it is learnt, not judged",
    ]
    assert reasons(watched) == {"missing": 1, "kind": 1, "extra": 1}


@pytest.mark.parametrize(("centre", "unlike"), [(100.0, 0), (140.0, 1)])
def test_a_first_day_that_is_unlike_the_baseline_is_told_once(
    baseline: Path, store: Store, centre: float, unlike: int
) -> None:
    watched = judged(baseline)
    told = []
    for hour in range(36):
        if hour == 12:
            keep(watched, store, START + HOUR * hour)
            watched = judged(baseline)
            restore(store, watched, START + HOUR * hour)
        for slot in range(12):
            watched.record(rows(START + HOUR * hour + 300 * slot, 30, seed=hour * 12 + slot, centre=centre))
        watched.tick(START + HOUR * (hour + 1) + 61)
        told += [(hour, notice.fields["columns"]) for notice in watched.take_notices()]
        assert "distribution" not in watched.match_views()[0].columns or hour >= 23
    assert told == [(23, "x")] * unlike
    assert reasons(watched) == ({"distribution": 1} if unlike else {})
    assert watched.match_views()[0].columns["distribution"] == unlike
    assert watched.errors == dict.fromkeys(watched.errors, 0)


def test_a_day_with_too_few_rows_says_nothing_and_the_next_one_is_looked_at(baseline: Path) -> None:
    configuration = parse(f"models: [{{name: m, baseline: {baseline.name}}}]", "f")
    fit = Fit(load_baselines(configuration, baseline.parent)["m"], configuration.models[0])
    fit.see("feature", 1, {"x": [1.0]}, 100)
    key: Any = ("feature", "x")
    asked = []

    def matches(first: int) -> dict[Any, bool | None]:
        asked.append(first)
        return {key: None if first == 100 else False}

    answers = [fit.look_at_day(hour, matches) for hour in range(100, 190)]
    assert asked == [100, 124]
    assert answers[147 - 100] == [key]
    assert sum(map(len, answers)) == 1
