"""Takes captures again: a real server, a relay that writes down what it reads, and a client.

    .venv/bin/python -m tests.captures.take                       # lists the names
    .venv/bin/python -m tests.captures.take FOLDER NAME [NAME…]   # writes FOLDER/NAME.N.…

One made flight (`tests.real.clients.table`) and the formula of `tests/real/servers/late.py`, so nothing
in them is of any person. Versions are those of `requirements/*.txt`; put the date and them into README.md.
"""

from __future__ import annotations

import contextlib
import queue
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import requests
import tritonclient.grpc

from sidecar.demo.process import Ports, Processes
from tests.real import servers
from tests.real.clients import DIALECTS, table
from tests.real.relay import Relay

Client = Callable[[int], None]


def asks(dialect: str, rows: int = 1) -> Client:
    """One call of a dialect of `tests.real.clients`."""

    def client(port: int) -> None:
        with DIALECTS[dialect].open(port) as ask:
            ask(table(rows))

    return client


def posts(path: str, body: Any) -> Client:
    """One POST of JSON by ``requests``."""

    def client(port: int) -> None:
        requests.post(f"http://127.0.0.1:{port}{path}", json=body, timeout=30)

    return client


def steps(*answers: int) -> Client:
    """A ModelStreamInfer of the decoupled model `steps`: so many answers to each request, see its file."""

    def client(port: int) -> None:
        with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{port}") as client:
            told: queue.Queue[Any] = queue.Queue()
            client.start_stream(lambda result, error: told.put((result, error)))
            for number, count in enumerate(answers):
                inputs = []
                for name, kind, value in (
                    ("answers", "INT64", np.int64(count)),
                    ("x", "FP64", np.float64(1.5)),
                ):
                    inputs.append(tritonclient.grpc.InferInput(name, [1], kind))
                    inputs[-1].set_data_from_numpy(np.array([value]))
                client.async_stream_infer("steps", inputs, request_id=f"r{number}")
                for _ in range(abs(count) + (count < 0)):
                    told.get(timeout=30)
            client.stop_stream()

    return client


def fails(path: str) -> Client:
    """A unary gRPC call of an empty message."""

    def client(port: int) -> None:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, contextlib.suppress(grpc.RpcError):
            channel.unary_unary(path)(b"")

    return client


def chat(stream: bool) -> Client:
    """OpenAI's API."""
    message = {"role": "user", "content": "shall we be late?"}
    return posts("/v1/chat/completions", {"model": "talker", "stream": stream, "messages": [message]})


TAKES: dict[str, tuple[str, str, Client]] = {
    "triton-generate": ("triton", "http", asks("triton generate")),
    "triton-generate_stream": (
        "triton",
        "http",
        posts("/v2/models/steps/generate_stream", {"answers": 3, "x": 1.5}),
    ),
    "triton-generate_stream-err": (
        "triton",
        "http",
        posts("/v2/models/steps/generate_stream", {"answers": -2, "x": 1.5}),
    ),
    "triton-grpcstream-err": ("triton", "grpc", steps(-2, 1)),
    "triton-grpcstream-none": ("triton", "grpc", steps(0, 1)),
    "mlserver-grpc-batch100": ("mlserver", "grpc", asks("mlserver grpc", 100)),
    "mlserver-grpc-contents": ("mlserver", "grpc", asks("mlserver grpc contents", 3)),
    "kserve-grpc": ("kserve", "grpc", asks("kserve grpc", 3)),
    "kserve-grpc-err": ("kserve", "grpc", fails("/inference.GRPCInferenceService/ModelInfer")),
    "mlflow-csv": ("mlflow", "http", asks("mlflow csv", 3)),
    "mlflow-inputs": ("mlflow", "http", asks("mlflow inputs", 3)),
    "torchserve-predict": ("torchserve", "http", asks("torchserve", 3)),
    "torchserve-err": ("torchserve", "http", posts("/predictions/trains", {"instances": []})),
    "openai-chat": ("litserve", "http", chat(False)),
    "openai-chat_stream": ("litserve", "http", chat(True)),
}
"""Name → server, protocol, client."""


def take(folder: Path, names: list[str]) -> None:
    """Write the captures *names* into *folder*."""
    with tempfile.TemporaryDirectory() as scratch, Processes(Path(scratch) / "logs") as processes:
        ports = Ports()
        for server in dict.fromkeys(TAKES[name][0] for name in names):
            started = servers.start(server, processes, Path(scratch) / server, ports)
            started.wait()
            for name in names:
                of, protocol, client = TAKES[name]
                if of == server:
                    with Relay(started.ports[protocol]) as relay:
                        client(relay.port)
                    relay.save(folder, name)
                    print(name, [len(talk.reads) for talk in relay.talks])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        print("\n".join(TAKES))
    else:
        take(Path(sys.argv[1]), sys.argv[2:])
