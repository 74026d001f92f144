"""Frequent: bounds that hold for every value, exact while there are few."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from exporter.sketch import Frequent, FrequentItem


def check_bounds(sketch: Frequent, truth: Counter) -> None:
    assert sketch.total == truth.total()
    assert sketch.slack <= sketch.total / 65
    assert sketch.error() == sketch.slack / sketch.total
    kept = {item: (lower, upper) for item, lower, upper in sketch.top()}
    assert len(kept) <= 64
    for value, count in truth.items():
        lower, upper = kept.get(value, (0, sketch.slack))
        assert lower <= count <= upper


@pytest.mark.parametrize("batch", [1, 7, 1000, 40_000])
@pytest.mark.parametrize("kind", ["numbers", "texts"])
def test_every_count_is_within_its_bounds(batch: int, kind: str) -> None:
    numbers = np.random.default_rng(3).zipf(1.4, 40_000).astype(np.float64)
    if batch == 1:
        numbers = numbers[:4000]
    values = numbers if kind == "numbers" else [f"c{n:.0f}" for n in numbers]
    sketch = Frequent()
    for start in range(0, len(values), batch):
        sketch.update(values[start : start + batch])
    check_bounds(sketch, Counter(values.tolist() if kind == "numbers" else values))


def test_bounds_hold_over_merges() -> None:
    values = np.random.default_rng(4).zipf(1.2, 30_000).astype(np.float64)
    merged = Frequent()
    for part in (values[:1], values[1:1], *np.array_split(values[1:], 12)):
        piece = Frequent()
        piece.update(part)
        merged.merge(piece)
    check_bounds(merged, Counter(values.tolist()))


def test_a_value_of_two_per_cent_is_always_kept() -> None:
    rng = np.random.default_rng(5)
    sketch = Frequent()
    for _ in range(100):
        values = rng.normal(size=1000)
        values[:20] = 250.0
        sketch.update(rng.permutation(values))
    assert sketch.top(1)[0].item == 250.0
    lower, upper = sketch.top(1)[0][1:]
    assert lower <= 2000 <= upper
    assert upper - lower <= 100  # one a batch: unrepeated values cost far less than the bound


def test_few_values_are_exact_and_ordered_by_count_then_text() -> None:
    sketch = Frequent()
    sketch.update(["日本", "é", "a", "é", "\x00", "a"])
    sketch.update(["a"], [5])
    assert sketch.top() == [
        FrequentItem("a", 7, 7),
        FrequentItem("é", 2, 2),
        FrequentItem("\x00", 1, 1),
        FrequentItem("日本", 1, 1),
    ]
    assert Frequent.from_bytes(sketch.to_bytes()).top() == sketch.top()


def test_sixty_four_values_are_exact_and_one_more_is_not() -> None:
    sketch = Frequent()
    sketch.update(np.repeat(np.arange(64.0), 3))
    assert sketch.error() == 0.0
    assert {lower for _, lower, _ in sketch.top()} == {3}
    sketch.update(np.array([64.0]))
    assert sketch.slack == 1
    assert {lower for _, lower, _ in sketch.top()} == {2}


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        Frequent().update(["a", "b"], [1])


@pytest.mark.parametrize("data", [b"F1", b"F1[1,2,3,4]", b"F1[1,2]", b'F1{"a":1}', b"F1[1,0,[[1]],[1]]"])
def test_bytes_of_another_shape_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="frequent"):
        Frequent.from_bytes(data)
