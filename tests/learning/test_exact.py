"""Exact sums: no order, no split and no magnitude changes a bit of them."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.learning.exact import ExactSums

numbers = st.floats(allow_nan=False, allow_infinity=False)


def sums_of(values: list[float]) -> ExactSums:
    sums = ExactSums()
    sums.update(np.array(values, np.float64))
    return sums


@given(st.lists(numbers, min_size=1, max_size=30))
def test_the_mean_is_the_float_next_to_the_true_one(values: list[float]) -> None:
    assert sums_of(values).mean == float(sum(map(Fraction, values)) / len(values))


@given(
    st.lists(st.floats(-1e100, 1e100).filter(lambda v: v == 0 or abs(v) > 1e-100), min_size=1, max_size=30)
)
def test_the_deviation_is_exact_too(values: list[float]) -> None:
    exact = [Fraction(value) for value in values]
    mean = sum(exact) / len(exact)
    assert sums_of(values).m2 == float(sum((value - mean) ** 2 for value in exact))


@given(st.lists(st.lists(numbers, max_size=8), max_size=5), st.randoms(use_true_random=False))
def test_any_split_in_any_order_gives_the_same_bytes(parts: list[list[float]], random: object) -> None:
    whole = sums_of([value for part in parts for value in part])
    merged = ExactSums()
    random.shuffle(parts)  # type: ignore[attr-defined]
    for part in parts:
        merged.merge(sums_of(part))
    assert merged.to_bytes() == whole.to_bytes() == ExactSums.from_bytes(whole.to_bytes()).to_bytes()


def test_a_spread_of_a_billionth_of_the_mean_is_kept() -> None:
    values = 1e9 + np.arange(1000.0)
    assert sums_of(values.tolist()).m2 == 1000 * (1000**2 - 1) / 12


def test_numbers_whose_squares_have_no_float_have_an_infinite_deviation() -> None:
    moments = sums_of([1e200, 3e200]).moments(1e200, 3e200)
    assert (moments.count, moments.mean, moments.m2) == (2, 2e200, math.inf)


def test_of_nothing() -> None:
    assert (ExactSums().mean, ExactSums().m2, ExactSums().moments(0, 0).count) == (0.0, 0.0, 0)


@pytest.mark.parametrize("data", [b"", b"E1", b"E1[1]", b'E1[1,"0xg","0x0"]', b"XX[0]"])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="exact sums"):
        ExactSums.from_bytes(data)
