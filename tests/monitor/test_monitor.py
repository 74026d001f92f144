"""The monitor: rows in, verdicts when an hour is over, incidents that last, versions never mixed."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from exporter.baseline import Baseline, BaselineError
from exporter.baseline.expected import alpha_of
from exporter.configuration import ConfigurationError, parse
from exporter.monitor import Monitor, load_baselines, mismatches
from exporter.rows import Rows, Values
from exporter.schema import Configuration
from exporter.views import ColumnView
from tests.monitor.baselines import build_baseline

HOUR = 3600.0
START = 1_698_537_600.0  # 2023-10-29T00:00Z, where the baseline's four weeks end


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_baseline(tmp_path_factory.mktemp("baseline"))


def monitor(baseline: Path | None, text: str = "") -> Monitor:
    configuration = parse(
        text or (f"models: [{{name: m, baseline: {baseline.name}}}]" if baseline else ""), "f"
    )
    baselines = load_baselines(configuration, baseline.parent if baseline else Path())
    return Monitor(configuration, baselines, late_seconds=60.0, start=START)


def rows(time: float, x: Values, carrier: Values | None = None, version: str = "1", model: str = "m") -> Rows:
    columns: dict[str, Values] = {"x": x}
    if carrier is not None:
        columns["carrier"] = carrier
    return Rows(model, version, "feature", time, len(x), columns)


def column(watched: Monitor, name: str, now: float, version: str = "1") -> ColumnView:
    return next(c for c in watched.views(now)[0] if (c.column, c.version) == (name, version))


def feed_hour(watched: Monitor, start: float, seed: int, scale: float = 1.0, count: int = 240) -> None:
    generator = np.random.default_rng(seed)
    for slot in range(12):
        x = generator.normal(100, 20, count // 12) * scale
        carrier = generator.choice(["AA", "UA", "DL"], count // 12, p=[0.5, 0.3, 0.2]).tolist()
        watched.record(rows(start + 300 * slot + 10, x, carrier))
        watched.tick(start + 300 * slot + 10)


def test_a_clean_hour_is_ok_and_a_scaled_one_drifted_since_its_change(baseline: Path) -> None:
    watched = monitor(baseline)
    feed_hour(watched, START, 1)
    watched.tick(START + HOUR + 61)
    verdict = column(watched, "x", START + HOUR + 61).verdicts[0]
    assert (verdict.window, verdict.state, verdict.start, verdict.end) == ("1h", "ok", START, START + HOUR)
    assert (verdict.rows, verdict.incident_start) == (240, None)

    feed_hour(watched, START + HOUR, 2, scale=1.609)
    watched.tick(START + 2 * HOUR + 61)
    view = column(watched, "x", START + 2 * HOUR + 61)
    verdict = view.verdicts[0]
    assert verdict.state == "drifted"
    assert verdict.incident_start == pytest.approx(START + HOUR, abs=300)
    assert verdict.score is not None
    assert verdict.score > 1
    assert re.match(r"all values × 1\.[56]\d", verdict.sentence)
    assert (verdict.fault, verdict.incident) == ("scale", "2023-10-29T01:00:00Z")
    assert {"shape"} <= set(verdict.detectors)
    other = column(watched, "carrier", START + 2 * HOUR + 61).verdicts[0]
    assert other.state == "ok"


def test_an_incident_ends_after_three_quiet_hours_with_enough_rows(baseline: Path) -> None:
    watched = monitor(baseline)
    feed_hour(watched, START, 1, scale=1.609)
    watched.tick(START + HOUR + 61)
    opened = column(watched, "x", START + HOUR + 61).verdicts[0]
    assert opened.state == "drifted"
    for hour in range(1, 6):
        now = START + (hour + 1) * HOUR + 61
        if hour == 2:
            watched.record(rows(START + hour * HOUR + 5, [100.0]))  # too few rows to say anything
        else:
            feed_hour(watched, START + hour * HOUR, hour)
        watched.tick(now)
        verdict = column(watched, "x", now).verdicts[0]
        if hour < 4:
            assert verdict == opened
        else:
            assert (verdict.state, verdict.incident_start) == ("ok", None)


def test_the_longer_an_incident_lasts_the_better_its_factor_is_known(baseline: Path) -> None:
    watched = monitor(baseline)
    sentences = []
    for hour in range(8):
        feed_hour(watched, START + hour * HOUR, hour, scale=1.609 if hour else 1.0, count=60)
        now = START + (hour + 1) * HOUR + 61
        watched.tick(now)
        verdict = column(watched, "x", now).verdicts[0]
        sentences.append(verdict.sentence)
    assert verdict.incident_start == pytest.approx(START + HOUR, abs=300)
    factor = re.match(r"all values × ([\d.]+)", sentences[-1])
    assert factor is not None, sentences
    assert float(factor[1]) == pytest.approx(1.609, abs=0.06)


def test_rows_that_come_after_the_hour_but_before_its_verdict_are_judged_with_it(baseline: Path) -> None:
    watched = monitor(baseline)
    feed_hour(watched, START, 1)
    watched.tick(START + HOUR + 30)
    assert column(watched, "x", START + HOUR + 30).verdicts[0].state == "insufficient"
    watched.record(rows(START + HOUR - 1, [100.0] * 7))
    watched.tick(START + HOUR + 60)
    assert column(watched, "x", START + HOUR + 60).verdicts[0].rows == 247


def test_versions_have_windows_and_verdicts_of_their_own(baseline: Path) -> None:
    watched = monitor(baseline)
    generator = np.random.default_rng(5)
    watched.record(rows(START + 10, generator.normal(100, 20, 300)))
    watched.record(rows(START + 10, generator.normal(300, 20, 300), version="2"))
    watched.tick(START + HOUR + 61)
    states = {v: column(watched, "x", START + HOUR + 61, v).verdicts[0].state for v in ("1", "2")}
    assert states == {"1": "ok", "2": "drifted"}
    assert [(r.model, r.version, r.rows) for r in watched.views(START + HOUR)[1]] == [
        ("m", "1", 300),
        ("m", "2", 300),
    ]


def test_columns_of_the_baseline_stand_at_zero_from_the_first_row_on(baseline: Path) -> None:
    watched = monitor(baseline)
    watched.record(rows(START, [1.0]))
    view = column(watched, "carrier", START)
    assert view.rows == 0
    assert view.bin_counts is not None
    assert view.bin_counts.tolist() == [0] * len(view.bin_labels)


def test_a_column_without_baseline_is_learning_and_has_its_kind_from_its_first_value(baseline: Path) -> None:
    watched = monitor(baseline)
    watched.record(Rows("m", "1", "feature", START, 2, {"new": [None, None]}))
    assert {c.column for c in watched.views(START)[0]} == {"x", "carrier"}
    watched.record(Rows("m", "1", "feature", START, 2, {"new": ["a", None]}))
    watched.tick(START + HOUR + 61)
    view = column(watched, "new", START + 60)
    assert (view.kind, view.rows, view.missing, view.bins, view.bin_counts) == ("categorical", 4, 3, "", None)
    assert [(v.window, v.state) for v in view.verdicts] == [("1h", "learning"), ("1d", "learning")]


def test_declared_categories_are_bins_without_a_baseline() -> None:
    text = "models: [{name: m, columns: [{name: carrier, kind: categorical, categories: [UA, AA]}]}]"
    watched = monitor(None, text)
    watched.record(rows(START, [1.0, 2.0, 3.0], ["AA", "AA", "XX"]))
    view = column(watched, "carrier", START)
    assert (view.bin_labels, view.bin_counts is not None) == (("00 UA", "01 AA", "02 other"), True)
    assert view.bin_counts is not None
    assert view.bin_counts.tolist() == [0, 2, 1]
    assert view.verdicts[0].state == "learning"


def test_a_model_nobody_declared_is_followed_by_inference() -> None:
    watched = monitor(None)
    watched.record(rows(START, np.array([1.0, np.nan, 3.0]), model="unheard-of"))
    (view,), (counted,), baselines = watched.views(START)
    assert (view.model, view.column, view.kind, view.rows, view.missing) == (
        "unheard-of",
        "x",
        "numeric",
        3,
        1,
    )
    assert (counted.model, counted.rows, baselines) == ("unheard-of", 3, ())


def test_a_day_is_judged_at_midnight_of_the_configured_time_zone(baseline: Path) -> None:
    text = f"{{models: [{{name: m, baseline: {baseline.name}}}], timezone: America/New_York}}"
    configuration = parse(text, "f")
    midnight = 1_700_024_400.0  # 15 November 2023, 00:00 in New York
    watched = Monitor(
        configuration, load_baselines(configuration, baseline.parent), 60.0, midnight - 5 * HOUR
    )
    feed_hour(watched, midnight - HOUR, 1)
    watched.tick(midnight + 61)
    verdict = column(watched, "x", midnight + 61).verdicts[1]
    assert (verdict.window, verdict.end, verdict.rows) == ("1d", midnight, 240)


def test_the_page_budget_is_shared_by_columns_detectors_and_windows() -> None:
    for window, a_month in (("1h", 730.5), ("1d", 30.4375)):
        assert alpha_of(2.0, 100, window) == pytest.approx(1 / (100 * 8 * a_month))
        assert alpha_of(2.0, 0, window) == pytest.approx(1 / (8 * a_month))


def test_a_fault_of_ours_costs_one_column_and_is_counted(
    baseline: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watched = monitor(baseline)
    watched.record(rows(START, [1.0], ["AA"]))
    broken = watched._versions["m", "1"].columns["feature", "x"]
    monkeypatch.setattr(broken, "_windows", None)
    monkeypatch.setattr(broken, "_make", None)
    watched.record(rows(START, [2.0], ["AA"]))
    assert watched.errors == {"record": 1, "judge": 0, "view": 0}
    assert column(watched, "carrier", START).rows == 2


def test_a_baseline_of_another_model_is_refused(baseline: Path) -> None:
    configuration = parse(f"models: [{{name: other, baseline: {baseline.name}}}]", "f")
    with pytest.raises(BaselineError, match="model: expected 'other', found 'm'"):
        load_baselines(configuration, baseline.parent)


def test_a_column_declared_to_be_of_another_kind_than_the_baselines_is_refused(baseline: Path) -> None:
    text = f"models: [{{name: m, baseline: {baseline.name}, columns: [{{name: x, kind: categorical}}]}}]"
    with pytest.raises(
        ConfigurationError, match=r"modelmeter.yaml: models\[0\].columns\[0\].kind: expected 'numeric'"
    ):
        load_baselines(parse(text, "f"), baseline.parent)


def test_a_declared_column_that_the_baseline_does_not_know_is_told_with_the_nearest_one(
    baseline: Path,
) -> None:
    text = f"models: [{{name: m, baseline: {baseline.name}, columns: [{{name: carier}}, {{name: x}}, {{name: z, monitored: false}}]}}]"
    configuration = parse(text, "f")
    found = mismatches(configuration, load_baselines(configuration, baseline.parent))
    assert found == [f"m: feature 'carier' is not in {baseline.name}; did you mean 'carrier'?"]


def test_an_unmonitored_column_of_the_baseline_is_not_shown(baseline: Path) -> None:
    text = f"models: [{{name: m, baseline: {baseline.name}, columns: [{{name: carrier, monitored: false}}]}}]"
    watched = monitor(baseline, text)
    watched.record(rows(START, [1.0]))
    assert {c.column for c in watched.views(START)[0]} == {"x"}


def test_known_columns_are_those_of_the_baseline(baseline: Path) -> None:
    watched = monitor(baseline)
    assert set(watched.known_columns("m")) == set(Baseline.load(baseline).columns)
    assert set(watched.known_columns("other")) == set()
    assert Configuration().model("m") is None


def test_the_hour_is_shown_beside_yesterday_last_week_and_the_last_rows(baseline: Path) -> None:
    watched = monitor(baseline)
    for hour in (0, 144, 168):
        feed_hour(watched, START + hour * HOUR, hour, count=240)
    now = START + 168 * HOUR + HOUR - 1
    shown = {one.name: (one.rows, one.psi is not None) for one in column(watched, "x", now).beside}
    assert shown == {"same hour yesterday": (240, True), "same hour last week": (240, True)}
    quiet = START + 170 * HOUR
    watched.record(rows(quiet, [100.0] * 3))
    shown = {one.name: (one.rows, one.psi is not None) for one in column(watched, "x", quiet + 1).beside}
    assert set(shown) == {"last rows"}
    assert shown["last rows"][0] in range(200, 243)
