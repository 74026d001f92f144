"""Learnt baselines: the same from one recorder and from twenty, without the poisoned day, normal files."""

from __future__ import annotations

import json
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from exporter.baseline import Baseline
from exporter.baseline.edges import numeric_bins
from exporter.learning import LearningError, learn_baseline, read_states, write_states
from exporter.learning.baseline import is_learnt
from exporter.learning.model import ModelLearner, merged_model
from exporter.profile import Layout
from tests.learning.made import NAMES, NUMBERS, START, UTC, added, traffic


@pytest.fixture(scope="module")
def learner() -> ModelLearner:
    return traffic(1)[0]


@pytest.fixture(scope="module")
def baseline(learner: ModelLearner) -> Baseline:
    return learn_baseline(learner, START).baseline


def test_one_recorder_and_twenty_give_the_same_file() -> None:
    fleet = traffic(20, daily=9)
    np.random.default_rng(3).shuffle(fleet)  # type: ignore[arg-type]
    alone = learn_baseline(added(traffic(1, daily=9)), START, blind=False).baseline
    assert alone.state == "calibrated"
    assert learn_baseline(added(fleet), START, blind=False).baseline.sealed() == alone.sealed()


def test_it_is_a_normal_file_marked_as_learnt(baseline: Baseline, tmp_path: Path) -> None:
    baseline.write(tmp_path / "baseline.json")
    again = Baseline.load(tmp_path / "baseline.json")
    assert is_learnt(again)
    assert again.origin.builder.endswith("learnt")
    assert (again.origin.start, again.origin.end) == ("2023-11-15T00:00:00", "2023-11-30T00:00:00")
    assert again.sealed() == baseline.sealed()


def test_live_days_calibrate_it(baseline: Baseline) -> None:
    assert baseline.calibrated == "calibrated for 1h"
    assert {name for (_, name), column in baseline.columns.items() if column.calibration} == {"fare", "paid"}


def test_what_it_is_blind_below_stands_in_the_file(baseline: Baseline) -> None:
    fare, paid = (baseline.columns["feature", name].blind_below for name in ("fare", "paid"))
    assert set(fare) >= {"shift", "scale", "null_surge"}
    assert fare["shift"] is not None
    assert fare["shift"] <= 1.0
    assert "unseen_category" in paid


def test_counts_are_those_of_the_traffic(baseline: Baseline, learner: ModelLearner) -> None:
    fare, paid = baseline.columns["feature", "fare"], baseline.columns["feature", "paid"]
    assert fare.rows == paid.rows == learner.state.rows == baseline.rows
    assert fare.valid + fare.missing == fare.rows
    assert 0.015 < fare.missing_share < 0.025
    assert fare.quantiles is not None
    assert fare.quantiles.quantile([0.5])[0] == pytest.approx(42.1, abs=0.3)  # more rows while it is high
    assert dict(paid.top) == pytest.approx({"card": 0.6, "cash": 0.3, "other": 0.1}, abs=0.01)
    assert paid.bins.labels == ("00 card", "01 cash", "02 other", "03 other")


def test_bins_hold_about_a_sixteenth_each(baseline: Baseline) -> None:
    shares = baseline.columns["feature", "fare"].shares
    assert shares[[0, -1]].tolist() == [0.0, 0.0]
    assert shares.size >= 14
    assert shares.max() < 2.2 / 16


def test_a_poisoned_day_is_kept_out_and_listed() -> None:
    clean, poisoned = traffic(1)[0], traffic(1, poisoned={6})[0]
    learnt = learn_baseline(poisoned, START, blind=False)
    assert np.flatnonzero(learnt.left_out["feature", "fare"].hours).tolist() == list(range(144, 168))
    (note,) = [note for note in learnt.notes if "left out" in note]
    between = "2023-11-21T00:00:00 and 2023-11-22T00:00:00"
    assert note == (
        f"fare: 24 hours (6.7% of the rows) between {between} differ from the others and are left out"
    )
    fare = learnt.baseline.columns["feature", "fare"]
    limit = learn_baseline(clean, START, blind=False).baseline.columns["feature", "fare"].range
    assert fare.range is not None
    assert limit is not None
    assert fare.range[1] <= limit[1]
    assert learnt.baseline.columns["feature", "paid"].rows == clean.state.rows


def test_incidents_that_verdicts_told_are_kept_out(learner: ModelLearner) -> None:
    first = learner.state.first
    learnt = learn_baseline(learner, START, blind=False, known={("feature", "fare"): {first, first + 1}})
    assert np.flatnonzero(learnt.left_out["feature", "fare"].hours).tolist() == [0, 1]


def test_few_days_give_a_baseline_without_calibration_and_say_so() -> None:
    learnt = learn_baseline(added(traffic(1, days=3)), START)
    assert learnt.baseline.state == "uncalibrated"
    assert "3 live days calibrate nothing, 14 are needed: drift gives tickets, never a page" in learnt.notes


def test_a_column_of_missing_entries_is_left_out_and_told() -> None:
    learner = ModelLearner("m", UTC, START)
    for hour in range(3):
        learner.add("feature", "age", "numeric", START + hour * 3600, *NUMBERS.read([1.0, 2.0]))
        learner.add("prediction", "score", "numeric", START + hour * 3600, *NUMBERS.read([None]))
    learnt = learn_baseline(learner, START)
    assert list(learnt.baseline.columns) == [("feature", "age")]
    assert "score: left out, no entry is numeric" in learnt.notes


def test_heavy_values_and_whole_numbers_have_their_own_bins() -> None:
    learner = ModelLearner("m", UTC, START)
    values = np.repeat([0.0, 1.0, 2.0, -999.0, 0.1], [50, 20, 10, 10, 10])
    learner.add("feature", "n", "numeric", START, *NUMBERS.read(values))
    column = learn_baseline(learner, START).baseline.columns["feature", "n"]
    assert column.bins == numeric_bins(values, -999.0, 2.0)
    assert column.counts.tolist() == [0, 10, 50, 10, 20, 10, 0]
    assert column.top == ((0.0, 0.5), (1.0, 0.2), (-999.0, 0.1), (0.1, 0.1), (2.0, 0.1))


@pytest.mark.parametrize("kind", ["boolean", "text", "embedding"])
def test_other_kinds_are_learnt_by_what_stands_for_them(kind: str) -> None:
    values = {"boolean": [True, False, True], "text": ["ab", "abcd"], "embedding": [[3.0, 4.0], [0.0, 1.0]]}[
        kind
    ]
    learner = ModelLearner("m", UTC, START)
    learner.add("feature", "c", kind, START, *Layout(kind).read(values))  # type: ignore[arg-type]
    column = learn_baseline(learner, START).baseline.columns["feature", "c"]
    assert (column.kind, column.valid, column.rows) == (kind, len(values), len(values))


def test_the_hour_that_winter_time_repeats_is_one_hour() -> None:
    zone = ZoneInfo("America/New_York")
    learner = ModelLearner("m", zone, 1_699_156_800.0)
    for hour in range(6):  # 2023-11-05, 00:00 to 04:00, with 01:00 twice
        learner.add("feature", "c", "categorical", 1_699_156_800.0 + hour * 3600, *NAMES.read(["a"]))
    recent = learn_baseline(learner, START).baseline.columns["feature", "c"].recent
    assert recent is not None
    assert (recent.hours % 24).tolist() == [0, 1, 2, 3, 4]
    assert recent.rows.tolist() == [1, 2, 1, 1, 1]


def test_states_read_back_and_add_up(learner: ModelLearner) -> None:
    halves = traffic(2, days=4)
    states = [("a", read_states(write_states([half]), "a")[0]) for half in halves]
    assert learn_baseline(merged_model(states, None), START).baseline.sealed() == (
        learn_baseline(added(traffic(1, days=4)), START).baseline.sealed()
    )
    assert write_states(read_states(write_states([learner]), "f")) == write_states([learner])


def test_a_frozen_learner_takes_nothing_more() -> None:
    learner = ModelLearner("m", UTC, START)
    learner.add("feature", "n", "numeric", START, *NUMBERS.read([1.0]))
    learner.frozen = True
    before = write_states([learner])
    learner.add("feature", "n", "numeric", START, *NUMBERS.read([1.0]))
    assert write_states([learner]) == before


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ({"format": "other"}, "format"),
        ({"schema": 9}, "schema"),
        ({"models": {}}, "models"),
        ({"models": [{"model": "m"}]}, "models[0]"),
    ],
)
def test_other_states_are_refused_with_their_key(change: dict[str, object], key: str) -> None:
    state = json.loads(write_states([ModelLearner("m", UTC, START)])) | change
    with pytest.raises(LearningError) as caught:
        read_states(json.dumps(state).encode(), "a.json")
    assert (caught.value.file, caught.value.key) == ("a.json", key)


def test_states_of_two_models_ask_which() -> None:
    two = [("f", ModelLearner(name, UTC, START)) for name in ("a", "b")]
    with pytest.raises(LearningError, match="--model with one of 'a', 'b'"):
        merged_model(two, None)


def test_states_whose_hours_begin_at_another_minute_do_not_add_up() -> None:
    two = [("f", ModelLearner("m", ZoneInfo(name), START)) for name in ("UTC", "Asia/Kolkata")]
    with pytest.raises(LearningError, match="timezone"):
        merged_model(two, None)
