from __future__ import annotations

import numpy as np
import pytest

from exporter.baseline.calibration import (
    EFFECT_FLOOR_PSI,
    Calibration,
    RateCalibration,
    freeman_tukey,
)
from exporter.baseline.tail import Tail, chi_square_quantile

QUIET = Tail(share=0.1, threshold=2.0, scale=1.0, shape=0.1)


def rate(share: float = 0.0, largest: float = 0.0, tau2: float = 0.0, tail: Tail = QUIET) -> RateCalibration:
    return RateCalibration(share=share, largest=largest, tau2=tau2, tail=tail)


def calibration(tail: Tail = QUIET, tau2: float = 0.0, windows: int = 1000) -> Calibration:
    return Calibration(
        windows=windows, rows=500, alpha=1e-4, tau2=tau2, critical=0.0, tail=tail, missing=rate()
    )


def test_the_residual_has_the_variance_of_one_quarter_per_row() -> None:
    rng = np.random.default_rng(0)
    residuals = [freeman_tukey(count, 40.0, 400) for count in rng.binomial(400, 0.1, 20_000)]
    # The binomial's own factor 1 - p remains: the square root stabilises a Poisson count.
    assert np.var(residuals) == pytest.approx(0.9 / (4 * 400), rel=0.05)
    assert np.mean(residuals) == pytest.approx(0.0, abs=1e-3)


def test_alpha_is_never_below_what_the_windows_support() -> None:
    assert calibration(windows=20).supported(1e-4) == 0.1 / 20
    assert calibration(windows=10_000).supported(1e-4) == 1e-4


def test_the_critical_value_is_never_below_the_chi_square_null() -> None:
    assert calibration(windows=5000).critical_at(1e-4, 17) == chi_square_quantile(1e-4, 17)
    wild = Tail(share=0.1, threshold=90.0, scale=20.0, shape=0.2)
    assert calibration(tail=wild, windows=5000).critical_at(1e-4, 17) == wild.quantile(1e-4)


def test_at_a_million_rows_the_effect_floor_decides() -> None:
    critical = calibration().critical_psi(10**6, 10**7, 17, 1e-4)
    assert critical == pytest.approx(EFFECT_FLOOR_PSI, abs=1e-4)
    assert critical > EFFECT_FLOOR_PSI


def test_natural_variance_keeps_the_critical_psi_up_however_many_rows() -> None:
    critical = calibration(tau2=0.01).critical_psi(10**6, 10**7, 17, 1e-4)
    assert critical == pytest.approx(0.01 * chi_square_quantile(1e-4, 17), rel=1e-3)


def test_one_missing_entry_in_a_column_that_never_missed_one_is_usual() -> None:
    assert rate().score(1, 1000, 10**6, 1e-4) < 1 < rate().score(30, 1000, 10**6, 1e-4)


def test_fewer_than_usual_is_never_abnormal() -> None:
    assert rate(share=0.2).score(0, 1000, 10**6, 1e-4) == 0.0


def test_a_tiny_share_is_no_page_at_a_million_rows() -> None:
    assert rate(share=0.01).score(10_300, 10**6, 10**7, 1e-4) < 1


def test_a_heavy_tail_can_not_make_a_fully_missing_window_usual() -> None:
    heavy = Tail(share=0.1, threshold=50.0, scale=40.0, shape=0.5)
    blind = rate(share=0.02, largest=0.4, tau2=0.01, tail=heavy)
    assert blind.score(450, 1000, 10**5, 1e-4) < 1  # like the baseline's worst window
    assert blind.score(1000, 1000, 10**5, 1e-4) > 1
