"""Load by wrk: one thread, a fixed number of connections, a fixed time; its figures as numbers.

Bodies differ from request to request (`SMALL_BODIES` of them, in turn): with one body alone every sketch
would see one value and look faster than it is.
"""

from __future__ import annotations

import array
import json
import random
import subprocess
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
{pause}
function done(summary, latency, requests)
  local errors = summary.errors
  io.write(string.format(
    "BENCH %d %d %d %d %d %d\\n", summary.requests, summary.duration,
    latency:percentile(50.0), latency:percentile(99.0),
    errors.connect + errors.read + errors.write + errors.timeout, errors.status))
end
"""


@dataclass(frozen=True)
class Load:
    """A wrk script and its number of connections."""

    script: Path
    connections: int
    title: str


@dataclass(frozen=True)
class Figures:
    """What wrk saw: *p50* and *p99* in microseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float

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


def image_bodies() -> tuple[list[bytes], int]:
    """Eight requests of one image in KServe v2 with binary data, and the length of their JSON part."""
    size = 4 * IMAGE[1] * IMAGE[2] * IMAGE[3]
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "image",
                    "shape": list(IMAGE),
                    "datatype": "FP32",
                    "parameters": {"binary_data_size": size},
                }
            ]
        }
    ).encode()
    draw = random.Random(3)
    pixels = [draw.random() for _ in range(1024)]
    tile = array.array("f", pixels).tobytes()
    return [head + (tile * (size // len(tile) + 1))[4 * i : 4 * i + size] for i in range(8)], len(head)


def write_script(
    directory: Path,
    name: str,
    bodies: list[bytes],
    headers: dict[str, str],
    *,
    traced: bool = False,
    paced: bool = False,
) -> Path:
    """A wrk script in *directory* that sends *bodies* in turn.

    *traced* gives each its own traceparent; *paced* lets each connection rest for a millisecond between an
    answer and its next request.
    """
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
            pause="function delay() return 1 end" if paced else "",
        )
    )
    return files["lua"]


def small(directory: Path, *, traced: bool = False, paced: bool = False) -> Path:
    """The script of the small requests; *traced* puts a trace's id into each, so no two heads are equal."""
    name = f"small{'-traced' if traced else ''}{'-paced' if paced else ''}"
    headers = {"Content-Type": "application/json"}
    return write_script(directory, name, small_bodies(), headers, traced=traced, paced=paced)


def image(directory: Path) -> Path:
    """The script of the large requests."""
    bodies, head = image_bodies()
    headers = {"Content-Type": "application/octet-stream", "Inference-Header-Content-Length": str(head)}
    return write_script(directory, "image", bodies, headers)


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
            count, duration, p50, p99, errors, statuses = map(int, line.split()[1:])
            if errors or statuses:
                raise BenchError(f"wrk met {errors} socket errors and {statuses} failures: {load.title}")
            return Figures(count, duration / 1e6, p50, p99)
    raise BenchError(f"wrk gave no figures: {done.stderr.strip() or done.stdout.strip()}")
