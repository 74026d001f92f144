"""One request of every dialect, with other values each time, and its canned answer."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass

from tritonclient.grpc import service_pb2

SERVICE = "inference.GRPCInferenceService"
FEATURES = 8


@dataclass(frozen=True)
class Dialect:
    """How one kind of server is asked and answers."""

    name: str
    path: str
    content_type: str
    body: Callable[[random.Random], bytes]
    answer: bytes
    answer_type: str = "application/json"


def values(draw: random.Random) -> list[float]:
    """One row, log-normal, four digits."""
    return [round(draw.lognormvariate(0, 0.5), 4) for _ in range(FEATURES)]


def rows(draw: random.Random) -> list[list[float]]:
    """One to sixteen rows."""
    return [values(draw) for _ in range(draw.randint(1, 16))]


def _json(document: object) -> bytes:
    return json.dumps(document).encode()


def _records(draw: random.Random) -> list[dict[str, object]]:
    named = [{f"f{i}": value for i, value in enumerate(row)} for row in rows(draw)]
    return [{**row, "carrier": draw.choice(["UA", "AA", "DL", "B6"])} for row in named]


def _v2_json(draw: random.Random) -> bytes:
    table = rows(draw)
    flat = [value for row in table for value in row]
    tensor = {"name": "x", "shape": [len(table), FEATURES], "datatype": "FP32", "data": flat}
    return _json({"inputs": [tensor]})


def _csv(draw: random.Random) -> bytes:
    return "".join(",".join(map(str, row)) + "\n" for row in rows(draw)).encode()


def _seldon(draw: random.Random) -> bytes:
    return _json({"data": {"names": [f"f{i}" for i in range(FEATURES)], "ndarray": rows(draw)}})


def _chat(draw: random.Random) -> bytes:
    text = " ".join(draw.choice(["why", "is", "the", "flight", "late"]) for _ in range(draw.randint(3, 200)))
    return _json({"model": "chat", "messages": [{"role": "user", "content": text}], "max_tokens": 64})


V2_ANSWER = _json(
    {
        "model_name": "v2",
        "model_version": "1",
        "outputs": [{"name": "y", "shape": [1, 1], "datatype": "FP32", "data": [0.25]}],
    }
)
CHAT_ANSWER = _json(
    {
        "model": "chat",
        "choices": [
            {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "wind"}}
        ],
        "usage": {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15},
    }
)
EVENTS = b"".join(
    b"data: %b\n\n" % _json({"model_name": "gen", "model_version": "1", "text_output": text})
    for text in ("the", "the wind", "the wind was")
)

DIALECTS = (
    Dialect("KServe v2 JSON", "/v2/models/v2/infer", "application/json", _v2_json, V2_ANSWER),
    Dialect(
        "KServe v1",
        "/v1/models/v1:predict",
        "application/json",
        lambda draw: _json({"instances": _records(draw)}),
        b'{"predictions": [0.25]}',
    ),
    Dialect(
        "MLflow dataframe_split",
        "/invocations",
        "application/json",
        lambda draw: _json(
            {"dataframe_split": {"columns": [f"f{i}" for i in range(FEATURES)], "data": rows(draw)}}
        ),
        b'{"predictions": [0.25]}',
    ),
    Dialect(
        "SageMaker CSV", "/a/invocations", "text/csv", _csv, b"0.25\n", answer_type="text/csv; charset=utf-8"
    ),
    Dialect(
        "TorchServe",
        "/predictions/torch/1.0",
        "application/json",
        lambda draw: _json(_records(draw)),
        b'[{"late": 0.25, "on time": 0.75}]',
    ),
    Dialect(
        "Seldon v1",
        "/seldon/ns/wine/api/v1.0/predictions",
        "application/json",
        _seldon,
        b'{"data": {"names": ["p"], "ndarray": [[0.25]]}, "meta": {}}',
    ),
    Dialect(
        "Triton generate_stream",
        "/v2/models/gen/generate_stream",
        "application/json",
        lambda draw: _json({"text_input": "why " * draw.randint(1, 30), "stream": True}),
        EVENTS,
        answer_type="text/event-stream",
    ),
    Dialect("OpenAI chat", "/v1/chat/completions", "application/json", _chat, CHAT_ANSWER),
    Dialect(
        "unknown", "/whatever", "application/json", lambda draw: _json({"rows": rows(draw)}), b'{"ok": true}'
    ),
    Dialect(
        "large body",
        "/v2/models/image/infer",
        "application/octet-stream",
        lambda draw: draw.randbytes(600_000),
        V2_ANSWER,
    ),
)


def grpc_request(draw: random.Random) -> bytes:
    """A ModelInferRequest of a few rows."""
    table = rows(draw)
    request = service_pb2.ModelInferRequest(model_name="v2", id=str(draw.randint(0, 9)))
    tensor = request.inputs.add()
    tensor.name, tensor.datatype = "x", "FP32"
    tensor.shape.extend([len(table), FEATURES])
    flat = [value for row in table for value in row]
    request.raw_input_contents.append(struct.pack(f"<{len(flat)}f", *flat))
    return bytes(request.SerializeToString())


def _grpc_answer() -> service_pb2.ModelInferResponse:
    answer = service_pb2.ModelInferResponse(model_name="v2", model_version="1")
    output = answer.outputs.add()
    output.name, output.datatype = "y", "FP32"
    output.shape.extend([1, 1])
    answer.raw_output_contents.append(struct.pack("<f", 0.25))
    return answer


GRPC_ANSWER = bytes(_grpc_answer().SerializeToString())
GRPC_STREAM_ANSWER = bytes(
    service_pb2.ModelStreamInferResponse(infer_response=_grpc_answer()).SerializeToString()
)
