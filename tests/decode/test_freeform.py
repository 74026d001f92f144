"""JSON that follows no protocol: what its form leaves no doubt about, and what it does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from sidecar.decode.freeform import tensors
from sidecar.decode.outcome import DecodeError
from tests.decode.test_kserve_v1 import json_values


def told(document: Any, asked: int | None = None) -> list[tuple[str, tuple[int, ...], Any]]:
    return [(made.name, made.shape, made.data) for made in tensors("x", document, asked)]


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        # 1: the document is the rows
        ([{"a": 1}, {"a": 2}], [("a", (2,), [1, 2])]),
        ([[1, 2], [3, 4]], [("x", (2, 2), [1, 2, 3, 4])]),
        # 2: one list of rows
        ({"rows": [{"a": 1}, {"b": 2}]}, [("a", (2,), [1, None]), ("b", (2,), [None, 2])]),
        ({"rows": [[1, 2]], "id": "7", "flags": [1]}, [("rows", (1, 2), [1, 2])]),
        ({"data": {"instances": [[1, 2]]}, "id": 7}, [("instances", (1, 2), [1, 2])]),
        ({"a": [[1]], "b": {"c": [[1]], "d": [[2]]}}, [("a", (1, 1), [1])]),
        # 3: columns
        ({"a": [1, 2], "b": ["x", "y"]}, [("a", (2,), [1, 2]), ("b", (2,), ["x", "y"])]),
        # 4: one row
        ({"a": 1, "b": "x", "c": None}, [("a", (1,), [1]), ("b", (1,), ["x"]), ("c", (1,), [None])]),
        ({"a": 1, "v": [1, 2]}, [("a", (1,), [1]), ("v", (1, 2), [1, 2])]),
        ({"v": [1, 2], "w": [1, 2, 3]}, [("v", (1, 2), [1, 2]), ("w", (1, 3), [1, 2, 3])]),
        ({"features": {"a": 1, "b": 2}}, [("a", (1,), [1]), ("b", (1,), [2])]),
        ([1, 2, 3], [("x", (1, 3), [1, 2, 3])]),
        ({"v": [1, 2, 3]}, [("v", (1, 3), [1, 2, 3])]),
        (5, [("x", (1,), [5])]),
        ("text", [("x", (1,), ["text"])]),
    ],
)
def test_what_is_a_row(document: Any, expected: Any) -> None:
    assert told(document) == expected


@pytest.mark.parametrize(
    "document",
    [None, {}, {"a": {}}, {"a": [[1]], "b": [[2]]}, {"a": {"x": [[1]]}, "b": {"y": [[2]]}}, {"id": 7, "user": {"a": 1}},
     {"a": {"b": {"c": 1}}}, {"a": {"b": {"c": [[1]]}}}, [{"a": 1}, 2]],
)  # fmt: skip
def test_what_is_in_doubt_is_not_guessed(document: Any) -> None:
    with pytest.raises(DecodeError) as caught:
        tensors("x", document)
    assert caught.value.reason == "bad_json"


@pytest.mark.parametrize(
    ("document", "asked", "shape"),
    [
        ([1, 2], 2, (2,)),
        ([1], 1, (1,)),
        ([1, 2], 1, (1, 2)),
        ([1, 2, 3], 2, (3,)),
        ([1, 2], None, (1, 2)),
        ({"a": [1, 2]}, 2, (2,)),
        ({"a": [1, 2], "b": [3, 4]}, 2, (2,)),
        ({"a": [1, 2], "b": [3, 4]}, 1, (1, 2)),
    ],
)
def test_an_answer_is_read_by_the_rows_that_were_asked_for(
    document: Any, asked: int | None, shape: Any
) -> None:
    assert {made.shape for made in tensors("x", document, asked)} == {shape}


@settings(max_examples=300, deadline=None)
@given(json_values)
def test_any_json_is_rectangular_or_in_doubt(document: Any) -> None:
    for asked in (None, 0, 1, 2):
        try:
            made = tensors("x", document, asked)
        except DecodeError:
            continue
        for each in made:
            count = 1
            for length in each.shape:
                count *= length
            assert len(each.data) == count
