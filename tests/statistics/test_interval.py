"""Intervals of rates: scipy's, coverage, and the ends."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from exporter.statistics import Interval, rate_interval


@given(
    st.integers(1, 10**9).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.5, 0.9999)
)
def test_it_is_wilsons_with_continuity_correction_of_scipy(pair: tuple[int, int], confidence: float) -> None:
    theirs = stats.binomtest(*pair).proportion_ci(confidence, "wilsoncc") if pair[1] < 10**5 else None
    low, high = rate_interval(*pair, confidence)
    assert 0 <= low <= pair[0] / pair[1] <= high <= 1
    if theirs is not None:
        assert (low, high) == (pytest.approx(theirs.low, abs=1e-10), pytest.approx(theirs.high, abs=1e-10))


def test_the_published_table_holds() -> None:
    # Newcombe 1998, table I, method 4: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
    table = {
        (81, 263): (0.2535, 0.3682),
        (15, 148): (0.0598, 0.1644),
        (0, 20): (0.0, 0.2005),
        (1, 29): (0.0018, 0.1963),
    }
    for (count, rows), (low, high) in table.items():
        assert rate_interval(count, rows) == (pytest.approx(low, abs=5e-5), pytest.approx(high, abs=5e-5))


@pytest.mark.parametrize("n", [5, 20, 100, 1000])
def test_it_holds_small_rates_as_often_as_it_says(n: int) -> None:
    found = np.array([rate_interval(k, n) for k in range(n + 1)])
    for rate in np.geomspace(1e-4, 0.5, 200):
        held = (found[:, 0] <= rate) & (rate <= found[:, 1])
        assert stats.binom.pmf(np.arange(n + 1), n, rate)[held].sum() >= 0.948


def test_it_narrows_with_rows_and_widens_with_confidence() -> None:
    widths = [np.ptp(rate_interval(n // 10, n)) for n in (10, 100, 10_000, 10**12)]
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] < 2e-6
    assert np.ptp(rate_interval(3, 100, 0.99)) > np.ptp(rate_interval(3, 100, 0.9))


def test_without_rows_nothing_is_known() -> None:
    assert rate_interval(0, 0) == Interval(0.0, 1.0)
    assert rate_interval(7, 7).high == 1.0
    assert rate_interval(0, 7).low == 0.0


@pytest.mark.parametrize(
    ("count", "rows", "confidence", "message"),
    [(-1, 5, 0.95, "found -1"), (6, 5, 0.95, "found 6"), (1, 5, 1.0, "found 1.0"), (1, 5, 0.0, "found 0.0")],
)
def test_what_is_no_rate_is_refused(count: int, rows: int, confidence: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rate_interval(count, rows, confidence)
