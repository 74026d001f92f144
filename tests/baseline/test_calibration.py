from __future__ import annotations

import numpy as np
import pytest

from exporter.baseline.calibration import WindowCalibration, freeman_tukey
from exporter.baseline.expected import DETECTORS, WINDOWS_A_MONTH, alpha_of
from exporter.verdict.measures import residuals


def test_the_residual_has_the_variance_of_one_quarter_per_row() -> None:
    rng = np.random.default_rng(0)
    counts = rng.binomial(400, 0.1, 20_000).astype(np.float64)
    found = residuals(counts, np.full(counts.size, 40.0), np.full(counts.size, 400.0))
    # The binomial's own factor 1 - p remains: the square root stabilises a Poisson count.
    assert np.var(found) == pytest.approx(0.9 / (4 * 400), rel=0.05)
    assert np.mean(found) == pytest.approx(0.0, abs=1e-3)


def test_residuals_of_arrays_are_those_of_numbers() -> None:
    rng = np.random.default_rng(1)
    counts, expected, total = (rng.integers(1, 99, 50).astype(np.float64) for _ in range(3))
    one_by_one = [freeman_tukey(*entry) for entry in zip(counts, expected, total, strict=True)]
    assert residuals(counts, expected, total) == pytest.approx(one_by_one, rel=1e-12)


@pytest.mark.parametrize(
    ("windows", "asked", "found"),
    [(20, 1e-9, 5e-4), (10_000, 1e-9, 1e-6), (10_000, 1e-2, 1e-4), (20, 1e-4, 5e-4)],
)
def test_alpha_is_at_most_1e_4_and_never_below_what_the_windows_support(
    windows: int, asked: float, found: float
) -> None:
    calibration = WindowCalibration(windows=windows, rows=100, tests={})
    assert calibration.supported(asked) == pytest.approx(found)


def test_a_page_budget_is_spent_over_columns_detectors_and_windows() -> None:
    spent = sum(
        20 * DETECTORS * WINDOWS_A_MONTH[window] * alpha_of(3.0, 20, window) for window in WINDOWS_A_MONTH
    )
    assert spent == pytest.approx(3.0)
