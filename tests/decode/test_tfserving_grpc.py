"""TensorFlow Serving's Predict: every datatype in all its forms, repeated values, and lies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exporter.schema import Limits
from sidecar.decode import Decoded, Outcome, Undecodable, Unobservable, decode
from sidecar.decode.proto import tfserving_pb2 as pb
from sidecar.decode.tfserving_grpc import TYPES
from sidecar.exchange import Exchange
from tests.decode import grpc_build
from tests.decode.build import raw
from tests.decode.grpc_build import columns, framed
from tests.decode.test_kserve_v2 import VALUES

LIMITS = Limits()
PREDICT = b"/tensorflow.serving.PredictionService/Predict"
PACKED = {"float_val": "<f4", "double_val": "<f8", "bool_val": "?"}


def proto(dtype: int, shape: list[int], **others: Any) -> bytes:
    dimensions = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=size) for size in shape])
    return pb.TensorProto(dtype=dtype, tensor_shape=dimensions, **others).SerializeToString()


def values_of(dtype: int, values: list[Any]) -> dict[str, Any]:
    """The field that holds *values*."""
    datatype, field, _ = TYPES[dtype]
    if field in PACKED:
        return {field: [np.array(values, PACKED[field]).tobytes()]}
    if field == "half_val":
        return {field: np.frombuffer(raw(datatype, values), "<u2").tolist()}
    return {field: [value.encode() for value in values] if field == "string_val" else values}


def spec(name: str, version: int | None) -> pb.ModelSpec:
    return pb.ModelSpec(name=name, version=None if version is None else pb.Version(value=version))


def call(inputs: dict[str, bytes], name: str = "m", version: int | None = 3, asked: str = "m") -> Exchange:
    request = pb.PredictRequest(model_spec=spec(asked, None), inputs=inputs)
    answer = pb.PredictResponse(
        model_spec=spec(name, version), outputs={"y": proto(1, [1], **values_of(1, [0.5]))}
    )
    return grpc_build.exchange(request.SerializeToString(), answer.SerializeToString(), target=PREDICT)


@pytest.mark.parametrize("dtype", sorted(TYPES))
def test_every_datatype_by_content_and_by_values(dtype: int) -> None:
    datatype = TYPES[dtype][0]
    values = VALUES[datatype]
    inputs = {"v": proto(dtype, [3, 1], **values_of(dtype, values))}
    if datatype != "BYTES":
        inputs["c"] = proto(dtype, [3, 1], tensor_content=raw(datatype, values))
    outcome = decode(call(inputs), LIMITS)
    assert columns(outcome) == {**dict.fromkeys(inputs, values), "y": [0.5]}
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.version, outcome.rows) == ("m", "3", 3)


@pytest.mark.parametrize("dtype", sorted(TYPES))
def test_the_last_value_fills_what_is_left(dtype: int) -> None:
    first, second, _ = VALUES[TYPES[dtype][0]]
    assert columns(decode(call({"v": proto(dtype, [4], **values_of(dtype, [second, first]))}), LIMITS))["v"] == [
        second, first, first, first,
    ]  # fmt: skip


def test_without_values_all_are_zero() -> None:
    inputs = {"a": proto(1, [2]), "b": proto(7, [2]), "c": proto(9, [2, 1])}
    assert columns(decode(call(inputs), LIMITS)) == {"a": [0.0, 0.0], "b": ["", ""], "c": [0, 0], "y": [0.5]}


def test_floats_that_are_not_packed_are_read_alike() -> None:
    body = proto(1, [2]) + b"".join(b"\x2d" + raw("FP32", [value]) for value in (1.5, 2.5))
    assert columns(decode(call({"v": body}), LIMITS))["v"] == [1.5, 2.5]


def test_a_scalar_is_one_row() -> None:
    assert columns(decode(call({"v": proto(1, [], **values_of(1, [2.5]))}), LIMITS))["v"] == [2.5]


def test_the_answer_names_model_and_version_else_the_request_does() -> None:
    outcomes: list[Outcome] = [decode(call({}, *names), LIMITS) for names in (("n", 2, "m"), ("", None, "m"))]
    assert [(o.model, o.version) for o in outcomes if isinstance(o, Decoded)] == [("n", "2"), ("m", "")]


def test_what_can_be_no_column_is_a_hole() -> None:
    outcome = decode(call({"a": proto(8, [1]), "b": proto(1, [1])}), LIMITS)
    assert isinstance(outcome, Decoded)
    assert (outcome.holes, [tensor.name for tensor in outcome.inputs]) == (1, ["b"])
    nothing = pb.PredictResponse(outputs={"y": proto(20, [1])}).SerializeToString()
    asked = pb.PredictRequest(model_spec=spec("m", 1)).SerializeToString()
    assert decode(grpc_build.exchange(asked, nothing, target=PREDICT), LIMITS) == Unobservable(
        "m", "1", "opaque_body"
    )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\xff", "bad_message"),
        (proto(0, [1]), "bad_tensor"),
        (proto(101, [1]), "bad_tensor"),
        (proto(-1, [1]), "bad_tensor"),
        (proto(1, [-1]), "bad_tensor"),
        (proto(1, [1] * 33), "bad_tensor"),
        (proto(1, [1], tensor_content=b"12345"), "bad_tensor"),
        (proto(1, [2**31], tensor_content=b"1234"), "bad_tensor"),
        (proto(1, [1], **values_of(1, [1.0, 2.0])), "bad_tensor"),
        (proto(6, [1], int_val=[128]), "bad_tensor"),
        (proto(19, [1], half_val=[65536]), "bad_tensor"),
        (proto(7, [1], string_val=[b"a", b"b"]), "bad_tensor"),
        (proto(7, [1], tensor_content=b"\x01a"), "bad_tensor"),
        (proto(1, [2**31], **values_of(1, [1.0])), "too_large"),
        (proto(1, [2**62, 2**62]), "too_large"),
        (proto(7, [2**31], string_val=[b"a"]), "too_large"),
        (
            pb.TensorProto(dtype=1, tensor_shape=pb.TensorShapeProto(unknown_rank=True)).SerializeToString(),
            "bad_tensor",
        ),
    ],
)
def test_a_tensor_that_lies_is_undecodable(body: bytes, reason: str) -> None:
    assert decode(call({"x": body}), LIMITS) == Undecodable("m", "3", reason)  # type: ignore[arg-type]


def test_repeated_values_share_one_bound() -> None:
    inputs = {f"x{number}": proto(1, [1_000_000]) for number in range(5)}
    assert decode(call(inputs), LIMITS) == Undecodable("m", "3", "too_large")


def test_millions_of_small_values_are_refused_unread() -> None:
    body = pb.TensorProto(dtype=9, int64_val=range(100)).SerializeToString()
    assert isinstance(decode(call({"x": body + proto(9, [100])}), LIMITS), Decoded)
    many = proto(7, [2_000_000]) + b"\x42\x00" * 2_000_000
    request = pb.PredictRequest(inputs={"x": many}).SerializeToString()
    whole = call({})
    whole.request_headers = {b"grpc-encoding": b"gzip"}
    whole.request_body = framed(request, b"gzip")
    assert decode(whole, LIMITS) == Undecodable("m", "3", "too_large")
