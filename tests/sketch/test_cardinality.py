"""Distinct: exact while few, within its error when many, the same bytes in any order and on any machine."""

from __future__ import annotations

import numpy as np
import pytest

from exporter.sketch import Distinct
from exporter.sketch.cardinality import SPARSE_LIMIT, _raise_registers
from exporter.sketch.hashing import hash_numbers, hash_texts


@pytest.mark.parametrize("count", [0, 1, 2, 255, 256])
def test_few_values_are_counted_exactly(count: int) -> None:
    sketch = Distinct()
    for _ in range(3):
        sketch.update(np.arange(count, dtype=np.float64) * 0.1)
    assert sketch.estimate() == count
    assert sketch.error() == 0.0


@pytest.mark.parametrize("count", [257, 300, 1000, 3000, 10_000, 100_000, 1_000_000])
@pytest.mark.parametrize("seed", [1, 2])
def test_many_values_are_counted_within_three_standard_errors(count: int, seed: int) -> None:
    sketch = Distinct()
    sketch.update(np.random.default_rng(seed).random(count))
    assert sketch.error() == pytest.approx(0.02298, abs=1e-5)
    assert abs(sketch.estimate() / count - 1) < 3 * sketch.error()


def test_the_stated_error_is_that_of_many_sketches() -> None:
    ratios = []
    for seed in range(200):
        sketch = Distinct()
        sketch.update(np.random.default_rng(seed).random(60_000))
        ratios.append(sketch.estimate() / 60_000)
    assert np.std(ratios) == pytest.approx(sketch.error(), rel=0.2)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.006)


def test_a_million_texts_are_counted_within_three_standard_errors() -> None:
    sketch = Distinct()
    for start in range(0, 1_000_000, 50_000):
        sketch.update([f"user-{n}" for n in range(start, start + 50_000)])
    assert abs(sketch.estimate() / 1e6 - 1) < 3 * sketch.error()
    assert sketch.nbytes < 2_300


def test_sparse_and_dense_meet_in_the_same_bytes() -> None:
    values = np.arange(SPARSE_LIMIT + 40, dtype=np.float64)
    whole = Distinct()
    whole.update(values)
    for cut in (0, 1, 20, SPARSE_LIMIT, SPARSE_LIMIT + 39):
        left, right = Distinct(), Distinct()
        left.update(values[:cut])
        right.update(values[cut:])
        left.merge(right)
        assert left.to_bytes() == whole.to_bytes()
    one_by_one = Distinct()
    for value in values[::-1]:
        one_by_one.update(np.array([value]))
    assert one_by_one.to_bytes() == whole.to_bytes()


NUMBER_HASHES = [16294208416658607535, 16294208416658607535, 15481881892811333770, 2638638862653029785]
TEXT_HASHES = [6238072747940578789, 5911284522796082614, 1077217500762270471, 6381768689500264350]


def test_hashes_never_change() -> None:
    # Baselines hold these: a sketch written by one release must count the same values in the next.
    assert hash_numbers(np.array([0.0, -0.0, 1.5, np.inf])).tolist() == NUMBER_HASHES
    assert hash_texts(["", "UA", "é", "日本"]).tolist() == TEXT_HASHES


def test_each_register_holds_the_most_leading_zeros_of_its_hashes() -> None:
    values = np.arange(20_000, dtype=np.float64)
    expected = np.zeros(2048, np.uint8)
    for h in hash_numbers(values).tolist():
        rank = 53 - (h & (1 << 52) - 1).bit_length()
        expected[h >> 53] = max(expected[h >> 53], rank)
    sketch = Distinct()
    sketch.update(values)
    assert sketch.to_bytes() == b"D1d" + expected.tobytes()


def test_a_hash_without_a_bit_has_the_highest_rank() -> None:
    registers = np.zeros(2048, np.uint8)
    _raise_registers(registers, np.array([0, 7 << 53, 1, (9 << 53) | 1 << 51], np.uint64))
    assert {at: int(registers[at]) for at in registers.nonzero()[0]} == {0: 53, 7: 53, 9: 1}


def test_hashes_are_spread_evenly() -> None:
    texts = hash_texts([f"{n:07d}" for n in range(200_000)])
    numbers = hash_numbers(np.arange(200_000, dtype=np.float64))
    for hashes in (texts, numbers):
        assert np.unique(hashes).size == 200_000
        counts = np.bincount((hashes >> np.uint64(56)).astype(np.intp), minlength=256)
        # chi-squared of 255 degrees of freedom: mean 255, standard deviation 22.6
        assert abs(((counts - 781.25) ** 2 / 781.25).sum() - 255) < 4 * 22.6


@pytest.mark.parametrize(
    "data", [b"D1s" + b"x" * 7, b"D1s" + b"x" * 2056, b"D1d" + bytes(2047), b"D1d" + b"\xff" * 2048]
)
def test_bytes_of_another_shape_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="distinct: expected"):
        Distinct.from_bytes(data)
