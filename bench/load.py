"""Load by wrk: one thread, a fixed number of connections, a fixed time; its figures as numbers.

`bench.h2` has load by h2load, `bench.clients` a constant rate and streams.

Bodies differ from request to request (`SMALL_BODIES` of them, in turn): with one body alone every sketch
would see one value and look faster than it is.
"""

from __future__ import annotations

import array
import itertools
import json
import random
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import BenchError
from bench.tools import find

FEATURES = 20
SMALL_BODIES = 1024

ANSWER = json.dumps(
    {
        "model_name": "bench",
        "model_version": "1",
        "outputs": [{"name": "score", "datatype": "FP32", "shape": [1, 1], "data": [0.25]}],
    }
)
"""A valid answer of one row; about 260 bytes with its head."""

BATCH = 1000
"""Rows of a batch request."""

IMAGE = (1, 3, 224, 224)
"""Shape of the large request: one FP32 image as ResNet takes it, 602,112 bytes."""

# Requests are put together once, in init(): a call per request would make wrk the slowest part.
SCRIPT = """\
local requests, turn = {{}}, 0
function init(args)
  local file = io.open("{bodies}", "rb")
  for size in io.lines("{sizes}") do
    local body, headers = file:read(tonumber(size)), {headers}
    if {traced} then
      headers["traceparent"] = string.format("00-%032x-%016x-01", #requests + 1, #requests + 1)
    end
    requests[#requests + 1] = wrk.format("POST", "{path}", headers, body)
  end
  file:close()
end
function request()
  turn = turn % #requests + 1
  return requests[turn]
end
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    "BENCH %d %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50.0), latency:percentile(99.0), latency:percentile(99.9),
    errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
"""


@dataclass(frozen=True)
class Load:
    """A wrk script and its number of connections: each sends as fast as it is answered."""

    script: Path
    connections: int
    title: str

    def drive(self, port: int, seconds: float) -> Figures:
        """Send it to *port* for *seconds*; `BenchError` when anything but status 200 came back."""
        return drive(self, port, seconds)


@dataclass(frozen=True)
class Figures:
    """What wrk saw: *p50* and *p99* in microseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float
    p999: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def training_rows(count: int, columns: int = FEATURES, seed: int = 1) -> list[list[float]]:
    """*count* rows of *columns* numbers: each column of another scale, log-normal, four digits.

    >>> len(training_rows(2)), len(training_rows(2)[0])
    (2, 20)
    """
    draw = random.Random(seed)
    return [
        [round(draw.lognormvariate(0.1 * (column % 20), 0.5), 4) for column in range(columns)]
        for _ in range(count)
    ]


def small_bodies() -> list[bytes]:
    """Requests of one row of `FEATURES` numbers in KServe v2 JSON, as clients write them."""
    return [
        json.dumps(
            {"inputs": [{"name": "input", "shape": [1, FEATURES], "datatype": "FP32", "data": row}]}
        ).encode()
        for row in training_rows(SMALL_BODIES, seed=2)
    ]


def binary_bodies(tensors: Sequence[tuple[str, Sequence[int], bytes]]) -> tuple[list[bytes], int]:
    """For each name, shape and FP32 data a request in KServe v2 with binary data; the JSON part's length."""
    bodies, head = [], b""
    for name, shape, data in tensors:
        size = {"binary_data_size": len(data)}
        tensor = {"name": name, "shape": list(shape), "datatype": "FP32", "parameters": size}
        head = json.dumps({"inputs": [tensor]}).encode()
        bodies.append(head + data)
    return bodies, len(head)


def image_bodies() -> tuple[list[bytes], int]:
    """Eight requests of one image, and the length of their JSON part."""
    size = 4 * IMAGE[1] * IMAGE[2] * IMAGE[3]
    draw = random.Random(3)
    pixels = [draw.random() for _ in range(1024)]
    tile = array.array("f", pixels).tobytes()
    tiles = tile * (size // len(tile) + 1)
    return binary_bodies([("image", IMAGE, tiles[4 * i : 4 * i + size]) for i in range(8)])


def batch_bodies() -> tuple[list[bytes], int]:
    """Eight requests of `BATCH` rows of `FEATURES` numbers, 80 kB each, and the length of their JSON part."""
    return binary_bodies(
        [
            (
                "input",
                (BATCH, FEATURES),
                array.array("f", itertools.chain.from_iterable(training_rows(BATCH, seed=i))).tobytes(),
            )
            for i in range(8)
        ]
    )


def write_script(
    directory: Path,
    name: str,
    bodies: list[bytes],
    headers: dict[str, str],
    *,
    traced: bool = False,
) -> Path:
    """A wrk script in *directory* that sends *bodies* in turn; *traced* gives each its own traceparent."""
    files = {kind: directory / f"{name}.{kind}" for kind in ("bodies", "sizes", "lua")}
    files["bodies"].write_bytes(b"".join(bodies))
    files["sizes"].write_text("".join(f"{len(body)}\n" for body in bodies))
    table = "{" + ", ".join(f'["{key}"] = "{value}"' for key, value in headers.items()) + "}"
    files["lua"].write_text(
        SCRIPT.format(
            bodies=files["bodies"],
            sizes=files["sizes"],
            path="/v2/models/bench/infer",
            headers=table,
            traced="true" if traced else "false",
        )
    )
    return files["lua"]


def small(directory: Path, *, traced: bool = False) -> Path:
    """The script of the small requests; *traced* puts a trace's id into each, so no two heads are equal."""
    name = f"small{'-traced' if traced else ''}"
    headers = {"Content-Type": "application/json"}
    return write_script(directory, name, small_bodies(), headers, traced=traced)


def binary(directory: Path, name: str, made: tuple[list[bytes], int]) -> Path:
    """The script of requests with binary data, *made* by `image_bodies` or `batch_bodies`."""
    bodies, head = made
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(head)}
    return write_script(directory, name, bodies, headers)


def drive(load: Load, port: int, seconds: float) -> Figures:
    """Send *load* to *port* for *seconds*; `BenchError` when anything but status 200 came back."""
    command = [
        find("wrk"),
        "-t1",
        f"-c{load.connections}",
        f"-d{seconds:.0f}s",
        "--timeout",
        "10s",
        "-s",
        str(load.script),
        f"http://127.0.0.1:{port}/",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds + 60)
    for line in done.stdout.splitlines():
        if line.startswith("BENCH "):
            count, duration, p50, p99, p999, errors, statuses = map(int, line.split()[1:])
            if errors or statuses:
                raise BenchError(f"wrk met {errors} socket errors and {statuses} failures: {load.title}")
            return Figures(count, duration / 1e6, p50, p99, p999)
    raise BenchError(f"wrk gave no figures: {done.stderr.strip() or done.stdout.strip()}")
