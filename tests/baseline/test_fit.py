from __future__ import annotations

import numpy as np
import pytest

from exporter.baseline import fit
from exporter.baseline.fit import WindowCounts, blocks, calibrations, natural_variance, psi_rows
from exporter.baseline.tail import chi_square_quantile
from exporter.statistics import psi

SHARES = np.full(10, 0.1)


def simulated(
    days: int, rows: int, natural: float = 0.0, per_day: int = 24, missing: float = 0.0, seed: int = 0
) -> WindowCounts:
    """Hours of *rows* rows each; shares vary from hour to hour with relative variance *natural*."""
    rng = np.random.default_rng(seed)
    hours = (np.arange(days)[:, np.newaxis] * 24 + np.arange(per_day)).ravel()
    shares = rng.dirichlet(SHARES * (1 / natural - 1), hours.size) if natural else [SHARES] * hours.size
    bins = np.array([rng.multinomial(rows, share) for share in shares])
    return WindowCounts(hours=hours, bins=bins, missing=rng.binomial(rows, missing, hours.size), unseen=None)


def test_rows_of_psi_are_the_declared_statistic() -> None:
    rng = np.random.default_rng(0)
    expected, observed = rng.integers(0, 500, (20, 7)), rng.integers(0, 30, (20, 7))
    one_by_one = [psi(e, o) for e, o in zip(expected, observed, strict=True)]
    assert psi_rows(expected, observed) == pytest.approx(one_by_one, rel=1e-12)


def test_blocks_are_contiguous_runs_of_days_however_busy_they_are() -> None:
    hours = np.sort(np.random.default_rng(0).choice(100 * 24, 900, replace=False))
    block = blocks(hours)
    assert np.array_equal(block, np.sort(block))
    days = [np.unique(hours[block == at] // 24).size for at in range(5)]
    assert max(days) - min(days) <= 1
    assert all(np.unique(block[hours // 24 == day]).size <= 1 for day in range(100))


@pytest.mark.parametrize("natural", [0.001, 0.003, 0.01, 0.03])
@pytest.mark.parametrize("rows", [50, 1_000])
def test_natural_variance_is_found_whatever_the_rows(natural: float, rows: int) -> None:
    counts = simulated(60, rows, natural).bins.astype(np.float64)
    expected = np.tile(counts.sum(axis=0), (len(counts), 1))
    assert natural_variance(expected, counts) == pytest.approx(natural, rel=0.15)


def test_chance_alone_has_no_natural_variance_and_nearly_the_chi_square_limit() -> None:
    found = calibrations(simulated(60, 200))["1h"]
    assert found.tau2 < 5e-4
    assert 1 <= found.critical / chi_square_quantile(found.alpha, 9) < 1.2


def test_a_small_pods_baseline_serves_a_fleet() -> None:
    found = calibrations(simulated(60, 50, natural=0.003))["1h"]
    live = simulated(60, 2_000, natural=0.003, seed=1)
    limit = found.critical_psi(2_000, 60 * 24 * 50, 9, 1e-4)
    values = psi_rows(np.tile(SHARES * 72_000, (len(live.bins), 1)), live.bins.astype(np.float64))
    assert np.mean(values > limit) < 0.005


def test_a_drifting_season_makes_the_limit_wider_because_its_neighbours_are_held_out() -> None:
    steady = simulated(100, 500)
    season = np.linspace(-0.03, 0.03, len(steady.hours))
    rng = np.random.default_rng(4)
    shares = np.tile(SHARES, (len(season), 1))
    shares[:, 0] += season
    shares[:, 1] -= season
    moving = WindowCounts(
        hours=steady.hours,
        bins=np.array([rng.multinomial(500, share) for share in shares]),
        missing=steady.missing,
        unseen=None,
    )
    limits = [calibrations(column)["1d"].critical_psi(12_000, 10**6, 9, 1e-4) for column in (steady, moving)]
    assert limits[1] > 1.8 * limits[0]
    bins = moving.bins.astype(np.float64)
    in_sample = natural_variance(np.tile(bins.sum(axis=0), (len(bins), 1)), bins)
    assert calibrations(moving)["1h"].tau2 > 1.3 * in_sample


def test_alpha_is_what_the_windows_support() -> None:
    found = calibrations(simulated(60, 100))
    assert found["1h"].alpha == 1e-4
    assert found["1d"].alpha == 0.1 / 60


@pytest.mark.parametrize(
    ("days", "rows", "windows"),
    [
        (13, 100, set()),  # fewer than two weeks
        (14, 100, {"1h"}),  # fewer than twenty days
        (20, 100, {"1h", "1d"}),
        (60, 19, {"1d"}),  # hours with fewer than twenty rows
    ],
)
def test_a_short_or_thin_baseline_calibrates_what_it_can(days: int, rows: int, windows: set[str]) -> None:
    assert set(calibrations(simulated(days, rows))) == windows


def test_a_column_that_only_one_block_has_is_not_calibrated() -> None:
    column = simulated(60, 100)
    column.bins[column.hours >= 12 * 24] = 0
    assert calibrations(column) == {}


def test_missing_entries_have_their_natural_share_and_worst_window() -> None:
    column = simulated(60, 200, missing=0.05)
    column.missing[100] = 150
    found = calibrations(column)["1h"].missing
    assert found.share == pytest.approx(0.05 / 1.05, rel=0.1)
    assert found.largest == pytest.approx(150 / 350)


def test_the_most_unusual_windows_are_named() -> None:
    column = simulated(60, 200)
    column.bins[7 * 24 + 3] = np.array([200, *[0] * 9])
    extremes = calibrations(column)["1h"].extremes
    assert len(extremes) == 5
    assert extremes[0].start == "1970-01-08T03:00:00"
    assert extremes[0].score > 1 > extremes[1].score


def test_a_day_that_the_file_holds_only_a_part_of_does_not_count_as_natural() -> None:
    day = np.arange(24)
    whole = np.concatenate([24 * number + day for number in range(1, 4)])
    cut = np.concatenate([np.arange(18, 24), whole, 24 * 4 + np.arange(11)])
    for hours, expected in (
        (whole, [False, False, False]),
        (cut, [True, False, False, False, True]),
        (whole[(whole % 24 >= 5) & (whole % 24 <= 22)], [False, False, False]),  # nights without traffic
    ):
        keys, inverse = np.unique(hours // 24, return_inverse=True)
        assert fit._cut_off(hours, keys, inverse, 24).tolist() == expected
    keys, inverse = np.unique(cut, return_inverse=True)
    assert not fit._cut_off(cut, keys, inverse, 1).any()
