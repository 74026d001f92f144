"""Grid: whole multiples of a step, as far as floats of either width can tell."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.profile import ColumnProfile, Layout, multiples

STEPS = (0.001, 0.01, 0.1, 0.25, 1.0, 5.0, 10.0, 1000.0)


@pytest.mark.parametrize("width", [np.float64, np.float32])
@given(step=st.sampled_from(STEPS), numbers=st.lists(st.integers(-8000, 8000), min_size=1))
def test_decimals_of_the_grid_count_in_either_width(width: Any, step: float, numbers: list[int]) -> None:
    values = np.array([float(n * Fraction(str(step))) for n in numbers], width)
    assert multiples(values.astype(np.float64), step).all()


@given(step=st.sampled_from(STEPS), number=st.integers(-8000, 8000), part=st.floats(0.002, 0.998))
def test_what_lies_between_does_not(step: float, number: int, part: float) -> None:
    assert not multiples(np.array([(number + part) * step]), step).any()


def test_by_chance_two_in_a_thousand_count() -> None:
    values = np.random.default_rng(1).uniform(-50, 50, 1_000_000)
    assert multiples(values, 0.1).mean() == pytest.approx(0.002, abs=0.0002)


@given(values=st.lists(st.one_of(st.floats(), st.sampled_from([0.5, 1.0, 1e15, 1e16, -1e16, 1e300]))))
def test_the_counter_is_the_multiples_among_the_finite_numbers(values: list[float]) -> None:
    profile = ColumnProfile("numeric", grid=0.5)
    profile.update(np.array(values))
    finite = np.array([value for value in values if math.isfinite(value)])
    assert profile.grid == np.count_nonzero(multiples(finite, 0.5))


def test_numbers_of_which_floats_hold_no_fraction_are_no_multiples() -> None:
    assert multiples(np.array([2.0**51, 2.0**53, 1e308]), 1.0).tolist() == [True, False, False]


def test_lost_digits_show() -> None:
    rng = np.random.default_rng(2)
    profile = ColumnProfile("numeric", grid=0.1)
    values = np.round(rng.normal(20, 5, 1000), 2)
    profile.update(values)
    before = profile.grid
    profile.update(np.round(values, 1))
    assert before < 150
    assert profile.grid - before == 1000


def test_without_a_step_nothing_is_counted() -> None:
    profile = ColumnProfile("numeric")
    profile.update([1.0, 2.0])
    assert profile.grid == 0


@pytest.mark.parametrize("step", [0.0, -1.0, math.inf, math.nan])
def test_a_step_that_is_none_is_refused(step: float) -> None:
    with pytest.raises(ValueError, match="grid: expected a finite step above 0 of numbers"):
        Layout("numeric", grid=step)


@pytest.mark.parametrize("kind", ["categorical", "boolean"])
def test_categories_have_no_grid(kind: Any) -> None:
    with pytest.raises(ValueError, match="grid: expected a finite step above 0 of numbers"):
        Layout(kind, grid=1.0)


def test_a_layout_is_known_by_everything_that_is_counted_by_it() -> None:
    layouts = [
        Layout("numeric"),
        Layout("text"),
        Layout("numeric", None, (0, 1)),
        Layout("numeric", None, None, (0, 1)),
        Layout("numeric", None, None, None, 0.1),
        Layout("numeric", None, None, None, 0.2),
    ]
    assert len({layout.id for layout in layouts}) == len(layouts)
    assert Layout("numeric", grid=0.1).id == layouts[4].id
