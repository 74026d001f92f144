"""TensorFlow Serving's Predict over gRPC.

A tensor's values are in ``tensor_content``, raw and little-endian; or in the field of its datatype
(``float_val``; ``int_val`` for INT8 to INT32, UINT8 and UINT16; ``half_val`` for the bits of both 16-bit
floats; …), where fewer values than elements mean that the last one is repeated, and none that all are zero.
Quantized types are read as the integers they are. Complex numbers, resources and variants are no columns:
holes.

Source: tensorflow/tensorflow ``tensorflow/core/framework/{tensor,types}.proto`` and ``tensor.cc``
(FromProtoField); tensorflow/serving ``tensorflow_serving/apis/predict.proto``.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from math import prod
from typing import Any

from exporter.schema import Limits
from sidecar.decode.grpc import check_converted, first_fields, parse, request_message, response_message, text
from sidecar.decode.kserve_grpc import MOST_DIMENSIONS, outcome
from sidecar.decode.outcome import DecodeError, Outcome, Undecodable
from sidecar.decode.proto import tfserving_pb2 as pb
from sidecar.decode.tensor import ITEM_BYTES, Tensor
from sidecar.exchange import Exchange

_STRING = 7

TYPES: dict[int, tuple[str, str, str]] = {
    1: ("FP32", "float_val", "f"),
    2: ("FP64", "double_val", "d"),
    3: ("INT32", "int_val", "i"),
    4: ("UINT8", "int_val", "B"),
    5: ("INT16", "int_val", "h"),
    6: ("INT8", "int_val", "b"),
    _STRING: ("BYTES", "string_val", ""),
    9: ("INT64", "int64_val", "q"),
    10: ("BOOL", "bool_val", "B"),
    11: ("INT8", "int_val", "b"),  # QINT8, and so on
    12: ("UINT8", "int_val", "B"),
    13: ("INT32", "int_val", "i"),
    14: ("BF16", "half_val", "H"),
    15: ("INT16", "int_val", "h"),
    16: ("UINT16", "int_val", "H"),
    17: ("UINT16", "int_val", "H"),
    19: ("FP16", "half_val", "H"),
    22: ("UINT32", "uint32_val", "I"),
    23: ("UINT64", "uint64_val", "Q"),
}
"""TensorFlow's enum DataType → ours, the field that holds its values, and the code of `array` for them."""

_HOLES: frozenset[int] = frozenset({8, 18, 20, 21})
# COMPLEX64, COMPLEX128, RESOURCE, VARIANT.

_RAW_FIELDS: frozenset[int] = frozenset({4, 5, 6, 11})
# Of a TensorProto: tensor_content, float_val, double_val, bool_val.


def read(exchange: Exchange, limits: Limits) -> Outcome:
    """A successful call of Predict; raises DecodeError."""
    answer = parse(pb.PredictResponse, response_message(exchange, limits))
    model, version = _spec(answer.model_spec)
    try:
        request = parse(pb.PredictRequest, request_message(exchange, limits))
        asked, wanted = _spec(request.model_spec)
        model = model or asked
        version = version or wanted
        inputs, holes = _tensors(request.inputs, limits)
        outputs, more = _tensors(answer.outputs, limits)
    except DecodeError as fault:
        if not model:
            raise
        return Undecodable(model, version, fault.reason)  # under the names that the answer told
    return outcome(model, version, inputs, outputs, holes + more, "opaque_body")


def name(first: dict[int, int | bytes]) -> tuple[str, str]:
    """Model and version by a request's first fields."""
    spec = first.get(1)
    if not isinstance(spec, bytes):
        return "", ""
    named = first_fields(spec)
    version = named.get(2)
    if not isinstance(version, bytes):
        return text(named.get(1)), ""
    value = first_fields(version).get(1, 0)
    return text(named.get(1)), str(value) if isinstance(value, int) else ""


def _spec(spec: pb.ModelSpec) -> tuple[str, str]:
    return spec.name, str(spec.version.value) if spec.HasField("version") else ""


def _tensors(protos: Mapping[str, bytes], limits: Limits) -> tuple[list[Tensor], int]:
    """Tensors in order of their names (a map has no order of its own), and how many can be no columns."""
    tensors = []
    holes = 0
    budget = limits.inflated_bytes
    for key in sorted(protos):
        check_converted(protos[key], _RAW_FIELDS)
        proto = parse(pb.TensorProto, protos[key])
        if proto.dtype in _HOLES:
            holes += 1
            continue
        made = tensor(key, proto, budget)
        budget -= len(made.data) if isinstance(made.data, bytes) else 8 * len(made.data)
        tensors.append(made)
    return tensors, holes


def tensor(key: str, proto: pb.TensorProto, limit: int) -> Tensor:
    """One tensor, of at most *limit* bytes where a repeated value fills it; raises DecodeError.

    >>> four = pb.TensorShapeProto(dim=[pb.TensorShapeProto.Dim(size=4)])
    >>> tensor("x", pb.TensorProto(dtype=3, tensor_shape=four, int_val=[1, 2]), 100).data
    b'\\x01\\x00\\x00\\x00\\x02\\x00\\x00\\x00\\x02\\x00\\x00\\x00\\x02\\x00\\x00\\x00'
    """
    known = TYPES.get(proto.dtype)
    dimensions = proto.tensor_shape.dim
    if known is None or len(dimensions) > MOST_DIMENSIONS or proto.tensor_shape.unknown_rank:
        raise DecodeError("bad_tensor", f"tensor {key!r}: type {proto.dtype}, {len(dimensions)} dimensions")
    shape = tuple([dimension.size for dimension in dimensions])
    if shape and min(shape) < 0:
        raise DecodeError("bad_tensor", f"tensor {key!r}: shape {shape}")
    count = prod(shape)
    datatype, field, code = known
    if datatype == "BYTES":
        return Tensor(key, shape, datatype, _strings(key, proto, count, limit))
    size = count * ITEM_BYTES[datatype]
    data = proto.tensor_content
    if data:
        if len(data) != size:
            raise DecodeError("bad_tensor", f"tensor {key!r}: expected {size} bytes, got {len(data)}")
        return Tensor(key, shape, datatype, data)
    data = _values(key, proto, field, code)
    if len(data) != size:
        data = _filled(key, data, ITEM_BYTES[datatype], size, limit)
    return Tensor(key, shape, datatype, data)


def _values(key: str, proto: pb.TensorProto, field: str, code: str) -> bytes:
    """The values of a field, raw."""
    values: Any = getattr(proto, field)
    if field in ("float_val", "double_val", "bool_val"):
        data = b"".join(values[:])
        if data and len(data) % array(code).itemsize == 0 and (code != "B" or data.isascii()):
            return data
        # Not packed: protobuf keeps as unknown what is no bytes, and gives it back here.
        values = getattr(parse(pb.UnpackedTensorProto, proto.SerializeToString()), field)
    try:
        return array(code, values[:]).tobytes()
    except OverflowError:
        raise DecodeError("bad_tensor", f"tensor {key!r}: values beyond its type") from None


def _filled(key: str, data: bytes, item: int, size: int, limit: int) -> bytes:
    """*data* with its last item repeated up to *size* bytes; zeros if there is none."""
    if len(data) > size:
        raise DecodeError("bad_tensor", f"tensor {key!r}: expected {size} bytes, got {len(data)}")
    if size > limit:
        raise DecodeError("too_large", f"tensor {key!r}: expected at most {limit} bytes, got {size}")
    return data + (data[-item:] or bytes(item)) * ((size - len(data)) // item)


def _strings(key: str, proto: pb.TensorProto, count: int, limit: int) -> list[str] | list[bytes]:
    """The elements of a string tensor."""
    data = proto.string_val[:]
    if len(data) > count or proto.tensor_content:
        # tensor_content of strings is a form of its own (their lengths as varints, then all of them), which
        # TensorFlow's Python writes for none.
        raise DecodeError("bad_tensor", f"tensor {key!r}: expected {count} elements, got {len(data)}")
    if 8 * count > limit:
        raise DecodeError("too_large", f"tensor {key!r}: expected at most {limit // 8} elements, got {count}")
    if b"".join(data).isascii():
        texts = list(map(bytes.decode, data))
        return texts + [texts[-1] if texts else ""] * (count - len(texts))
    return data + [data[-1] if data else b""] * (count - len(data))
