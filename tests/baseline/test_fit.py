from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.baseline.fit import blocks, fit
from exporter.baseline.table import TableCount, local_cells
from exporter.baseline.tail import chi_square_quantile
from exporter.hourly import HourTable
from exporter.sketch.bins import NumericBins
from tests.verdict.columns import counted, fitted, multinomial, numeric, table_of

SHARES = np.full(10, 0.1)


def hours(days: int, per_day: int = 24) -> np.ndarray:
    return (np.arange(days)[:, np.newaxis] * 24 + np.arange(per_day)).ravel()


def simulated(days: int, rows: int, natural: float = 0.0, seed: int = 0) -> HourTable:
    """Hours of *rows* rows each; shares vary from hour to hour with relative variance *natural*."""
    rng = np.random.default_rng(seed)
    at = hours(days)
    shares = rng.dirichlet(SHARES * (1 / natural - 1), at.size) if natural else SHARES
    return multinomial(shares, rows, at, seed)


def test_blocks_are_contiguous_runs_of_days_however_busy_they_are() -> None:
    at = np.sort(np.random.default_rng(0).choice(100 * 24, 900, replace=False))
    block = blocks(at)
    assert np.array_equal(block, np.sort(block))
    days = [np.unique(at[block == one] // 24).size for one in range(5)]
    assert max(days) - min(days) <= 1
    assert all(np.unique(block[at // 24 == day]).size <= 1 for day in range(100))


@pytest.mark.parametrize("natural", [0.01, 0.03])
@pytest.mark.parametrize("rows", [100, 1_000])
def test_natural_variance_is_found_whatever_the_rows(natural: float, rows: int) -> None:
    calibration = fit(simulated(60, rows, natural), numeric=False)
    assert calibration is not None
    found = np.mean(calibration.windows["1h"].tests["shape"].references[0].natural)
    # Var(√p) = natural · (1 - p) / 4 for shares p of a Dirichlet distribution.
    assert found == pytest.approx(natural * 0.9 / 4, rel=0.25)


def test_chance_alone_has_hardly_any_natural_variance_and_nearly_the_chi_square_limit() -> None:
    calibration = fit(simulated(60, 500), numeric=False)
    assert calibration is not None
    found = calibration.windows["1h"].tests["shape"].references[0]
    assert max(found.natural) < 3e-4
    assert 0.6 <= found.tail.quantile(1e-4) / chi_square_quantile(1e-4, 9) < 1.2


def test_a_drifting_season_makes_the_limit_wider_because_its_neighbours_are_held_out() -> None:
    at = hours(100)
    season = np.tile(SHARES, (at.size, 1))
    season[:, 0] += np.linspace(-0.03, 0.03, at.size)
    season[:, 1] -= np.linspace(-0.03, 0.03, at.size)
    natural = []
    for table in (simulated(100, 500), multinomial(season, 500, at)):
        calibration = fit(table, numeric=False)
        assert calibration is not None
        natural.append(
            [reference.natural[0] for reference in calibration.windows["1d"].tests["shape"].references]
        )
    assert natural[1][0] > 3 * natural[0][0]
    assert natural[1][2] < 0.5 * natural[1][0]  # the last seven days know the season


def test_a_daily_cycle_gets_shares_by_hour_and_a_flat_day_does_not() -> None:
    at = hours(28)
    wave = 0.05 * np.sin(at % 24 / 24 * 2 * np.pi)
    cycle = np.tile(SHARES, (at.size, 1))
    cycle[:, 0] += wave
    cycle[:, 9] -= wave
    weekend = np.tile(SHARES, (at.size, 1))
    weekend[:, 0] += 0.08 * (local_cells(at) >= 24)
    weekend[:, 9] -= 0.08 * (local_cells(at) >= 24)
    cells = []
    for shares in (SHARES, cycle, weekend):
        calibration = fit(multinomial(shares, 300, at), numeric=False)
        assert calibration is not None
        cells.append(len(calibration.shares["shape"]))
    assert cells == [1, 24, 48]


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
    calibration = fit(simulated(days, rows), numeric=False)
    assert (set() if calibration is None else set(calibration.windows)) == windows


def test_a_column_that_only_one_block_has_is_not_calibrated() -> None:
    table = simulated(60, 100)
    bins = table.bins.copy()
    bins[table.hours >= 12 * 24] = 0
    assert fit(counted(table.hours, bins, missing=100 - bins.sum(axis=1)), numeric=False) is None


@pytest.mark.parametrize("constant", [True, False])
def test_one_value_or_one_category_is_calibrated_without_an_alarm(constant: bool) -> None:
    at = np.repeat(hours(30), 30)
    if constant:
        column = numeric([7.0, 7.0])
        calibration = fit(table_of(column, at, np.full(at.size, 7.0)), numeric=True, top=((7.0, 1.0),))
    else:
        calibration = fit(multinomial([1.0, 0.0], 30, hours(30)), numeric=False)
    assert calibration is not None
    assert calibration.windows["1h"].constant
    assert max(one.score for one in calibration.windows["1h"].extremes) < 1


def test_missing_entries_have_their_natural_share_and_worst_window() -> None:
    table = simulated(60, 190)
    missing = np.random.default_rng(1).binomial(200, 0.05, table.hours.size)
    missing[100] = 150
    calibration = fit(counted(table.hours, table.bins, missing), numeric=False)
    assert calibration is not None
    assert calibration.shares["missing"][0][0] == pytest.approx(0.05, rel=0.1)
    assert calibration.windows["1h"].tests["missing"].largest == pytest.approx(150 / 340)


def test_the_most_unusual_windows_are_named() -> None:
    table = simulated(60, 200)
    bins = table.bins.copy()
    bins[9 * 24 + 3] = [200, *[0] * 9]
    calibration = fit(counted(table.hours, bins), numeric=False)
    assert calibration is not None
    extremes = calibration.windows["1h"].extremes
    assert len(extremes) == 5
    assert extremes[0].start == "1970-01-10T03:00:00"
    assert extremes[0].score > 1 > extremes[1].score


def test_a_day_that_the_file_holds_only_a_part_of_does_not_count_as_natural() -> None:
    whole = simulated(40, 100)
    cut = whole.part((whole.hours >= 18) & (whole.hours < 39 * 24 + 11))
    found = [fit(table, numeric=False) for table in (whole, cut)]
    assert [one.windows["1d"].windows for one in found if one is not None] == [40, 38]


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 20), st.integers(0, 2**32 - 1))
def test_shards_in_any_order_make_the_same_table_and_calibration(shards: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    at = np.repeat(np.arange(15 * 24), 30)
    values = rng.integers(0, 40, at.size).astype(np.float64)
    values[rng.random(at.size) < 0.05] = np.nan
    column = numeric(np.arange(40.0))
    assert isinstance(column.bins, NumericBins)
    one = table_of(column, at, values)
    present = np.unique(at)
    count = TableCount(present, local_cells(present), column.bins.size, True)
    for part in np.array_split(rng.permutation(at.size), shards):
        missing = np.isnan(values[part])
        index = np.where(missing, -1, column.bins.index(np.nan_to_num(values[part])))
        count.add(at[part], index, values[part], missing=missing)
    many = count.table()
    for name in ("hours", "cells", "rows", "missing", "bins"):
        assert np.array_equal(getattr(one, name), getattr(many, name))
    np.testing.assert_allclose(one.moments, many.moments, rtol=1e-9)
    first, second = (
        fit(replace(table, top_counts=one.top_counts * 0), numeric=True) for table in (one, many)
    )
    assert first is not None
    assert second is not None
    assert first.shares == second.shares
    assert first.windows["1h"].tests == second.windows["1h"].tests


def test_a_fitted_column_has_everything_a_verdict_needs() -> None:
    column = fitted(simulated(30, 100))
    assert column.calibration is not None
    for window, terms in (("1h", 4), ("1d", 3)):
        found = column.calibration.windows[window]
        assert set(found.tests) == {"shape", "missing", "mismatched", "unseen"}
        assert {len(test.blend) for test in found.tests.values()} == {terms}
        assert {len(test.references) for test in found.tests.values()} == {3}
