"""A simulated year of many columns stays within the page budget that their alpha was made of."""

from __future__ import annotations

import numpy as np

from exporter.baseline.expected import alpha_of
from exporter.hourly import HourTable
from exporter.verdict import judge_windows
from tests.verdict.columns import counted, fitted

COLUMNS = 500
BASELINE, YEAR = 120, 365
BINS = 8


def moving(days: int, hours_a_day: int, rows: int, columns: int, seed: int) -> list[HourTable]:
    """Columns that move together: half of what a day or an hour adds to a column, all columns have.

    With a daily cycle where a day has 24 hours, and a slow season.
    """
    rng = np.random.default_rng(seed)
    size = days * hours_a_day
    day, hour = np.divmod(np.arange(size), hours_a_day)
    at = day * 24 + (hour if hours_a_day > 1 else 12)
    bins = np.linspace(-1, 1, BINS)
    common_day, common_hour = rng.normal(size=(2, size, BINS)) * np.array([0.06, 0.03])[:, None, None]
    tables = []
    for column in range(columns):
        level = rng.gamma(3.0, 1.0, BINS)
        cycle = np.sin(2 * np.pi * hour / 24)[:, np.newaxis] * bins * (0.5 if hours_a_day > 1 else 0.0)
        season = np.sin(2 * np.pi * day / 365 + column)[:, np.newaxis] * bins * 0.1
        own = rng.normal(size=(days, BINS))[day] * 0.06 + rng.normal(size=(size, BINS)) * 0.03
        log = np.log(level) + cycle + season + common_day[day] + common_hour + own
        shares = np.exp(log)
        shares /= shares.sum(axis=1, keepdims=True)
        tables.append(counted(at, rng.multinomial(rows, shares)))
    return tables


def pages(tables: list[HourTable], window: str, size: int) -> int:
    """Days on which a column of *tables* pages after the baseline."""
    alpha = alpha_of(1.0, COLUMNS, window)
    found = 0
    for table in tables:
        before = table.hours < BASELINE * 24
        column = fitted(table.part(before))
        live = table.part(table.hours >= (BASELINE - 8) * 24)
        days = np.arange(BASELINE, int(table.hours[-1]) // 24 + 1) * 24
        first = days if size == 24 else live.hours[live.hours >= BASELINE * 24]
        _, states = judge_windows(column, live, window, first, first + size, alpha=alpha)
        assert (states != "insufficient").all()
        found += np.unique(first[states == "drifted"] // 24).size
    return found


def test_a_year_of_five_hundred_columns_by_day_is_within_the_page_budget() -> None:
    days = pages(moving(BASELINE + YEAR, 1, 800, COLUMNS, 0), "1d", 24)
    # Days have half of a page a month: six a year are meant, and 13 come in one year of a hundred.
    assert days <= 13


def test_a_year_of_hours_is_within_its_share_of_the_page_budget() -> None:
    columns = 25
    days = pages(moving(BASELINE + YEAR, 24, 50, columns, 1), "1h", 1)
    # Half a page a month for 500 columns: 0.3 in a year of 25; more than 3 come in one of five hundred.
    assert days <= 3
