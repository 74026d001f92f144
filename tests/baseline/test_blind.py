from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exporter.baseline.blind import LADDERS, blind_below
from exporter.baseline.fit import fit
from exporter.faults import ColumnFacts, inject
from exporter.verdict import judge_windows
from tests.verdict.columns import categorical, counted, fitted, multinomial, numeric, table_of

HOURS = np.arange(30 * 24)


def blind(rows: int, natural: float = 0.0, missing: bool = False) -> dict[str, float | None]:
    rng = np.random.default_rng(0)
    at = np.repeat(HOURS, rows)
    day = rng.normal(0, natural, 30)[at // 24]
    values = rng.normal(10, 2, at.size) + 2 * day
    if missing:
        values[rng.random(at.size) < (rng.random(30) ** 2)[at // 24]] = np.nan
    column = numeric(values[~np.isnan(values)])
    table = table_of(column, at, values)
    column = replace(column, calibration=fit(table, numeric=True))
    return blind_below(column, table, np.sort(values[~np.isnan(values)]))


def test_strengths_are_of_the_ladder_and_more_rows_see_smaller_faults() -> None:
    few, many = blind(30), blind(300)
    assert set(few) == set(many) == {"shift", "scale", "flood", "clipping", "null_surge"}
    for fault, strength in few.items():
        assert strength in LADDERS[fault]
        assert many[fault] in LADDERS[fault]
        assert (many[fault] or np.inf) <= (strength or np.inf)
    assert (many["shift"] or 9) <= 0.5
    assert (many["null_surge"] or 9) <= 0.01


def test_what_happens_by_itself_hides_faults() -> None:
    steady, moving = blind(100), blind(100, natural=1.0)
    assert (moving["shift"] or np.inf) >= 4 * (steady["shift"] or np.inf)
    holes = blind(100, missing=True)
    assert (holes["null_surge"] or np.inf) >= 0.5


def test_a_category_column_is_blind_to_small_shares_alone() -> None:
    table = multinomial([0.5, 0.3, 0.2, 0.0], 100, HOURS)
    column = fitted(table)
    found = blind_below(column, table, np.zeros(0))
    assert set(found) == {"flood", "null_surge", "unseen_category"}
    assert (found["unseen_category"] or 9) <= 0.05
    assert (found["flood"] or 9) <= 0.3


@pytest.mark.parametrize("values", [np.full(100, 7.0), np.zeros(0)])
def test_a_column_without_calibration_or_spread_promises_nothing_of_its_values(values: np.ndarray) -> None:
    table = multinomial([1.0, 0.0], 100, HOURS)
    assert blind_below(categorical({"a": 10}), table, values) == {}
    column = fitted(table)
    assert "shift" not in blind_below(column, table, values)


@pytest.mark.parametrize("shape", ["normal", "floored"])
def test_faults_in_later_days_at_the_limit_are_found(shape: str) -> None:
    rng = np.random.default_rng(1)
    at = np.repeat(np.arange(60 * 24), 40)
    values = rng.normal(10, 2, at.size) + rng.normal(0, 0.3, 60)[at // 24]
    if shape == "floored":
        values = np.maximum(np.round(values, 1) - 9, 0.0)
    known = at < 30 * 24
    column = numeric(values[known])
    table = table_of(column, at[known], values[known])
    column = replace(column, calibration=fit(table, numeric=True))
    limits = blind_below(column, table, np.sort(values[known]))
    assert all(limits[fault] for fault in ("shift", "scale", "flood", "null_surge", "clipping"))
    facts = ColumnFacts.of(values[known])
    clean = table_of(column, at, values)
    days = np.arange(38, 60) * 24
    later = at >= days[0]
    for fault, limit in limits.items():
        for strength in [limit, -limit] if fault == "clipping" else [limit]:
            faulted = inject(values[later], fault, strength, rng=rng, facts=facts)
            if np.array_equal(faulted, values[later], equal_nan=True):
                continue
            now = table_of(column, at[later], faulted)
            found = np.zeros(days.size, bool)
            for window, first in (("1h", now.hours), ("1d", days)):
                stop = first + (24 if window == "1d" else 1)
                _, states = judge_windows(column, clean, window, first, stop, now=now)
                found |= np.isin(days, first[states == "drifted"] // 24 * 24)
            assert found.mean() >= 0.9, (fault, strength)


def test_a_limit_that_no_step_reaches_is_none() -> None:
    # Half of the days are without any value: a surge of missing entries is nothing unusual.
    rng = np.random.default_rng(0)
    bins = rng.multinomial(60, [0.5, 0.3, 0.2, 0.0], HOURS.size)
    missing = np.where(rng.random(30)[HOURS // 24] < 0.5, 60, 0)
    bins[missing > 0] //= 3
    table = counted(HOURS, bins, missing=missing)
    column = fitted(table)
    assert blind_below(column, table, np.zeros(0))["null_surge"] is None
