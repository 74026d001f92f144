"""Distances over bins: values worked out by hand, scipy's, laws, and the ends: equal, disjoint, empty, tiny, huge."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance
from scipy.special import rel_entr

from exporter.schema import Kind
from exporter.statistics import (
    ALL_KINDS,
    STATISTICS,
    Statistic,
    StatisticKind,
    binned_kolmogorov_smirnov_distance,
    chi_square,
    chi_square_p_value,
    chi_square_test,
    hellinger_distance,
    jensen_shannon_distance,
    kullback_leibler_divergence,
    psi,
    smoothed_shares,
    total_variation_distance,
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

OF_COUNTS = [statistic for statistic in STATISTICS if statistic.of == "counts"]
DISTANCES = [s for s in OF_COUNTS if s.name not in ("chi_square", "chi_square_p_value")]
"""Those that compare shares, whatever n."""
METRICS = [
    jensen_shannon_distance,
    hellinger_distance,
    total_variation_distance,
    binned_kolmogorov_smirnov_distance,
]
"""Those that obey the triangle inequality."""

rows = st.integers(1, 30).flatmap(
    lambda k: st.tuples(
        *(st.lists(st.integers(0, 10**12), min_size=k, max_size=k).filter(any) for _ in range(2))
    )
)
three = st.integers(1, 12).flatmap(
    lambda k: st.tuples(
        *(st.lists(st.integers(0, 1000), min_size=k, max_size=k).filter(any) for _ in range(3))
    )
)


def shares(counts: list[int]) -> np.ndarray:
    return np.array(counts) / sum(counts)


def test_psi_is_what_the_formula_gives_by_hand() -> None:
    assert psi(EXPECTED, OBSERVED) == pytest.approx(60 / 202 * math.log(161 / 41), rel=1e-14)
    assert psi(EXPECTED, OBSERVED) == pytest.approx(HAND_PSI, rel=1e-14)
    assert psi(EXPECTED, OBSERVED) == pytest.approx(0.40629, abs=1e-5)


def test_jensen_shannon_is_what_the_formula_gives_by_hand() -> None:
    assert jensen_shannon_distance(EXPECTED, OBSERVED) == pytest.approx(HAND_JS, rel=1e-14)
    assert jensen_shannon_distance(EXPECTED, OBSERVED) == pytest.approx(0.26734, abs=1e-5)


def test_the_others_are_what_their_formulas_give_by_hand() -> None:
    # Bare shares 1/2, 1/2 and 4/5, 1/5.
    assert total_variation_distance(EXPECTED, OBSERVED) == pytest.approx(0.3, rel=1e-14)
    assert binned_kolmogorov_smirnov_distance(EXPECTED, OBSERVED) == pytest.approx(0.3, rel=1e-14)
    coefficient = math.sqrt(0.4) + math.sqrt(0.1)  # Bhattacharyya's; Hellinger² = 1 - it
    assert hellinger_distance(EXPECTED, OBSERVED) == pytest.approx(math.sqrt(1 - coefficient), rel=1e-13)
    by_hand = 161 / 202 * math.log(161 / 101) + 41 / 202 * math.log(41 / 101)
    assert kullback_leibler_divergence(EXPECTED, OBSERVED) == pytest.approx(by_hand, rel=1e-13)


def test_a_textbook_table_gives_its_psi() -> None:
    # Ten score bands of 10 % each at development; the shares of a later population, in per mille. Unsmoothed,
    # the terms are .010700 + .004463 + .001054 + .000953 + .003646 + .007871; of 1e9 rows half counts do not show.
    observed = np.array([70, 80, 90, 100, 100, 100, 100, 110, 120, 130])
    bare = sum((o - 100) / 1000 * math.log(o / 100) for o in observed.tolist())
    assert bare == pytest.approx(0.028687, abs=1e-6)
    assert psi(np.full(10, 10**8), observed * 10**6) == pytest.approx(bare, rel=1e-6)


def test_the_published_example_of_kullback_leibler_holds() -> None:
    # The binomial (9, 12, 4)/25 and the uniform over three values of Wikipedia's article: 0.0852996 and 0.097455 nats.
    binomial, uniform = np.array([9, 12, 4]) * 10**9, np.array([1, 1, 1]) * 10**10
    assert kullback_leibler_divergence(uniform, binomial) == pytest.approx(0.0852996, abs=1e-7)
    assert kullback_leibler_divergence(binomial, uniform) == pytest.approx(0.097455, abs=1e-6)


def test_the_published_example_of_chi_square_holds() -> None:
    # Agresti 2007, An Introduction to Categorical Data Analysis, table 2.5: gender by party, X² = 30.1 with 2 degrees.
    found = chi_square_test(np.array([762, 327, 468]), np.array([484, 239, 477]))
    assert found.statistic == pytest.approx(30.07, abs=0.01)
    assert found.degrees == 2
    assert found.p_value < 0.0001


@given(rows)
def test_they_are_those_of_scipy(pair: tuple[list[int], list[int]]) -> None:
    expected, observed = map(np.array, pair)
    e, o = smoothed_shares(expected), smoothed_shares(observed)
    theirs = distance.jensenshannon(e, o, base=2)
    # The root of a rounding error of 1e-16 is 1e-8, in scipy as here.
    ours = jensen_shannon_distance(expected, observed)
    assert ours == pytest.approx(0.0 if math.isnan(theirs) else theirs, rel=1e-6, abs=3e-8)
    both = float(rel_entr(o, e).sum() + rel_entr(e, o).sum())
    assert psi(expected, observed) == pytest.approx(both, abs=1e-12)
    assert kullback_leibler_divergence(expected, observed) == pytest.approx(stats.entropy(o, e), abs=1e-12)
    e, o = shares(pair[0]), shares(pair[1])
    assert total_variation_distance(expected, observed) == pytest.approx(
        distance.cityblock(e, o) / 2, abs=1e-12
    )
    root_two = distance.euclidean(np.sqrt(e), np.sqrt(o)) / math.sqrt(2)
    assert hellinger_distance(expected, observed) == pytest.approx(root_two, abs=1e-12)


@given(three)
def test_chi_square_is_that_of_scipy(three: tuple[list[int], list[int], list[int]]) -> None:
    table = np.array(three[:2])
    found = chi_square_test(*table)
    kept = table[:, table.any(axis=0)]
    theirs = stats.chi2_contingency(kept, correction=False)
    assert found.statistic == pytest.approx(theirs.statistic, rel=1e-9, abs=1e-9)
    assert found.degrees == theirs.dof
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-8, abs=1e-12)


@given(three)
def test_kolmogorov_smirnov_at_the_edges_is_that_of_the_middles_of_the_bins(
    three: tuple[list[int], list[int], list[int]],
) -> None:
    middles = np.arange(len(three[0]))
    theirs = stats.ks_2samp(
        np.repeat(middles, 2 * np.array(three[0])), np.repeat(middles, 2 * np.array(three[1])), method="asymp"
    ).statistic
    assert binned_kolmogorov_smirnov_distance(*map(np.array, three[:2])) == pytest.approx(theirs, abs=1e-12)


@pytest.mark.parametrize("statistic", OF_COUNTS, ids=lambda s: s.name)
@given(pair=rows)
def test_it_stays_in_its_range_and_is_symmetric_where_it_says_so(
    statistic: Statistic, pair: tuple[list[int], list[int]]
) -> None:
    expected, observed = map(np.array, pair)
    value = statistic.function(expected, observed)
    assert statistic.range[0] <= value <= statistic.range[1]
    assert math.isfinite(value)
    if statistic.symmetric:
        assert statistic.function(observed, expected) == pytest.approx(value, rel=1e-9, abs=1e-7)
    same = 1.0 if statistic.direction == "smaller is further" else 0.0
    assert statistic.function(expected, expected) == same


@pytest.mark.parametrize(
    "statistic", [s for s in OF_COUNTS if "kolmogorov" not in s.name], ids=lambda s: s.name
)
@given(three=three, order=st.randoms())
def test_the_order_of_the_bins_makes_no_difference(
    statistic: Statistic, three: tuple[list[int], ...], order: object
) -> None:
    at = list(range(len(three[0])))
    order.shuffle(at)  # type: ignore[attr-defined]
    expected, observed = np.array(three[0]), np.array(three[1])
    shuffled = statistic.function(expected[at], observed[at])
    assert shuffled == pytest.approx(statistic.function(expected, observed), rel=1e-9, abs=1e-7)


@given(three)
def test_metrics_obey_the_triangle_inequality(three: tuple[list[int], ...]) -> None:
    a, b, c = map(np.array, three)
    if not a.sum() == b.sum() == c.sum():
        # The smoothing differs with n: of one total the three are points of one space.
        a, b, c = (counts * 10**9 / counts.sum() for counts in (a, b, c))
    for function in METRICS:
        assert function(a, c) <= function(a, b) + function(b, c) + 1e-7


@given(three, st.integers(0, 11))
def test_merging_two_bins_never_brings_distributions_further_apart(
    three: tuple[list[int], ...], at: int
) -> None:
    # So many rows that half a count a bin does not show.
    expected, observed = (np.array(counts) * 10.0**13 / sum(counts) for counts in three[:2])
    at %= len(expected)
    merged = [
        np.append(
            np.delete(counts, [at, (at + 1) % len(counts)]), counts[at] + counts[(at + 1) % len(counts)]
        )
        if len(counts) > 1
        else counts
        for counts in (expected, observed)
    ]
    for function in (psi, kullback_leibler_divergence, jensen_shannon_distance, hellinger_distance, chi_square,
                     total_variation_distance):  # fmt: skip
        assert function(*merged) <= function(expected, observed) * (1 + 1e-9) + 1e-6
    if at + 1 < len(expected):  # neighbours, in order: edges are left out and none is added
        in_order = [
            np.add.reduceat(counts, [i for i in range(len(counts)) if i != at + 1])
            for counts in (expected, observed)
        ]
        finer = binned_kolmogorov_smirnov_distance(expected, observed)
        assert binned_kolmogorov_smirnov_distance(*in_order) <= finer + 1e-12


@pytest.mark.parametrize("statistic", DISTANCES, ids=lambda s: s.name)
@pytest.mark.parametrize("n", [1, 100, 10**15])
def test_equal_shares_are_at_zero_distance(statistic: Statistic, n: int) -> None:
    same = np.array([1, 2, 3]) * n
    assert statistic.function(same, same) == 0.0
    assert statistic.function(np.array([n]), np.array([7])) == 0.0


@pytest.mark.parametrize("statistic", DISTANCES, ids=lambda s: s.name)
def test_shares_and_not_counts_are_compared(statistic: Statistic) -> None:
    huge, small = np.array([1, 2, 3]) * 10**12, np.array([1, 2, 3]) * 10**6
    assert statistic.function(huge, small) == pytest.approx(0.0, abs=1e-6)


def test_chi_square_compares_counts() -> None:
    small = chi_square(EXPECTED, OBSERVED)
    assert chi_square(EXPECTED * 100, OBSERVED * 100) == pytest.approx(100 * small, rel=1e-12)


def test_disjoint_distributions_are_far_and_finite() -> None:
    left, right = np.array([10**15, 0]), np.array([0, 10**15])
    assert psi(left, right) == pytest.approx(2 * math.log(2 * 10**15 + 1), rel=1e-9)
    assert kullback_leibler_divergence(left, right) == pytest.approx(math.log(2 * 10**15 + 1), rel=1e-9)
    for function in METRICS:
        assert function(left, right) == pytest.approx(1.0, abs=1e-9)
    assert hellinger_distance(left, right) == total_variation_distance(left, right) == 1.0
    assert chi_square(left, right) == pytest.approx(2 * 10**15, rel=1e-12)  # its largest: n + N
    assert chi_square_p_value(left, right) == 0.0
    # Of one row each, less is known: shares 3/4 and 1/4.
    assert psi(np.array([1, 0]), np.array([0, 1])) == pytest.approx(math.log(3), rel=1e-14)
    assert chi_square_p_value(np.array([1, 0]), np.array([0, 1])) == pytest.approx(
        stats.chi2.sf(2, 1), rel=1e-12
    )


def test_an_empty_bin_is_large_but_finite() -> None:
    e, o = 10_000.5 / 20_001, 20_000.5 / 20_001
    both = (o - e) * math.log(o / e) + (0.5 / 20_001 - e) * math.log(0.5 / 20_001 / e)
    assert psi(np.array([10_000, 10_000]), np.array([20_000, 0])) == pytest.approx(both, rel=1e-12)
    assert both == pytest.approx(5.3, abs=0.1)


def test_an_unseen_category_counts_in_chi_square_and_does_not_make_it_infinite() -> None:
    found = chi_square_test(np.array([500, 500, 0]), np.array([45, 45, 10]))
    assert found.statistic == pytest.approx(stats.chi2_contingency([[500, 500, 0], [45, 45, 10]]).statistic)
    assert found.degrees == 2
    assert 0 < found.p_value < 1e-20
    # A bin that neither side has changes nothing.
    assert chi_square_test(np.array([500, 500, 0, 0]), np.array([45, 45, 10, 0])) == found


@pytest.mark.parametrize("bins", [2, 50, 1000])
def test_p_values_of_chi_square_are_those_of_scipy_far_out(bins: int) -> None:
    for statistic in (0.1 * bins, bins, 1.5 * bins, bins + 300.0):
        e = np.array([10.0**6] * bins)
        step = math.sqrt(statistic / bins / 10**6 * 2) * 10**6
        o = e + step * np.where(np.arange(bins) % 2, 1, -1)
        found = chi_square_test(e, o)
        assert found.statistic == pytest.approx(statistic, rel=0.02)
        assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, bins - 1), rel=1e-8)


def test_all_move_with_the_shift() -> None:
    edges = np.linspace(-3, 3, 20)
    values = np.random.default_rng(8).normal(size=100_000)
    counts = [
        np.bincount(np.searchsorted(edges, values + shift), minlength=21) for shift in (0, 0.1, 0.5, 1, 3)
    ]
    for statistic in OF_COUNTS:
        found = [statistic.function(counts[0], moved) for moved in counts]
        further = 1 if statistic.direction == "larger is further" else -1
        assert found == sorted(found, reverse=further < 0)
    # Jeffreys' divergence of two normals a standard deviation apart is 1, that of Kullback and Leibler 1/2, total
    # variation 2 Φ(1/2) - 1 and Hellinger √(1 - exp(-1/8)); bins lose a little.
    assert psi(counts[0], counts[3]) == pytest.approx(1.0, abs=0.05)
    assert kullback_leibler_divergence(counts[0], counts[3]) == pytest.approx(0.5, abs=0.03)
    assert total_variation_distance(counts[0], counts[3]) == pytest.approx(
        2 * stats.norm.cdf(0.5) - 1, abs=0.01
    )
    assert hellinger_distance(counts[0], counts[3]) == pytest.approx(
        math.sqrt(1 - math.exp(-1 / 8)), abs=0.01
    )


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


@pytest.mark.parametrize("statistic", OF_COUNTS, ids=lambda s: s.name)
@pytest.mark.parametrize(("expected", "observed", "message"), BAD)
def test_what_is_no_distribution_is_refused(
    statistic: Statistic, expected: list, observed: list, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        statistic.function(np.array(expected), np.array(observed))


def test_counts_stay_as_they_are() -> None:
    mine = np.array([3, 4])
    mine.setflags(write=False)
    for statistic in OF_COUNTS:
        statistic.function(mine, mine)
    assert mine.tolist() == [3, 4]


def test_the_kinds_are_those_of_the_schema() -> None:
    assert set(get_args(StatisticKind)) == set(get_args(Kind)) == ALL_KINDS
