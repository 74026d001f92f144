"""Bins from counted groups are those that the values themselves would have."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from exporter.baseline.edges import numeric_bins
from exporter.baseline.weighted import weighted_bins, weighted_quantiles, weighted_top

values_of = st.lists(
    st.one_of(st.integers(-20, 20).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=80
).map(lambda values: np.array(values) + 0.0)


@given(values_of)
def test_groups_of_one_value_give_the_builders_bins(values: np.ndarray) -> None:
    distinct, counts = np.unique(values, return_counts=True)
    whole = bool((distinct == np.floor(distinct)).all())
    expected = numeric_bins(values, float(distinct[0]), float(distinct[-1]))
    assert weighted_bins(distinct, distinct, counts, whole) == expected


@given(values_of)
def test_quantiles_lie_among_the_values_and_ascend(values: np.ndarray) -> None:
    distinct, counts = np.unique(values, return_counts=True)
    quantiles = weighted_quantiles(distinct, distinct, counts).quantile(np.linspace(0, 1, 9))
    assert np.isin(quantiles, distinct).all()
    assert (np.diff(quantiles) >= 0).all()


def test_only_values_that_are_known_exactly_are_frequent() -> None:
    low, high = np.array([0.0, 1.0, 5.0]), np.array([0.0, 2.0, 5.0])
    assert weighted_top(low, high, np.array([10, 80, 10]), 5, 0.05) == ((0.0, 0.1), (5.0, 0.1))
