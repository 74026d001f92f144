"""Slices of a model, from rows to views, with a baseline that has them and without."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from exporter.baseline import Baseline
from exporter.baseline.build import Plan, build
from exporter.monitor import Monitor
from exporter.rows import Rows
from exporter.schema import ColumnSpec, Configuration, ModelSpec
from exporter.slices import SERIES
from exporter.views import SliceView, VerdictView

CARRIERS, SHARES = ["AA", "UA", "DL", "HA"], [0.4, 0.3, 0.25, 0.05]
START = 1_698_537_600.0  # 2023-10-29, the midnight after four weeks
HOUR = 3600.0
SPEC = ModelSpec(name="m", slices=("carrier",), slice_values=3)


def drawn(rng: np.random.Generator, rows: int, moved: Sequence[str] = ()) -> dict[str, object]:
    carrier = rng.choice(CARRIERS, rows, p=SHARES)
    late = rng.beta(2, 5, rows)
    late = np.where(np.isin(carrier, list(moved)), late**0.4, late)
    return {"x": rng.normal(100, 20, rows), "carrier": carrier.tolist(), "late": late}


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    folder = tmp_path_factory.mktemp("slices")
    rng = np.random.default_rng(0)
    lines = ["time,x,carrier,late"]
    for hour in range(24 * 28):
        day, of_day = divmod(hour, 24)
        row = drawn(rng, 60)
        moment = f"2023-10-{day + 1:02}T{of_day:02}:30:00Z"
        columns = zip(row["x"], row["carrier"], row["late"], strict=True)
        lines += [f"{moment},{x:.4f},{carrier},{late:.5f}" for x, carrier, late in columns]
    path = folder / "train.csv"
    path.write_text("\n".join(lines) + "\n")
    plan = Plan(path=path, model="m", created=0.0, timestamp="time", predictions=("late",), spec=SPEC)
    written = folder / "baseline.json"
    build(plan).baseline.write(written)
    return Baseline.load(written)


class Watched:
    def __init__(self, baseline: Baseline | None, spec: ModelSpec = SPEC) -> None:
        self.heard: list[tuple[str, VerdictView]] = []
        baselines = {"m": baseline} if baseline is not None else {}
        self.monitor = Monitor(
            Configuration(models=(spec,)), baselines, 0.0, START,
            on_verdict=lambda model, version, role, column, verdict: self.heard.append((column, verdict)),
        )  # fmt: skip
        self._rng = np.random.default_rng(1)

    def hour(self, number: int, rows: int = 400, moved: Sequence[str] = ()) -> None:
        columns = drawn(self._rng, rows, moved)
        time = START + number * HOUR + 60
        late = columns.pop("late")
        self.monitor.record(Rows("m", "1", "feature", time, rows, columns))
        slices = {"carrier": columns["carrier"]}
        self.monitor.record(Rows("m", "1", "prediction", time, rows, {"late": late}, 1, slices))
        self.monitor.tick(START + (number + 1) * HOUR)
        assert self.monitor.errors == {"record": 0, "judge": 0, "view": 0}

    @property
    def views(self) -> dict[str, SliceView]:
        return {view.value: view for view in self.monitor.slice_views()}

    def states(self, window: str = "1h") -> dict[str, str]:
        return {
            value: verdict.state
            for value, view in self.views.items()
            for verdict in view.verdicts
            if verdict.window == window
        }


def test_a_baseline_has_the_predictions_of_each_value_and_of_the_rest(baseline: Baseline) -> None:
    assert list(baseline.slices) == [
        ("carrier", "AA"),
        ("carrier", "UA"),
        ("carrier", "DL"),
        ("carrier", None),
    ]
    whole = baseline.columns["prediction", "late"]
    parts = [columns["late"] for columns in baseline.slices.values()]
    assert sum(part.counts for part in parts).tolist() == whole.counts.tolist()
    assert sum(part.rows for part in parts) == whole.rows
    assert {part.bins.id for part in parts} == {whole.bins.id}
    assert {part.calibration is not None for part in parts} == {True}


def test_a_baseline_without_slices_is_written_as_before(baseline: Baseline, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    replace(baseline, slices={}).write(path)
    assert '"slices"' not in path.read_text()
    assert Baseline.load(path).slices == {}


def test_rows_predictions_and_missing_are_counted_by_value(baseline: Baseline) -> None:
    watched = Watched(baseline)
    features = {"x": np.array([1.0, np.nan, 3.0, 4.0]), "carrier": ["AA", "AA", "HA", None]}
    watched.monitor.record(Rows("m", "1", "feature", START, 4, features))
    late, slices = {"late": np.array([0.1, np.nan, 0.9, 0.2])}, {"carrier": features["carrier"]}
    watched.monitor.record(Rows("m", "1", "prediction", START, 4, late, 1, slices))
    views = watched.views
    assert {value: view.rows for value, view in views.items()} == {"AA": 2, "UA": 0, "DL": 0, "other": 2}
    assert views["AA"].entries == {"feature": 4, "prediction": 2}
    assert views["AA"].missing == {"feature": 1, "prediction": 1}
    assert views["other"].missing == {"feature": 1, "prediction": 0}
    assert {
        value: int(view.columns[0].bin_counts.sum()) for value, view in views.items() if view.columns
    } == {
        "AA": 1,
        "other": 2,
    }


def test_predictions_whose_slices_are_not_known_are_in_no_slice(baseline: Baseline) -> None:
    watched = Watched(baseline)
    watched.monitor.record(Rows("m", "1", "prediction", START, 1, {"late": np.array([0.5])}))
    assert {view.entries["prediction"] for view in watched.views.values()} == {0}


def test_a_change_in_one_value_is_found_there_and_told_with_the_column(baseline: Baseline) -> None:
    watched = Watched(baseline)
    for number in range(3):
        watched.hour(number, rows=800)
    few = {"other": "insufficient"}  # too few in the baseline for its hours to be calibrated
    assert watched.states() == {"AA": "ok", "UA": "ok", "DL": "ok", **few}
    watched.hour(3, rows=800, moved=["UA"])
    assert watched.states() == {"AA": "ok", "UA": "drifted", "DL": "ok", **few}
    verdict = next(one for one in watched.views["UA"].verdicts if one.window == "1h")
    assert (verdict.column, verdict.score > 1, verdict.sentence[:5]) == ("late", True, "late:")
    told = [verdict for column, verdict in watched.heard if column == "late"][-1]
    assert told.state == "drifted"
    assert told.sentence.endswith(", mostly carrier = UA")
    (shown,) = [view for view in watched.monitor.views(START + 4 * HOUR)[0] if view.column == "late"]
    assert shown.verdicts[0].sentence == told.sentence


def test_a_change_in_all_values_is_mostly_in_none(baseline: Baseline) -> None:
    watched = Watched(baseline)
    watched.hour(0)
    watched.hour(1, moved=CARRIERS)
    told = [verdict for column, verdict in watched.heard if column == "late"][-1]
    assert (told.state, "mostly" in told.sentence) == ("drifted", False)


def test_quiet_hours_of_a_week_are_silent_in_every_slice(baseline: Baseline) -> None:
    watched = Watched(baseline)
    seen = set()
    for number in range(24 * 3):
        watched.hour(number, rows=150)
        seen |= {*watched.states().values()} | ({*watched.states("1d").values()} if number >= 23 else set())
    assert seen == {"ok", "insufficient"}  # eight rows an hour of the rest


def test_without_a_baseline_values_are_chosen_by_frequency_and_hashed_unless_declared() -> None:
    undeclared = Watched(None)
    undeclared.hour(0)
    assert [value[0] for value in undeclared.views] == ["#", "#", "#", "o"]
    declared = Watched(None, ModelSpec(name="m", slices=("carrier",), columns=(ColumnSpec(name="carrier"),)))
    declared.hour(0)
    assert list(declared.views) == ["AA", "UA", "DL", "HA", "other"]
    assert declared.states() == dict.fromkeys(declared.views, "learning")


def test_a_model_without_slices_has_none(baseline: Baseline) -> None:
    watched = Watched(baseline, ModelSpec(name="m"))
    watched.hour(0)
    assert watched.views == {}


def test_the_series_of_a_version_are_bounded_and_whole_columns_come_before_elements() -> None:
    spec = ModelSpec(name="m", slices=("carrier",), slice_values=3, columns=(ColumnSpec(name="carrier"),))
    watched = Watched(None, spec)
    columns = {f"p[{at}]": np.zeros(4) for at in range(SERIES)} | {"label": np.zeros(4)}
    watched.monitor.record(Rows("m", "1", "prediction", START, 4, columns, 1, {"carrier": CARRIERS}))
    (version,) = watched.monitor._versions.values()
    assert version.slices.size == SERIES
    assert version.slices._columns["label"]
