"""Matching: what the first rows show of columns that are missing, renamed, of another kind or swapped."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.baseline import Baseline
from exporter.baseline.assemble import Parts, assemble
from exporter.baseline.document import Origin
from exporter.baseline.edges import category_bins, numeric_bins
from exporter.matching import ROWS, ColumnKey, mismatch
from exporter.rows import Values
from exporter.schema import ColumnSpec, ModelSpec
from exporter.sketch import Moments
from tests.verdict.flights import flights

N = 2_000


def training(seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "trip_distance": rng.gamma(2.0, 1.5, N),
        "passenger_count": rng.integers(1, 7, N).astype(float),
        "fare": rng.normal(40.0, 12.0, N),
        "hour": rng.integers(0, 24, N).astype(float),
        "carrier": rng.choice(["UA", "AA", "DL"], N),
    }


def baseline_of(columns: dict[str, np.ndarray]) -> Baseline:
    made = {}
    for name, values in columns.items():
        if values.dtype.kind == "f":
            bins = numeric_bins(values, float(values.min()), float(values.max()))
            counts, kind = bins.count(values), "numeric"
        else:
            names, repeats = np.unique(values, return_counts=True)
            shares = dict(zip(names.tolist(), repeats.tolist(), strict=True))
            bins = category_bins(shares, None, shares)  # type: ignore[assignment]
            counts, kind = bins.count(names.tolist(), repeats.tolist())[0], "categorical"  # type: ignore[call-arg]
        parts = Parts(
            name=name,
            role="feature",
            kind=kind,  # type: ignore[arg-type]
            bins=bins,
            counts=counts,
            rows=N,
            missing=0,
            distinct=1.0,
            moments=Moments(),
        )
        made["feature", name] = assemble(parts)
    origin = Origin(file="t.csv", rows=N)
    return Baseline(model="m", created=0.0, sha256="", timezone="UTC", origin=origin, columns=made)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def baseline() -> Baseline:
    return baseline_of(training(0))


def live(rows: int = 400, **changes: Values | None) -> dict[ColumnKey, Values]:
    columns: dict[str, Values | None] = {
        name: values[:rows] if values.dtype.kind == "f" else values[:rows].tolist()
        for name, values in training(1).items()
    }
    columns.update(changes)
    return {("feature", name): values for name, values in columns.items() if values is not None}


@pytest.mark.parametrize("rows", [1, ROWS, 400])
def test_the_same_columns_match(rows: int, baseline: Baseline) -> None:
    assert mismatch(baseline, None, live(rows)) == []


def test_no_traffic_is_no_mismatch(baseline: Baseline) -> None:
    assert mismatch(baseline, None, {}) == []
    assert mismatch(baseline, None, {("prediction", "fare"): [1.0]}) == [
        "prediction 'fare' is not in the baseline: it is learnt, not judged"
    ]


def test_a_renamed_column_is_told_with_its_new_name(baseline: Baseline) -> None:
    seen = live(passenger_count=None, passengerCount=training(1)["passenger_count"][:400])
    assert mismatch(baseline, None, seen) == [
        "feature 'passenger_count' of the baseline does not come; 'passengerCount' does, did you mean that?",
        "feature 'passengerCount' is not in the baseline: it is learnt, not judged",
    ]


def test_what_the_configuration_leaves_out_is_not_told(baseline: Baseline) -> None:
    spec = ModelSpec(name="m", columns=(ColumnSpec(name="hour", monitored=False),), only_declared=True)
    assert mismatch(baseline, spec, live(hour=None, extra=[1.0] * 400)) == []


def test_numbers_in_quotes_are_told(baseline: Baseline) -> None:
    seen = live(fare=[f"{value:.2f}" for value in training(1)["fare"][:400]])
    (sentence,) = mismatch(baseline, None, seen)
    assert sentence.startswith("feature 'fare' comes as numbers in quotes, ")
    assert sentence.endswith(", the baseline has numbers")


def test_a_few_values_of_another_kind_are_not_a_mismatch(baseline: Baseline) -> None:
    values: list[object] = [*training(1)["fare"][:400].tolist(), *["n/a"] * 20]
    assert mismatch(baseline, None, {("feature", "fare"): values, **_others("fare")}) == []


def _others(name: str) -> dict[ColumnKey, Values]:
    return {key: values for key, values in live().items() if key[1] != name}


def test_swapped_columns_are_told(baseline: Baseline) -> None:
    columns = training(1)
    seen = live(fare=columns["hour"][:400], hour=columns["fare"][:400])
    assert mismatch(baseline, None, seen) == [
        "features 'fare' and 'hour' look swapped: each fits the other's baseline"
    ]


def test_columns_that_moved_one_place_are_told(baseline: Baseline) -> None:
    columns = training(1)
    seen = live(fare=columns["hour"][:400], hour=columns["trip_distance"][:400] * 0 + 2.7)
    # The place of the distance is taken by the fare; the hour is nothing that was ever seen.
    seen["feature", "trip_distance"] = columns["fare"][:400]
    told = mismatch(baseline, None, seen)
    assert "feature 'fare' looks like 'hour' of the baseline: is the order another?" in told
    assert "feature 'trip_distance' looks like 'fare' of the baseline: is the order another?" in told


@pytest.mark.parametrize("factor", [1.2, 1.609, 1000.0])
def test_a_change_of_unit_is_drift_and_not_an_order(factor: float, baseline: Baseline) -> None:
    assert mismatch(baseline, None, live(fare=training(1)["fare"][:400] * factor)) == []


def test_on_real_flights_only_a_true_swap_is_told() -> None:
    frame = flights()[["dep_delay", "distance", "air_time", "sched_dep_time"]].dropna()
    columns = {name: frame[name].to_numpy(float) for name in frame}
    known = baseline_of({name: values[:150_000] for name, values in columns.items()})
    later: dict[ColumnKey, Values] = {
        ("feature", name): values[150_000:150_400] for name, values in columns.items()
    }
    assert mismatch(known, None, later) == []
    one, two = ("feature", "dep_delay"), ("feature", "distance")
    later[one], later[two] = later[two], later[one]  # type: ignore[index]
    assert mismatch(known, None, later) == [
        "features 'dep_delay' and 'distance' look swapped: each fits the other's baseline"
    ]
