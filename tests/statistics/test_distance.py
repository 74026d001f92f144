"""Distances: a value worked out by hand, scipy's, and the ends: equal, disjoint, one empty bin, tiny and huge n."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import distance
from scipy.special import rel_entr

from exporter.schema import Kind
from exporter.statistics import (
    ALL_KINDS,
    STATISTICS,
    Statistic,
    StatisticKind,
    jensen_shannon_distance,
    psi,
    smoothed_shares,
)

# Two score bands, 50 : 50 at development and 80 : 20 now. With half a count a band: shares 1/2 and 161/202.
#   psi = (161/202 - 1/2) · ln(161/41) = 60/202 · ln(161/41)          [both bands add the same term, halves]
EXPECTED, OBSERVED = np.array([50, 50]), np.array([80, 20])
HAND_PSI = (161 / 202 - 0.5) * math.log(161 / 202 / 0.5) + (41 / 202 - 0.5) * math.log(41 / 202 / 0.5)
MIDDLE = (0.5 + 161 / 202) / 2, (0.5 + 41 / 202) / 2
HAND_JS = math.sqrt(
    0.5 * (0.5 * math.log2(0.5 / MIDDLE[0]) + 0.5 * math.log2(0.5 / MIDDLE[1]))
    + 0.5 * (161 / 202 * math.log2(161 / 202 / MIDDLE[0]) + 41 / 202 * math.log2(41 / 202 / MIDDLE[1]))
)

counts = st.integers(1, 30).flatmap(
    lambda k: st.tuples(
        *(st.lists(st.integers(0, 10**12), min_size=k, max_size=k).filter(any) for _ in range(2)),
    )
)


def test_psi_is_what_the_formula_gives_by_hand() -> None:
    assert psi(EXPECTED, OBSERVED) == pytest.approx(60 / 202 * math.log(161 / 41), rel=1e-14)
    assert psi(EXPECTED, OBSERVED) == pytest.approx(HAND_PSI, rel=1e-14)
    assert psi(EXPECTED, OBSERVED) == pytest.approx(0.40629, abs=1e-5)


def test_jensen_shannon_is_what_the_formula_gives_by_hand() -> None:
    assert jensen_shannon_distance(EXPECTED, OBSERVED) == pytest.approx(HAND_JS, rel=1e-14)
    assert jensen_shannon_distance(EXPECTED, OBSERVED) == pytest.approx(0.26734, abs=1e-5)


def test_a_textbook_table_gives_its_psi() -> None:
    # Ten score bands of 10 % each at development; the shares of a later population, in per mille. Unsmoothed,
    # the terms are .010700 + .004463 + .001054 + .000953 + .003646 + .007871; of 1e9 rows half counts do not show.
    observed = np.array([70, 80, 90, 100, 100, 100, 100, 110, 120, 130])
    bare = sum((o - 100) / 1000 * math.log(o / 100) for o in observed.tolist())
    assert bare == pytest.approx(0.028687, abs=1e-6)
    assert psi(np.full(10, 10**8), observed * 10**6) == pytest.approx(bare, rel=1e-6)


@given(counts)
def test_jensen_shannon_is_that_of_scipy(pair: tuple[list[int], list[int]]) -> None:
    expected, observed = map(np.array, pair)
    ours = jensen_shannon_distance(expected, observed)
    theirs = distance.jensenshannon(smoothed_shares(expected), smoothed_shares(observed), base=2)
    # The root of a rounding error of 1e-16 is 1e-8, in scipy as here.
    assert ours == pytest.approx(0.0 if math.isnan(theirs) else theirs, rel=1e-6, abs=3e-8)


@given(counts)
def test_psi_is_the_two_relative_entropies_of_scipy(pair: tuple[list[int], list[int]]) -> None:
    expected, observed = map(np.array, pair)
    e, o = smoothed_shares(expected), smoothed_shares(observed)
    assert psi(expected, observed) == pytest.approx(
        float(rel_entr(o, e).sum() + rel_entr(e, o).sum()), abs=1e-12
    )


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda s: s.name)
@given(pair=counts)
def test_it_stays_in_its_range_and_is_symmetric(
    statistic: Statistic, pair: tuple[list[int], list[int]]
) -> None:
    expected, observed = map(np.array, pair)
    value = statistic.function(expected, observed)
    assert statistic.range[0] <= value <= statistic.range[1]
    assert math.isfinite(value)
    assert statistic.function(observed, expected) == pytest.approx(value, rel=1e-9, abs=1e-7)
    assert statistic.function(expected, expected) == 0.0


@pytest.mark.parametrize("n", [1, 100, 10**15])
def test_equal_shares_are_at_zero_distance(n: int) -> None:
    same = np.array([1, 2, 3]) * n
    assert psi(same, same) == jensen_shannon_distance(same, same) == 0.0
    assert psi(np.array([n]), np.array([7])) == jensen_shannon_distance(np.array([n]), np.array([7])) == 0.0


def test_shares_and_not_counts_are_compared() -> None:
    huge, small = np.array([1, 2, 3]) * 10**12, np.array([1, 2, 3]) * 10**6
    assert psi(huge, small) == pytest.approx(0.0, abs=1e-12)
    assert jensen_shannon_distance(huge, small) == pytest.approx(0.0, abs=1e-6)


def test_disjoint_distributions_are_far_and_finite() -> None:
    left, right = np.array([10**15, 0]), np.array([0, 10**15])
    assert psi(left, right) == pytest.approx(2 * math.log(2 * 10**15 + 1), rel=1e-9)
    assert jensen_shannon_distance(left, right) == pytest.approx(1.0, abs=1e-9)
    # Of one row each, less is known: shares 3/4 and 1/4.
    assert psi(np.array([1, 0]), np.array([0, 1])) == pytest.approx(math.log(3), rel=1e-14)


def test_an_empty_bin_is_large_but_finite() -> None:
    e, o = 10_000.5 / 20_001, 20_000.5 / 20_001
    both = (o - e) * math.log(o / e) + (0.5 / 20_001 - e) * math.log(0.5 / 20_001 / e)
    assert psi(np.array([10_000, 10_000]), np.array([20_000, 0])) == pytest.approx(both, rel=1e-12)
    assert both == pytest.approx(5.3, abs=0.1)


def test_both_move_with_the_shift() -> None:
    edges = np.linspace(-3, 3, 20)
    rows = np.random.default_rng(8).normal(size=100_000)
    shares = [
        np.bincount(np.searchsorted(edges, rows + shift), minlength=21) for shift in (0, 0.1, 0.5, 1, 3)
    ]
    for function in (psi, jensen_shannon_distance):
        values = [function(shares[0], share) for share in shares]
        assert values == sorted(values)
        assert values[0] == 0.0
    # Jeffreys' divergence of two normals a standard deviation apart is 1; bins lose a little.
    assert psi(shares[0], shares[3]) == pytest.approx(1.0, abs=0.05)


BAD = [
    ([1, 2], [1, 2, 3], "equal shapes"),
    ([], [], "at least one bin"),
    ([[1, 2]], [[1, 2]], "row"),
    ([0, 0], [1, 2], "found none"),
    ([1, 2], [0, 0], "found none"),
    ([1, -2], [1, 2], "found -2.0"),
    ([1, 2], [1, math.nan], "finite"),
    ([1, 2], [1, math.inf], "finite"),
]


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda s: s.name)
@pytest.mark.parametrize(("expected", "observed", "message"), BAD)
def test_what_is_no_distribution_is_refused(
    statistic: Statistic, expected: list, observed: list, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        statistic.function(np.array(expected), np.array(observed))


def test_counts_stay_as_they_are() -> None:
    mine = np.array([3, 4])
    mine.setflags(write=False)
    psi(mine, mine)
    assert mine.tolist() == [3, 4]


def test_each_statistic_is_declared_whole_and_once() -> None:
    assert {(s.name, s.function) for s in STATISTICS} == {
        ("psi", psi),
        ("jensen_shannon_distance", jensen_shannon_distance),
    }
    for statistic in STATISTICS:
        assert statistic.function.__name__ == statistic.name
        assert statistic.definition.endswith("half a count per bin added first.")
        assert statistic.range[0] == 0.0
        assert statistic.kinds <= ALL_KINDS


def test_the_kinds_are_those_of_the_schema() -> None:
    assert set(get_args(StatisticKind)) == set(get_args(Kind)) == ALL_KINDS
