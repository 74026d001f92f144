"""Which value of a slice each row has, and what it is called."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.slices.values import SliceValues


def coded(values: object, *chosen: str) -> list[int]:
    return SliceValues(3, chosen, plain=True).codes(values).tolist()


@pytest.mark.parametrize(
    ("values", "chosen", "expected"),
    [
        (["UA", "AA", None, "??"], ("AA", "UA"), [1, 0, 3, 3]),
        ([b"UA", "UA", "AA"], ("AA", "UA"), [1, 1, 0]),
        (np.array([1, 2, 2, 7]), ("2", "1"), [1, 0, 0, 3]),
        (np.array([1.0, 2.5, np.nan]), ("2.5", "1"), [1, 0, 3]),
        (np.array([True, False]), ("false", "true"), [1, 0]),
        ([True, 1, "1", 1.0], ("1", "true"), [1, 0, 0, 0]),
        (np.array(["UA", None], object), ("UA",), [0, 3]),
        ([["UA"], {"a": 1}], ("UA",), [3, 3]),
        (np.ones((2, 4)), ("1",), [3, 3]),
        ([None, None], ("UA",), [3, 3]),
    ],
)
def test_a_row_has_the_code_of_its_value(
    values: object, chosen: tuple[str, ...], expected: list[int]
) -> None:
    assert coded(values, *chosen) == expected


def test_without_a_choice_the_first_batch_chooses_by_frequency_and_later_ones_fill_up() -> None:
    values = SliceValues(3, (), plain=True)
    assert values.codes(["b", "a", "a", "b", "b", None]).tolist() == [0, 1, 1, 0, 0, 3]
    assert values.codes(["d", "c", "c", "a"]).tolist() == [3, 2, 2, 1]
    assert values.codes(["d", "d", "d"]).tolist() == [3, 3, 3]
    assert values.chosen == ("b", "a", "c")


def test_values_are_labels_as_they_are_only_where_they_are_the_users_own() -> None:
    own = SliceValues(3, ("AA", "UA"), plain=True)
    clients = SliceValues(3, ("AA", "UA"), plain=False)
    assert own.labels == ("AA", "UA", "other")
    assert [label[0] for label in clients.labels] == ["#", "#", "o"]
    assert len(set(clients.labels)) == 3


@given(st.lists(st.text(min_size=1), unique=True, max_size=8), st.booleans())
def test_no_two_values_have_the_same_label(chosen: list[str], plain: bool) -> None:
    labels = SliceValues(8, [*chosen, "other", "x" * 90 + "a", "x" * 90 + "b"], plain=plain).labels
    assert len(set(labels)) == len(labels)


@given(st.lists(st.none() | st.text() | st.integers() | st.floats() | st.booleans() | st.binary()))
def test_whatever_comes_every_row_has_a_code(values: list[object]) -> None:
    found = SliceValues(2, (), plain=True)
    codes = found.codes(values)
    assert codes.shape == (len(values),)
    assert all(0 <= code <= 2 for code in codes.tolist())
    assert len(found.chosen) <= 2
