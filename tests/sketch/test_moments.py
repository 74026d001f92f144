"""Moments: against numpy and exact fractions, at the ends of what a float can hold."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from exporter.sketch import Moments


def of(*values: float) -> Moments:
    moments = Moments()
    moments.update(np.array(values, dtype=np.float64))
    return moments


@pytest.mark.parametrize(
    ("mean", "spread", "tolerance"), [(0.0, 1.0, 1e-12), (1e3, 1.0, 1e-11), (1e6, 1e-3, 1e-7)]
)
def test_they_are_those_of_exact_fractions(mean: float, spread: float, tolerance: float) -> None:
    # A mean of 1e6 is held to 1e-10, hence a variance of 1e-6 to no better than 1e-7 of itself.
    values = np.random.default_rng(1).normal(mean, spread, 10_000)
    moments = Moments()
    for part in np.array_split(values, 33):
        moments.update(part)
    exact = [Fraction(v) for v in values.tolist()]
    middle = sum(exact) / len(exact)
    variance = sum((v - middle) ** 2 for v in exact) / len(exact)
    assert moments.mean == pytest.approx(float(middle), rel=1e-13)
    assert moments.variance == pytest.approx(float(variance), rel=tolerance)
    assert moments.standard_deviation == pytest.approx(math.sqrt(variance), rel=tolerance)


def test_one_repeated_value_has_exactly_no_spread() -> None:
    moments = Moments()
    for size in (1, 2, 7, 1000):
        moments.update(np.full(size, 0.1))
    assert (moments.count, moments.mean, moments.m2) == (1010, 0.1, 0.0)


def test_nothing_is_defined() -> None:
    assert (of().count, of().mean, of().m2) == (0, 0.0, 0.0)
    assert (of().minimum, of().maximum) == (math.inf, -math.inf)
    assert math.isnan(of().variance)
    assert math.isnan(of().standard_deviation)


def test_a_part_of_one_is_not_lost() -> None:
    moments = of(1.0, 2.0)
    moments.merge(of(6.0))
    moments.merge(of())
    assert (moments.count, moments.mean, moments.m2) == (3, 3.0, 14.0)
    single = of()
    single.merge(of(6.0))
    assert single == of(6.0)


@pytest.mark.parametrize("parts", [1, 2])
def test_the_largest_floats_overflow_no_mean(parts: int) -> None:
    largest = np.finfo(np.float64).max
    values = np.array([largest, largest, -largest, largest])
    moments = Moments()
    for part in np.array_split(values, parts):
        moments.update(part)
    assert moments.mean == pytest.approx(largest / 2)
    assert moments.m2 == math.inf
    assert (moments.minimum, moments.maximum) == (-largest, largest)


def test_parts_combine_as_they_merge() -> None:
    rng = np.random.default_rng(2)
    parts = [of(*rng.normal(size=n)) for n in (3, 0, 1, 50)]
    merged = Moments()
    for part in parts:
        merged.merge(part)
    columns = [
        np.array([getattr(p, name) for p in parts]) for name in ("count", "mean", "m2", "minimum", "maximum")
    ]
    combined = Moments.combined(*columns)
    assert (combined.count, combined.minimum, combined.maximum) == (
        merged.count,
        merged.minimum,
        merged.maximum,
    )
    assert combined.mean == pytest.approx(merged.mean, rel=1e-12)
    assert combined.m2 == pytest.approx(merged.m2, rel=1e-12)
    assert Moments.combined(*(column[1:2] for column in columns)) == Moments()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_refused(bad: float) -> None:
    moments = of(1.0)
    with pytest.raises(ValueError, match="expected finite numbers"):
        moments.update(np.array([2.0, bad, 3.0]))
    assert moments == of(1.0)
