"""A model of many columns, each a tensor of its own: four of five numeric, every fifth categorical."""

from __future__ import annotations

import json
import random
import socket
from pathlib import Path
from typing import Any, BinaryIO

from bench.processes import BenchError
from bench.servers.sidecar import Books, Sidecar, build_baseline

PORTION = 100
"""Rows sent without a pause: 100 of 100 columns are 0.8 MB, a tenth of the ring."""

AIRPORTS = tuple(f"{a}{b}{c}" for a in "ABCDE" for b in "AEIOU" for c in "LMNR")
"""100 categories, of which the first are common (Zipf)."""

_WEIGHTS = [1 / (rank + 1) for rank in range(len(AIRPORTS))]


def categorical(column: int) -> bool:
    """Whether column number *column* holds text."""
    return column % 5 == 4


def rows(count: int, columns: int, seed: int) -> list[list[float | str]]:
    """*count* rows of *columns* values."""
    draw = random.Random(seed)
    texts = draw.choices(AIRPORTS, _WEIGHTS, k=count * (columns // 5))
    return [
        [
            texts.pop() if categorical(column) else round(draw.lognormvariate(0.1 * (column % 20), 0.5), 4)
            for column in range(columns)
        ]
        for _ in range(count)
    ]


def names(columns: int) -> list[str]:
    """The columns' names."""
    return [f"feature_{column:03}" for column in range(columns)]


def model(directory: Path, columns: int) -> dict[str, Any]:
    """The model's configuration, with a baseline of 5,000 rows."""
    header = [*names(columns), "score"]
    lines = [",".join(map(str, [*row, 0.25])) for row in rows(5_000, columns, seed=1)]
    return {"name": "bench", "baseline": str(build_baseline(directory, f"wide-{columns}", header, lines))}


def bodies(count: int, columns: int) -> list[bytes]:
    """*count* requests of one row in KServe v2 JSON."""
    return [
        json.dumps(
            {
                "inputs": [
                    {
                        "name": name,
                        "shape": [1, 1],
                        "datatype": "FP64" if isinstance(value, float) else "BYTES",
                        "data": [value],
                    }
                    for name, value in zip(names(columns), row, strict=True)
                ]
            }
        ).encode()
        for row in rows(count, columns, seed=2)
    ]


def send(sidecar: Sidecar, requests: list[bytes], times: int) -> Books:
    """Send each of *requests* *times* times, in portions that the ring holds; the books afterwards.

    Raises `BenchError` unless every row was recorded.
    """
    before = sidecar.books()
    with socket.create_connection(("127.0.0.1", sidecar.port), timeout=10) as connection:
        reader = connection.makefile("rb")
        for _ in range(times):
            for start in range(0, len(requests), PORTION):
                for body in requests[start : start + PORTION]:
                    _exchange(connection, reader, body)
                books = sidecar.books().since(before)
    if books.recorded != len(requests) * times:
        raise BenchError(f"of {len(requests) * times} rows {books.recorded} were recorded: {books}")
    return books


def _exchange(connection: socket.socket, reader: BinaryIO, body: bytes) -> None:
    head = (
        "POST /v2/models/bench/infer HTTP/1.1\r\nHost: bench\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection.sendall(head.encode() + body)
    status, length = reader.readline(), 0
    if b" 200 " not in status:
        raise BenchError(f"the model answered {status!r}")
    while (line := reader.readline()) != b"\r\n":
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    reader.read(length)
