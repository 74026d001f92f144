from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from exporter.baseline.tail import Tail, chi_square_quantile, chi_square_survival, fit_tail


@pytest.mark.parametrize("degrees", [1, 2, 3, 17, 60, 1000])
@pytest.mark.parametrize("alpha", [0.9, 0.5, 0.05, 1e-3, 1e-6])
def test_the_chi_square_quantile_is_scipys(degrees: int, alpha: float) -> None:
    assert chi_square_quantile(alpha, degrees) == pytest.approx(stats.chi2.isf(alpha, degrees), rel=1e-6)


def test_the_chi_square_survival_is_one_from_zero_down() -> None:
    assert [chi_square_survival(value, 3) for value in (0.0, -1.0)] == [1.0, 1.0]


@pytest.mark.parametrize("shape", [0.0, 0.2, 0.5])
def test_a_tail_has_the_quantiles_of_a_generalised_pareto(shape: float) -> None:
    tail = Tail(share=0.1, threshold=5.0, scale=2.0, shape=shape)
    for alpha in (0.05, 1e-3, 1e-5):
        exact = 5.0 + stats.genpareto.isf(alpha / 0.1, shape, scale=2.0)
        assert tail.quantile(alpha) == pytest.approx(exact, rel=1e-9)


def test_a_fitted_tail_comes_near_the_true_quantile() -> None:
    rng = np.random.default_rng(3)
    values = stats.genpareto.rvs(0.15, scale=4.0, size=6_000, random_state=rng)
    true = stats.genpareto.isf(1e-4, 0.15, scale=4.0)
    assert fit_tail(values).quantile(1e-4) == pytest.approx(true, rel=0.25)


def test_twenty_windows_extrapolate_by_the_prior_and_not_by_two_exceedances() -> None:
    values = np.concatenate([np.full(18, 10.0), [11.0, 80.0]])
    assert fit_tail(values).shape == pytest.approx(0.15, abs=0.05)


def test_equal_windows_have_a_tail_of_their_value() -> None:
    assert fit_tail(np.full(50, 7.0)).quantile(1e-4) == 7.0


@given(st.lists(st.floats(0, 1e9), min_size=1, max_size=60))
def test_a_fitted_quantile_is_finite_and_grows_as_alpha_shrinks(values: list[float]) -> None:
    tail = fit_tail(np.array(values))
    quantiles = [tail.quantile(alpha) for alpha in (0.5, 0.05, 1e-3, 1e-6)]
    assert np.isfinite(quantiles).all()
    assert quantiles == sorted(quantiles)
    assert 0 <= tail.shape <= 0.6
