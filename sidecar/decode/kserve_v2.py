"""KServe v2, also called the Open Inference Protocol: JSON, and JSON with binary tensors behind it.

Source: triton-inference-server/server ``docs/protocol/extension_binary_data.md``. The header field
Inference-Header-Content-Length is read for the request and for the answer separately:

* absent: the body is JSON, every tensor's values are in it;
* N: the first N bytes (after the content coding is taken off) are JSON; behind them stand the raw values
  of those tensors that declare ``binary_data_size``, in the order of the JSON, without gaps;
* 0: the body is one raw tensor whose name, datatype and shape only the model's metadata tell: a hole.

Outputs asked for as classes are read by `sidecar.decode.classes`. MLServer's ``content_type`` parameters
(``pd``, ``np``, ``str``) and ``ce-*`` fields change nothing about where values are and are not read.
"""

from __future__ import annotations

from math import prod
from typing import Any

import msgspec

from exporter.schema import Limits
from sidecar.decode.classes import asked, classified
from sidecar.decode.content import read_json, request_content, response_content
from sidecar.decode.outcome import Decoded, DecodeError, Failed, Outcome, Undecodable, Unobservable
from sidecar.decode.route import Place
from sidecar.decode.tensor import DATATYPES, ITEM_BYTES, Tensor, flatten, split_bytes
from sidecar.exchange import Exchange


class _Request(msgspec.Struct, gc=False):
    inputs: list[Tensor]
    outputs: Any = None


class _Answer(msgspec.Struct, gc=False):
    outputs: list[Tensor] | None = None
    model_name: str | None = None
    model_version: str | int | None = None
    error: Any = None


_REQUEST = msgspec.json.Decoder(_Request)
_ANSWER = msgspec.json.Decoder(_Answer)
_RAW = -1
_JSON_LENGTH = b"inference-header-content-length"


def decode(exchange: Exchange, place: Place, limits: Limits) -> Outcome:
    """A successful answer of ``/v2/models/NAME[/versions/VERSION]/infer``; raises DecodeError."""
    inputs: list[Tensor] = []
    outputs: list[Tensor] = []
    model = place.model
    version = place.version
    raw = 0  # tensors without name, datatype and shape
    holes = 0  # tensors in shared memory

    body = response_content(exchange, limits)
    length = _json_length(exchange.response_headers.get(_JSON_LENGTH), body)
    if length == _RAW:
        raw += 1
    else:
        answer = read_json(_ANSWER, body if length == len(body) else body[:length], limits)
        if answer.error is not None:
            return Failed(model, version, "in_band")
        if answer.outputs is None:
            raise DecodeError("bad_json", "answer: expected `outputs`, got none")
        model = answer.model_name or model
        version = version if answer.model_version is None else str(answer.model_version) or version
        outputs = answer.outputs
        holes += _place(outputs, body, length)

    try:
        body = request_content(exchange, limits)
        length = _json_length(exchange.request_headers.get(_JSON_LENGTH), body)
        if length == _RAW:
            raw += 1
        else:
            request = read_json(_REQUEST, body if length == len(body) else body[:length], limits)
            inputs = request.inputs
            holes += _place(inputs, body, length)
            if request.outputs and (names := asked(request.outputs)):
                outputs = classified(outputs, names)
    except DecodeError as fault:
        return Undecodable(model, version, fault.reason)  # under the names that the answer told

    if holes:
        inputs = [tensor for tensor in inputs if tensor.data is not None]
        outputs = [tensor for tensor in outputs if tensor.data is not None]
    if holes + raw and not inputs and not outputs:
        return Unobservable(model, version, "shared_memory" if holes else "raw_tensor")
    rows = inputs[0].rows if inputs else outputs[0].rows if outputs else 0
    return Decoded(model, version, rows, inputs, outputs, holes + raw)


def _json_length(header: bytes | None, body: bytes) -> int:
    """How many of the *body*'s bytes are JSON, or `_RAW`."""
    if header is None:
        return len(body)
    # isdigit of bytes is ASCII only; 16 digits are more than any body
    if not header.isdigit() or len(header) > 16 or int(header) > len(body):
        raise DecodeError("bad_header", f"JSON length: expected at most {len(body)}, got {header!r}")
    return int(header) or _RAW


def _place(tensors: list[Tensor], body: bytes, position: int) -> int:
    """Give each tensor its data, flat or raw, and None where they are in shared memory; returns how many are.

    *position* is where the JSON ended in *body*. Raises DecodeError.
    """
    holes = 0
    for tensor in tensors:
        if tensor.datatype not in DATATYPES:
            raise _fault(tensor, f"datatype: {tensor.datatype!r} is none")
        count = prod(tensor.shape)
        parameters = tensor.parameters
        if parameters is not None:
            if parameters.shared_memory_region is not None:
                tensor.data = None
                holes += 1
                continue
            size = parameters.binary_data_size
            if size is not None:
                if not 0 <= size <= len(body) - position:
                    raise _fault(tensor, f"header promises {size} bytes, {len(body) - position} follow")
                _take_raw(tensor, count, body[position : position + size])
                position += size
                continue
        data = tensor.data
        if type(data) is not list:
            if count != 1 or data is None or type(data) is dict:
                raise _fault(tensor, "data: expected a list")
            tensor.data = data = [data]  # MLServer lets a single value stand by itself
        elif data and type(data[0]) is list:
            data = flatten(data)
            if data is None:
                raise _fault(tensor, "data: lists and scalars are mixed")
            tensor.data = data
        if len(data) != count:
            raise _fault(tensor, f"data: expected {count} elements, got {len(data)}")
    if position != len(body):
        raise DecodeError("bad_tensor", f"{len(body) - position} bytes behind the last binary tensor")
    return holes


def _take_raw(tensor: Tensor, count: int, raw: bytes) -> None:
    """Make *raw* the data of *tensor*, which promises *count* elements; raises DecodeError."""
    if tensor.datatype == "BYTES":
        elements = split_bytes(raw)
        if elements is None or len(elements) != count:
            raise _fault(tensor, f"expected {count} elements in {len(raw)} bytes")
        tensor.data = elements
    else:
        if len(raw) != count * ITEM_BYTES[tensor.datatype]:
            size = count * ITEM_BYTES[tensor.datatype]
            raise _fault(tensor, f"expected {size} bytes, header promises {len(raw)}")
        tensor.data = raw


def _fault(tensor: Tensor, what: str) -> DecodeError:
    return DecodeError("bad_tensor", f"tensor {tensor.name!r} {list(tensor.shape)}: {what}")
