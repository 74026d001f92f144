"""Columns of a caller: any kind of value is what the decoder of KServe v2 reads, and is not changed later."""

from __future__ import annotations

import datetime
import decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.schema import Limits
from sidecar.client.columns import request_body, response_body, rows, take
from sidecar.decode import Decoded, decode
from sidecar.exchange import Exchange


def tensors(inputs: dict[str, Any]) -> list[tuple[str, tuple[int, ...], str, Any]]:
    """Name, shape, datatype and values as our decoder reads them."""
    taken, _ = take(inputs)
    outcome = decode(
        Exchange(
            "ingest",
            b"POST",
            b"/v2/models/m/infer",
            {},
            request_body(taken),
            200,
            {},
            response_body([], "m", ""),
        ),
        Limits(),
    )
    assert isinstance(outcome, Decoded)
    return [(tensor.name, tensor.shape, tensor.datatype, tensor.data) for tensor in outcome.inputs]


@pytest.mark.parametrize(
    ("values", "shape", "datatype", "data"),
    [
        ([1.5, 2], (2,), "FP64", [1.5, 2]),
        ([1, 2], (2,), "INT64", [1, 2]),
        ([1, None], (2,), "INT64", [1, None]),
        ([1, 2**63], (2,), "FP64", [1, 2**63]),
        ([True, False], (2,), "BOOL", [True, False]),
        ([True, 2], (2,), "INT64", [True, 2]),
        (["a", "ü\ud800"], (2,), "BYTES", ["a", "ü?"]),
        (["a", None], (2,), "BYTES", ["a", None]),
        (["a", 1], (2,), "BYTES", ["a", 1]),
        ([None], (1,), "FP64", [None]),
        ([], (0,), "FP64", []),
        (7, (1,), "INT64", [7]),
        ("text", (1,), "BYTES", ["text"]),
        ([[1.0, 2.0], [3.0, 4.0]], (2, 2), "FP64", [1.0, 2.0, 3.0, 4.0]),
        ([(1, 2), (3, 4)], (2, 2), "INT64", [1, 2, 3, 4]),
        ((1, 2), (2,), "INT64", [1, 2]),
        (range(3), (3,), "INT64", [0, 1, 2]),
        (np.array([1.5, 2.5], np.float32), (2,), "FP64", [1.5, 2.5]),
        (np.array([[1, 2]]), (1, 2), "INT64", [1, 2]),
        (np.float64(2.5), (1,), "FP64", [2.5]),
        ([np.int8(1), np.int8(2)], (2,), "INT64", [1, 2]),
        ([np.array([1, 2]), np.array([3, 4])], (2, 2), "INT64", [1, 2, 3, 4]),
        ([decimal.Decimal("1.5")], (1,), "FP64", [1.5]),
        ([b"ab", b"\xff"], (2,), "BYTES", ["ab", "\\xff"]),
        ([datetime.date(2026, 11, 21)], (1,), "BYTES", ["2026-11-21"]),
        ([float("inf")], (1,), "FP64", [float("inf")]),
    ],
)
def test_a_column_is_a_tensor(values: Any, shape: tuple[int, ...], datatype: str, data: list[Any]) -> None:
    assert tensors({"c": values}) == [("c", shape, datatype, data)]


def test_missing_numbers_are_read_as_such() -> None:
    [(_, _, _, data)] = tensors({"c": [float("nan"), 1.0]})
    assert np.isnan(data[0])


def test_what_is_taken_does_not_change_with_the_callers_lists() -> None:
    row, column, array = [1, 2], [3], np.array([4])
    taken, _ = take({"row": [row], "column": column, "array": array})
    row.append(9)
    column.append(9)
    array[0] = 9
    assert taken == [("row", [[1, 2]]), ("column", [3]), ("array", [4])]


@pytest.mark.parametrize("columns", [{"a": [1, 2], "b": [1]}, {"a": [1, 2], "b": 1}])
def test_columns_of_different_lengths_are_no_table(columns: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="one length"):
        rows(take(columns)[0])


@pytest.mark.parametrize("values", [[[1], [1, 2]], [[1], 2]])
def test_ragged_lists_are_no_tensor(values: Any) -> None:
    with pytest.raises(ValueError, match="one length"):
        request_body(take({"c": values})[0])


VALUES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.decimals(allow_nan=False)
)


@given(
    st.dictionaries(st.text(), VALUES | st.lists(VALUES) | st.lists(st.lists(VALUES, min_size=2, max_size=2)))
)
def test_any_columns_are_decoded(columns: dict[str, Any]) -> None:
    found = tensors(columns)
    assert len(found) == len({str(name) for name in columns})
