"""KServe v2: binary and JSON tensors in every mix, and every way in which a body can lie."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.schema import Configuration, Limits
from sidecar.decode import Decoded, Failed, Outcome, Undecodable, Unobservable, decode
from sidecar.decode.batch import Batcher
from sidecar.decode.tensor import DATATYPES
from tests.decode.build import (
    ANSWER,
    JSON_LENGTH,
    NUMPY,
    REQUEST,
    V2,
    exchange,
    gzipped,
    message,
    mixed,
    raw,
    tensor,
    with_json_length,
)

LIMITS = Limits()

VALUES: dict[str, list[Any]] = {
    "BOOL": [True, False, True],
    "INT8": [-128, 0, 127],
    "INT16": [-32768, 0, 32767],
    "INT32": [-(2**31), 0, 2**31 - 1],
    "INT64": [-(2**63), 0, 2**63 - 1],
    "UINT8": [0, 1, 255],
    "UINT16": [0, 1, 65535],
    "UINT32": [0, 1, 2**32 - 1],
    "UINT64": [0, 1, 2**64 - 1],
    "FP16": [-1.5, 0.0, 65504.0],
    "BF16": [-1.5, 0.0, 3.3895313892515355e38],
    "FP32": [-1.5, 0.25, float(np.finfo("f4").max)],
    "FP64": [-1.5, 0.1, 1.7976931348623157e308],
    "BYTES": ["", "UA", "Zürich"],
}


def columns(outcome: Outcome) -> dict[str, list[Any]]:
    """Every column of *outcome*, by name; predictions too."""
    assert isinstance(outcome, Decoded), outcome
    batcher = Batcher(Configuration())
    batcher.add(outcome, 0.0)
    found = {}
    for rows in batcher.flush():
        for name, values in rows.columns.items():
            found[name] = [
                value.decode() if isinstance(value, bytes) else value
                for value in (values.tolist() if isinstance(values, np.ndarray) else values)
            ]
    return found


def test_the_table_of_values_is_the_table_of_datatypes() -> None:
    assert set(VALUES) == DATATYPES


@pytest.mark.parametrize("datatype", VALUES)
@pytest.mark.parametrize("request_is_binary", [False, True])
@pytest.mark.parametrize("answer_is_binary", [False, True])
def test_every_datatype_both_ways(datatype: str, request_is_binary: bool, answer_is_binary: bool) -> None:
    values = VALUES[datatype]

    def side(field: str, name: str, binary: bool, **others: Any) -> tuple[bytes, dict[bytes, bytes]]:
        if binary:
            body, length = mixed(field, [(tensor(name, datatype, [3, 1]), raw(datatype, values))], **others)
            return body, with_json_length(length)
        return message(field, [tensor(name, datatype, [3, 1], values)], **others), {}

    request, request_headers = side("inputs", "x", request_is_binary)
    answer, response_headers = side("outputs", "y", answer_is_binary, model_name="n", model_version="2")
    outcome = decode(
        exchange(request, answer, request_headers=request_headers, response_headers=response_headers), LIMITS
    )
    assert columns(outcome) == {"x": values, "y": values}
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.version, outcome.rows, outcome.holes) == ("n", "2", 3, 0)


def test_binary_and_json_tensors_stand_beside_each_other_in_any_order() -> None:
    body, length = mixed(
        "inputs",
        [
            (tensor("a", "FP32", [2], [1.0, 2.0]), None),
            (tensor("b", "INT64", [2, 1]), raw("INT64", [3, 4])),
            (tensor("c", "BYTES", [2], ["x", "y"]), None),
            (tensor("d", "BYTES", [2]), raw("BYTES", ["zz", ""])),
            (tensor("e", "FP16", [2, 2]), raw("FP16", [1, 2, 3, 4])),
        ],
        parameters={"binary_data_output": True},
        outputs=[{"name": "y", "parameters": {"binary_data": False}}],
    )
    found = columns(decode(exchange(body, request_headers=with_json_length(length)), LIMITS))
    assert found == {
        "a": [1.0, 2.0], "b": [3, 4], "c": ["x", "y"], "d": ["zz", ""], "e[0]": [1.0, 3.0], "e[1]": [2.0, 4.0], "y": [0.5],
    }  # fmt: skip


def test_a_length_that_is_the_whole_body_is_plain_json() -> None:
    headers = with_json_length(len(REQUEST))
    assert columns(decode(exchange(request_headers=headers), LIMITS)) == {
        "x[0]": [1.5],
        "x[1]": [2.5],
        "y": [0.5],
    }


def test_a_binary_size_of_0_is_an_empty_tensor() -> None:
    body, length = mixed("inputs", [(tensor("x", "BYTES", [0]), b""), (tensor("z", "FP32", [0, 5]), b"")])
    outcome = decode(exchange(body, request_headers=with_json_length(length)), LIMITS)
    assert isinstance(outcome, Decoded)
    assert (outcome.rows, [item.data for item in outcome.inputs]) == (0, [[], b""])


def test_a_raw_request_is_a_hole_and_its_answer_is_read() -> None:
    answer, length = mixed("outputs", [(tensor("y", "FP32", [1]), raw("FP32", [0.5]))], model_name="m")
    outcome = decode(
        exchange(b"\x00\x00\x80?", answer, request_headers=with_json_length(0), response_headers=with_json_length(length)),
        LIMITS,
    )  # fmt: skip
    assert columns(outcome) == {"y": [0.5]}
    assert isinstance(outcome, Decoded)
    assert (outcome.rows, outcome.holes, outcome.inputs) == (1, 1, [])


def test_a_raw_answer_is_a_hole_and_its_request_is_read() -> None:
    outcome = decode(exchange(answer=b"\x00\x00\x80?", response_headers=with_json_length(0)), LIMITS)
    assert columns(outcome) == {"x[0]": [1.5], "x[1]": [2.5]}
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.holes) == ("m", 1)


def test_raw_both_ways_can_not_be_observed() -> None:
    headers = with_json_length(0)
    outcome = decode(exchange(b"abcd", b"abcd", request_headers=headers, response_headers=headers), LIMITS)
    assert outcome == Unobservable("m", "", "raw_tensor")


SHARED = {"shared_memory_region": "r", "shared_memory_byte_size": 8, "shared_memory_offset": 0}


def test_shared_memory_tensors_are_holes() -> None:
    body, length = mixed(
        "inputs",
        [(tensor("a", "FP32", [2], **SHARED), None), (tensor("b", "FP32", [2]), raw("FP32", [1, 2]))],
    )
    outcome = decode(exchange(body, request_headers=with_json_length(length)), LIMITS)
    assert columns(outcome) == {"b": [1.0, 2.0], "y": [0.5]}
    assert isinstance(outcome, Decoded)
    assert outcome.holes == 1


def test_nothing_but_shared_memory_can_not_be_observed() -> None:
    request = message("inputs", [tensor("a", "FP32", [2], **SHARED)])
    answer = message("outputs", [tensor("y", "FP32", [2], **SHARED)], model_name="m", model_version="3")
    assert decode(exchange(request, answer), LIMITS) == Unobservable("m", "3", "shared_memory")


@pytest.mark.parametrize(
    ("told", "target", "expected"),
    [
        ({"model_name": "n", "model_version": "2"}, V2, ("n", "2")),
        ({"model_name": "n", "model_version": 2}, V2, ("n", "2")),
        ({"model_name": "n", "model_version": None}, V2, ("n", "")),
        ({"model_name": None}, b"/v2/models/m/versions/7/infer", ("m", "7")),
        ({"model_name": "", "model_version": ""}, b"/v2/models/m/versions/7/infer", ("m", "7")),
        ({}, b"/v2/models/a%20b%2Fc%C3%BC/versions/v%31/infer?x=y", ("a b/cü", "v1")),
        ({}, b"/v2/models/%ff/infer", ("\\xff", "")),
        ({}, b"http://host:8000/prefix/v2/models/m/infer", ("m", "")),
    ],
)
def test_model_and_version_come_from_the_answer_else_from_the_path(
    told: dict[str, Any], target: bytes, expected: tuple[str, str]
) -> None:
    answer = message("outputs", [tensor("y", "FP32", [1], [0.5])], **told)
    outcome = decode(exchange(answer=answer, target=target), LIMITS)
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.version) == expected


def test_an_error_in_a_successful_answer_is_a_failure_in_band() -> None:
    assert decode(exchange(answer=b'{"error": "no"}'), LIMITS) == Failed("m", "", "in_band")
    assert decode(exchange(answer=b'{"error": {"code": 1}, "outputs": []}'), LIMITS) == Failed(
        "m", "", "in_band"
    )


@pytest.mark.parametrize(
    "data", [[1.5, None, 3.5, 4.5], [[1.5, None], [3.5, 4.5]], [[[1.5], [None]], [[3.5], [4.5]]]]
)
def test_json_data_may_be_flat_or_nested_and_null_is_missing(data: list[Any]) -> None:
    found = columns(decode(exchange(message("inputs", [tensor("x", "FP64", [2, 2], data)])), LIMITS))
    assert repr(found) == "{'x[0]': [1.5, 3.5], 'x[1]': [nan, 4.5], 'y': [0.5]}"


def test_a_single_value_may_stand_by_itself() -> None:
    found = columns(decode(exchange(message("inputs", [tensor("x", "BYTES", [1], "text")])), LIMITS))
    assert found == {"x": ["text"], "y": [0.5]}


def test_nan_and_infinity_tokens_are_read_as_python_writes_them() -> None:
    request = (
        b'{"inputs":[{"name":"x","shape":[5],"datatype":"FP32","data":[NaN,Infinity,-Infinity,1e400,1]}]}'
    )
    found = columns(decode(exchange(request), LIMITS))
    assert repr(found["x"]) == "[nan, inf, -inf, inf, 1.0]"


def test_of_repeated_keys_the_last_counts() -> None:
    request = b'{"inputs":[],"inputs":[{"name":"x","name":"z","shape":[9],"shape":[1],"datatype":"FP32","data":[1]}]}'
    assert columns(decode(exchange(request), LIMITS)) == {"z": [1.0], "y": [0.5]}


def test_content_codings_are_taken_off_first_and_the_json_length_counts_what_was_inside() -> None:
    body, length = mixed("inputs", [(tensor("x", "FP32", [1]), raw("FP32", [2.5]))])
    outcome = decode(
        exchange(
            gzipped(body),
            gzipped(ANSWER),
            request_headers={**with_json_length(length), b"content-encoding": b"gzip"},
            response_headers={b"content-encoding": b"GZip"},
        ),
        LIMITS,
    )
    assert columns(outcome) == {"x": [2.5], "y": [0.5]}


def one(shape: Any, data: Any = None, datatype: Any = "FP32", **parameters: Any) -> bytes:
    return message("inputs", [tensor("x", datatype, shape, data, **parameters)])


@pytest.mark.parametrize(
    ("request_body", "reason"),
    [
        (b"", "bad_json"),
        (b"[]", "bad_json"),
        (b"{}", "bad_json"),
        (b'{"inputs": null}', "bad_json"),
        (b'{"inputs": [{}]}', "bad_json"),
        (b'{"inputs": [1]}', "bad_json"),
        (b'{"inputs": []} x', "bad_json"),
        (b"\xff", "bad_json"),
        (REQUEST.replace(b'"x"', b'"\xff"'), "bad_json"),
        (REQUEST[:-1], "bad_json"),
        (b'{"inputs": [], "NaN": "\\ud800"}', "bad_json"),
        (b'{"inputs": [], "n": [NaN, ' + b"1" * 5000 + b"]}", "bad_json"),
        (b"[" * 1_000_000, "bad_json"),
        (b'{"inputs": [], "x": NaN, "y": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "bad_json"),
        (b'{"inputs": ' + b'{"inputs": ' * 100_000, "bad_json"),
        (one([True], [1]), "bad_json"),
        (one([1.5], [1]), "bad_json"),
        (one("1", [1]), "bad_json"),
        (one([1], [1], None), "bad_json"),
        (one([1], [1], binary_data_size="4"), "bad_json"),
        (one([1], [1], "FP31"), "bad_tensor"),
        (one([1], [1], "fp32"), "bad_tensor"),
        (one([2], [1]), "bad_tensor"),
        (one([1], [1, 2]), "bad_tensor"),
        (one([1]), "bad_tensor"),
        (one([1], {"a": 1}), "bad_tensor"),
        (one([3], "abc"), "bad_tensor"),
        (one([2], [[1], 2]), "bad_tensor"),
        (one([-1, -1], [1]), "bad_json"),
        (one([1] * 33, [1]), "bad_json"),
        (one([2**62, 2**62], [1]), "bad_tensor"),
        (one([10**4000], [1]), "bad_tensor"),
        (one([1], binary_data_size=4), "bad_tensor"),
        (one([1], binary_data_size=-4), "bad_tensor"),
        (one([1], binary_data_size=10**30), "bad_tensor"),
    ],
)
def test_a_request_that_lies_is_undecodable(request_body: bytes, reason: str) -> None:
    assert decode(exchange(request_body), LIMITS) == Undecodable("m", "1", reason)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "datatype", "data", "extra"),
    [
        ([2], "FP32", b"1234", b""),
        ([1], "FP32", b"12345", b""),
        ([0], "FP32", b"1234", b""),
        ([1], "FP32", b"", b""),
        ([1], "FP32", b"1234", b"5"),
        ([2**61], "FP64", b"", b""),
        ([1], "BYTES", b"\x04\x00\x00\x00abc", b""),
        ([1], "BYTES", b"\xff\xff\xff\xffabc", b""),
        ([1], "BYTES", b"\x00\x00\x00", b""),
        ([1], "BYTES", b"\x00\x00\x00\x00\x00\x00\x00\x00", b""),
        ([2], "BYTES", b"\x00\x00\x00\x00", b""),
        ([100], "BYTES", b"\x01\x00\x00\x00a" * 99 + b"\x02\x00\x00\x00a", b""),
        ([100], "BYTES", b"\x01\x00\x00\x00a" * 99 + b"\x01\x00\x00", b""),
    ],
)
def test_a_binary_tensor_that_lies_is_undecodable(
    shape: list[int], datatype: str, data: bytes, extra: bytes
) -> None:
    body, length = mixed("inputs", [(tensor("x", datatype, shape), data)])
    outcome = decode(exchange(body + extra, request_headers=with_json_length(length)), LIMITS)
    assert outcome == Undecodable("m", "1", "bad_tensor")


@pytest.mark.parametrize(
    "value", [b"-1", b"1e2", b"", b"x", b"\xb2", b"10 ", b"9" * 200, b"%d" % (len(REQUEST) + 1)]
)
def test_a_json_length_that_lies_is_undecodable(value: bytes) -> None:
    headers = {JSON_LENGTH: value}
    assert decode(exchange(request_headers=headers), LIMITS) == Undecodable("m", "1", "bad_header")
    lies = {JSON_LENGTH: b"9" * 5 if value.isdigit() else value}
    assert decode(exchange(response_headers=lies), LIMITS) == Undecodable("m", "", "bad_header")


def test_an_answer_that_lies_is_undecodable() -> None:
    assert decode(exchange(answer=b"{}"), LIMITS) == Undecodable("m", "", "bad_json")
    assert decode(
        exchange(answer=message("outputs", [tensor("y", "FP32", [2], [1])])), LIMITS
    ) == Undecodable("m", "", "bad_tensor")


def test_bodies_of_which_only_the_beginning_was_copied_are_undecodable() -> None:
    assert decode(exchange(request_body_complete=False), LIMITS) == Undecodable("m", "1", "truncated")
    assert decode(exchange(response_body_complete=False), LIMITS) == Undecodable("m", "", "truncated")


def test_shapes_that_promise_the_world_cost_nothing() -> None:
    bodies = [one([10**9, 10**9], [1]), one([10**9] * 30, []), one([0, 10**18], [])]
    tracemalloc.start()
    try:
        begun = time.monotonic()
        for body in bodies:
            decode(exchange(body), LIMITS)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        assert time.monotonic() - begun < 5
    finally:
        tracemalloc.stop()


def test_json_above_its_limit_is_refused_unread() -> None:
    body = one([1], [1])
    padded = body[:-1] + b" " * 2_100_000 + b"}"
    assert decode(exchange(padded), LIMITS) == Undecodable("m", "1", "too_large")
    assert isinstance(decode(exchange(padded), Limits(body_bytes=2_200_000)), Decoded)


def test_the_costliest_json_stays_under_its_bound() -> None:
    for element in (b"{},", b"[],", b"1.5,", b'"\\u00ff\\u00ff",'):
        text = b'{"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [' + element * (
            2_000_000 // len(element)
        )
        tracemalloc.start()
        try:
            begun = time.monotonic()
            assert decode(exchange(text[:-1] + b"]}]}"), LIMITS) == Undecodable("m", "1", "bad_tensor")
            assert tracemalloc.get_traced_memory()[1] < 60_000_000
            assert time.monotonic() - begun < 10
        finally:
            tracemalloc.stop()


datatypes = st.sampled_from(sorted(NUMPY))


@st.composite
def tensors(draw: st.DrawFn) -> tuple[list[tuple[dict[str, Any], bytes | None]], dict[str, list[Any]], int]:
    """Tensors of equal rows in any mix of encodings, and their columns."""
    rows = draw(st.integers(1, 5))
    built, expected = [], {}
    for number in range(draw(st.integers(1, 4))):
        datatype, width = draw(datatypes), draw(st.integers(1, 3))
        info = np.dtype(NUMPY[datatype])
        if info.kind == "b":
            elements: st.SearchStrategy[Any] = st.booleans()
        elif info.kind == "f":
            elements = st.floats(allow_nan=False, allow_infinity=False, width=info.itemsize * 8)  # type: ignore[arg-type]
        else:
            elements = st.integers(int(np.iinfo(info).min), int(np.iinfo(info).max))
        values = draw(st.lists(elements, min_size=rows * width, max_size=rows * width))
        name = f"t{number}"
        shape = draw(st.sampled_from([[rows, width], [rows, 1, width]] + ([[rows]] if width == 1 else [])))
        if draw(st.booleans()):
            built.append((tensor(name, datatype, shape), raw(datatype, values)))
        else:
            built.append((tensor(name, datatype, shape, values), None))
        for index in range(width):
            expected[name if width == 1 else f"{name}[{index}]"] = values[index::width]
    return built, expected, rows


@settings(max_examples=200, deadline=None)
@given(tensors())
def test_any_tensors_in_any_mix_come_out_as_they_went_in(
    mix: tuple[list[tuple[dict[str, Any], bytes | None]], dict[str, list[Any]], int],
) -> None:
    built, expected, rows = mix
    body, length = mixed("inputs", built)
    headers = with_json_length(length) if any(data is not None for _, data in built) else {}
    outcome = decode(exchange(body, request_headers=headers), LIMITS)
    found = columns(outcome)
    assert found.pop("y") == [0.5]
    assert found == expected
    assert isinstance(outcome, Decoded)
    assert outcome.rows == rows
