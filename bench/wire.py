"""Reading the copy: exchanges per second and core from the bytes to the profiles.

``python -m bench.wire [--json FILE] [--quick]``: made-up exchanges of 20 columns with other values in each,
and the exchange of a thousand flights that a real Triton answered (``tests/captures``). Four stages: *wire*
(both directions, one piece each), *decode* (tensors), *batch* (columns, flushed when due), *profile* (bins,
moments, sketches of 21 columns, without a baseline); each is measured with those before it and told as the
difference. What is not in it: the ring, the books, the traffic, scrapes. Over gRPC the header blocks are
those of a client that keeps its table, as all do. A stream is one exchange: its lines count messages.

A second is one of processor time of the whole process.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import hpack
import numpy as np
from tritonclient.grpc import service_pb2

from bench.clients import DATA, END_HEADERS, END_STREAM, HEADERS, OPENING, frame
from bench.dialects import SERVICE
from bench.tables import Table
from exporter.monitor import Monitor
from exporter.schema import Configuration
from sidecar.decode import Decoded, decode, decode_message, finish, is_stream
from sidecar.decode.batch import Batcher
from sidecar.exchange import Message
from sidecar.wire.http1 import Http1Connection
from sidecar.wire.http2 import Http2Connection

ROOT = Path(__file__).resolve().parents[1]
CAPTURE = ROOT / "tests" / "captures" / "triton-http-bin-batch1000.0"

SECONDS = 1.0
"""Processor time spent on each figure; a round over the exchanges may go past it."""
COLUMNS = 20

STAGES = ("wire", "decode", "batch", "profile")

Exchanges = Sequence[tuple[bytes, bytes]]

REQUEST = (
    b"POST /v2/models/late_arrival/infer HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n"
    b"User-Agent: python-requests/2.34.2\r\n"
    b"Accept-Encoding: gzip, deflate, br\r\nAccept: */*\r\nConnection: keep-alive\r\n%s"
    b"Content-Type: application/json\r\n"
)
ANSWER = (
    b"HTTP/1.1 200 OK\r\ndate: Fri, 20 Nov 2026 22:29:05 GMT\r\nserver: uvicorn\r\n"
    b"content-type: application/json\r\n"
)


def message(head: bytes, body: bytes, *, chunks: bool = False) -> bytes:
    """A message of known length, or in two chunks."""
    if not chunks:
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    half = len(body) // 2
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (body[:half], body[half:]))
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + pieces + b"0\r\n\r\n"


def answer(rows: int, generator: np.random.Generator) -> dict[str, Any]:
    """What a classifier answers, as JSON."""
    data = generator.random(rows).round(6).tolist()
    return {
        "model_name": "late_arrival",
        "model_version": "1",
        "outputs": [{"name": "prob_late", "datatype": "FP32", "shape": [rows, 1], "data": data}],
    }


def json_exchanges(
    rows: int, tensors: int, *, count: int = 2000, traced: bool = False, chunks: bool = False
) -> Exchanges:
    """KServe v2 JSON: 20 columns in one tensor or in 20; *traced*: every request has a header of its own."""
    generator = np.random.default_rng(1)
    made = []
    for number in range(count):
        values = generator.normal(100, 40, (rows, COLUMNS)).round(2)
        width = COLUMNS // tensors
        inputs = [
            {
                "name": f"input_{tensor}",
                "shape": [rows, width],
                "datatype": "FP32",
                "data": values[:, tensor * width : (tensor + 1) * width].ravel().tolist(),
            }
            for tensor in range(tensors)
        ]
        trace = b"traceparent: 00-%032x-%016x-01\r\n" % (number, number) if traced else b""
        request = message(REQUEST % trace, json.dumps({"inputs": inputs}).encode(), chunks=chunks)
        made.append((request, message(ANSWER, json.dumps(answer(rows, generator)).encode(), chunks=chunks)))
    return made


def binary_exchanges(rows: int, tensors: int, *, count: int) -> Exchanges:
    """KServe v2 with binary tensors both ways."""
    generator = np.random.default_rng(1)
    width = COLUMNS // tensors
    made = []
    for _ in range(count):
        values = generator.normal(100, 40, (tensors, rows, width)).astype("<f4")
        size = values[0].nbytes
        inputs = [
            {
                "name": f"input_{tensor}",
                "shape": [rows, width],
                "datatype": "FP32",
                "parameters": {"binary_data_size": size},
            }
            for tensor in range(tensors)
        ]
        text = json.dumps({"inputs": inputs}).encode()
        head = REQUEST % b"" + b"Inference-Header-Content-Length: %d\r\n" % len(text)
        told = answer(rows, generator)
        data = np.array(told["outputs"][0].pop("data"), "<f4").tobytes()
        told["outputs"][0]["parameters"] = {"binary_data_size": len(data)}
        back = json.dumps(told).encode()
        answer_head = ANSWER + b"Inference-Header-Content-Length: %d\r\n" % len(back)
        made.append((message(head, text + values.tobytes()), message(answer_head, back + data)))
    return made


def grpc_messages(
    tensors: int, generator: np.random.Generator
) -> tuple[bytes, service_pb2.ModelInferResponse]:
    """A request of 20 FP32 values in *tensors* tensors, as a message, and an answer of one."""
    request = service_pb2.ModelInferRequest(model_name="late_arrival")
    values = generator.normal(100, 40, (tensors, COLUMNS // tensors)).astype("<f4")
    for number, row in enumerate(values):
        tensor = request.inputs.add(name=f"input_{number}", datatype="FP32")
        tensor.shape.extend([1, len(row)])
        request.raw_input_contents.append(row.tobytes())
    answer = service_pb2.ModelInferResponse(model_name="late_arrival", model_version="1")
    answer.outputs.add(name="prob_late", datatype="FP32").shape.extend([1, 1])
    answer.raw_output_contents.append(struct.pack("<f", generator.random()))
    return prefixed(request.SerializeToString()), answer


def prefixed(body: bytes) -> bytes:
    """A message of gRPC, not compressed."""
    return struct.pack(">BI", 0, len(body)) + body


class Blocks:
    """Header blocks of one connection, by encoders that keep their tables."""

    def __init__(self, method: str) -> None:
        self._client, self._server = hpack.Encoder(), hpack.Encoder()
        self._asked = [
            *((":method", "POST"), (":scheme", "http"), (":path", f"/{SERVICE}/{method}")),
            *((":authority", "127.0.0.1:8001"), ("te", "trailers"), ("content-type", "application/grpc")),
            *(("user-agent", "grpc-python/1.82.0 grpc-c/54.0.0"), ("grpc-accept-encoding", "identity, gzip")),
        ]

    def begin(self, stream: int, trace: str = "") -> tuple[bytes, bytes]:
        """HEADERS of a request, with a trace id or none, and of its answer."""
        more = [("traceparent", trace)] if trace else []
        asked = frame(HEADERS, END_HEADERS, stream, self._client.encode([*self._asked, *more]))
        told = self._server.encode([(":status", "200"), ("content-type", "application/grpc")])
        return (OPENING if stream == 1 else b"") + asked, frame(HEADERS, END_HEADERS, stream, told)

    def end(self, stream: int) -> bytes:
        """Trailers."""
        told = self._server.encode([("grpc-status", "0"), ("grpc-message", "")])
        return frame(HEADERS, END_HEADERS | END_STREAM, stream, told)


def grpc_exchanges(tensors: int, *, count: int = 2000, traced: bool = False) -> Exchanges:
    """Unary calls on one connection."""
    generator, blocks, made = np.random.default_rng(1), Blocks("ModelInfer"), []
    for number in range(count):
        stream = 2 * number + 1
        trace = f"00-{number:032x}-{number:016x}-01" if traced else ""
        asked, told = blocks.begin(stream, trace)
        body, answered = grpc_messages(tensors, generator)
        back = frame(DATA, 0, stream, prefixed(answered.SerializeToString()))
        made.append((asked + frame(DATA, END_STREAM, stream, body), told + back + blocks.end(stream)))
    return made


def stream_exchanges(tensors: int, *, count: int = 2000) -> Exchanges:
    """Messages and answers of one stream; with the last it ends."""
    generator, blocks, made = np.random.default_rng(1), Blocks("ModelStreamInfer"), []
    asked, told = blocks.begin(1)
    for number in range(count):
        body, answered = grpc_messages(tensors, generator)
        last = number == count - 1
        back = service_pb2.ModelStreamInferResponse(infer_response=answered).SerializeToString()
        asked += frame(DATA, END_STREAM if last else 0, 1, body)
        told += frame(DATA, 0, 1, prefixed(back)) + (blocks.end(1) if last else b"")
        made.append((asked, told))
        asked, told = b"", b""
    return made


def flights() -> Exchanges:
    """What a real client and a real Triton sent: ten inputs, three of them strings, two outputs."""
    return [(Path(f"{CAPTURE}.c2s.bin").read_bytes(), Path(f"{CAPTURE}.s2c.bin").read_bytes())]


CASES: dict[str, tuple[int, Callable[[], Exchanges]]] = {
    "JSON, 1 row × 20 columns, one tensor": (1, lambda: json_exchanges(1, 1)),
    "  the same, a new trace header in each request": (1, lambda: json_exchanges(1, 1, traced=True)),
    "  the same, chunked both ways": (1, lambda: json_exchanges(1, 1, chunks=True)),
    "JSON, 1 row × 20 columns, 20 tensors": (1, lambda: json_exchanges(1, 20)),
    "JSON, 100 rows × 20 columns, one tensor": (100, lambda: json_exchanges(100, 1, count=50)),
    "binary, 1 row × 20 columns, one tensor": (1, lambda: binary_exchanges(1, 1, count=2000)),
    "binary, 1,000 rows × 20 columns, one tensor": (1000, lambda: binary_exchanges(1000, 1, count=20)),
    "binary, 1,000 rows × 20 columns, 20 tensors": (1000, lambda: binary_exchanges(1000, 20, count=20)),
    "gRPC, 1 row × 20 columns, one tensor": (1, lambda: grpc_exchanges(1)),
    "  the same, a new trace header in each call": (1, lambda: grpc_exchanges(1, traced=True)),
    "gRPC, 1 row × 20 columns, 10 tensors": (1, lambda: grpc_exchanges(10)),
    "gRPC stream, 1 row × 20 columns, one tensor": (1, lambda: stream_exchanges(1)),
    "binary, 1,000 flights, 3 of 10 columns strings": (1000, flights),
}


def read(exchanges: Exchanges, stages: int) -> None:
    """Every exchange through the first *stages* stages."""
    configuration = Configuration()
    limits = configuration.limits
    connection: Http1Connection | Http2Connection
    if exchanges[0][0].startswith(b"PRI"):
        connection = Http2Connection(limits.header_bytes, limits.body_bytes, streaming=is_stream)
    else:
        connection = Http1Connection(limits.header_bytes, limits.body_bytes)
    monitor = Monitor(configuration, {}, 0.0, 0.0)
    batcher = Batcher(configuration, monitor.known_columns)
    receive, add = connection.receive, batcher.add

    def flush() -> None:
        for rows in batcher.flush():
            if stages == 4:
                monitor.record(rows)

    for now, (request, back) in enumerate(exchanges, 1):
        asked = receive(0, request, now)
        told = receive(1, back, now)
        for item in (*asked, *told) if asked else told:
            if stages == 1:
                continue
            if type(item) is Message:
                outcomes = [inference.outcome for inference in decode_message(item, limits)]
            else:
                outcomes = [finish(item)[0] if item.streamed else decode(item, limits)]
            for outcome in outcomes:
                assert type(outcome) is Decoded, outcome
                if stages > 2 and (outcome.inputs or outcome.outputs) and add(outcome, 0.0):
                    flush()
    flush()
    assert connection.begun == connection.finished > 0


def microseconds(exchanges: Exchanges, stages: int, seconds: float) -> float:
    """Processor time of one exchange: the best of five rounds, as other work on the machine only adds."""
    repeated = list(itertools.islice(itertools.cycle(exchanges), max(len(exchanges), 200)))
    read(repeated, stages)
    best = float("inf")
    gc.collect()
    for _ in range(5):
        count = 0
        begun = process_time()
        while (spent := process_time() - begun) < seconds / 5:
            read(repeated, stages)
            count += len(repeated)
        best = min(best, spent / count)
    return 1e6 * best


def tables(result: dict[str, dict[str, float]]) -> Iterator[str]:
    """What was found, for people."""
    rows = []
    for name, found in result.items():
        spent = tuple(found[f"{stage}_us"] for stage in STAGES)
        total = sum(spent)
        rows.append(
            (
                name,
                *(f"{us:.2f}" for us in spent),
                f"{1e6 / total:,.0f}",
                f"{1e6 * found['rows'] / total:,.0f}",
            )
        )
    header = ("exchange", *(f"{stage} µs" for stage in STAGES), "exchanges/s", "rows/s")
    yield Table("From bytes to profiles, one core", header, rows).text()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file, too")
    parser.add_argument("--quick", action="store_true", help="a fifth of the time for each figure")
    arguments = parser.parse_args()
    seconds = SECONDS / 5 if arguments.quick else SECONDS
    result: dict[str, dict[str, float]] = {}
    for name, (rows, make) in CASES.items():
        exchanges = make()
        upto = [0.0, *(microseconds(exchanges, stages, seconds) for stages in (1, 2, 3, 4))]
        spent = {f"{stage}_us": upto[i + 1] - upto[i] for i, stage in enumerate(STAGES)}
        result[name.strip()] = {"rows": rows, **spent, "exchanges_per_core_second": 1e6 / upto[-1]}
    print("\n\n".join(tables(result)))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
