"""KServe v2 over gRPC: every datatype by contents and raw, shared memory, and every way in which a message can lie."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import numpy as np
import pytest
import tritonclient.grpc as client
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.schema import Limits
from sidecar.decode import Decoded, Undecodable, Unobservable, decode, kserve_grpc
from sidecar.decode.tensor import DATATYPES
from tests.decode.build import NUMPY, raw
from tests.decode.grpc_build import (
    ANSWER,
    CONTENTS,
    REQUEST,
    answer,
    columns,
    exchange,
    oip,
    request,
    tensor_in,
    tensor_out,
)
from tests.decode.test_kserve_v2 import VALUES

LIMITS = Limits()


@pytest.mark.parametrize("datatype", sorted(DATATYPES))
@pytest.mark.parametrize("width", [1, 3])
def test_a_raw_tensor_of_every_datatype_both_ways(datatype: str, width: int) -> None:
    values = VALUES[datatype]
    shape = [3 // width, width]
    data = raw(datatype, values)
    outcome = decode(
        exchange(
            request([tensor_in("x", datatype, shape)], [data]),
            answer([tensor_out("y", datatype, shape)], [data]),
        ),
        LIMITS,
    )
    names = {"x": values} if width == 1 else {f"x[{index}]": [values[index]] for index in range(3)}
    found = columns(outcome)
    assert {name: found[name] for name in names} == names
    assert {name.replace("y", "x"): found[name] for name in found if name[0] == "y"} == names
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.version, outcome.rows, outcome.holes) == ("m", "1", 3 // width, 0)


@pytest.mark.parametrize("datatype", sorted(CONTENTS))
def test_contents_of_every_datatype_that_has_them(datatype: str) -> None:
    values = VALUES[datatype]
    outcome = decode(
        exchange(
            request([tensor_in("x", datatype, [3], values)]), answer([tensor_out("y", datatype, [3], values)])
        ),
        LIMITS,
    )
    assert columns(outcome) == {"x": values, "y": values}


@pytest.mark.parametrize("datatype", sorted({*NUMPY, "BYTES"}))
def test_what_tritonclient_makes_of_arrays(datatype: str) -> None:
    values = VALUES[datatype]
    array = (
        np.array([text.encode() for text in values], object)
        if datatype == "BYTES"
        else np.array(values, NUMPY[datatype])
    )
    tensor = client.InferInput("x", [3], datatype)
    tensor.set_data_from_numpy(array)
    message = oip.ModelInferRequest(
        model_name="m", inputs=[tensor._get_tensor()], raw_input_contents=[tensor._get_content()]
    )
    assert columns(decode(exchange(message.SerializeToString(), ANSWER), LIMITS)) == {"x": values, "y": [0.5]}


def field(number: int, kind: int, payload: bytes) -> bytes:
    """One field on the wire, with a length where *kind* is 2."""
    return bytes([number << 3 | kind]) + (bytes([len(payload)]) if kind == 2 else b"") + payload


@pytest.mark.parametrize(
    ("datatype", "number", "kind", "values"),
    [("FP32", 6, 5, [1.5, 2.5]), ("FP64", 7, 1, [1.5, 2.5]), ("BOOL", 1, 0, [True, False])],
)
def test_values_that_are_not_packed_or_packed_in_parts_are_read_alike(
    datatype: str, number: int, kind: int, values: list[Any]
) -> None:
    raws = [raw(datatype, [value]) for value in values]
    head = tensor_in("x", datatype, [2]).SerializeToString()
    for each in (kind, 2):
        contents = b"".join(field(number, each, payload) for payload in raws)
        body = request() + field(5, 2, head + field(5, 2, contents))
        assert columns(decode(exchange(body, ANSWER), LIMITS))["x"] == values


def test_empty_contents_beside_raw_ones_are_none() -> None:  # as MLServer answers
    output = tensor_out("y", "INT64", [2])
    output.contents.SetInParent()
    found = columns(decode(exchange(REQUEST, answer([output], [raw("INT64", [7, 8])])), LIMITS))
    assert found == {"x[0]": [1.5], "x[1]": [2.5], "y": [7, 8]}


def test_tensors_without_elements_need_no_contents() -> None:
    body = request([tensor_in("x", "FP32", [0, 2]), tensor_in("b", "BYTES", [0])])
    outcome = decode(exchange(body, answer([tensor_out("y", "FP32", [0])], [b""])), LIMITS)
    assert isinstance(outcome, Decoded)
    assert [tensor.data for tensor in (*outcome.inputs, *outcome.outputs)] == [b"", [], b""]


def test_inputs_in_shared_memory_have_no_raw_contents() -> None:
    body = request(
        [
            tensor_in("a", "FP32", [1], shared="r"),
            tensor_in("b", "FP32", [1]),
            tensor_in("c", "FP32", [1], shared="r"),
        ],
        [raw("FP32", [7.5])],
    )
    outcome = decode(exchange(body, ANSWER), LIMITS)
    assert columns(outcome) == {"b": [7.5], "y": [0.5]}
    assert isinstance(outcome, Decoded)
    assert outcome.holes == 2


@pytest.mark.parametrize("marked", [True, False])
def test_outputs_in_shared_memory_have_empty_raw_contents_and_the_request_asks_for_them(marked: bool) -> None:
    asked = oip.ModelInferRequest(model_name="m")
    asked.outputs.add(name="y").parameters["shared_memory_region"].string_param = "r"
    asked.outputs.add(name="z")
    outputs = [tensor_out("y", "FP32", [2], shared="r" if marked else ""), tensor_out("z", "FP32", [2])]
    inputs = request([tensor_in("x", "FP32", [2])], [raw("FP32", [1.0, 2.0])], model_name="")
    body = asked.SerializeToString() + inputs
    outcome = decode(exchange(body, answer(outputs, [b"", raw("FP32", [3.0, 4.0])])), LIMITS)
    assert columns(outcome) == {"x": [1.0, 2.0], "z": [3.0, 4.0]}
    assert isinstance(outcome, Decoded)
    assert outcome.holes == 1


def test_nothing_but_shared_memory_can_not_be_observed() -> None:
    body = request([tensor_in("a", "FP32", [1], shared="r")])
    told = answer([tensor_out("y", "FP32", [1], shared="r")], [b""])
    assert decode(exchange(body, told), LIMITS) == Unobservable("m", "1", "shared_memory")


@pytest.mark.parametrize(
    ("asked", "told", "expected"),
    [
        (("a", "1"), ("b", "2"), ("b", "2")),
        (("a", "1"), ("", ""), ("a", "1")),
        (("a", ""), ("a", ""), ("a", "")),
        (("a", "3"), ("b", ""), ("b", "3")),
    ],
)
def test_model_and_version_come_from_the_answer_else_from_the_request(
    asked: tuple[str, str], told: tuple[str, str], expected: tuple[str, str]
) -> None:
    body = request(model_name=asked[0], model_version=asked[1])
    outcome = decode(exchange(body, answer(model_name=told[0], model_version=told[1])), LIMITS)
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.version) == expected


ONE = raw("FP32", [1.0])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff", "bad_message"),
        (b"\x0a\xff\xff\xff\xff\x0f", "bad_message"),
        (b"\x0a\x02\xff\xff", "bad_message"),
        (field(5, 2, b"\xff"), "bad_message"),
        (field(5, 2, b"\x0a\x02\xff\xff"), "bad_message"),
        (request([tensor_in("x", "FP31", [1])], [ONE]), "bad_tensor"),
        (request([tensor_in("x", "", [1])], [ONE]), "bad_tensor"),
        (request([tensor_in("x", "FP32", [2])], [ONE]), "bad_tensor"),
        (request([tensor_in("x", "FP32", [0])], [ONE]), "bad_tensor"),
        (request([tensor_in("x", "FP32", [1])], [b""]), "bad_tensor"),
        (request([tensor_in("x", "FP32", [1])], [ONE, ONE]), "bad_tensor"),
        (request([tensor_in("x", "FP32", [1])], [ONE + b"5"]), "bad_tensor"),
        (request([tensor_in("x", "FP32", [1]), tensor_in("z", "FP32", [1])], [ONE]), "bad_tensor"),
        (request([tensor_in("x", "FP32", [1])]), "bad_tensor"),
        (request([tensor_in("x", "BYTES", [1])], [b""]), "bad_tensor"),
        (request([tensor_in("x", "BYTES", [1])], [b"\xff\xff\xff\x7f"]), "bad_tensor"),
        (request([tensor_in("x", "BYTES", [2**31])], [b"\x01\x00\x00\x00a"]), "bad_tensor"),
        (request([tensor_in("x", "FP32", [-1, -1])], [ONE]), "bad_tensor"),
        (request([tensor_in("x", "FP32", [2**31])], [ONE]), "bad_tensor"),
        (request([tensor_in("x", "FP32", [2**62, 2**62, 2**62])], [ONE]), "bad_tensor"),
        (request([tensor_in("x", "FP32", [1] * 33)], [ONE]), "bad_tensor"),
        (request([tensor_in("x", "FP32", [1] * 100_000)], [ONE]), "bad_tensor"),
        (request([tensor_in("x", "FP32", [1], [1.0])], [ONE]), "bad_tensor"),
        (request([tensor_in("x", "FP32", [2], [1.0])]), "bad_tensor"),
        (request([tensor_in("x", "FP32", [2**31], [1.0])]), "bad_tensor"),
        (request([tensor_in("x", "BOOL", [2], [True])]), "bad_tensor"),
        (request([tensor_in("x", "BYTES", [2], ["a"])]), "bad_tensor"),
        (request([tensor_in("x", "INT64", [1], [1, 2])]), "bad_tensor"),
        (request([oip.ModelInferRequest.InferInputTensor(
            name="x", datatype="INT8", shape=[1], contents=oip.InferTensorContents(int_contents=[128]))]), "bad_tensor"),
        (request([oip.ModelInferRequest.InferInputTensor(
            name="x", datatype="UINT16", shape=[1], contents=oip.InferTensorContents(uint_contents=[65536]))]), "bad_tensor"),
        (request([oip.ModelInferRequest.InferInputTensor(
            name="x", datatype="FP16", shape=[1], contents=oip.InferTensorContents(fp32_contents=[1]))]), "bad_tensor"),
        (request([oip.ModelInferRequest.InferInputTensor(
            name="x", datatype="FP32", shape=[1], contents=oip.InferTensorContents(fp64_contents=[1]))]), "bad_tensor"),
    ],
)  # fmt: skip
def test_a_request_that_lies_is_undecodable(body: bytes, reason: str) -> None:
    assert decode(exchange(body, ANSWER), LIMITS) == Undecodable("m", "1", reason)  # type: ignore[arg-type]


def test_an_answer_that_lies_is_undecodable_under_the_names_that_are_known() -> None:
    assert decode(exchange(REQUEST, b"\xff"), LIMITS) == Undecodable("m", "", "bad_message")
    assert decode(exchange(REQUEST, answer([tensor_out("y", "FP32", [2])], [ONE])), LIMITS) == Undecodable(
        "m", "1", "bad_tensor"
    )


def big(number: int, entry: bytes, count: int) -> bytes:
    """*count* fields alike, packed into one inner message where *entry* is empty."""
    return field(number, 2, entry) * count


def length(size: int) -> bytes:
    found = b""
    while size > 127:
        found += bytes([size & 127 | 128])
        size >>= 7
    return found + bytes([size])


def contents_of(inner: bytes, datatype: bytes, shape: list[int]) -> bytes:
    head = tensor_in("x", datatype.decode(), shape).SerializeToString()
    described = head + b"\x2a" + length(len(inner)) + inner
    return request() + b"\x2a" + length(len(described)) + described


@pytest.mark.parametrize(
    "body",
    [
        big(7, b"", 2_000_000),
        big(5, b"", 2_000_000),
        big(99 // 8, b"", 2_000_000),
        contents_of(b"\x1a" + length(4_000_000) + b"\x01" * 4_000_000, b"INT64", [4_000_000]),
        contents_of(field(8, 2, b"") * 2_000_000, b"BYTES", [2_000_000]),
    ],
    ids=["raw", "inputs", "unknown", "varints", "strings"],
)
def test_a_message_inflated_to_millions_of_fields_is_refused_unread(body: bytes) -> None:
    tracemalloc.start()
    try:
        begun = time.monotonic()
        outcome = decode(exchange(body, ANSWER, coding=b"gzip"), LIMITS)
        assert outcome == Undecodable("m", "1", "too_large")
        assert tracemalloc.get_traced_memory()[1] < 30_000_000
        assert time.monotonic() - begun < 5
    finally:
        tracemalloc.stop()


def test_a_large_tensor_that_needs_no_conversion_is_read() -> None:
    rows = 700_000
    body = request([tensor_in("x", "FP32", [rows], np.ones(rows, "f4").tolist())])
    other = request([tensor_in("x", "FP32", [rows])], [np.ones(rows, "f4").tobytes()])
    for each in (body, other):
        outcome = decode(exchange(each, ANSWER, coding=b"deflate"), LIMITS)
        assert isinstance(outcome, Decoded)
        assert outcome.inputs[0].data == np.ones(rows, "f4").tobytes()


def test_what_is_remembered_of_tensors_is_bounded() -> None:
    for number in range(5_000):
        decode(exchange(request([tensor_in(f"x{number}", "FP32", [1])], [ONE]), ANSWER), LIMITS)
    decode(exchange(request([tensor_in("x" * 300, "FP32", [1])], [ONE]), ANSWER), LIMITS)
    assert len(kserve_grpc._known) <= 1_024
    assert max(map(len, kserve_grpc._known)) <= 256


@st.composite
def tensors(draw: st.DrawFn) -> tuple[bytes, dict[str, list[Any]]]:
    rows, by_raw = draw(st.integers(1, 5)), draw(st.booleans())
    built, raws, expected = [], [], {}
    for number in range(draw(st.integers(1, 4))):
        datatype, width = (
            draw(st.sampled_from(sorted(NUMPY if by_raw else set(NUMPY) - {"FP16"}))),
            draw(st.integers(1, 3)),
        )
        dtype = np.dtype(NUMPY[datatype])
        if dtype.kind == "b":
            elements: st.SearchStrategy[Any] = st.booleans()
        elif dtype.kind == "f":
            elements = st.floats(allow_nan=False, allow_infinity=False, width=dtype.itemsize * 8)  # type: ignore[arg-type]
        else:
            elements = st.integers(int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
        values = draw(st.lists(elements, min_size=rows * width, max_size=rows * width))
        shape = draw(st.sampled_from([[rows, width], [rows, 1, width]]))
        built.append(tensor_in(f"t{number}", datatype, shape, () if by_raw else values))
        if by_raw:
            raws.append(raw(datatype, values))
        for index in range(width):
            expected[f"t{number}" if width == 1 else f"t{number}[{index}]"] = values[index::width]
    return request(built, raws), expected


@settings(max_examples=200, deadline=None)
@given(tensors())
def test_any_tensors_come_out_as_they_went_in(mix: tuple[bytes, dict[str, list[Any]]]) -> None:
    body, expected = mix
    found = columns(decode(exchange(body, ANSWER), LIMITS))
    assert found.pop("y") == [0.5]
    assert found == expected
