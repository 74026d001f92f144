from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.baseline.edges import CATEGORIES, HEAVY_SHARE, QUANTILE_BINS, category_bins, numeric_bins

finite = st.floats(allow_nan=False, allow_infinity=False)
columns = st.one_of(
    st.lists(finite, min_size=1, max_size=80),
    st.lists(st.integers(-5, 5).map(float), min_size=1, max_size=80),
)


def bins_of(values: list[float]) -> tuple[np.ndarray, np.ndarray]:
    array = np.array(values)
    bins = numeric_bins(array, float(array.min()), float(array.max()))
    return bins.edges, bins.count(array)


@given(columns)
def test_nothing_of_the_baseline_lies_below_its_minimum_or_above_its_maximum(values: list[float]) -> None:
    edges, counts = bins_of(values)
    assert counts[0] == 0
    assert edges[0] == min(values)
    # The largest float has no neighbour above, so there the last bin is the maximum's own.
    assert counts[-1] == 0 or max(values) == np.finfo(float).max


@given(columns)
def test_every_bin_but_the_outer_two_holds_some_of_the_baseline(values: list[float]) -> None:
    _, counts = bins_of(values)
    assert (counts[1:-1] > 0).all()


@given(columns)
def test_the_order_of_the_values_does_not_matter(values: list[float]) -> None:
    assert np.array_equal(bins_of(values)[0], bins_of(values[::-1])[0])


def test_a_continuous_column_has_sixteen_equal_bins_and_two_outer_ones() -> None:
    values = np.random.default_rng(0).normal(size=16_000)
    bins = numeric_bins(values, float(values.min()), float(values.max()))
    assert bins.size == QUANTILE_BINS + 2
    inner = bins.count(values)[1:-1]
    assert inner.min() >= 999
    assert inner.max() <= 1001


def test_a_heavy_value_has_a_bin_of_its_own() -> None:
    rng = np.random.default_rng(1)
    values = np.concatenate([rng.uniform(0, 100, 900), np.full(100, 42.5)])
    bins = numeric_bins(values, float(values.min()), float(values.max()))
    at = int(bins.index(np.array([42.5]))[0])
    assert bins.labels[at].endswith(" = 42.5")
    assert bins.count(values)[at] == 100
    assert bins.index(np.array([np.nextafter(42.5, np.inf)]))[0] == at + 1


def test_heavy_means_six_tenths_of_a_quantile_bin() -> None:
    rest = np.linspace(1000, 2000, 1000)
    heavy = np.full(round(1000 * HEAVY_SHARE / (1 - HEAVY_SHARE)) + 1, 1500.5)
    for values, has_own in (
        (np.concatenate([rest, heavy]), True),
        (np.concatenate([rest, heavy[:-8]]), False),
    ):
        bins = numeric_bins(values, 1000.0, 2000.0)
        assert any(label.endswith(" = 1500.5") for label in bins.labels) is has_own


def test_small_whole_numbers_have_one_bin_each() -> None:
    values = np.repeat(np.arange(5.0), 20)
    assert numeric_bins(values, 0.0, 4.0).labels == (
        "00 < 0",
        "01 [0, 1)",
        "02 [1, 2)",
        "03 [2, 3)",
        "04 [3, 4)",
        "05 = 4",
        "06 > 4",
    )


def test_whole_numbers_end_at_the_next_one() -> None:
    values = np.arange(80.0, 4984.0)
    assert numeric_bins(values, 80.0, 4983.0).labels[-1] == "17 >= 4984"


def test_a_constant_column_has_three_bins() -> None:
    assert numeric_bins(np.full(9, -0.5), -0.5, -0.5).labels == ("00 < -0.5", "01 = -0.5", "02 > -0.5")


@pytest.mark.parametrize("value", [1.7976931348623157e308, -1.7976931348623157e308, 5e-324, 0.0, 2.0**63])
def test_every_float_can_be_a_constant(value: float) -> None:
    bins = numeric_bins(np.array([value]), value, value)
    assert bins.count(np.array([value, -np.inf])).tolist()[0] == 1


def test_extremes_that_the_sample_missed_still_bound_the_bins() -> None:
    bins = numeric_bins(np.linspace(10, 20, 100), 1.0, 99.0)
    assert bins.edges[0] == 1.0
    assert bins.count(np.array([0.5, 1.0, 99.0, 100.5])).tolist()[0] == 1
    assert bins.count(np.array([100.5])).tolist()[-1] == 1


def test_categories_are_the_twenty_most_frequent_and_ties_go_by_name() -> None:
    counts = {f"c{at:02d}": 5 for at in range(30)} | {"top": 9}
    bins = category_bins(counts, None, counts)
    assert bins.categories == ("top", *(f"c{at:02d}" for at in range(CATEGORIES - 1)))
    assert bins.known == frozenset(counts)


def test_declared_categories_keep_their_order_and_are_known() -> None:
    bins = category_bins({"b": 9, "z": 1}, ("a", "b"), ["b", "z"])
    assert bins.categories == ("a", "b")
    assert bins.known == {"a", "b", "z"}
