"""Exchanges as clients and servers would make them, written from the protocol's documents and not from our reader."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from sidecar.exchange import Exchange

NUMPY = {
    "BOOL": "?", "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8", "UINT8": "<u1", "UINT16": "<u2",
    "UINT32": "<u4", "UINT64": "<u8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip

V2 = b"/v2/models/m/infer"
V1 = b"/v1/models/m:predict"
JSON_LENGTH = b"inference-header-content-length"


def raw(datatype: str, values: Iterable[Any]) -> bytes:
    """Values as a binary tensor."""
    if datatype == "BYTES":
        encoded = [value if isinstance(value, bytes) else str(value).encode() for value in values]
        return b"".join(struct.pack("<I", len(value)) + value for value in encoded)
    if datatype == "BF16":
        return (np.array(list(values), "<f4").view("<u4") >> 16).astype("<u2").tobytes()
    return np.array(list(values), NUMPY[datatype]).tobytes()


def tensor(
    name: str, datatype: str, shape: Sequence[int], data: Any = None, **parameters: Any
) -> dict[str, Any]:
    """One tensor of a JSON body."""
    built: dict[str, Any] = {"name": name, "shape": list(shape), "datatype": datatype}
    if data is not None:
        built["data"] = data
    if parameters:
        built["parameters"] = parameters
    return built


def message(field: str, tensors: Sequence[Any], **others: Any) -> bytes:
    """A JSON body whose tensors stand under *field*."""
    return json.dumps({**others, field: tensors}).encode()


def mixed(
    field: str, tensors: Sequence[tuple[dict[str, Any], bytes | None]], **others: Any
) -> tuple[bytes, int]:
    """A JSON body with raw tensors behind it, and the length of its JSON."""
    for declared, data in tensors:
        if data is not None:
            declared.setdefault("parameters", {})["binary_data_size"] = len(data)
    text = message(field, [declared for declared, _ in tensors], **others)
    return text + b"".join(data for _, data in tensors if data is not None), len(text)


ANSWER = message("outputs", [tensor("y", "FP32", [1], [0.5])], model_name="m", model_version="1")
REQUEST = message("inputs", [tensor("x", "FP32", [1, 2], [1.5, 2.5])])


def exchange(
    request: bytes = REQUEST,
    answer: bytes = ANSWER,
    *,
    target: bytes = V2,
    method: bytes = b"POST",
    status: int = 200,
    request_headers: Mapping[bytes, bytes] | None = None,
    response_headers: Mapping[bytes, bytes] | None = None,
    **others: Any,
) -> Exchange:
    """An answered inference."""
    return Exchange(
        "http",
        method,
        target,
        request_headers or {},
        request,
        status,
        response_headers or {},
        answer,
        started=1,
        answered=2,
        ended=3,
        **others,
    )


def with_json_length(length: int) -> dict[bytes, bytes]:
    """The header field of the binary extension."""
    return {JSON_LENGTH: b"%d" % length}


def gzipped(data: bytes) -> bytes:
    """*data* as one gzip member."""
    compressor = zlib.compressobj(wbits=31)
    return compressor.compress(data) + compressor.flush()
