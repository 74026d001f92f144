"""Log-linear cells: ordered, nested, bounded, and the same whoever saw which value when."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.learning.loglinear import BITS, LEAST_BITS, LogLinear, cells_of, coarser

numbers = st.floats(allow_nan=False, allow_infinity=False)
many = st.lists(numbers, max_size=60).map(np.array)


def sketch_of(values: np.ndarray, limit: int = 512) -> LogLinear:
    sketch = LogLinear(limit)
    sketch.update(values.astype(np.float64))
    return sketch


@given(st.lists(numbers, min_size=2, max_size=20), st.integers(LEAST_BITS, BITS))
def test_cells_ascend_with_their_values(values: list[float], bits: int) -> None:
    ordered = np.sort(np.array(values))
    assert (np.diff(cells_of(ordered, bits)) >= 0).all()


@given(many, st.integers(LEAST_BITS, BITS), st.data())
def test_a_coarser_cell_is_the_cell_of_fewer_bits(values: np.ndarray, bits: int, data: st.DataObject) -> None:
    steps = data.draw(st.integers(0, bits - LEAST_BITS))
    values = values.astype(np.float64)
    np.testing.assert_array_equal(coarser(cells_of(values, bits), steps), cells_of(values, bits - steps))


@given(many)
def test_zero_and_the_signs_share_no_cell(values: np.ndarray) -> None:
    values = values.astype(np.float64)
    np.testing.assert_array_equal(np.sign(cells_of(values, LEAST_BITS)), np.sign(values))


@settings(max_examples=60)
@given(st.lists(many, max_size=6), st.integers(5, 12), st.randoms(use_true_random=False))
def test_any_split_in_any_order_gives_the_same_bytes(
    parts: list[np.ndarray], limit: int, random: object
) -> None:
    whole = sketch_of(np.concatenate([np.empty(0), *parts]), limit)
    merged = LogLinear(limit)
    random.shuffle(parts)  # type: ignore[attr-defined]
    for part in parts:
        merged.merge(sketch_of(part, limit))
    assert merged.to_bytes() == whole.to_bytes()
    assert LogLinear.from_bytes(whole.to_bytes()).to_bytes() == whole.to_bytes()


@given(many, st.integers(5, 12))
def test_every_value_is_counted_between_low_and_high_of_its_cell(values: np.ndarray, limit: int) -> None:
    values = values.astype(np.float64)
    sketch = sketch_of(values, limit)
    assert sketch.cells.size <= limit
    at = np.searchsorted(sketch.cells, cells_of(values, sketch.bits))
    assert (sketch.low[at] <= values).all()
    assert (values <= sketch.high[at]).all()
    np.testing.assert_array_equal(np.bincount(at, minlength=sketch.cells.size), sketch.counts)


def test_whole_numbers_to_131072_are_alone_in_their_cells() -> None:
    values = np.arange(0, 131_073, 7, dtype=np.float64)
    assert np.unique(cells_of(values, BITS)).size == values.size


def test_normal_values_keep_cells_of_a_fraction_of_a_standard_deviation() -> None:
    sketch = sketch_of(np.random.default_rng(0).normal(40, 12, 200_000))
    middle = sketch.counts[(sketch.low >= 32) & (sketch.high < 64)]
    assert sketch.cells.size <= 512
    assert middle.size == 64  # a width of 1/24 of the deviation


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_is_refused(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        LogLinear().update(np.array([1.0, value]))


@pytest.mark.parametrize("data", [b"", b"L1", b"XX" + bytes(9), sketch_of(np.arange(9.0)).to_bytes()[:-1]])
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="log-linear"):
        LogLinear.from_bytes(data)
