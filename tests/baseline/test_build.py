from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from exporter.baseline import Baseline, BaselineError
from exporter.baseline import build as builder
from exporter.schema import ColumnSpec, ModelSpec
from exporter.sketch.bins import CategoryBins
from tests.baseline.made import built, csv_columns, csv_file, parquet_file

HOUR = dt.timedelta(hours=1)


def traffic(days: int, per_hour: int = 30, seed: int = 0) -> dict[str, Any]:
    """Columns of *days* of rows, and when they were."""
    rng = np.random.default_rng(seed)
    rows = days * 24 * per_hour
    start = dt.datetime(2024, 1, 1)
    return {
        "time": [start + HOUR * at for at in np.repeat(np.arange(days * 24), per_hour).tolist()],
        "amount": rng.gamma(2.0, 50.0, rows),
        "carrier": rng.choice(["UA", "AA", "DL"], rows, p=[0.5, 0.3, 0.2]).tolist(),
        "score": rng.random(rows),
    }


def test_counts_missing_moments_and_range_are_exact(tmp_path: Path) -> None:
    values = [3.5, None, 1.0, 2.0, 1.0, float("inf")]
    column = built(parquet_file(tmp_path, {"x": values})).baseline.columns["feature", "x"]
    assert (column.kind, column.rows, column.missing, column.infinite) == ("numeric", 6, 1, 1)
    assert (column.range, column.distinct) == ((1.0, 3.5), 4.0)
    assert column.moments is not None
    assert (column.moments.count, column.moments.mean) == (4, 1.875)
    assert column.counts.tolist() == column.bins.count(np.array([3.5, 1.0, 2.0, 1.0, np.inf])).tolist()  # type: ignore[arg-type]
    assert column.top[0] == (1.0, 0.5)
    assert (column.calibration, column.recent, column.blind_below) == (None, None, {})


def test_csv_and_parquet_of_the_same_rows_give_the_same_baseline(tmp_path: Path) -> None:
    columns = traffic(15)
    columns["amount"] = np.round(columns["amount"], 2)
    texts = {**columns, "time": [moment.isoformat() for moment in columns["time"]]}
    as_csv = built(csv_columns(tmp_path, texts), timestamp="time").baseline
    as_parquet = built(parquet_file(tmp_path, columns), timestamp="time").baseline
    documents = [baseline.sealed().columns for baseline in (as_csv, as_parquet)]
    assert documents[0] == documents[1]
    assert as_csv.state == "calibrated"


def test_two_builds_of_a_file_are_the_same_but_for_their_time(tmp_path: Path) -> None:
    path = parquet_file(tmp_path, traffic(15))
    digests = {built(path, timestamp="time").baseline.sealed().sha256 for _ in range(2)}
    assert len(digests) == 1
    assert built(path, timestamp="time", created=1.8e9).baseline.sealed().sha256 not in digests


def test_a_column_that_does_not_fit_is_sampled_but_counted_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "EXACT_VALUES", 1)
    monkeypatch.setattr(builder, "SMALLEST_SAMPLE", 8_192)
    values = np.random.default_rng(0).normal(size=100_000)
    column = built(parquet_file(tmp_path, {"x": values})).baseline.columns["feature", "x"]
    assert column.valid == 100_000
    assert column.range == (float(values.min()), float(values.max()))
    assert column.counts[0] == column.counts[-1] == 0
    assert column.shares[1:-1] == pytest.approx([1 / 16] * 16, abs=0.015)
    assert column.distinct == pytest.approx(100_000, rel=0.1)


def test_the_quantile_sketch_is_within_a_quarter_of_a_per_cent(tmp_path: Path) -> None:
    values = np.random.default_rng(0).gamma(1.5, size=50_000)
    column = built(parquet_file(tmp_path, {"x": values})).baseline.columns["feature", "x"]
    assert column.quantiles is not None
    ranks = np.arange(1, 20) / 20
    found = column.quantiles.quantile(ranks)
    actual = [np.mean(values <= value) for value in found]
    assert actual == pytest.approx(ranks, abs=0.0026)


@pytest.mark.parametrize("rows", [1, 10, 1000])
def test_a_few_rows_without_times_make_an_uncalibrated_baseline(tmp_path: Path, rows: int) -> None:
    result = built(csv_columns(tmp_path, {"x": range(rows), "c": ["a"] * rows}))
    assert result.baseline.rows == rows
    assert result.baseline.state == "uncalibrated"
    assert {column.valid for column in result.baseline.columns.values()} == {rows}
    assert result.warnings == ["without --timestamp nothing is calibrated: drift gives tickets, never a page"]


def test_a_single_category_has_a_bin_and_other_another(tmp_path: Path) -> None:
    column = built(csv_columns(tmp_path, {"c": ["a"] * 5})).baseline.columns["feature", "c"]
    assert column.bins == CategoryBins(("a",), frozenset({"a"}))
    assert (column.counts.tolist(), column.top) == ([5, 0], (("a", 1.0),))


def test_a_constant_column_has_a_bin_on_either_side(tmp_path: Path) -> None:
    column = built(csv_columns(tmp_path, {"x": [7] * 5})).baseline.columns["feature", "x"]
    assert (column.bins.labels, column.counts.tolist()) == (("00 < 7", "01 = 7", "02 > 7"), [0, 5, 0])


def test_a_column_without_values_is_left_out_and_said_so(tmp_path: Path) -> None:
    path = csv_columns(tmp_path, {"x": [1, 2], "gone": [None, None], "endless": ["inf", "-inf"]})
    result = built(path)
    assert set(result.baseline.columns) == {("feature", "x")}
    assert "gone: left out, all 2 entries are missing" in result.warnings
    assert "endless: left out, no entry is a finite number" in result.warnings


def test_nan_is_missing_and_infinity_is_not(tmp_path: Path) -> None:
    column = built(parquet_file(tmp_path, {"x": [1.0, float("nan"), None, float("-inf"), 2.0]}))
    found = column.baseline.columns["feature", "x"]
    assert (found.rows, found.missing, found.infinite, found.counts[0]) == (5, 2, 1, 1)


def test_a_mixed_column_counts_its_texts_apart(tmp_path: Path) -> None:
    path = csv_columns(tmp_path, {"x": [*range(99), "n.a."]})
    result = built(path)
    column = result.baseline.columns["feature", "x"]
    assert (column.kind, column.valid, column.missing, column.mismatched) == ("numeric", 99, 0, 1)
    assert "x: 1 of 100 entries are not numeric (the first: 'n.a.') and are in no bin" in result.warnings


def test_huge_integers_are_numbers(tmp_path: Path) -> None:
    values = [2**53 + 1, 10**18, 10**30, int("9" * 400), -(10**400)]
    column = built(csv_columns(tmp_path, {"x": values})).baseline.columns["feature", "x"]
    assert (column.valid, column.infinite, column.range) == (5, 2, (9007199254740992.0, 1e30))


def test_numbers_near_the_largest_float_survive_the_file(tmp_path: Path) -> None:
    baseline = built(parquet_file(tmp_path, {"x": [-1.7e308, 1.7e308, 0.0]})).baseline
    baseline.write(tmp_path / "b.json")
    moments = Baseline.load(tmp_path / "b.json").columns["feature", "x"].moments
    assert moments is not None
    assert (moments.m2, moments.maximum) == (float("inf"), 1.7e308)


def test_columns_may_have_any_name_but_none(tmp_path: Path) -> None:
    names = ["", "a b", 'quo"te', "ключ", "line\nbreak", "{x}", "\x1b[31m"]
    header = ",".join('"' + name.replace('"', '""') + '"' for name in names)
    result = built(csv_file(tmp_path, f"{header}\n" + ",".join(["1"] * len(names)) + "\n"))
    assert [name for _, name in result.baseline.columns] == names[1:]
    assert "a column without a name is left out (an index that was written along?)" in result.warnings
    result.baseline.write(tmp_path / "b.json")
    assert [name for _, name in Baseline.load(tmp_path / "b.json").columns] == names[1:]


def test_the_index_that_pandas_writes_to_parquet_is_no_column(tmp_path: Path) -> None:
    columns = {"x": list(range(200)), "__index_level_0__": list(range(200))}
    result = built(parquet_file(tmp_path, columns))
    assert [name for _, name in result.baseline.columns] == ["x"]
    assert "__index_level_0__: left out, an index that was written along" in result.warnings
    asked = built(parquet_file(tmp_path, columns), predictions=("__index_level_0__",))
    assert ("prediction", "__index_level_0__") in asked.baseline.columns


def test_the_configuration_wins_over_what_is_inferred(tmp_path: Path) -> None:
    path = csv_columns(
        tmp_path,
        {"code": ["3.0", "4.0"] * 50, "flag": ["1", "0"] * 50, "note": ["ab", "abc"] * 50, "out": range(100)},
    )
    spec = ModelSpec(
        name="m",
        columns=(
            ColumnSpec(name="code", kind="categorical", categories=("4", "3", "5")),
            ColumnSpec(name="flag", kind="boolean"),
            ColumnSpec(name="note", kind="text"),
            ColumnSpec(name="out", monitored=False),
            ColumnSpec(name="absent"),
        ),
    )
    result = built(path, spec=spec)
    columns = result.baseline.columns
    assert {name: column.kind for (_, name), column in columns.items()} == {
        "code": "categorical",
        "flag": "boolean",
        "note": "text",
        **{f"note.{share}": "numeric" for share in ("tokens", "ascii", "digits", "punctuation")},
        "note.script": "categorical",
        "note.language": "categorical",
    }
    assert columns["feature", "code"].bins.labels == ("00 4", "01 3", "02 5", "03 other")
    assert columns["feature", "code"].counts.tolist() == [50, 50, 0, 0]
    assert columns["feature", "flag"].bins.labels == ("00 false", "01 true", "02 other")
    assert columns["feature", "note"].range == (2.0, 3.0)
    assert "absent: declared in the configuration, but no column of train.csv" in result.warnings


def test_only_declared_columns_are_built_where_that_is_asked_for(tmp_path: Path) -> None:
    path = csv_columns(tmp_path, {"a": [1, 2], "b": [1, 2]})
    spec = ModelSpec(name="m", columns=(ColumnSpec(name="b"),), only_declared=True)
    assert set(built(path, spec=spec).baseline.columns) == {("feature", "b")}


def test_predictions_have_their_role_and_the_time_is_no_column(tmp_path: Path) -> None:
    path = parquet_file(tmp_path, traffic(1))
    spec = ModelSpec(name="m", predictions=(ColumnSpec(name="carrier"),))
    columns = built(path, timestamp="time", predictions=["score"], spec=spec).baseline.columns
    assert set(columns) == {("feature", "amount"), ("prediction", "carrier"), ("prediction", "score")}


def test_predictions_are_calibrated_like_features(tmp_path: Path) -> None:
    path = parquet_file(tmp_path, traffic(21))
    columns = built(path, timestamp="time", predictions=["score"]).baseline.columns
    calibrated = {key: column.calibration for key, column in columns.items()}
    assert {key: set(found.windows) for key, found in calibrated.items() if found is not None} == {
        ("feature", "amount"): {"1h", "1d"},
        ("feature", "carrier"): {"1h", "1d"},
        ("prediction", "score"): {"1h", "1d"},
    }


def test_times_are_read_in_the_configured_zone(tmp_path: Path) -> None:
    moments = [dt.datetime(2024, 1, 1, 5, tzinfo=dt.UTC), dt.datetime(2024, 7, 1, 4, tzinfo=dt.UTC)]
    path = parquet_file(tmp_path, {"x": [1, 2], "t": moments})
    origin = built(path, timestamp="t", timezone="America/New_York").baseline.origin
    assert (origin.start, origin.end) == ("2024-01-01T00:00:00", "2024-07-01T00:00:00")


def test_rows_without_a_time_count_and_calibrate_nothing(tmp_path: Path) -> None:
    columns = traffic(21)
    columns["time"][:100] = [None] * 100
    result = built(parquet_file(tmp_path, columns), timestamp="time")
    assert result.baseline.columns["feature", "amount"].valid == len(columns["time"])
    assert "time: 100 rows have no time and calibrate nothing" in result.warnings


def test_a_category_of_one_block_is_unseen_in_the_cross_fit(tmp_path: Path) -> None:
    columns = traffic(20)
    columns["carrier"][-72:-42] = ["NEW"] * 30  # within one day
    column = built(parquet_file(tmp_path, columns), timestamp="time").baseline.columns["feature", "carrier"]
    assert column.calibration is not None
    assert column.calibration.shares["unseen"][0][0] == pytest.approx(30 / len(columns["time"]), rel=1e-4)
    assert column.calibration.windows["1h"].tests["unseen"].largest > 0.3
    # Yet the baseline knows it: live traffic has nothing unseen in it.
    assert column.recent is not None
    assert not column.recent.unseen.any()


def test_a_column_that_follows_the_calendar_is_pointed_out(tmp_path: Path) -> None:
    columns = traffic(21)
    columns["day"] = [moment.day for moment in columns["time"]]
    warnings = built(parquet_file(tmp_path, columns), timestamp="time").warnings
    assert [warning for warning in warnings if warning.startswith("day: windows of 1d differ")]
    assert not [warning for warning in warnings if warning.startswith("amount")]


def test_a_column_of_times_is_left_out_with_a_hint(tmp_path: Path) -> None:
    path = csv_columns(tmp_path, {"x": [1, 2], "when": ["2024-01-01", "2024-01-02"]})
    result = built(path)
    assert set(result.baseline.columns) == {("feature", "x")}
    assert "when: left out, it holds times; --timestamp when would calibrate by it" in result.warnings


def test_a_long_file_calibrates_by_its_latest_hours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from exporter.baseline import hours

    monkeypatch.setattr(hours, "CELLS", 24 * 25 * 110)
    result = built(parquet_file(tmp_path, traffic(40)), timestamp="time")
    assert [warning for warning in result.warnings if "hours are more than fit; those since 2024-" in warning]
    column = result.baseline.columns["feature", "amount"]
    assert column.valid == 40 * 24 * 30
    assert column.calibration is not None
    assert 14 * 24 <= column.calibration.windows["1h"].windows < 30 * 24


@pytest.mark.parametrize(
    ("text", "plan", "message"),
    [
        ("a,b\n", {}, "expected a header and rows, found a header alone"),
        ("a\n\n", {}, "expected a header and rows, found a header alone"),
        ("a,b\n,\n", {}, "expected at least one column that can be monitored, found none"),
        ("a\n1\n", {"timestamp": "b"}, "--timestamp: expected one of a, found 'b', which is no column"),
        (
            "time\n1\n",
            {"timestamp": "tiem"},
            "--timestamp: expected 'time', found 'tiem', which is no column",
        ),
        ("a\n1\n", {"predictions": ["p"]}, "--prediction: expected one of a, found 'p', which is no column"),
        ("a\n1\n", {"ignored": ["p"]}, "--ignore: expected one of a, found 'p', which is no column"),
        (
            "a,t\n1,2024-01-01\n2,yesterday\n",
            {"timestamp": "t"},
            "t, row 2: expected an ISO 8601 time or Unix seconds, found 'yesterday'",
        ),
        (
            "a,t\n1,\n",
            {"timestamp": "t"},
            "t: expected an ISO 8601 time or Unix seconds, found missing entries only",
        ),
    ],
)
def test_what_can_not_be_built_is_said_in_one_sentence(
    tmp_path: Path, text: str, plan: dict[str, Any], message: str
) -> None:
    path = csv_file(tmp_path, text)
    with pytest.raises(BaselineError) as caught:
        built(path, **plan)
    assert str(caught.value) == f"{path}: {message}"


def test_the_bar_moves_over_a_million_rows(tmp_path: Path) -> None:
    path = parquet_file(tmp_path, {"x": pa.array(np.arange(1_000_000) % 97)})
    told: list[tuple[str, float, int]] = []
    builder.build(
        builder.Plan(path=path, model="m", created=0.0),
        lambda stage, share, rows: told.append((stage, share, rows)),
    )
    by_stage = {
        name: [(share, rows) for stage, share, rows in told if stage == name]
        for name in ("surveying", "counting", "calibrating")
    }
    assert {len(by_stage["surveying"]), len(by_stage["counting"])} == {16}
    for steps in by_stage.values():
        assert steps == sorted(steps)
        assert steps[-1] == (1.0, 1_000_000)
