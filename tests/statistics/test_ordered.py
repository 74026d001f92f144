"""Distances of numbers: scipy's, laws, sketches against exact arrays, and the ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from exporter.sketch import Quantiles
from exporter.statistics import (
    STATISTICS,
    Points,
    Statistic,
    binned_kolmogorov_smirnov_distance,
    both_distances,
    kolmogorov_smirnov_distance,
    normed_wasserstein_distance,
    of_values,
    standard_deviation,
    wasserstein_distance,
)

OF_POINTS = [statistic for statistic in STATISTICS if statistic.of == "points"]

values = st.lists(st.one_of(st.integers(-4, 4).map(float), st.floats(-1e6, 1e6)), min_size=1, max_size=40)
weighted = st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(0, 9)), min_size=1, max_size=30).filter(
    lambda pairs: any(weight for _, weight in pairs)
)


def points(pairs: list[tuple[float, int]]) -> Points:
    return Points(np.array([v for v, _ in pairs]), np.array([float(w) for _, w in pairs]))


def test_a_shift_is_a_distance_of_its_size() -> None:
    base = np.array([1.0, 2.0, 4.0])
    assert wasserstein_distance(of_values(base), of_values(base + 10)) == pytest.approx(10.0, rel=1e-14)
    assert kolmogorov_smirnov_distance(of_values(base), of_values(base + 10)) == 1.0
    normed = 10.0 / np.std(base)
    assert normed_wasserstein_distance(of_values(base), of_values(base + 10)) == pytest.approx(
        normed, rel=1e-14
    )


def test_the_example_of_scipys_own_documentation_holds() -> None:
    # scipy.stats.wasserstein_distance([0, 1, 3], [5, 6, 8]) = 5.0, and with weights ([0, 1], [0, 1], [3, 1], [2, 2]) = 0.25
    assert wasserstein_distance(
        of_values(np.array([0, 1, 3])), of_values(np.array([5, 6, 8]))
    ) == pytest.approx(5.0)
    left = Points(np.array([0.0, 1.0]), np.array([3.0, 1.0]))
    right = Points(np.array([0.0, 1.0]), np.array([2.0, 2.0]))
    assert wasserstein_distance(left, right) == pytest.approx(0.25)


@given(weighted, weighted)
def test_wasserstein_is_that_of_scipy(left: list[tuple[float, int]], right: list[tuple[float, int]]) -> None:
    u, v = points(left), points(right)
    theirs = stats.wasserstein_distance(u.values, v.values, u.weights, v.weights)
    assert wasserstein_distance(u, v) == pytest.approx(theirs, rel=1e-9, abs=1e-8)


@given(values, values)
def test_kolmogorov_smirnov_is_that_of_scipy(left: list[float], right: list[float]) -> None:
    theirs = stats.ks_2samp(left * 2, right * 2, method="asymp").statistic
    assert kolmogorov_smirnov_distance(
        of_values(np.array(left)), of_values(np.array(right))
    ) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("statistic", OF_POINTS, ids=lambda s: s.name)
@given(left=weighted, right=weighted)
def test_it_stays_in_its_range_and_is_symmetric_where_it_says_so(
    statistic: Statistic, left: list[tuple[float, int]], right: list[tuple[float, int]]
) -> None:
    u, v = points(left), points(right)
    value = statistic.function(u, v)
    assert statistic.range[0] <= value <= statistic.range[1]
    if statistic.symmetric:
        assert statistic.function(v, u) == pytest.approx(value, rel=1e-9, abs=1e-9)
    assert statistic.function(u, u) == 0.0


@pytest.mark.parametrize("statistic", OF_POINTS, ids=lambda s: s.name)
@given(pairs=weighted, order=st.randoms(), scale=st.floats(0.01, 1e6))
def test_neither_order_nor_scale_nor_splitting_of_weights_matters(
    statistic: Statistic, pairs: list[tuple[float, int]], order: object, scale: float
) -> None:
    other = of_values(np.array([-3.0, 0.0, 7.0]))
    shuffled = list(pairs)
    order.shuffle(shuffled)  # type: ignore[attr-defined]
    again = points([*shuffled, *shuffled])
    again = Points(again.values, again.weights * scale)
    expected = statistic.function(other, points(pairs))
    assert statistic.function(other, again) == pytest.approx(expected, rel=1e-9, abs=1e-9)


@given(weighted, weighted, weighted)
def test_both_obey_the_triangle_inequality(
    one: list[tuple[float, int]], two: list[tuple[float, int]], three: list[tuple[float, int]]
) -> None:
    a, b, c = points(one), points(two), points(three)
    for function in (wasserstein_distance, kolmogorov_smirnov_distance):
        direct = function(a, c)
        assert direct <= (function(a, b) + function(b, c)) * (1 + 1e-9) + 1e-9


@given(values, values, st.floats(-2, 2), st.floats(0.1, 10))
def test_normed_wasserstein_knows_no_unit(
    left: list[float], right: list[float], add: float, factor: float
) -> None:
    a, b = np.array(left), np.array(right)
    if np.std(a) < 1e-3 * max(1.0, np.abs(a).max()):
        return
    plain = normed_wasserstein_distance(of_values(a), of_values(b))
    other = normed_wasserstein_distance(of_values(a * factor + add), of_values(b * factor + add))
    assert other == pytest.approx(plain, rel=1e-6, abs=1e-9)


@given(values, values, st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8, unique=True))
def test_the_distance_at_edges_is_at_most_that_of_the_values(
    left: list[float], right: list[float], edges: list[float]
) -> None:
    a, b = np.array(left), np.array(right)
    bins = [np.bincount(np.searchsorted(sorted(edges), x), minlength=len(edges) + 1) for x in (a, b)]
    at_edges = binned_kolmogorov_smirnov_distance(*bins)
    assert at_edges <= kolmogorov_smirnov_distance(of_values(a), of_values(b)) + 1e-12


@given(weighted, weighted)
def test_both_at_once_are_the_two_of_them(
    left: list[tuple[float, int]], right: list[tuple[float, int]]
) -> None:
    u, v = points(left), points(right)
    single = (kolmogorov_smirnov_distance(u, v), normed_wasserstein_distance(u, v))
    assert both_distances(u, v, standard_deviation(u)) == single


def test_a_constant_baseline_has_no_unit_to_norm_by() -> None:
    constant = of_values(np.array([0.1, 0.1, 0.1]))
    assert standard_deviation(constant) == 0.0
    assert normed_wasserstein_distance(constant, constant) == 0.0
    assert normed_wasserstein_distance(constant, of_values(np.array([0.1, 0.2]))) == math.inf
    assert wasserstein_distance(constant, of_values(np.array([0.1, 0.2]))) == pytest.approx(0.05)


def test_the_largest_floats_give_a_number() -> None:
    low, high = of_values(np.array([-1.7e308])), of_values(np.array([1.7e308]))
    assert wasserstein_distance(low, high) == math.inf
    assert kolmogorov_smirnov_distance(low, high) == 1.0
    assert wasserstein_distance(of_values(np.array([1e-320])), of_values(np.array([0.0]))) == pytest.approx(
        1e-320
    )


@pytest.mark.parametrize("statistic", OF_POINTS, ids=lambda s: s.name)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (Points(np.array([]), np.array([])), "at least one value"),
        (Points(np.array([1.0]), np.array([1.0, 2.0])), "a weight for each"),
        (Points(np.array([math.nan]), np.array([1.0])), "finite values"),
        (Points(np.array([math.inf]), np.array([1.0])), "finite values"),
        (Points(np.array([1.0]), np.array([0.0])), "found none"),
        (Points(np.array([1.0, 2.0]), np.array([2.0, -1.0])), "found -1.0"),
    ],
)
def test_what_is_no_distribution_is_refused(statistic: Statistic, bad: Points, message: str) -> None:
    good = of_values(np.array([1.0, 2.0]))
    for pair in ((bad, good), (good, bad)):
        with pytest.raises(ValueError, match=message):
            statistic.function(*pair)


@pytest.mark.parametrize("shift", [0.1, 0.5, 2.0])
def test_two_sketches_give_what_exact_arrays_give(shift: float) -> None:
    rng = np.random.default_rng(5)
    a, b = rng.normal(size=50_000), rng.normal(shift, 1, size=50_000)
    one, two = Quantiles(), Quantiles()
    one.update(a)
    two.update(b)
    u, v = Points(*one.points()), Points(*two.points())
    exact = kolmogorov_smirnov_distance(of_values(a), of_values(b))
    bound = one.error() + two.error() + 2 * 0.5 / 200
    assert kolmogorov_smirnov_distance(u, v) == pytest.approx(exact, abs=bound)
    # A rank off by 1.3 % moves a value of a normal column by 0.05 σ on average.
    assert wasserstein_distance(u, v) == pytest.approx(shift, abs=0.05)


def test_points_of_a_small_sketch_are_its_values() -> None:
    sketch = Quantiles()
    assert [column.size for column in sketch.points()] == [0, 0]
    sketch.update(np.array([3.0, 1.0, 2.0, 1.0]))
    found = sketch.points()
    assert [column.tolist() for column in found] == [[1.0, 1.0, 2.0, 3.0], [1.0, 1.0, 1.0, 1.0]]
    sketch.update(np.arange(1000.0))
    found = sketch.points()
    assert (found[0].size, found[1].sum()) == (200, pytest.approx(1004.0))
