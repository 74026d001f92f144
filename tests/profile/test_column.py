"""ColumnProfile: against a plain reference in Python, over splits and merges, fast paths and slow ones."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.profile import ColumnProfile, Layout, Pending, category_text
from exporter.profile.pending import ENOUGH
from exporter.sketch import Bins, CategoryBins, NumericBins

BINS = NumericBins(np.array([-5.0, 0.0, math.nextafter(0.0, 1.0), 7.5]))
RANGE, FAR = (-10.0, 10.0), (-20.0, 30.0)
STEP = 0.25

entries = st.one_of(
    st.none(),
    st.floats(),
    st.floats(-40, 40),
    st.integers(),
    st.integers(-3, 3),
    st.just(10**400),
    st.booleans(),
    st.text(max_size=5),
    st.binary(max_size=3),
    st.lists(st.integers(), max_size=2),
)
numbers = st.one_of(st.none(), st.floats(), st.integers(-3, 3), st.floats(-40, 40))


def as_float(value: Any) -> float | None:
    """What the documentation says a numeric entry is: None for a mismatch."""
    if value is None:
        return math.nan
    if isinstance(value, int) and abs(value) > 1 << 1100:
        return math.inf if value > 0 else -math.inf
    if isinstance(value, (bool, int, float)):
        return float(value)
    return None


def check(profile: ColumnProfile, values: list[Any]) -> None:
    read = [as_float(value) for value in values]
    valid = [v for v in read if v is not None and not math.isnan(v)]
    finite = [v for v in valid if math.isfinite(v)]
    assert profile.rows == len(values)
    assert profile.type_mismatch == sum(v is None for v in read)
    assert profile.missing == sum(v is not None and math.isnan(v) for v in read)
    assert profile.infinite == len(valid) - len(finite)
    assert profile.out_of_range == sum(not RANGE[0] <= v <= RANGE[1] for v in valid)
    assert profile.far == sum(not FAR[0] <= v <= FAR[1] for v in valid)
    assert profile.bin_counts is not None
    assert profile.bin_counts.tolist() == BINS.count(np.array(valid, dtype=np.float64)).tolist()
    # The step is a power of two, so that a remainder is exact.
    assert profile.grid == sum(
        abs(v / STEP) < 2.0**52 and abs(v / STEP - round(v / STEP)) <= 0.001 for v in finite
    )
    scaled = [(min(max(v, FAR[0]), FAR[1]) - FAR[0]) / (FAR[1] - FAR[0]) for v in finite]
    assert profile.scaled_sum == pytest.approx(math.fsum(scaled), rel=1e-9, abs=1e-9)
    assert profile.scaled_square == pytest.approx(math.fsum(v * v for v in scaled), rel=1e-9, abs=1e-9)
    assert profile.moments is not None
    assert profile.moments.count == len(finite)
    if finite:
        assert (profile.moments.minimum, profile.moments.maximum) == (min(finite), max(finite))
        size = max(map(abs, finite))
        assert profile.moments.mean == pytest.approx(
            math.fsum(v / len(finite) for v in finite), abs=1e-12 * size
        )
    assert profile.distinct.estimate() == len(set(finite))
    assert {item: lower for item, lower, _ in profile.frequent.top()} == (
        Counter(finite) if len(set(finite)) <= 64 else {}
    )
    assert profile.quantiles is not None
    assert profile.quantiles.count == len(finite)
    ranks = np.linspace(0, 1, 11)
    if finite:
        expected = np.quantile(finite, ranks, method="inverted_cdf")
        np.testing.assert_array_equal(profile.quantiles.quantile(ranks), expected)


def profile_of(*batches: Any) -> ColumnProfile:
    profile = ColumnProfile("numeric", BINS, RANGE, FAR, STEP)
    for batch in batches:
        profile.update(batch)
    return profile


@settings(max_examples=150, deadline=None)
@given(values=st.lists(entries, max_size=60), cuts=st.lists(st.integers(0, 60), max_size=5))
def test_mixed_entries_are_what_a_plain_reading_says(values: list[Any], cuts: list[int]) -> None:
    bounds = [0, *sorted(min(cut, len(values)) for cut in cuts), len(values)]
    parts = [values[low:high] for low, high in pairwise(bounds)]
    check(profile_of(values), values)
    check(profile_of(*parts), values)
    check(profile_of(*([value] for value in values)), values)
    merged = profile_of()
    for part in (*parts, []):
        merged.merge(profile_of(part))
    check(merged, values)


@settings(max_examples=100, deadline=None)
@given(values=st.lists(numbers, max_size=60))
def test_arrays_and_lists_are_read_alike(values: list[Any]) -> None:
    array = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    check(profile_of(array), values)
    check(profile_of(array[:7], values[7:]), values)
    # Above ENOUGH a batch is read at once, below it waits: both must tell the same.
    padded = np.concatenate((array, np.zeros(ENOUGH)))
    check(profile_of(padded), [*values, *[0.0] * ENOUGH])


@settings(max_examples=100, deadline=None)
@given(values=st.lists(entries, max_size=40), cut=st.integers(0, 40))
def test_categories_are_what_a_plain_reading_says(values: list[Any], cut: int) -> None:
    bins = CategoryBins(("true", "1", "0"), frozenset({"2", ""}))
    texts: Counter[str] = Counter()
    missing = mismatch = 0
    for value in values:
        try:
            text = category_text(value)
        except TypeError:
            mismatch += 1
            assert isinstance(value, list)
            continue
        if text is None:
            missing += 1
        else:
            texts[text] += 1
    whole, left, right = (ColumnProfile("categorical", bins) for _ in range(3))
    whole.update(values)
    left.update(values[:cut])
    right.update(values[cut:])
    left.merge(right)
    for profile in (whole, left):
        counts, unseen = bins.count(list(texts), list(texts.values()))
        assert profile.bin_counts is not None
        assert profile.bin_counts.tolist() == counts.tolist()
        assert (profile.missing, profile.type_mismatch, profile.unseen) == (missing, mismatch, unseen)
        assert {item: lower for item, lower, _ in profile.frequent.top()} == texts
        assert profile.distinct.estimate() == len(texts)


def test_a_million_categories_are_counted_in_bounded_memory() -> None:
    profile = ColumnProfile("categorical", CategoryBins(("user-0", "user-1")))
    for start in range(0, 1_000_000, 20_000):
        profile.update([f"user-{n}" for n in range(start, start + 20_000)])
    assert profile.bin_counts is not None
    assert profile.bin_counts.tolist() == [1, 1, 999_998]
    assert profile.unseen == 999_998
    assert profile.distinct.estimate() == pytest.approx(1e6, rel=0.07)
    assert profile.sketches.nbytes < 15_000


def test_the_largest_floats_disturb_nothing() -> None:
    largest = float(np.finfo(np.float64).max)
    profile = ColumnProfile("numeric", BINS, RANGE, (-1.0, 1.0))
    profile.update([largest, -largest, 0.0, largest, 5e-324])
    assert profile.moments is not None
    assert profile.moments.maximum == largest
    assert math.isfinite(profile.moments.mean)
    assert profile.moments.m2 == math.inf
    assert (profile.scaled_sum, profile.scaled_square) == (3.0, 2.5)
    assert profile.far == 3


@settings(max_examples=50, deadline=None)
@given(batches=st.lists(st.lists(st.floats(-1e6, 1e6), max_size=20), max_size=8))
def test_scaled_sums_never_fall(batches: list[list[float]]) -> None:
    profile = profile_of()
    before = (0.0, 0.0)
    for batch in batches:
        profile.update(batch)
        after = (profile.scaled_sum, profile.scaled_square)
        assert after[0] >= before[0]
        assert after[1] >= before[1]
        before = after


def test_values_given_are_not_changed_and_may_be_reused() -> None:
    profile = profile_of()
    buffer = np.array([3.0, 1.0, 2.0])
    for value in (3.0, 5.0):
        buffer[0] = value
        profile.update(buffer)
        assert buffer.tolist() == [value, 1.0, 2.0]
    assert profile.frequent.top(1)[0].item == 1.0
    assert profile.moments is not None
    assert profile.moments.mean == 14 / 6


def test_different_layouts_do_not_merge() -> None:
    profile = profile_of([1.0])
    for other in (
        ColumnProfile("numeric", NumericBins(np.array([0.0])), RANGE, FAR),
        ColumnProfile("numeric", BINS, None, FAR),
        ColumnProfile("text", BINS, RANGE, FAR),
    ):
        other.update([1.0])
        with pytest.raises(ValueError, match="profile: expected layout"):
            profile.merge(other)
    assert profile.rows == 1


@pytest.mark.parametrize("size", [1, ENOUGH - 1, ENOUGH, ENOUGH + 1, 3000])
def test_waiting_loses_nothing(size: int) -> None:
    values = np.random.default_rng(6).normal(size=3000)
    profile = profile_of(*(values[start : start + size] for start in range(0, 3000, size)))
    whole = profile_of(values)
    assert profile.tally.counts.tolist() == whole.tally.counts.tolist()
    assert profile.distinct.to_bytes() == whole.distinct.to_bytes()
    assert profile.moments is not None
    assert whole.moments is not None
    assert profile.moments.m2 == pytest.approx(whole.moments.m2, rel=1e-12)


def test_nothing_large_waits() -> None:
    for kind, value in (
        ("numeric", ["x" * 10**6]),
        ("categorical", ["x" * 201]),
        ("text", ["x"]),
        ("embedding", [[1.0]]),
    ):
        pending = Pending(kind)  # type: ignore[arg-type]
        assert not pending.offer(value)
        assert len(pending) == 0


BAD: list[tuple[str, Bins | None, Any, str]] = [
    ("numeric", CategoryBins(()), None, "expected NumericBins, found CategoryBins"),
    ("text", CategoryBins(()), None, "expected NumericBins"),
    ("categorical", BINS, None, "expected CategoryBins, found NumericBins"),
    ("boolean", BINS, None, "expected CategoryBins"),
    ("numeric", None, (1.0, 1.0), "low then high"),
    ("numeric", None, (2.0, 1.0), "low then high"),
    ("numeric", None, (0.0, math.inf), "low then high"),
    ("numeric", None, (math.nan, 1.0), "low then high"),
    ("numeric", None, (-1.7e308, 1.7e308), "low then high"),
]


@pytest.mark.parametrize(("kind", "bins", "limits", "message"), BAD)
def test_a_layout_that_makes_no_sense_is_refused(
    kind: Any, bins: Bins | None, limits: Any, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Layout(kind, bins, limits)
    if limits is not None:
        with pytest.raises(ValueError, match="far: expected"):
            Layout(kind, bins, None, limits)
