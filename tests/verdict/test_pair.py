"""Two tables beside each other: silent on chance and on different loads, loud on differences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.hourly import HourTable
from exporter.verdict.pair import Pair, compare_pair
from tests.verdict.tables import counted, measured

SHARES = np.array([0.05, 0.2, 0.3, 0.25, 0.15, 0.05])


def compared(one: HourTable, other: HourTable) -> Pair | None:
    return compare_pair(one, other, (one.hours, other.hours))


def drawn(rng: np.random.Generator, rows: int, shares: np.ndarray = SHARES, hours: int = 24) -> HourTable:
    return counted(np.stack([rng.multinomial(rows, shares) for _ in range(hours)]))


@pytest.mark.parametrize("rows", [10, 300, 20_000])
@pytest.mark.parametrize("bins", [2, 6, 50])
def test_the_same_traffic_split_in_two_is_silent(rows: int, bins: int) -> None:
    rng = np.random.default_rng(bins)
    shares = rng.dirichlet(np.ones(bins))
    scores = [compared(drawn(rng, rows, shares), drawn(rng, 3 * rows, shares)).score for _ in range(60)]
    assert max(scores) < 1


def test_different_loads_at_different_times_of_day_are_no_difference() -> None:
    rng = np.random.default_rng(1)
    shares = rng.dirichlet(np.ones(6), size=24)  # each hour is another world
    mornings, evenings = np.linspace(2000, 10, 24).astype(int), np.linspace(10, 2000, 24).astype(int)
    one = counted(np.stack([rng.multinomial(n, p) for n, p in zip(mornings, shares, strict=True)]))
    other = counted(np.stack([rng.multinomial(n, p) for n, p in zip(evenings, shares, strict=True)]))
    assert compared(one, other).score < 1


def test_hours_that_one_alone_has_are_left_out() -> None:
    rng = np.random.default_rng(2)
    one, other = drawn(rng, 300), drawn(rng, 300)
    strange = counted(np.vstack([one.bins, np.full((24, 6), 1_000_000)]))
    assert compared(strange, other) == compared(one, other)


def test_a_bin_that_gains_is_found_and_named_first() -> None:
    rng = np.random.default_rng(3)
    moved = SHARES + np.array([0.25, -0.05, -0.1, -0.05, -0.05, 0.0])
    found = compared(drawn(rng, 50, moved), drawn(rng, 50))
    assert (found.score > 1, found.detectors) == (True, ("shape",))
    at, before, now = found.moved[0]
    assert (at, round(10 * before), round(10 * now)) == (0, 0, 3)


def test_missing_mismatched_and_unseen_are_found_either_way() -> None:
    rng = np.random.default_rng(4)
    plain = drawn(rng, 100)
    for name in ("missing", "mismatched", "unseen"):
        lost = counted(plain.bins, **{name: np.full(24, 8)})
        assert compared(lost, plain).detectors == compared(plain, lost).detectors == (name,)


def test_numbers_without_bins_are_compared_by_their_means() -> None:
    rng = np.random.default_rng(5)
    same = [measured(rng.normal(10, 2, (24, 100))) for _ in range(2)]
    shifted = measured(rng.normal(11, 2, (24, 100)))
    assert compared(*same).score < 1
    assert compared(shifted, same[0]).detectors == ("mean",)
    assert compared(measured(np.full((24, 100), 1.0)), measured(np.full((24, 100), 2.0))).score > 1


def test_means_are_compared_within_the_hours() -> None:
    rng = np.random.default_rng(7)
    by_hour = np.arange(24)[:, np.newaxis] * 5.0
    both = [measured(rng.normal(by_hour, 1, (24, 300))) for _ in range(2)]
    morning, evening = (part.hours < 14 for part in both)
    late = [measured(rng.normal(by_hour[10:], 1, (14, 300))), measured(rng.normal(by_hour[:14], 1, (14, 30)))]
    late[0] = replace(late[0], hours=late[0].hours + 10)
    assert compared(late[0], late[1]).score < 1
    assert compared(both[0].part(morning), both[1].part(evening)).score < 1


def test_a_canary_of_a_few_rows_an_hour_is_silent() -> None:
    rng = np.random.default_rng(8)
    for _ in range(200):
        few, many = rng.gamma(1, 1, (60, 2)), rng.gamma(1, 1, (60, 50))
        assert compared(measured(few), measured(many)).score < 1


def test_too_few_rows_on_either_side_say_nothing() -> None:
    rng = np.random.default_rng(6)
    few, many = drawn(rng, 4), drawn(rng, 400)
    assert (compared(few, many), compared(many, few)) == (None, None)


def test_other_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="expected tables of equal bins, found 2 and 3"):
        compared(HourTable.empty(2), HourTable.empty(3))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(5, 400), st.integers(5, 400))
def test_it_is_symmetric(seed: int, rows: int, other_rows: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = drawn(rng, rows), drawn(rng, other_rows, rng.dirichlet(np.ones(6)))
    there, back = compared(one, other), compared(other, one)
    assert (there is None) == (back is None)
    if there is not None:
        assert there.detectors == back.detectors
        np.testing.assert_allclose(there.score, back.score)
