"""Reading the copy: exchanges per second and core through the HTTP reader, the decoder and the batcher.

``python -m bench.wire [--json FILE] [--quick]``: made-up exchanges of 20 columns with other values in each,
and the exchange of a thousand flights that a real Triton answered (``tests/captures``). Three stages: *wire*
(both directions, one piece each), *decode* (tensors), *batch* (columns, flushed when due); each is measured
with those before it and told as the difference. Sketches are not in it: that is ``bench.values``.

A second is one of processor time of the whole process.
"""

from __future__ import annotations

import argparse
import gc
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from bench.tables import Table
from exporter.schema import Configuration
from sidecar.decode import Decoded, decode
from sidecar.decode.batch import Batcher
from sidecar.wire.http1 import Http1Connection

ROOT = Path(__file__).resolve().parents[1]
CAPTURE = ROOT / "tests" / "captures" / "triton-http-bin-batch1000.0"

SECONDS = 1.0
"""Processor time spent on each figure; a round over the exchanges may go past it."""
COLUMNS = 20

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
    "binary, 1,000 flights, 3 of 10 columns strings": (1000, flights),
}


def read(exchanges: Exchanges, stages: int) -> None:
    """Every exchange through the first *stages* stages."""
    configuration = Configuration()
    limits = configuration.limits
    connection = Http1Connection(limits.header_bytes, limits.body_bytes)
    batcher = Batcher(configuration)
    receive, add = connection.receive, batcher.add
    for now, (request, back) in enumerate(exchanges, 1):
        receive(0, request, now)
        for exchange in receive(1, back, now):
            if stages == 1:
                continue
            outcome = decode(exchange, limits)
            assert type(outcome) is Decoded, outcome
            if stages == 3 and add(outcome, 0.0):
                batcher.flush()
    batcher.flush()
    assert connection.finished == len(exchanges)


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
        spent = found["wire_us"], found["decode_us"], found["batch_us"]
        total = sum(spent)
        rows.append(
            (
                name,
                *(f"{us:.2f}" for us in spent),
                f"{1e6 / total:,.0f}",
                f"{1e6 * found['rows'] / total:,.0f}",
            )
        )
    header = ("exchange", "wire µs", "decode µs", "batch µs", "exchanges/s", "rows/s")
    yield Table("From bytes to columns, one core", header, rows).text()


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
        upto = [microseconds(exchanges, stages, seconds) for stages in (1, 2, 3)]
        result[name.strip()] = {
            "rows": rows,
            "wire_us": upto[0],
            "decode_us": upto[1] - upto[0],
            "batch_us": upto[2] - upto[1],
        }
    print("\n\n".join(tables(result)))
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
