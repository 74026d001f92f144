"""ColumnLearner: bounded, mergeable over recorders, and restored as it was."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.learning.column import CATEGORIES, OTHER, ColumnLearner, State, merged
from exporter.profile import Layout

NUMBERS = Layout("numeric")
NAMES = Layout("categorical")


def fed(entries: list[tuple[int, object]], layout: Layout = NUMBERS) -> ColumnLearner:
    learner = ColumnLearner(layout.kind)
    for hour, value in entries:
        learner.add(hour, *layout.read([value]))
    return learner


some = st.one_of(st.none(), st.floats(-1e6, 1e6), st.just("text"), st.just(float("inf")))
names = st.one_of(st.none(), st.sampled_from(["card", "cash", "no charge"]), st.just(7.5))


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 30), some), max_size=40), st.integers(1, 5))
def test_one_recorder_and_many_hold_the_same_of_numbers(entries: list[tuple[int, object]], many: int) -> None:
    whole = fed(entries)
    parts = [fed(entries[at::many]) for at in range(many)]
    assert merged(parts[::-1]).document() == whole.document()


@settings(max_examples=40)
@given(st.lists(st.tuples(st.integers(0, 30), names), max_size=40), st.integers(1, 5))
def test_one_recorder_and_many_hold_the_same_of_categories(
    entries: list[tuple[int, object]], many: int
) -> None:
    whole = fed(entries, NAMES)
    parts = [fed(entries[at::many], NAMES) for at in range(many)]
    assert merged(parts).document() == whole.document()


@given(st.lists(st.tuples(st.integers(0, 30), some), max_size=40))
def test_a_document_reads_back_through_json(entries: list[tuple[int, object]]) -> None:
    document = fed(entries).document()
    assert ColumnLearner.from_document(json.loads(json.dumps(document))).document() == json.loads(
        json.dumps(document)
    )


def test_every_entry_is_counted_once() -> None:
    learner = fed([(5, 1.0), (5, None), (5, "text"), (5, float("inf")), (6, 2.0)])
    (five, hour), (six, _) = learner.hours()
    assert (five, six, hour.counters, hour.valid) == (5, 6, [4, 1, 1, 1], 1)
    assert learner.state == State(rows=5, hours=2, first=5, last=6)


def test_hours_beyond_the_limit_make_room() -> None:
    learner = ColumnLearner("numeric", hours=3)
    for hour in (10, 11, 12, 13, 10, 5):
        learner.add(hour, *NUMBERS.read([float(hour)]))
    assert [number for number, _ in learner.hours()] == [11, 12, 13]


def test_too_many_categories_lose_the_rarest_and_say_so() -> None:
    learner = ColumnLearner("categorical")
    learner.add(0, *NAMES.read(["often"] * 50))
    for start in range(0, 3 * CATEGORIES, 100):
        learner.add(start // 1000, *NAMES.read([f"name {at}" for at in range(start, start + 100)]))
    hours = learner.hours()
    assert not learner.complete
    assert hours[0][1].names["often"] == 50
    assert sum(hour.valid for _, hour in hours) == 50 + 3 * CATEGORIES
    assert OTHER in hours[-1][1].names
    assert learner.nbytes < 400_000


def test_memory_is_bounded_whatever_comes() -> None:
    learner = ColumnLearner("numeric")
    rng = np.random.default_rng(0)
    for hour in range(24):
        learner.add(hour, *NUMBERS.read(rng.standard_cauchy(20_000) * 10.0 ** rng.integers(-9, 9)))
    assert learner.nbytes < 24 * 1_700 + 12_000


def test_another_kind_is_refused() -> None:
    with pytest.raises(ValueError, match="kind"):
        merged([ColumnLearner("numeric"), ColumnLearner("text")])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("kind", None),
        ("hours", [[0, "AAAA"]]),
        ("cells", "AAAA"),
        ("distinct", "%"),
        ("names", [["a"]]),
        ("limit", "x"),
    ],
)
def test_a_damaged_document_is_refused(key: str, value: object) -> None:
    document = fed([(0, 1.0)]).document()
    document[key] = value
    if value is None:
        del document[key]
    with pytest.raises(ValueError):  # noqa: PT011 the message is the damaged part's
        ColumnLearner.from_document(document)


def test_an_hour_whose_cells_the_column_lacks_is_refused() -> None:
    document = fed([(0, 1.0)]).document() | {"cells": ColumnLearner("numeric").document()["cells"]}
    with pytest.raises(ValueError, match="cells"):
        ColumnLearner.from_document(document)
