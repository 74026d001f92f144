"""Rows of many exchanges as columns: names, arrays, caps, slots, and when a batch is due."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.rows import Role, Rows
from exporter.schema import ColumnSpec, Configuration, Limits, ModelSpec
from sidecar.decode import Decoded, Tensor
from sidecar.decode.batch import Batcher
from sidecar.decode.columns import as_array
from sidecar.decode.tensor import FIXED_SIZE
from tests.decode.build import NUMPY, raw


def decoded(
    *inputs: Tensor, outputs: tuple[Tensor, ...] = (), model: str = "m", version: str = "1"
) -> Decoded:
    every = (*inputs, *outputs)
    return Decoded(model, version, every[0].rows if every else 0, list(inputs), list(outputs))


def batched(*exchanges: Decoded, configuration: Configuration | None = None) -> list[Rows]:
    batcher = Batcher(configuration or Configuration())
    for each in exchanges:
        batcher.add(each, 1000.0)
    return batcher.flush()


def plain(rows: Rows) -> dict[str, list[Any]]:
    return {
        name: values.tolist() if isinstance(values, np.ndarray) else list(values)
        for name, values in rows.columns.items()
    }


def names(tensor: Tensor, *specs: ColumnSpec) -> list[str]:
    configuration = Configuration(models=(ModelSpec(name="m", columns=specs),))
    return [name for rows in batched(decoded(tensor), configuration=configuration) for name in rows.columns]


# Names


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((), ["x"]),
        ((3,), ["x"]),
        ((3, 1), ["x"]),
        ((3, 1, 1), ["x"]),
        ((3, 2), ["x[0]", "x[1]"]),
        ((3, 2, 2), ["x[0]", "x[1]", "x[2]", "x[3]"]),
        ((1, 64), [f"x[{index}]" for index in range(64)]),
        ((1, 65), ["x"]),
        ((0, 3), []),
        ((3, 0), []),
    ],
)
def test_columns_are_called_after_the_tensor(shape: tuple[int, ...], expected: list[str]) -> None:
    assert names(Tensor("x", shape, "FP32", [1.0] * int(np.prod(shape)))) == expected


WIDE = Tensor("x", (1, 3), "FP32", [1.0, 2.0, 3.0])
HUGE = Tensor("x", (1, 100), "FP32", [float(number) for number in range(100)])


@pytest.mark.parametrize(
    ("tensor", "specs", "expected"),
    [
        (WIDE, [ColumnSpec(name="age", tensor="x", index=1)], ["x[0]", "age", "x[2]"]),
        (WIDE, [ColumnSpec(name="age", tensor="x", index=7)], ["x[0]", "x[1]", "x[2]"]),
        (WIDE, [ColumnSpec(name="no", tensor="x", index=1, monitored=False)], ["x[0]", "x[2]"]),
        (WIDE, [ColumnSpec(name="x", monitored=False)], []),
        (WIDE, [ColumnSpec(name="base", tensor="x")], ["base[0]", "base[1]", "base[2]"]),
        (WIDE, [ColumnSpec(name="x[1]", monitored=False)], ["x[0]", "x[2]"]),
        (WIDE, [ColumnSpec(name="x", kind="embedding")], ["x"]),
        (WIDE, [ColumnSpec(name="e", tensor="x", kind="embedding")], ["e"]),
        (WIDE, [ColumnSpec(name="e", tensor="x", kind="embedding", monitored=False)], []),
        (WIDE, [ColumnSpec(name="same", tensor="x", index=0), ColumnSpec(name="same", tensor="x", index=1)], ["same", "x[2]"]),
        (HUGE, [ColumnSpec(name="age", tensor="x", index=99), ColumnSpec(name="x[3]")], ["x[3]", "age"]),
        (HUGE, [ColumnSpec(name="e", tensor="x")], ["e"]),
        (Tensor("x", (1,), "FP32", [1.0]), [ColumnSpec(name="age", tensor="x", index=0)], ["age"]),
        (Tensor("x", (1, 1), "FP32", [1.0]), [ColumnSpec(name="age", tensor="x")], ["age"]),
        (Tensor("x", (1,), "FP32", [1.0]), [ColumnSpec(name="other")], ["x"]),
    ],
)  # fmt: skip
def test_specifications_rename_and_drop(tensor: Tensor, specs: list[ColumnSpec], expected: list[str]) -> None:
    assert names(tensor, *specs) == expected


def test_a_specification_picks_its_element() -> None:
    configuration = Configuration(
        models=(
            ModelSpec(
                name="m", columns=(ColumnSpec(name="last", tensor="x", index=99), ColumnSpec(name="x[3]"))
            ),
        )
    )
    for data in (HUGE.data, raw("FP32", HUGE.data)):
        [rows] = batched(decoded(Tensor("x", (1, 100), "FP32", data)), configuration=configuration)
        assert plain(rows) == {"x[3]": [3.0], "last": [99.0]}


def test_predictions_have_specifications_of_their_own() -> None:
    configuration = Configuration(
        models=(
            ModelSpec(
                name="m",
                columns=(ColumnSpec(name="a", tensor="t"),),
                predictions=(ColumnSpec(name="b", tensor="t"),),
            ),
        )
    )
    tensor = Tensor("t", (1,), "FP32", [1.0])
    both = batched(decoded(tensor, outputs=(tensor,)), configuration=configuration)
    assert [(rows.role, list(rows.columns)) for rows in both] == [("feature", ["a"]), ("prediction", ["b"])]


def test_only_declared_leaves_what_neither_the_configuration_nor_the_baseline_knows() -> None:
    spec = ModelSpec(name="m", columns=(ColumnSpec(name="a", tensor="t", index=0),), only_declared=True)

    def known(model: str) -> Collection[tuple[Role, str]]:
        return {("feature", "t[1]"), ("prediction", "p")} if model == "m" else set()

    tensors = [Tensor("t", (1, 3), "FP32", [1.0, 2.0, 3.0]), Tensor("p", (1,), "FP32", [4.0])]
    for function, expected in ((known, [["a", "t[1]"], ["p"]]), (None, [["a"]])):
        batcher = Batcher(Configuration(models=(spec,)), function)
        batcher.add(decoded(*tensors, outputs=(tensors[1],)), 0.0)
        assert [list(rows.columns) for rows in batcher.flush()] == expected
    batcher = Batcher(Configuration(models=(spec,)), known)
    batcher.add(decoded(*tensors, model="other"), 0.0)
    assert [list(rows.columns) for rows in batcher.flush()] == [["t[0]", "t[1]", "t[2]", "p"]]


def test_columns_that_were_promised_are_followed_whatever_a_client_invents_first() -> None:
    spec = ModelSpec(name="m", columns=(ColumnSpec(name="declared"),))
    configuration = Configuration(models=(spec,), limits=Limits(columns=4))
    batcher = Batcher(configuration, lambda model: {("feature", "known")})
    for number in range(10):
        batcher.add(decoded(Tensor(f"invented-{number}", (1,), "FP32", [1.0])), 0.0)
    batcher.add(decoded(*(Tensor(name, (1,), "FP32", [1.0]) for name in ("declared", "known"))), 0.0)
    columns = {name for rows in batcher.flush() for name in rows.columns}
    assert columns == {"invented-0", "invented-1", "declared", "known"}
    assert batcher.columns_refused == 8


# Values


@pytest.mark.parametrize("datatype", FIXED_SIZE)
def test_raw_and_json_tensors_of_many_exchanges_become_one_array(datatype: str) -> None:
    values = [[1, 0], [0, 1], [1, 1]]
    for data in (
        [raw(datatype, pair) for pair in values],
        [[bool(v) if datatype == "BOOL" else v for v in pair] for pair in values],
    ):
        [rows] = batched(*(decoded(Tensor("x", (1, 2), datatype, each)) for each in data))
        assert (rows.count, rows.exchanges, rows.model, rows.version, rows.role, rows.time) == (
            3,
            3,
            "m",
            "1",
            "feature",
            1000.0,
        )
        for name, expected in (("x[0]", [1, 0, 1]), ("x[1]", [0, 1, 1])):
            column = rows.columns[name]
            assert isinstance(column, np.ndarray)
            assert column.tolist() == expected
            assert column.flags.writeable
            assert column.flags.c_contiguous
            if isinstance(data[0], bytes):
                assert column.dtype == ("f4" if datatype == "BF16" else NUMPY[datatype])


@pytest.mark.parametrize(
    ("values", "datatype", "expected"),
    [
        ([1.5, 2], "", "array([1.5, 2. ])"),
        ([1, 2], "", "array([1, 2])"),
        ([1, None], "", "array([ 1., nan])"),
        ([True, False], "", "array([ True, False])"),
        ([True, 1], "", "None"),
        ([True, None], "", "None"),
        ([None, None], "", "None"),
        ([1, "2"], "", "None"),
        ([1.5, "2"], "FP32", "None"),
        (["1"], "FP64", "None"),
        ([None, 2.5], "FP32", "array([nan, 2.5])"),
        ([None], "FP32", "array([nan])"),
        ([1, 2.5], "INT64", "array([1. , 2.5])"),
        ([2**63], "INT64", "array([9.22337204e+18])"),
        ([2**64 - 1], "UINT64", "array([18446744073709551615], dtype=uint64)"),
        ([-1], "UINT64", "array([-1.])"),
        ([10**400], "FP64", "None"),
        ([10**400, 1], "", "None"),
        ([True, False], "BOOL", "array([ True, False])"),
        ([1, 0], "BOOL", "array([1, 0])"),
        ([True, 1.5], "FP32", "array([1. , 1.5])"),
        ([[1], 2], "", "None"),
        ([1], "BYTES", "None"),
        ([], "", "None"),
    ],
)
def test_lists_become_arrays_when_they_are_numbers_and_text_is_never_parsed(
    values: list[Any], datatype: str, expected: str
) -> None:
    assert repr(as_array(values, datatype)) == expected


def test_one_column_of_text_does_not_spoil_its_neighbours() -> None:
    [rows] = batched(
        decoded(Tensor("instances", (2, 3), "", [1, "a", None, 2, "b", 3.5])),
        decoded(Tensor("instances", (1, 3), "", [4, "c", 4.5])),
    )
    assert (
        repr(plain(rows))
        == "{'instances[0]': [1, 2, 4], 'instances[1]': ['a', 'b', 'c'], 'instances[2]': [nan, 3.5, 4.5]}"
    )
    assert isinstance(rows.columns["instances[0]"], np.ndarray)


def test_strings_stay_what_the_wire_held() -> None:
    [rows] = batched(decoded(Tensor("x", (2, 2), "BYTES", ["a", b"\xff", "b", None])))
    assert plain(rows) == {"x[0]": ["a", "b"], "x[1]": [b"\xff", None]}


def test_wide_tensors_are_embeddings_one_row_each() -> None:
    data = [float(number) for number in range(200)]
    for held in (data, raw("FP32", data)):
        [rows] = batched(
            decoded(Tensor("x", (2, 100), "FP32", held)), decoded(Tensor("x", (2, 100), "FP32", held))
        )
        column = rows.columns["x"]
        assert isinstance(column, np.ndarray)
        assert column.shape == (4, 100)
        assert column[3].tolist() == data[100:]
    [rows] = batched(decoded(Tensor("x", (2, 100), "", ["a", *data[1:]])))
    assert rows.columns["x"] == [["a", *data[1:100]], data[100:]]


def test_tensors_with_rows_of_their_own_get_a_batch_of_their_own() -> None:
    batches = batched(
        decoded(
            Tensor("x", (2,), "FP32", [1.0, 2.0]),
            Tensor("scale", (1,), "FP32", [9.0]),
            Tensor("z", (2, 1), "FP32", [3.0, 4.0]),
        )
    )
    assert [plain(rows) for rows in batches] == [{"x": [1.0, 2.0], "z": [3.0, 4.0]}, {"scale": [9.0]}]


# Batches


def test_layouts_models_and_slots_are_kept_apart_and_rows_of_any_number_together() -> None:
    batcher = Batcher(Configuration())
    for rows, version, at in ((1, "1", 0.0), (2, "1", 299.9), (1, "2", 1.0), (3, "1", 300.0), (1, "1", 10.0)):
        batcher.add(decoded(Tensor("x", (rows,), "FP32", [1.0] * rows), version=version), at)
    assert [(rows.version, rows.time, rows.count, rows.exchanges) for rows in batcher.flush()] == [
        ("1", 0.0, 4, 3),
        ("2", 1.0, 1, 1),
        ("1", 300.0, 3, 1),
    ]
    assert batcher.flush() == []


def test_a_version_that_nobody_told_is_unknown() -> None:
    [rows] = batched(decoded(Tensor("x", (1,), "FP32", [1.0]), version=""))
    assert rows.version == "unknown"


def test_a_batch_is_due_at_its_rows_or_bytes() -> None:
    batcher = Batcher(Configuration(), rows_due=3, bytes_due=1000)
    one = decoded(Tensor("x", (1,), "FP32", [1.0]))
    assert [batcher.add(one, 0.0) for _ in range(3)] == [False, False, True]
    batcher.flush()
    assert (batcher.pending_rows, batcher.pending_bytes) == (0, 0)
    assert batcher.add(decoded(Tensor("x", (1, 250), "FP32", b"\0" * 1000)), 0.0)


def test_batches_after_a_flush_begin_anew() -> None:
    batcher = Batcher(Configuration())
    for number in range(3):
        batcher.add(decoded(Tensor("x", (1,), "FP32", [float(number)])), float(number))
        [rows] = batcher.flush()
        assert (plain(rows), rows.time, rows.exchanges) == ({"x": [float(number)]}, float(number), 1)


def test_nothing_to_follow_gives_no_rows() -> None:
    assert batched(decoded(), decoded(Tensor("x", (0,), "FP32", []))) == []


# Caps


def test_columns_beyond_the_limit_are_left_out_and_counted_once_per_layout() -> None:
    batcher = Batcher(Configuration(limits=Limits(columns=2)))
    wide = decoded(WIDE, outputs=(Tensor("y", (1,), "FP32", [1.0]),))
    for _ in range(3):
        batcher.add(wide, 0.0)
    [rows] = batcher.flush()
    assert list(rows.columns) == ["x[0]", "x[1]"]
    assert batcher.columns_refused == 2
    batcher.add(decoded(WIDE, version="2"), 0.0)
    assert batcher.columns_refused == 3


def test_of_two_columns_with_one_name_the_first_is_followed_and_the_other_counted() -> None:
    specs = (ColumnSpec(name="same", tensor="x", index=0), ColumnSpec(name="same", tensor="x", index=1))
    batcher = Batcher(Configuration(models=(ModelSpec(name="m", columns=specs),)))
    batcher.add(decoded(WIDE), 0.0)
    [rows] = batcher.flush()
    assert plain(rows) == {"same": [1.0], "x[2]": [3.0]}
    assert batcher.columns_refused == 1


def test_models_beyond_the_limit_are_left_out_and_counted_once_each() -> None:
    batcher = Batcher(Configuration(limits=Limits(models=2)))
    for model in ("a", "b", "c", "d", "c", "a"):
        batcher.add(decoded(Tensor("x", (1,), "FP32", [1.0]), model=model), 0.0)
    assert [(rows.model, rows.exchanges) for rows in batcher.flush()] == [("a", 2), ("b", 1)]
    assert batcher.models_refused == 2


def test_names_that_are_too_long_are_refused() -> None:
    batcher = Batcher(Configuration())
    batcher.add(decoded(Tensor("x" * 201, (1,), "FP32", [1.0]), Tensor("y" * 200, (1,), "FP32", [1.0])), 0.0)
    batcher.add(decoded(Tensor("x", (1,), "FP32", [1.0]), model="m" * 201), 0.0)
    [rows] = batcher.flush()
    assert list(rows.columns) == ["y" * 200]
    assert (batcher.columns_refused, batcher.models_refused) == (1, 1)


def test_a_client_that_invents_names_fills_no_memory_and_little_time() -> None:
    batcher = Batcher(Configuration(limits=Limits(columns=10, models=2)))
    begun = time.monotonic()
    for number in range(3000):
        batcher.add(decoded(Tensor(f"x{number}", (1,), "FP32", [1.0]), model=f"m{number % 5}"), 0.0)
    batcher.add(decoded(*(Tensor(f"y{number}", (1,), "", [1]) for number in range(50_000)), model="m0"), 0.0)
    assert time.monotonic() - begun < 10
    assert sum(len(rows.columns) for rows in batcher.flush()) == 20
    assert batcher.models_refused == 3
    assert len(batcher._plans) <= 1024
    assert {len(columns) for columns in batcher._followed.values()} == {10}


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["FP32", "INT64", "BYTES", ""]),
            st.integers(0, 3),
            st.sampled_from([1, 2, 70]),
            st.booleans(),
            st.integers(0, 3),
        ),
        max_size=12,
    )
)
def test_every_row_comes_out_once_in_its_order(exchanges: list[tuple[str, int, int, bool, int]]) -> None:
    batcher = Batcher(Configuration())
    expected: dict[tuple[str, int], list[Any]] = {}
    number = 0
    for datatype, rows, width, binary, slot in exchanges:
        values: list[Any] = list(range(number, number + rows * width))
        number += rows * width
        if datatype == "BYTES":
            values = [str(value) for value in values]
        data = raw(datatype, values) if binary and datatype in NUMPY else values
        name = f"{datatype}-{width}-{type(data).__name__}"
        batcher.add(decoded(Tensor(name, (rows, width), datatype, data)), slot * 300.0)
        for row in range(rows):
            expected.setdefault((name, slot), []).append(values[row * width : (row + 1) * width])
    found: dict[tuple[str, int], list[Any]] = {}
    for rows_ in batcher.flush():
        columns = plain(rows_)
        name = next(iter(columns)).partition("[")[0]
        entries = (
            columns[name] if "70" in name else [list(row) for row in zip(*columns.values(), strict=True)]
        )
        found[name, int(rows_.time // 300)] = entries
    assert found == expected
