from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.verdict import onset

BASELINE = np.array([400, 300, 200, 95, 5, 0])
SHARES = BASELINE / BASELINE.sum()
MOVED = np.array([0.1, 0.2, 0.3, 0.2, 0.15, 0.05])


def series(slots: int, change: int, rows: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.array([rng.multinomial(rows, SHARES if at < change else MOVED) for at in range(slots)])


def starts(slots: int) -> np.ndarray:
    return 1_700_000_100.0 + 300.0 * np.arange(slots)


@pytest.mark.parametrize("change", [4, 100, 280])
def test_the_boundary_is_found_at_five_rows_a_slot(change: int) -> None:
    errors = []
    for seed in range(40):
        found = onset(series(288, change, 5, seed), BASELINE, starts(288))
        errors.append((found - starts(288)[change]) / 300)
    assert np.median(np.abs(errors)) <= 1
    assert np.mean(np.abs(errors) <= 2) >= 0.75


def test_many_rows_find_it_exactly() -> None:
    assert onset(series(50, 20, 500, 0), BASELINE, starts(50)) == starts(50)[20]


def test_empty_slots_do_not_disturb() -> None:
    counts = series(60, 30, 40, 1)
    counts[5:12] = 0
    counts[25:30] = 0
    # Nothing tells the empty slots before the change from those after it.
    assert starts(60)[25] <= onset(counts, BASELINE, starts(60)) <= starts(60)[30]


def test_a_change_before_the_first_slot_is_told_as_the_first_slot() -> None:
    assert onset(series(40, 0, 50, 2), BASELINE, starts(40)) == starts(40)[0]


def test_a_single_slot_is_its_own_answer() -> None:
    assert onset(np.array([[1, 0, 0, 0, 0, 9]]), BASELINE, [42.0]) == 42.0


def test_missing_entries_have_an_onset_too() -> None:
    present = np.array([[20, 0]] * 10 + [[12, 8]] * 10)
    assert onset(present, np.array([10_000, 3]), starts(20)) == starts(20)[10]


@given(st.lists(st.lists(st.integers(0, 10**6), min_size=6, max_size=6), min_size=1, max_size=30))
def test_the_answer_is_always_one_of_the_slots(counts: list[list[int]]) -> None:
    assert onset(np.array(counts), BASELINE, starts(len(counts))) in set(starts(len(counts)))


@pytest.mark.parametrize("shape", [(0, 6), (3, 5), (4, 6), (6,)])
def test_counts_that_do_not_fit_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"onset: expected counts of shape \(3, 6\)|\(0, 6\)"):
        onset(np.zeros(shape, dtype=np.int64), BASELINE, starts(3) if shape[0] else [])


def test_nothing_begins_in_a_slot_without_rows() -> None:
    series = np.array([[0, 0], [0, 0], [1, 30], [2, 29]])
    assert onset(series, np.array([900, 100]), np.arange(4) * 300.0) == 600.0
