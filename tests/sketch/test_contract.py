"""What every sketch promises, checked for every class that exporter.sketch has: a new one is tested by existing.

Merge of any split equals the whole, parts of 0 and 1 included; bytes read back, and damaged ones are refused;
the other side of a merge stays as it is; memory is bounded.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import exporter.sketch as package
from exporter.sketch import SKETCHES, Distinct, Frequent, Moments, Quantiles


def discovered() -> set[type]:
    modules = [
        importlib.import_module(f"exporter.sketch.{m.name}") for m in pkgutil.iter_modules(package.__path__)
    ]
    classes = {
        c for m in modules for _, c in inspect.getmembers(m, inspect.isclass) if c.__module__ == m.__name__
    }
    return {c for c in classes if {"update", "merge"} <= set(dir(c))}


def same_moments(whole: Moments, merged: Moments, values: list[float]) -> None:
    assert (merged.count, merged.minimum, merged.maximum) == (whole.count, whole.minimum, whole.maximum)
    if values:
        spread = max(values) - min(values)
        assert merged.mean == pytest.approx(np.mean(values), rel=1e-12, abs=1e-9 * spread)
        rounding = len(values) * (1e-15 * max(map(abs, values))) ** 2  # of numpy's mean
        expected = len(values) * np.var(values)
        assert merged.m2 == pytest.approx(expected, rel=1e-9, abs=1e-9 * spread**2 + rounding)


def same_quantiles(whole: Quantiles, merged: Quantiles, values: list[float]) -> None:
    # Of at most k values nothing is lost, so the two must be equal.
    assert merged.error() == whole.error() == 0.0
    assert merged.count == whole.count == len(values)
    ranks = np.linspace(0, 1, 21)
    np.testing.assert_array_equal(merged.quantile(ranks), whole.quantile(ranks))
    if values:
        np.testing.assert_array_equal(
            merged.quantile(ranks), np.quantile(values, ranks, method="inverted_cdf")
        )


def same_distinct(whole: Distinct, merged: Distinct, values: list[float]) -> None:
    assert merged.to_bytes() == whole.to_bytes()
    assert merged.estimate() == len(set(values))


def same_frequent(whole: Frequent, merged: Frequent, values: list[float]) -> None:
    truth = Counter(values)
    for sketch in (whole, merged):
        assert sketch.total == len(values)
        assert sketch.slack * 65 <= sketch.total
        kept = {item: (lower, upper) for item, lower, upper in sketch.top()}
        for value, count in truth.items():
            lower, upper = kept.get(value, (0, sketch.slack))
            assert lower <= count <= upper
    if len(truth) <= 64:
        assert whole.top() == merged.top()


SAME: dict[type, Callable[[Any, Any, list[float]], None]] = {
    Moments: same_moments,
    Quantiles: same_quantiles,
    Distinct: same_distinct,
    Frequent: same_frequent,
}


def array(values: Sequence[float]) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_every_class_is_listed_and_tested() -> None:
    assert discovered() == set(SKETCHES) == set(SAME)


finite = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e9, max_value=1e9)
# Few different values and many, so that both exact and lossy states are met.
lists = st.lists(st.one_of(st.integers(-3, 3).map(float), finite), max_size=150)


@pytest.mark.parametrize("sketch", SKETCHES)
@settings(max_examples=60, deadline=None)
@given(values=lists, cuts=st.lists(st.integers(0, 150), max_size=6), order=st.randoms())
def test_a_merge_of_any_split_equals_the_whole(
    sketch: type, values: list[float], cuts: list[int], order: Any
) -> None:
    whole = sketch()
    whole.update(array(values))
    bounds = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    parts = [values[low:high] for low, high in pairwise(bounds)]
    parts.append([])
    order.shuffle(parts)
    merged = sketch()
    for part in parts:
        piece = sketch()
        piece.update(array(part))
        before = piece.to_bytes()
        merged.merge(piece)
        assert piece.to_bytes() == before
    SAME[sketch](whole, merged, values)


@pytest.mark.parametrize("sketch", SKETCHES)
@settings(max_examples=30, deadline=None)
@given(values=lists)
def test_bytes_read_back(sketch: type, values: list[float]) -> None:
    one = sketch()
    one.update(array(values))
    again = sketch.from_bytes(one.to_bytes())
    assert again.to_bytes() == one.to_bytes()
    assert again.error() == one.error()
    again.update(array([1.0]))
    one.merge(sketch.from_bytes(sketch().to_bytes()))
    one.update(array([1.0]))
    SAME[sketch](one, again, [*values, 1.0])


@pytest.mark.parametrize("sketch", SKETCHES)
@pytest.mark.parametrize(
    "damage", [lambda b: b"", lambda b: b[:1], lambda b: b"XX" + b[2:], lambda b: b[: len(b) // 2]]
)
def test_damaged_bytes_are_refused(sketch: type, damage: Callable[[bytes], bytes]) -> None:
    one = sketch()
    one.update(np.arange(1000.0))
    with pytest.raises(ValueError, match=f"^{sketch.__name__.lower()}: "):
        sketch.from_bytes(damage(one.to_bytes()))


@pytest.mark.parametrize("sketch", SKETCHES)
def test_nothing_is_exact_and_small(sketch: type) -> None:
    assert sketch().error() == 0.0
    assert len(sketch().to_bytes()) < 64
    one = sketch()
    one.update(array([]))
    assert one.to_bytes() == sketch().to_bytes()


@pytest.mark.parametrize("sketch", SKETCHES)
def test_memory_is_bounded_over_a_million_different_values(sketch: type) -> None:
    one = sketch()
    for values in np.random.default_rng(5).permutation(1_000_000).astype(np.float64).reshape(100, 10_000):
        one.update(values)
    assert one.nbytes < 12_000
    assert len(one.to_bytes()) < 6_000


@pytest.mark.parametrize("sketch", SKETCHES)
def test_the_array_given_stays_as_it_is(sketch: type) -> None:
    values = array([3.0, -0.0, 1.0, 3.0])
    values.setflags(write=False)
    sketch().update(values)
    assert values.tolist() == [3.0, -0.0, 1.0, 3.0]
    sketch().update(array([1.0, 2.0, 3.0, 4.0])[::2])
