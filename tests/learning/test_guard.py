"""Guard: drifted hours are left out, the column's own cycle is not."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.learning.guard import drifted_hours

HOURS = np.arange(19_676 * 24, (19_676 + 14) * 24)
"""From Wednesday, 2023-11-15."""


def cycle(rows: int, seed: int = 0) -> np.ndarray:
    """Counts over 16 bins whose shares follow the hour of the day and, on weekends, another curve."""
    rng = np.random.default_rng(seed)
    bins = np.arange(16)
    table = []
    for hour in HOURS:
        weekend = (hour // 24 + 3) % 7 >= 5
        centre = 8 + 4 * np.sin(hour % 24 / 24 * 2 * np.pi) * (0.3 if weekend else 1.0)
        shares = np.exp(-(((bins - centre) / 4) ** 2))
        table.append(rng.multinomial(rows, shares / shares.sum()))
    return np.array(table)


@pytest.mark.parametrize("rows", [20, 60, 1_000, 100_000])
def test_a_strong_daily_cycle_is_learnt_whole(rows: int) -> None:
    left = drifted_hours(HOURS, cycle(rows))
    assert (left.trusted, left.hours.sum()) == (True, 0)


@pytest.mark.parametrize("rows", [60, 1_000])
def test_a_poisoned_day_is_left_out_whole(rows: int) -> None:
    counts = cycle(rows)
    day = slice(7 * 24, 8 * 24)
    counts[day] = np.roll(counts[day], 3, axis=1)
    left = drifted_hours(HOURS, counts)
    assert np.flatnonzero(left.hours).tolist() == list(range(7 * 24, 8 * 24))


def test_a_poisoned_sunday_is_left_out_and_the_other_weekend_days_stay() -> None:
    counts = cycle(1_000)
    sunday = slice(4 * 24, 5 * 24)
    counts[sunday] = np.roll(counts[sunday], 4, axis=1)
    assert np.flatnonzero(drifted_hours(HOURS, counts).hours).tolist() == list(range(4 * 24, 5 * 24))


def test_hours_of_nothing_but_missing_entries_are_left_out() -> None:
    counts = np.column_stack((cycle(1_000), np.zeros(HOURS.size, int)))
    counts[100:103, -1] = counts[100:103].sum(axis=1)
    counts[100:103, :-1] = 0
    assert np.flatnonzero(drifted_hours(HOURS, counts).hours).tolist() == [100, 101, 102]


def test_where_most_hours_differ_none_is_left_out_and_that_is_told() -> None:
    rng = np.random.default_rng(0)
    counts = cycle(1_000)
    for at in range(0, HOURS.size, 3):
        counts[at] = counts[at][rng.permutation(16)]
    left = drifted_hours(HOURS, counts)
    assert (left.trusted, left.hours.sum()) == (False, 0)
    assert left.stood_out > HOURS.size / 4


def test_incidents_that_verdicts_told_are_left_out() -> None:
    left = drifted_hours(HOURS, cycle(1_000), known={int(HOURS[5]), int(HOURS[6]), 1})
    assert np.flatnonzero(left.hours).tolist() == [5, 6]


def test_a_small_shift_is_learnt_as_the_columns_own_movement() -> None:
    counts = cycle(1_000)
    kept = counts[200:224].copy()
    counts[200:224] = np.where(np.arange(16) == 8, kept + 20, kept)
    assert drifted_hours(HOURS, counts).hours.sum() == 0
