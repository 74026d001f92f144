"""SageMaker Model Monitor: statistics.json becomes a baseline; the six checks of constraints.json are its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from exporter.baseline import Baseline, BaselineError
from exporter.baseline.imports import Constraints, Observed, import_baseline, read_constraints, violations
from exporter.baseline.imports.violations import ROBUST, chi_square_p_value, observed_column, observed_hours
from exporter.hourly import TOPS, HourTable
from tests.baseline.imports.made import AGES, constraints, statistics, written


@pytest.fixture(scope="module")
def baseline(tmp_path_factory: pytest.TempPathFactory) -> Baseline:
    path = written(tmp_path_factory.mktemp("s") / "statistics.json", statistics())
    return import_baseline(path, model="m", created=0.0).baseline


@pytest.fixture
def declared(tmp_path: Path) -> Constraints:
    return read_constraints(written(tmp_path / "constraints.json", constraints()))


def test_a_sketch_is_cut_into_the_bins_that_the_rows_would_have(baseline: Baseline) -> None:
    age = baseline.columns["feature", "age"]
    assert (age.rows, age.missing, age.valid) == (4200, 104, 4096)
    assert age.bins.size == 18
    exact = age.bins.count(AGES)  # type: ignore[union-attr]
    np.testing.assert_allclose(age.counts, exact, atol=3)
    assert age.range == (AGES[0], AGES[-1])


def test_buckets_are_the_bins_where_there_is_no_sketch(baseline: Baseline) -> None:
    visits = baseline.columns["feature", "visits"]
    assert visits.bins.labels[:3] == ("00 < 0", "01 [0, 1)", "02 [1, 2)")
    assert visits.bins.labels[-2:] == ("10 [9, 11)", "11 >= 11")
    assert visits.counts.tolist() == [0, *[420] * 10, 0]


def test_texts_are_categories(baseline: Baseline) -> None:
    carrier = baseline.columns["feature", "carrier"]
    assert (carrier.kind, carrier.rows, carrier.missing) == ("categorical", 4200, 200)
    assert (carrier.counts.tolist(), carrier.known_complete) == ([2400, 1200, 400, 0], True)


def test_notes_tell_what_the_files_do_not(tmp_path: Path) -> None:
    path = written(tmp_path / "statistics.json", statistics())
    other = written(tmp_path / "constraints.json", constraints())
    imported = import_baseline(path, model="m", created=0.0, constraints=other, predictions=["age"])
    assert [note.split(":")[0] for note in imported.notes] == [
        "visits",
        "note",
        "visits",
        "constraints.json is not part of the baseline",
        "uncalibrated",
    ]
    assert set(imported.baseline.columns) == {
        ("prediction", "age"),
        ("feature", "visits"),
        ("feature", "carrier"),
    }
    assert imported.baseline.rows == 4200


@pytest.mark.parametrize(
    ("place", "value", "key", "found"),
    [
        (("features", 0, "inferred_type"), "Real", "features[0].inferred_type", "'Real'"),
        (("features", 0, "name"), 7, "features[0].name", "7"),
        (("features", 1, "name"), "age", "features[1].name", "'age' twice"),
        (
            ("features", 2, "string_statistics", "common", "num_present"),
            -1,
            "features[2].string_statistics.common.num_present",
            "-1",
        ),
        (
            ("features", 1, "numerical_statistics", "distribution", "kll", "buckets", 3, "lower_bound"),
            -5.0,
            "features[1].numerical_statistics.distribution.kll.buckets[3].lower_bound",
            "-5.0",
        ),
        (("features",), "none", "features", "'none'"),
    ],
)
def test_what_is_wrong_is_named(
    place: tuple[Any, ...], value: Any, key: str, found: str, tmp_path: Path
) -> None:
    document: Any = statistics()
    at = document
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = value
    with pytest.raises(BaselineError) as caught:
        import_baseline(written(tmp_path / "statistics.json", document), model="m", created=0.0)
    assert (caught.value.key, caught.value.found) == (key, found)


def observed(baseline: Baseline, **changes: Observed) -> dict[str, Observed]:
    same = {name: observed_column(column, column) for (_, name), column in baseline.columns.items()}
    return same | changes


def test_the_same_rows_violate_nothing(baseline: Baseline, declared: Constraints) -> None:
    assert violations(declared, baseline, observed(baseline)) == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"age": Observed(rows=100, missing=50, mismatched=0, counts=None)},
            {("age", "completeness_check")},
        ),
        (
            {"visits": Observed(rows=100, missing=0, mismatched=1, counts=None)},
            {("visits", "data_type_check")},
        ),
        (
            {
                "carrier": Observed(
                    rows=4000, missing=0, mismatched=0, counts=np.array([2400, 1200, 396, 4]), unseen=4
                )
            },
            {("carrier", "categorical_values_check")},
        ),
        (
            {"carrier": Observed(rows=4000, missing=0, mismatched=0, counts=np.array([1900, 1700, 400, 0]))},
            {("carrier", "baseline_drift_check")},
        ),
        (
            {
                "visits": Observed(
                    rows=900, missing=0, mismatched=0, counts=np.array([0, *[0] * 5, *[180] * 5, 0])
                )
            },
            {("visits", "baseline_drift_check")},
        ),
        (
            {"visits": Observed(rows=0, missing=0, mismatched=0, counts=None)},
            {("visits", "missing_column_check")},
        ),
        (
            {"more": Observed(rows=9, missing=0, mismatched=0, counts=None)},
            {("more", "extra_column_check")},
        ),
    ],
)
def test_each_check_is_violated_by_what_it_is_for(
    changes: dict[str, Observed], expected: set[tuple[str, str]], baseline: Baseline, declared: Constraints
) -> None:
    found = violations(declared, baseline, observed(baseline, **changes))
    assert {(one.feature_name, one.constraint_check_type) for one in found} == expected


def test_thresholds_and_switches_of_the_file_hold(baseline: Baseline, tmp_path: Path) -> None:
    live = observed(baseline, visits=Observed(rows=100, missing=0, mismatched=5, counts=None))
    lenient = read_constraints(written(tmp_path / "a.json", constraints(datatype_check_threshold=0.9)))
    off = read_constraints(
        written(
            tmp_path / "b.json", constraints() | {"monitoring_config": {"evaluate_constraints": "Disabled"}}
        )
    )
    assert violations(lenient, baseline, live) == []
    assert violations(off, baseline, {}) == []


def test_robust_takes_off_what_chance_does_and_simple_does_not(baseline: Baseline, tmp_path: Path) -> None:
    counts = np.array([0, *[4] * 5, *[6] * 5, 0])  # 50 rows, distance 0.1 and chance 0.256
    live = observed(baseline, visits=Observed(rows=50, missing=0, mismatched=0, counts=counts))
    for method, violated in (("Simple", 1), ("Robust", 0)):
        rule = {"comparison_threshold": 0.09, "comparison_method": method}
        declared = read_constraints(written(tmp_path / method, constraints(distribution_constraints=rule)))
        assert len(violations(declared, baseline, live)) == violated
    assert ROBUST * np.sqrt((50 + 4200) / (50 * 4200)) == pytest.approx(0.256, abs=0.001)


def test_chi_squared_is_that_of_scipy() -> None:
    one, two = np.array([50, 30, 20, 0]), np.array([40, 45, 10, 5])
    expected = stats.chi2_contingency(np.stack((one, two)), correction=False).pvalue
    assert chi_square_p_value(one, two) == pytest.approx(expected, rel=1e-9)


def test_hours_of_a_table_are_observed_together() -> None:
    table = HourTable(
        hours=np.array([1, 2]),
        cells=np.array([1, 2]),
        rows=np.array([10, 20]),
        missing=np.array([1, 2]),
        mismatched=np.array([0, 1]),
        unseen=np.array([0, 3]),
        far=np.zeros(2, np.int64),
        grid=np.zeros(2, np.int64),
        bins=np.array([[4, 5], [10, 7]]),
        moments=np.full((2, 4), np.nan),
        top_values=np.full((2, TOPS), np.nan),
        top_counts=np.zeros((2, TOPS), np.int64),
    )
    seen = observed_hours(table)
    assert seen.counts is not None
    assert (seen.rows, seen.missing, seen.mismatched, seen.unseen) == (30, 3, 1, 3)
    assert seen.counts.tolist() == [14, 12]
