"""KServe v2 over gRPC: ModelInfer, as KServe, Triton and MLServer speak it.

Source: kserve/open-inference-protocol ``specification/protocol/inference_grpc.md``. A tensor's values are

* in its own ``contents``, by the field of its datatype (INT8 and INT16 in ``int_contents``; FP16 and BF16
  have none);
* or, when the message has ``raw_input_contents`` (``raw_output_contents``), in those: one entry for each
  tensor in order, as in the binary extension, and then no tensor may have ``contents``;
* or in shared memory, as its parameter ``shared_memory_region`` says: a hole. An input in shared memory has
  no raw entry. Triton does not mark an output in shared memory: it has an empty entry, and the request has
  the parameter (triton-inference-server/server ``src/grpc/infer_handler.cc``, ResponseAllocatorHelper).

Memory: descriptions of tensors are remembered by their bytes, `_REMEMBERED` of at most `_LONGEST` bytes.
"""

from __future__ import annotations

from array import array
from math import prod
from typing import Any

import msgspec

from exporter.schema import Limits
from sidecar.decode.classes import CLASSIFICATION, classified
from sidecar.decode.grpc import (
    UNCOUNTED,
    check_converted,
    first_fields,
    parse,
    request_message,
    response_message,
    text,
)
from sidecar.decode.outcome import (
    Decoded,
    DecodeError,
    Outcome,
    Undecodable,
    Unobservable,
    UnobservableReason,
)
from sidecar.decode.proto import kserve_pb2 as pb
from sidecar.decode.tensor import DATATYPES, ITEM_BYTES, Tensor, split_bytes
from sidecar.exchange import Exchange

MOST_DIMENSIONS = 32

_REMEMBERED = 1_024
_LONGEST = 256

_BYTES_SIZE = -1

_INTEGERS: dict[str, tuple[str, str]] = {
    "INT8": ("int_contents", "b"),
    "INT16": ("int_contents", "h"),
    "INT32": ("int_contents", "i"),
    "INT64": ("int64_contents", "q"),
    "UINT8": ("uint_contents", "B"),
    "UINT16": ("uint_contents", "H"),
    "UINT32": ("uint_contents", "I"),
    "UINT64": ("uint64_contents", "Q"),
}
# Datatype → field, and the code of `array`, which refuses what does not fit. upb's repeated fields offer no
# buffer: of all ways to read one, a slice is the fastest, and NumPy takes no less than `array`.

_PACKED: dict[str, tuple[str, str]] = {
    "BOOL": ("bool_contents", "B"),
    "FP32": ("fp32_contents", "f"),
    "FP64": ("fp64_contents", "d"),
}
_RAW_CONTENTS = frozenset({1, 6, 7})
# The fields of those.


class Described(msgspec.Struct, frozen=True, gc=False):
    """A tensor without its data."""

    name: str
    shape: tuple[int, ...]
    datatype: str
    size: int
    """Bytes of its raw data; `_BYTES_SIZE` for BYTES, which tell it themselves."""
    count: int
    """Elements."""
    hole: bool = False
    """In shared memory."""
    data: Any = None
    """Its ``contents``, where it has them."""


_known: dict[bytes, Described] = {}


def read(exchange: Exchange, limits: Limits) -> Outcome:
    """A successful call of ModelInfer; raises DecodeError."""
    answer = parse(pb.ModelInferResponse, response_message(exchange, limits))
    model = answer.model_name
    version = answer.model_version
    try:
        request = parse(pb.ModelInferRequest, request_message(exchange, limits))
        model = model or request.model_name
        version = version or request.model_version
        inputs, holes = inputs_of(request)
        outputs, more = outputs_of(answer, request)
    except DecodeError as fault:
        if not model:
            raise
        return Undecodable(model, version, fault.reason)  # under the names that the answer told
    return outcome(model, version, inputs, outputs, holes + more)


def name(first: dict[int, int | bytes]) -> tuple[str, str]:
    """Model and version by a request's first fields."""
    return text(first.get(1)), text(first.get(2))


def outcome(
    model: str,
    version: str,
    inputs: list[Tensor],
    outputs: list[Tensor],
    holes: int,
    why: UnobservableReason = "shared_memory",
) -> Outcome:
    """Tensors of a successful inference, of which *holes* are missing for the reason *why*."""
    if holes and not inputs and not outputs:
        return Unobservable(model, version, why)
    rows = inputs[0].rows if inputs else outputs[0].rows if outputs else 0
    return Decoded(model, version, rows, inputs, outputs, holes)


def inputs_of(request: pb.ModelInferRequest) -> tuple[list[Tensor], int]:
    """The inputs, and how many more there are in shared memory; raises DecodeError."""
    # [:] and not list, which takes twice as long over fields of upb.
    return _tensors(request.inputs[:], request.raw_input_contents[:], None)


def outputs_of(
    answer: pb.ModelInferResponse, request: pb.ModelInferRequest | None
) -> tuple[list[Tensor], int]:
    """The outputs, and how many more there are in shared memory; raises DecodeError."""
    tensors, holes = _tensors(answer.outputs[:], answer.raw_output_contents[:], request)
    if request is not None:
        asked = request.outputs[:]
        if asked and any(b"classification" in output for output in asked):
            tensors = classified(tensors, _with_parameter(asked, CLASSIFICATION))
    return tensors, holes


def _tensors(
    descriptions: list[bytes], raw: list[bytes], request: pb.ModelInferRequest | None
) -> tuple[list[Tensor], int]:
    """Tensors with their data; *request* is what asked for them, if they are outputs."""
    tensors: list[Tensor] = []
    holes = 0
    position = 0
    entries = len(raw)
    for description in descriptions:
        known = _known.get(description)
        if known is None:
            known = described(description)
        if known.hole:
            holes += 1
            if request is not None and position < entries and not raw[position]:
                position += 1
            continue
        data = known.data
        if position < entries:
            if data is not None:
                raise _fault(known, "has contents, and the message raw contents")
            data = raw[position]
            position += 1
            if len(data) != known.size:
                if known.size == _BYTES_SIZE and (data or not known.count):
                    data = split_bytes(data)
                    if data is None or len(data) != known.count:
                        raise _fault(known, "raw contents hold other elements")
                elif not data and request is not None and known.name in _shared(request):
                    holes += 1
                    continue
                else:
                    raise _fault(known, f"{len(data)} bytes of raw contents")
        elif data is None:
            if entries or known.count:
                if not entries and request is not None and known.name in _shared(request):
                    holes += 1
                    continue
                raise _fault(known, "has no contents")
            data = [] if known.size == _BYTES_SIZE else b""
        tensors.append(Tensor(known.name, known.shape, known.datatype, data))
    if position != entries:
        raise DecodeError("bad_tensor", f"{entries - position} raw contents behind the last tensor's")
    return tensors, holes


def _shared(request: pb.ModelInferRequest) -> set[str]:
    """Outputs that *request* asks to be put into shared memory."""
    return _with_parameter(request.outputs[:], "shared_memory_region")


def _with_parameter(asked: list[bytes], parameter: str) -> set[str]:
    """Those of the outputs *asked* for that have *parameter*."""
    outputs = [parse(pb.RequestedOutput, output) for output in asked]
    return {output.name for output in outputs if parameter in output.parameters}


def described(description: bytes) -> Described:
    """What a tensor's message says, its contents included; raises DecodeError.

    >>> described(pb.Tensor(name="x", datatype="INT8", shape=[2, 3]).SerializeToString()).size
    6
    """
    if len(description) > UNCOUNTED:
        contents = first_fields(description).get(5)
        if isinstance(contents, bytes):
            check_converted(contents, _RAW_CONTENTS)
    tensor = parse(pb.Tensor, description)
    datatype = tensor.datatype
    dimensions = tensor.shape[: MOST_DIMENSIONS + 1]
    if datatype not in DATATYPES or len(dimensions) > MOST_DIMENSIONS:
        raise DecodeError(
            "bad_tensor", f"tensor {tensor.name!r}: {datatype!r}, {len(tensor.shape)} dimensions"
        )
    if dimensions and min(dimensions) < 0:
        raise DecodeError("bad_tensor", f"tensor {tensor.name!r}: shape {dimensions}")
    shape = tuple(dimensions)
    count = prod(shape)
    size = _BYTES_SIZE if datatype == "BYTES" else count * ITEM_BYTES[datatype]
    hole = b"shared_memory_region" in description and "shared_memory_region" in tensor.parameters
    data = None
    if tensor.HasField("contents") and not hole:
        data = _contents(tensor, datatype, count, description)
    known = Described(tensor.name, shape, datatype, size, count, hole, data)
    if data is None and len(description) <= _LONGEST:
        if len(_known) >= _REMEMBERED:
            _known.clear()
        _known[description] = known
    return known


def _contents(tensor: pb.Tensor, datatype: str, count: int, description: bytes) -> Any:
    """The *count* values of ``contents``, raw, or a list for BYTES; None where there are none."""
    contents = tensor.contents
    data: Any
    if datatype in _PACKED:
        field, code = _PACKED[datatype]
        data = b"".join(getattr(contents, field)[:])
        size = count * ITEM_BYTES[datatype]
        if len(data) != size or (datatype == "BOOL" and not data.isascii()):
            unpacked = getattr(parse(pb.UnpackedTensor, description).contents, field)
            data = array(code, unpacked[:]).tobytes()
        found = len(data)
    else:
        size = count
        if datatype == "BYTES":
            data = contents.bytes_contents[:]
            found = len(data)
            if b"".join(data).isascii():
                data = list(map(bytes.decode, data))
        elif datatype in _INTEGERS:
            field, code = _INTEGERS[datatype]
            values = getattr(contents, field)[:]
            found = len(values)
            try:
                data = array(code, values).tobytes()
            except OverflowError:
                raise DecodeError("bad_tensor", f"tensor {tensor.name!r}: beyond {datatype}") from None
        else:
            raise DecodeError("bad_tensor", f"tensor {tensor.name!r}: contents can not hold {datatype}")
    if not found:
        return None
    if found != size:
        raise DecodeError("bad_tensor", f"tensor {tensor.name!r}: expected {size}, got {found}")
    return data


def _fault(known: Described, what: str) -> DecodeError:
    return DecodeError("bad_tensor", f"tensor {known.name!r} {known.datatype} {list(known.shape)}: {what}")
