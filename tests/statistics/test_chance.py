"""What chance alone gives: held against simulation, and against what is known in closed form."""

from __future__ import annotations

import math

import numpy as np
import pytest

from exporter.sketch import Quantiles
from exporter.statistics import BY_NAME, STATISTICS, Points, Statistic, effective_rows, of_values, sketch_rows

OF_COUNTS = [statistic for statistic in STATISTICS if statistic.of == "counts"]
OF_POINTS = [statistic for statistic in STATISTICS if statistic.of == "points"]

SHARES = {
    "ten equal bins": np.full(10, 0.1),
    "fifty categories": 1 / np.arange(1, 51) / (1 / np.arange(1, 51)).sum(),
    "rare ones": np.array([0.0, 0.3, 0.3, 0.2, 0.15, 0.04, 0.01]),
}


@pytest.mark.parametrize("statistic", OF_COUNTS, ids=lambda s: s.name)
@pytest.mark.parametrize("shares", SHARES.values(), ids=SHARES)
def test_it_is_the_mean_over_windows_in_which_nothing_changed(
    statistic: Statistic, shares: np.ndarray
) -> None:
    rng = np.random.default_rng(11)
    for total, rows in ((1_000, 500), (100_000, 50), (100_000, 2_000)):
        baselines, windows = rng.multinomial(total, shares, 200), rng.multinomial(rows, shares, 200)
        found = np.mean([statistic.function(e, o) for e, o in zip(baselines, windows, strict=True)])
        stated = np.mean([statistic.chance(e, rows) for e in baselines[:4]])
        # The mean of 200 windows scatters by up to 5 % itself.
        assert stated == pytest.approx(found, rel=0.15)


@pytest.mark.parametrize("statistic", OF_POINTS, ids=lambda s: s.name)
@pytest.mark.parametrize("draw", ["normal", "exponential", "whole"])
def test_it_is_the_mean_over_numbers_in_which_nothing_changed(statistic: Statistic, draw: str) -> None:
    rng = np.random.default_rng(12)

    def drawn(n: int) -> np.ndarray:
        values = rng.normal(size=n) if draw == "normal" else rng.exponential(3.0, size=n)
        return np.floor(values) if draw == "whole" else values

    for total, rows in ((1_000, 500), (5_000, 50)):
        pairs = [(of_values(drawn(total)), of_values(drawn(rows))) for _ in range(80)]
        found = np.mean([statistic.function(e, o) for e, o in pairs])
        stated = np.mean([statistic.chance(e, rows) for e, _ in pairs[:4]])
        assert stated == pytest.approx(found, rel=0.2)


@pytest.mark.parametrize("name", ["kolmogorov_smirnov_distance", "normed_wasserstein_distance"])
def test_it_knows_of_the_sketch_and_of_the_steps_of_the_baseline(name: str) -> None:
    # As the sidecar has it: 200 quantiles of a large baseline, a window from twelve merged slots of k = 200.
    rng, statistic = np.random.default_rng(13), BY_NAME[name]
    values = np.sort(rng.normal(size=200_000))
    expected = of_values(values[((np.arange(200) + 0.5) * 1000).astype(int)])
    for rows in (120, 1_200, 60_000):
        found = []
        for _ in range(40):
            window = Quantiles()
            for _ in range(12):
                slot = Quantiles()
                slot.update(rng.normal(size=rows // 12))
                window.merge(slot)
            found.append(statistic.function(expected, Points(*window.points())))
        stated = statistic.chance(expected, rows, 200_000, window.error())
        # Twelve merged slots are nearer to the truth than one sketch of them all, by which the error is stated.
        assert 0.9 < stated / np.mean(found) < 1.6


def test_psi_by_chance_is_the_published_mean_where_bins_are_full() -> None:
    # Yurdakul 2018: (K - 1)(1/n + 1/N); 10 bins, N = 100,000: .0090 at 1,000 rows and .0002 at 100,000.
    psi = BY_NAME["psi"]
    assert psi.chance(np.full(10, 10_000), 1_000) == pytest.approx(0.00909, rel=0.01)
    assert psi.chance(np.full(10, 10_000), 100_000) == pytest.approx(0.00018, rel=0.01)


def test_wasserstein_by_chance_of_a_normal_column_is_the_published_mean() -> None:
    # 1.29 σ/√n, as in the integral of √(F (1 - F)) over the normal distribution, times √(2/π).
    x = np.linspace(-6, 6, 4001)
    normal = Points(x, np.exp(-x * x / 2))
    stated = BY_NAME["normed_wasserstein_distance"].chance(normal, 400, math.inf)
    assert stated == pytest.approx(1.29 / 20, rel=0.01)


def test_kolmogorov_smirnov_by_chance_of_few_values_is_less() -> None:
    many = of_values(np.arange(1000.0))
    two = Points(np.array([0.0, 1.0]), np.array([500.0, 500.0]))
    statistic = BY_NAME["kolmogorov_smirnov_distance"]
    # Of two values it is E|p̂ - p̂'|, a half-normal mean.
    assert statistic.chance(two, 1000) == pytest.approx(
        math.sqrt(2 / math.pi) * 0.5 * math.sqrt(2e-3), rel=0.03
    )
    assert statistic.chance(two, 1000) < statistic.chance(many, 1000)


@pytest.mark.parametrize("statistic", [s for s in OF_COUNTS if "chi" not in s.name], ids=lambda s: s.name)
def test_more_rows_leave_less_to_chance(statistic: Statistic) -> None:
    counts = np.array([4000, 3000, 2000, 900, 100])
    found = [statistic.chance(counts, n) for n in (50, 200, 5_000, 10**6, 10**12)]
    assert found == sorted(found, reverse=True)
    assert found[-1] > 0  # the baseline's own sampling stays


@pytest.mark.parametrize("statistic", STATISTICS, ids=lambda s: s.name)
def test_a_column_of_one_value_leaves_nothing_to_chance(statistic: Statistic) -> None:
    expected = np.array([1000]) if statistic.of == "counts" else of_values(np.full(1000, 7.0))
    same = 1.0 if statistic.direction == "smaller is further" else 0.0
    assert statistic.chance(expected, 100) == pytest.approx(same, abs=1e-9)


def test_a_sketch_acts_like_fewer_rows() -> None:
    exact, lossy = Quantiles(), Quantiles()
    exact.update(np.arange(100.0))
    lossy.update(np.random.default_rng(3).normal(size=100_000))
    assert (sketch_rows(exact.error()), effective_rows(5000, exact.error())) == (math.inf, 5000.0)
    assert sketch_rows(lossy.error()) == pytest.approx(35_000, rel=0.02)
    assert effective_rows(1e12, lossy.error()) == pytest.approx(sketch_rows(lossy.error()), rel=1e-6)


def test_the_rank_of_a_sketch_scatters_as_stated() -> None:
    # 80 sketches of the same 20,000 values; their cdf at the median: a standard deviation of error / 5 at most.
    rng = np.random.default_rng(4)
    found = []
    for _ in range(80):
        sketch = Quantiles()
        sketch.update(rng.permutation(20_000).astype(float))
        found.append(sketch.cdf([9_999.0])[0] - 0.5)
    assert 0.5 < np.std(found) / (sketch.error() / 5) < 1.35
