"""The verdict on real traffic: months 1 to 9 of the flights are the baseline, 10 to 12 are live.

Nothing was tuned on the live months. Measured when written: 0 of 8,738 hourly and 0 of 552 daily
column-windows drifted.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from exporter.baseline import Baseline
from exporter.sketch.bins import NumericBins
from exporter.sketch.quantile import Quantiles
from exporter.verdict import describe, judge, onset
from tests.verdict.flights import COLUMNS, build_flights, flights, hours_of, states

MILE = 1.609344


@pytest.fixture(scope="module")
def year() -> pd.DataFrame:
    return flights()


@pytest.fixture(scope="module")
def live(year: pd.DataFrame) -> pd.DataFrame:
    return year[year["month"] >= 10].reset_index(drop=True)


@pytest.fixture(scope="module")
def baseline(year: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    path = tmp_path_factory.mktemp("flights") / "train.parquet"
    return build_flights(year[year["month"] <= 9], path, "scheduled")


@pytest.fixture(scope="module")
def uncalibrated(year: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    path = tmp_path_factory.mktemp("flights") / "train.parquet"
    return build_flights(year[year["month"] <= 9], path, None)


def all_states(baseline: Baseline, live: pd.DataFrame, window: str) -> list[str]:
    times = live["time"].to_numpy()
    columns = [baseline.columns["feature", name] for name in COLUMNS]
    found = [states(column, hours_of(column, live[column.name], times), window) for column in columns]
    return [state for one in found for state in one.values()]


def test_clean_hours_do_not_page(baseline: Baseline, live: pd.DataFrame) -> None:
    found = all_states(baseline, live, "1h")
    assert len(found) > 8_000
    assert np.mean([state == "drifted" for state in found]) <= 0.001


def test_clean_days_do_not_page(baseline: Baseline, live: pd.DataFrame) -> None:
    found = all_states(baseline, live, "1d")
    assert len(found) == 6 * 92
    assert set(found) == {"ok"}


def test_kilometres_are_found_within_every_day_and_in_most_hours(
    baseline: Baseline, live: pd.DataFrame
) -> None:
    column = baseline.columns["feature", "distance"]
    times = live["time"].to_numpy()
    before, now = (hours_of(column, live["distance"] * factor, times) for factor in (1, MILE))
    hours = states(column, before, "1h", now)
    assert np.mean([state == "drifted" for state in hours.values()]) > 0.9
    assert set(states(column, before, "1d", now).values()) == {"drifted"}


def test_a_tenth_without_a_value_is_found_where_values_are_never_missing(
    baseline: Baseline, live: pd.DataFrame
) -> None:
    # dep_delay's blizzards hide even half of it there (detection.md 6), and its blind-below says so.
    column = baseline.columns["feature", "distance"]
    times = live["time"].to_numpy()
    emptied = live["distance"].where(np.arange(len(live)) % 10 > 0)
    before, now = (hours_of(column, values, times) for values in (live["distance"], emptied))
    assert set(states(column, before, "1d", now).values()) == {"drifted"}
    assert column.blind_below["null_surge"] is not None
    assert column.blind_below["null_surge"] <= 0.05
    blind = baseline.columns["feature", "dep_delay"].blind_below["null_surge"]
    assert blind is None or blind >= 0.5


def test_the_same_file_judges_a_tenth_of_the_traffic(baseline: Baseline, live: pd.DataFrame) -> None:
    tenth = live.iloc[::10]
    assert set(all_states(baseline, tenth, "1d")) == {"ok"}
    column = baseline.columns["feature", "distance"]
    times = tenth["time"].to_numpy()
    before, now = (hours_of(column, tenth["distance"] * factor, times) for factor in (1, MILE))
    found = states(column, before, "1d", now)
    assert np.mean([state == "drifted" for state in found.values()]) > 0.9


def test_blind_below_is_a_promise_for_most_columns(baseline: Baseline) -> None:
    columns = list(baseline.columns.values())
    limits = {"shift": 1.0, "scale": 2.0, "flood": 0.2, "null_surge": 0.05}
    for fault, limit in limits.items():
        strengths = [column.blind_below[fault] for column in columns if fault in column.blind_below]
        assert np.median([np.inf if one is None else one for one in strengths]) <= limit, fault


def test_without_timestamps_a_gross_fault_is_a_ticket_and_only_days_of_cancelled_flights_page(
    uncalibrated: Baseline, live: pd.DataFrame
) -> None:
    times = live["time"].to_numpy()
    clean, faulted = [], []
    for name in COLUMNS:
        column = uncalibrated.columns["feature", name]
        table = hours_of(column, live[name], times)
        days = np.unique(table.hours - table.cells % 24).tolist()
        clean += [judge(column, table, "1d", day, day + 24).state for day in days]
        if name == "distance":
            table = hours_of(column, live[name] * MILE, times)
            faulted = [judge(column, table, "1d", day, day + 24).state for day in days]
    assert np.mean([state == "ticket" for state in clean]) < 0.02
    # 6 of 552 days: those on which more than a tenth of the flights was cancelled beyond what is usual.
    assert np.mean([state == "drifted" for state in clean]) < 0.02
    assert set(faulted) == {"ticket"}


@pytest.mark.parametrize("hours", [2, 24])
def test_the_onset_is_found_to_two_slots_of_five_minutes(
    baseline: Baseline, live: pd.DataFrame, hours: int
) -> None:
    column = baseline.columns["feature", "distance"]
    assert isinstance(column.bins, NumericBins)
    times, values = live["time"].to_numpy(), live["distance"].to_numpy(dtype=np.float64)
    rng = np.random.default_rng(7)
    errors = []
    for day in np.unique(times // 86_400).tolist():
        begin = day * 86_400 + 13 * 3_600 + int(rng.integers(0, 12)) * 300
        end = (begin // 3_600 + 1) * 3_600 + 3_600 * (hours > 2)
        starts = np.arange(end - hours * 3_600, end, 300)
        chosen = (times >= starts[0]) & (times < end)
        seen = np.where(times >= begin, values * MILE, values)[chosen]
        series = np.zeros((starts.size, column.bins.size), dtype=np.int64)
        np.add.at(series, ((times[chosen] - starts[0]) // 300, column.bins.index(seen)), 1)
        errors.append((onset(series, column.counts, starts) - begin) / 300)
    slots = np.abs(errors)
    assert np.median(slots) <= 1
    assert np.mean(slots <= 2) >= 0.9
    assert np.max(slots) <= 12


def test_the_fault_is_described_by_its_factor(baseline: Baseline, live: pd.DataFrame) -> None:
    column = baseline.columns["feature", "distance"]
    assert isinstance(column.bins, NumericBins)
    sketch = Quantiles()
    sketch.update(live["distance"].to_numpy(dtype=np.float64) * MILE)
    counts = column.bins.count(live["distance"].to_numpy(dtype=np.float64) * MILE)
    sentence = describe(column, sketch, counts)
    factor = float(sentence.split()[1])
    assert factor == pytest.approx(MILE, rel=0.04)
    assert sentence.endswith("of the baseline, as miles sent as kilometres would be")


def test_the_baseline_file_keeps_every_verdict(
    baseline: Baseline, live: pd.DataFrame, tmp_path: Path
) -> None:
    baseline.write(tmp_path / "baseline.json")
    loaded = Baseline.load(tmp_path / "baseline.json")
    times = live["time"].to_numpy()
    for name in COLUMNS:
        column, again = (one.columns["feature", name] for one in (baseline, loaded))
        table = hours_of(column, live[name], times)
        assert states(again, table, "1d") == states(column, table, "1d")
        assert again.blind_below == column.blind_below
