"""gRPC exchanges and messages as clients and servers would make them; KServe's by the messages of tritonclient."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

from tritonclient.grpc import service_pb2 as oip

from exporter.schema import Configuration
from sidecar.decode import Decoded, Inference, Outcome, decode_message
from sidecar.decode.batch import Batcher
from sidecar.exchange import Exchange, Message
from tests.decode.build import gzipped, raw

INFER = b"/inference.GRPCInferenceService/ModelInfer"
STREAM = b"/inference.GRPCInferenceService/ModelStreamInfer"
OK = {b"grpc-status": b"0"}

CONTENTS = {
    "BOOL": "bool_contents", "INT8": "int_contents", "INT16": "int_contents", "INT32": "int_contents",
    "INT64": "int64_contents", "UINT8": "uint_contents", "UINT16": "uint_contents", "UINT32": "uint_contents",
    "UINT64": "uint64_contents", "FP32": "fp32_contents", "FP64": "fp64_contents", "BYTES": "bytes_contents",
}  # fmt: skip


def framed(message: bytes, coding: bytes | None = None) -> bytes:
    """One message in its frame."""
    if coding is not None:
        message = gzipped(message) if coding == b"gzip" else zlib.compress(message)
    return struct.pack(">BI", coding is not None, len(message)) + message


def exchange(
    request: bytes,
    answer: bytes,
    *,
    target: bytes = INFER,
    coding: bytes | None = None,
    trailers: Mapping[bytes, bytes] = OK,
    **others: Any,
) -> Exchange:
    """An answered unary call."""
    headers = {b"content-type": b"application/grpc"} | ({} if coding is None else {b"grpc-encoding": coding})
    settings: dict[str, Any] = {"status": 200, "started": 1, "answered": 2, "ended": 3} | others
    return Exchange(
        "grpc", b"POST", target, headers, framed(request, coding), response_headers=headers,
        response_body=framed(answer, coding), trailers=trailers, **settings,
    )  # fmt: skip


def tensor(
    kind: Any, name: str, datatype: str, shape: Sequence[int], contents: Sequence[Any] = (), shared: str = ""
) -> Any:
    """A tensor; *kind* is that of requests or of answers."""
    built = kind(name=name, datatype=datatype, shape=shape)
    if contents:
        values = [value.encode() for value in contents] if datatype == "BYTES" else contents
        getattr(built.contents, CONTENTS[datatype]).extend(values)
    if shared:
        built.parameters["shared_memory_region"].string_param = shared
    return built


def tensor_in(*arguments: Any, **others: Any) -> Any:
    return tensor(oip.ModelInferRequest.InferInputTensor, *arguments, **others)


def tensor_out(*arguments: Any, **others: Any) -> Any:
    return tensor(oip.ModelInferResponse.InferOutputTensor, *arguments, **others)


def request(inputs: Sequence[Any] = (), raws: Sequence[bytes] = (), **others: Any) -> bytes:
    named = {"model_name": "m"} | others
    return bytes(oip.ModelInferRequest(inputs=inputs, raw_input_contents=raws, **named).SerializeToString())


def answered(outputs: Sequence[Any] = (), raws: Sequence[bytes] = (), **others: Any) -> Any:
    named = {"model_name": "m", "model_version": "1"} | others
    return oip.ModelInferResponse(outputs=outputs, raw_output_contents=raws, **named)


def answer(*arguments: Any, **others: Any) -> bytes:
    return bytes(answered(*arguments, **others).SerializeToString())


REQUEST = request([tensor_in("x", "FP32", [1, 2])], [raw("FP32", [1.5, 2.5])])
ANSWER = answer([tensor_out("y", "FP32", [1])], [raw("FP32", [0.5])])


def columns(*outcomes: Outcome) -> dict[str, list[Any]]:
    """Every column of *outcomes*, by name; predictions too."""
    batcher = Batcher(Configuration())
    for outcome in outcomes:
        assert isinstance(outcome, Decoded), outcome
        batcher.add(outcome, 0.0)
    found: dict[str, list[Any]] = {}
    for rows in batcher.flush():
        for name, values in rows.columns.items():
            plain = values if isinstance(values, list) else values.tolist()
            found.setdefault(name, []).extend(
                value.decode() if isinstance(value, bytes) else value for value in plain
            )
    return found


class Talk:
    """One stream under way; every message comes one nanosecond after the one before."""

    def __init__(self, limits: Any, **others: Any) -> None:
        self.limits = limits
        self.exchange = Exchange("grpc", b"POST", STREAM, streamed=True, **others)
        self.now = 0

    def say(self, direction: int, body: bytes, **others: Any) -> list[Inference]:
        self.now += 1
        settings: dict[str, Any] = {"size": len(body) + 5} | others
        return decode_message(Message(self.exchange, direction, body, self.now, **settings), self.limits)

    def ask(self, key: str, value: float = 1.0, **others: Any) -> list[Inference]:
        body = request([tensor_in("x", "FP32", [1])], [raw("FP32", [value])], id=key)
        return self.say(0, body, **others)

    def reply(
        self, key: str, value: float | None = None, final: bool | None = None, error: str = ""
    ) -> list[Inference]:
        outputs = [] if value is None else [tensor_out("y", "FP32", [1])]
        inner = answered(outputs, [] if value is None else [raw("FP32", [value])], id=key)
        if final is not None:
            inner.parameters["triton_final_response"].bool_param = final
        return self.say(
            1, oip.ModelStreamInferResponse(infer_response=inner, error_message=error).SerializeToString()
        )

    def end(self, status: bytes = b"0", **others: Any) -> Exchange:
        self.exchange.status = 200
        self.exchange.trailers = {b"grpc-status": status}
        self.exchange.ended = self.now + 1
        for name, value in others.items():
            setattr(self.exchange, name, value)
        return self.exchange
