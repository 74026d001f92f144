"""Parts read at once are the parts read one by one; few values are the values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.profile import Batch, Few, Layout, PartReader, Sketches
from exporter.profile.few import NUMBER_BYTES, TOTAL
from exporter.sketch import CategoryBins, NumericBins

NUMERIC = [
    Layout("numeric"),
    Layout("numeric", NumericBins(np.array([0.0]))),
    Layout("numeric", NumericBins(np.array([-5.0, 0.0, 0.3, 12.0])), (0, 10), (-20.0, 20.0), 0.1),
    Layout("numeric", NumericBins(np.array([1.0])), None, (1.0, 2.0)),
    Layout("numeric", None, (-1.0, 1.7976931348623157e308), None, 3.0),
]
CATEGORICAL = [
    Layout("categorical"),
    Layout("categorical", CategoryBins(("a", "b"), frozenset({"c"}))),
    Layout("categorical", CategoryBins(("日本",))),
]
BOOLEAN = [Layout("boolean"), Layout("boolean", CategoryBins(("false", "true")))]

number = st.one_of(
    st.floats(-30, 30),
    st.sampled_from([0.0, -0.0, 0.1, 0.3, 1.0, 2.0, 10.0, 12.0, 20.0, -20.0, 1e140, -1e308]),
    st.floats(),
)
text = st.one_of(
    st.none(), st.sampled_from(["a", "b", "c", "日本", "\ud800", "x" * 200]), st.text(max_size=3)
)
flag = st.sampled_from([0.0, 1.0, -0.0, math.nan, 2.0, math.inf])


def same_batch(one: Batch, other: Batch) -> None:
    assert one.ascending.tolist() == other.ascending.tolist()
    assert dict(zip(one.different, one.repeats, strict=True)) == dict(
        zip(other.different, other.repeats, strict=True)
    )


def check(layout: Layout, parts: list[list[Any]], as_array: bool) -> bool:
    """That *parts* read at once are what they are one by one; whether they were read at all."""
    values: Any = [value for part in parts for value in part]
    if as_array:
        values = np.array(values)
    starts = np.cumsum([0, *map(len, parts)])[:-1].tolist()
    read = PartReader(layout).read(values, starts)
    if read is None:
        return False
    total = layout.tally()
    for at, part in enumerate(parts):
        tally, batch = layout.read(np.array(part) if as_array else part)
        total.merge(tally)
        assert read.counts[at].tolist() == tally.counts.tolist()
        same_batch(read.few[at].batch(), batch)
        if tally.moments is not None:
            wanted = tally.moments
            found = read.moments[at].tolist()
            assert found[2:] == [wanted.minimum, wanted.maximum]
            spread = max([1.0, *(abs(value) for value in part if math.isfinite(value))])
            assert found[0] == pytest.approx(wanted.mean, rel=1e-12, abs=1e-12 * spread)
            assert found[1] == pytest.approx(wanted.m2, rel=1e-9, abs=1e-12 * spread**2)
    assert read.tally.counts.tolist() == total.counts.tolist()
    assert read.tally.scaled_sum == pytest.approx(total.scaled_sum, rel=1e-9, abs=1e-9)
    assert read.tally.scaled_square == pytest.approx(total.scaled_square, rel=1e-9, abs=1e-9)
    if total.moments is not None:
        assert read.tally.moments is not None
        assert read.tally.moments.count == total.moments.count
    return True


@settings(max_examples=200, deadline=None)
@given(
    layout=st.sampled_from(NUMERIC),
    parts=st.lists(st.lists(number, min_size=1, max_size=6), min_size=1, max_size=5),
)
def test_numbers_of_several_parts_are_those_of_each(layout: Layout, parts: list[list[float]]) -> None:
    finite = [abs(value) for part in parts for value in part if math.isfinite(value)]
    assert check(layout, parts, True) == (max(finite, default=0.0) <= 1e150)


@settings(max_examples=100, deadline=None)
@given(
    layout=st.sampled_from(CATEGORICAL),
    parts=st.lists(st.lists(text, min_size=1, max_size=6), min_size=1, max_size=5),
)
def test_texts_of_several_parts_are_those_of_each(layout: Layout, parts: list[list[Any]]) -> None:
    assert check(layout, parts, False)


@settings(max_examples=60, deadline=None)
@given(
    layout=st.sampled_from(BOOLEAN),
    parts=st.lists(st.lists(flag, min_size=1, max_size=6), min_size=1, max_size=5),
)
def test_flags_of_several_parts_are_those_of_each(layout: Layout, parts: list[list[float]]) -> None:
    assert check(layout, parts, True)


@pytest.mark.parametrize("values", [["a", 1], ["a", b"b"], ["a", True], [1.0, 2.0]])
def test_categories_that_are_no_texts_are_read_one_by_one(values: list[Any]) -> None:
    assert PartReader(CATEGORICAL[0]).read(values, [0, 1]) is None


def test_more_categories_than_are_remembered_are_told_apart_all_the_same() -> None:
    reader = PartReader(CATEGORICAL[1])
    for start in range(0, 10_000, 500):
        texts = ["a", *(f"{n}" for n in range(start, start + 500))]
        parts = reader.read(texts, [0, 250])
        assert parts is not None
        assert parts.counts[:, 8:].tolist() == [[1, 0, 249], [0, 0, 251]]
        assert parts.tally.unseen == 500
    assert len(reader._places) <= 4096


# Few


@pytest.mark.parametrize("values", [[3.0, 1.0, 3.0], ["b", "a", "b", "日本"], [None], []])
def test_few_values_joined_are_one_batch(values: list[Any]) -> None:
    layout = Layout("numeric" if values[:1] == [3.0] else "categorical")
    halves = [Few.of(layout.read(part)[1]) for part in (values[:1], values[1:])]
    few = Few.joined([half for half in halves if half is not None])
    same_batch(few.batch(), layout.read(values)[1])
    assert few.frequent().top() == _sketches(layout, values).frequent.top()


def _sketches(layout: Layout, values: list[Any]) -> Sketches:
    sketches = Sketches(layout.numeric)
    sketches.update(layout.read(values)[1])
    return sketches


def few_of(values: list[Any], kind: Any = "numeric") -> Few | None:
    return Few.of(Layout(kind).read(values)[1])


@settings(max_examples=100, deadline=None)
@given(
    parts=st.lists(
        st.lists(st.one_of(st.integers(0, 5).map(float), st.floats(-9, 9)), max_size=150), max_size=4
    ),
    compact=st.sets(st.integers(0, 3)),
)
def test_numbers_that_repeat_are_joined_as_those_that_do_not(
    parts: list[list[float]], compact: set[int]
) -> None:
    few = [Few(np.array(part)) for part in parts]
    few = [one.compact() if at in compact else one for at, one in enumerate(few)]
    whole = Layout("numeric").read([value for part in parts for value in part])[1]
    for joined in (Few.joined(few), Few.joined(few).compact()):
        same_batch(joined.batch(), whole)
        joined.compact().check(numeric=True)


def test_few_is_bounded_in_bytes_and_in_what_it_stands_for() -> None:
    different = [n / 7 for n in range(NUMBER_BYTES // 8)]
    assert few_of(different) is not None
    assert few_of([*different, -1.0]) is None
    assert few_of([1.0, 2.0] * (TOTAL // 2)) is not None
    assert few_of([1.0, 2.0] * (TOTAL // 2 + 1)) is None
    assert few_of(different[:342] * 2) is None
    assert few_of([f"{n:0150d}" for n in range(20)], "categorical") is None
    for few in (few_of(different), few_of(different[:341] * 2), few_of([*range(341), *range(341)])):
        assert few is not None
        assert few.nbytes < 4_500


def test_numbers_that_come_to_repeat_are_few_again() -> None:
    few = Few.joined([Few(np.arange(300.0)) for _ in range(3)])
    assert not few.fits
    assert few.compact().fits
    assert few.compact().counts.tolist() == [3] * 300  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "few",
    [
        Few(np.array([1.0, math.nan])),
        Few(np.array([math.inf])),
        Few(np.zeros(NUMBER_BYTES)),
        Few(texts=b"\x93"),
        Few(texts=b"\x81\xa1a\x00"),
        Few(texts=b"\x81\x01\x01"),
        Few(np.array([1.0, 2.0]), np.array([1, 0], np.uint32)),
        Few(np.array([1.0, 2.0]), np.array([1], np.uint32)),
        Few(np.array([2.0, 1.0]), np.array([1, 1], np.uint32)),
        Few(np.array([2.0, 1.0]), np.array([1, 2**32 - 1], np.uint32)),
    ],
    ids=[
        *("nan", "inf", "many", "cut short", "never seen", "no text"),
        *("no count", "fewer counts", "descending", "too many"),
    ],
)
def test_damaged_values_are_refused(few: Few) -> None:
    with pytest.raises(ValueError, match="few: "):
        few.check(numeric=True)


def test_numbers_of_a_column_without_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match="few: "):
        Few(np.array([1.0])).check(numeric=False)
