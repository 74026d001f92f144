"""Every way in which a client asks the model of `tests.real.servers`, by the libraries that people use.

A *dialect* is a context manager: given a port it yields ``ask(rows)``, which returns the answers as
(late, late_probability) per row. Its connection stays open until the block ends.
"""

from __future__ import annotations

import asyncio
import csv
import io
import json
import queue
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import grpc
import numpy as np
import requests
import tritonclient.grpc
import tritonclient.grpc.aio
import tritonclient.http
import tritonclient.http.aio
import tritonclient.utils.shared_memory as shared_memory
from tritonclient.grpc import service_pb2, service_pb2_grpc

from tests.real.servers.late import CATEGORIES, FEATURES, answer

Row: TypeAlias = dict[str, Any]
Answer: TypeAlias = tuple[int, float]
Ask: TypeAlias = Callable[[Sequence[Row]], list[Answer]]

MODEL = "flights"
OUTPUTS = ("late", "late_probability")


def table(rows: int = 100, seed: int = 7) -> list[Row]:
    """*rows* made flights; the numbers are exact in every format, FP32 and CSV included."""
    generator = random.Random(seed)
    return [
        {
            "carrier": generator.choice(["UA", "B6", "DL", "é"]),
            "origin": generator.choice(["EWR", "JFK", "LGA"]),
            "dest": generator.choice(["LAX", "ORD", "BOS", "MIA", "IAH"]),
            "dep_delay": float(generator.choice([*range(-10, 60), 240])),
            "distance": float(generator.randrange(100, 2600)),
            "hour": float(generator.randrange(5, 24)),
        }
        for _ in range(rows)
    ]


def columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Column → values."""
    return {name: [row[name] for row in rows] for name in FEATURES}


def expected(rows: Sequence[Row]) -> list[Answer]:
    """What the model answers."""
    found = answer(columns(rows))
    return [
        (int(late), chance) for late, chance in zip(found["late"], found["late_probability"], strict=True)
    ]


def arrays(rows: Sequence[Row]) -> dict[str, np.ndarray[Any, Any]]:
    """Column → array [n, 1]."""
    return {
        name: np.array(values, dtype=object if name in CATEGORIES else np.float64).reshape(-1, 1)
        for name, values in columns(rows).items()
    }


def paired(late: Any, chance: Any) -> list[Answer]:
    """Two columns as answers."""
    return [
        (int(a), float(b)) for a, b in zip(np.ravel(late).tolist(), np.ravel(chance).tolist(), strict=True)
    ]


# ---- Triton's client, HTTP ----

Module: TypeAlias = Any
"""``tritonclient.http`` or ``tritonclient.grpc``: the two have the same names."""


def tensors(module: Module, rows: Sequence[Row], **binary: bool) -> tuple[list[Any], list[Any]]:
    """Inputs and outputs of a request; `in` and `out` say whether they are binary (HTTP only)."""
    inputs = []
    for name, values in arrays(rows).items():
        tensor = module.InferInput(name, list(values.shape), "BYTES" if name in CATEGORIES else "FP64")
        tensor.set_data_from_numpy(values, *([binary["into"]] if binary else []))
        inputs.append(tensor)
    outputs = [
        module.InferRequestedOutput(name, **({"binary_data": binary["out"]} if binary else {}))
        for name in OUTPUTS
    ]
    return inputs, outputs


def read(result: Any) -> list[Answer]:
    """An InferResult of either module."""
    return paired(*(result.as_numpy(name) for name in OUTPUTS))


def triton_http(
    into: bool = True, out: bool = True, way: Literal["infer", "async_infer"] = "infer", **options: Any
) -> Callable[[int], AbstractContextManager[Ask]]:
    """tritonclient.http, binary or JSON in and out; `async_infer` waits for its own greenlet."""

    @contextmanager
    def dialect(port: int) -> Iterator[Ask]:
        with tritonclient.http.InferenceServerClient(f"127.0.0.1:{port}") as client:

            def ask(rows: Sequence[Row]) -> list[Answer]:
                inputs, outputs = tensors(tritonclient.http, rows, into=into, out=out)
                result = getattr(client, way)(MODEL, inputs, outputs=outputs, **options)
                return read(result.get_result() if way == "async_infer" else result)

            yield ask

    return dialect


@contextmanager
def triton_http_aio(port: int) -> Iterator[Ask]:
    """tritonclient.http.aio."""
    with asyncio.Runner() as runner:

        async def make() -> Any:
            return tritonclient.http.aio.InferenceServerClient(f"127.0.0.1:{port}")

        client = runner.run(make())

        def ask(rows: Sequence[Row]) -> list[Answer]:
            inputs, outputs = tensors(tritonclient.http, rows, into=True, out=True)
            return read(runner.run(client.infer(MODEL, inputs, outputs=outputs)))

        yield ask
        runner.run(client.close())


@contextmanager
def triton_http_shared(port: int) -> Iterator[Ask]:
    """tritonclient.http with every input in system shared memory: the wire has their names alone."""
    with tritonclient.http.InferenceServerClient(f"127.0.0.1:{port}") as client:
        yield _shared(client, tritonclient.http)


@contextmanager
def triton_grpc_shared(port: int) -> Iterator[Ask]:
    """The same over gRPC."""
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{port}") as client:
        yield _shared(client, tritonclient.grpc)


def _shared(client: Any, module: Module) -> Ask:
    def ask(rows: Sequence[Row]) -> list[Answer]:
        inputs = []
        with ExitStack() as stack:
            for name, values in arrays(rows).items():
                text = name in CATEGORIES
                data = tritonclient.utils.serialize_byte_tensor(values) if text else values
                size = len(data.item()) if text else values.nbytes
                region = f"mm_{module.__name__[-4:]}_{name}"
                handle = shared_memory.create_shared_memory_region(region, f"/{region}", size)
                stack.callback(shared_memory.destroy_shared_memory_region, handle)
                shared_memory.set_shared_memory_region(handle, [data])
                client.register_system_shared_memory(region, f"/{region}", size)
                stack.callback(client.unregister_system_shared_memory, region)
                tensor = module.InferInput(name, list(values.shape), "BYTES" if text else "FP64")
                tensor.set_shared_memory(region, size)
                inputs.append(tensor)
            return read(client.infer(MODEL, inputs))

    return ask


# ---- gRPC ----


def triton_grpc(
    way: Literal["infer", "async_infer", "future"] = "infer", **options: Any
) -> Callable[[int], AbstractContextManager[Ask]]:
    """tritonclient.grpc: `infer`, or `async_infer` with a callback; *options* go to the call."""

    @contextmanager
    def dialect(port: int) -> Iterator[Ask]:
        with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{port}") as client:

            def ask(rows: Sequence[Row]) -> list[Answer]:
                inputs, outputs = tensors(tritonclient.grpc, rows)
                if way == "infer":
                    return read(client.infer(MODEL, inputs, outputs=outputs, **options))
                answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
                client.async_infer(
                    MODEL, inputs, lambda result, error: answers.put((result, error)), outputs=outputs
                )
                result, error = answers.get(timeout=30)
                assert error is None, error
                return read(result)

            yield ask

    return dialect


@contextmanager
def triton_grpc_aio(port: int) -> Iterator[Ask]:
    """tritonclient.grpc.aio."""
    with asyncio.Runner() as runner:

        async def make() -> Any:
            return tritonclient.grpc.aio.InferenceServerClient(f"127.0.0.1:{port}")

        client = runner.run(make())

        def ask(rows: Sequence[Row]) -> list[Answer]:
            inputs, outputs = tensors(tritonclient.grpc, rows)
            return read(runner.run(client.infer(MODEL, inputs, outputs=outputs)))

        yield ask
        runner.run(client.close())


@contextmanager
def triton_grpc_stream(port: int) -> Iterator[Ask]:
    """tritonclient.grpc's stream: every request of the block is a message of one ModelStreamInfer."""
    with tritonclient.grpc.InferenceServerClient(f"127.0.0.1:{port}") as client:
        answers: queue.Queue[tuple[Any, Any]] = queue.Queue()
        client.start_stream(lambda result, error: answers.put((result, error)))

        def ask(rows: Sequence[Row]) -> list[Answer]:
            inputs, outputs = tensors(tritonclient.grpc, rows)
            client.async_stream_infer(MODEL, inputs, outputs=outputs)
            result, error = answers.get(timeout=30)
            assert error is None, error
            return read(result)

        yield ask
        client.stop_stream()


@contextmanager
def grpc_contents(port: int) -> Iterator[Ask]:
    """A generated stub, with the values in ``contents``: what clients in other languages send."""
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)

        def ask(rows: Sequence[Row]) -> list[Answer]:
            asked = service_pb2.ModelInferRequest(model_name=MODEL, id="1")
            for name, values in columns(rows).items():
                tensor = asked.inputs.add(name=name, shape=[len(rows), 1])
                if name in CATEGORIES:
                    tensor.datatype = "BYTES"
                    tensor.contents.bytes_contents.extend(value.encode() for value in values)
                else:
                    tensor.datatype = "FP64"
                    tensor.contents.fp64_contents.extend(values)
            return read(_Answered(stub.ModelInfer(asked)))

        yield ask


class _Answered:
    """A ModelInferResponse with raw or typed contents, as arrays."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def as_numpy(self, name: str) -> np.ndarray[Any, Any]:
        for number, output in enumerate(self._response.outputs):
            if output.name == name:
                if self._response.raw_output_contents:
                    kind = np.int64 if output.datatype == "INT64" else np.float64
                    return np.frombuffer(self._response.raw_output_contents[number], kind)
                contents = output.contents
                return np.array(
                    contents.int64_contents if output.datatype == "INT64" else contents.fp64_contents
                )
        raise KeyError(name)


# ---- JSON over HTTP ----


def posted(
    path: str, body: Callable[[Sequence[Row]], Any], answers: Callable[[Any], list[Answer]], one: bool = False
) -> Callable[[int], AbstractContextManager[Ask]]:
    """``requests`` with a JSON (or, of a str, CSV) body; *one*: a request for each row."""

    @contextmanager
    def dialect(port: int) -> Iterator[Ask]:
        with requests.Session() as session:

            def ask_once(rows: Sequence[Row]) -> list[Answer]:
                sent = body(rows)
                csv_sent = isinstance(sent, str)
                response = session.post(
                    f"http://127.0.0.1:{port}{path}",
                    data=(sent if csv_sent else json.dumps(sent, ensure_ascii=False)).encode(),
                    headers={"Content-Type": "text/csv" if csv_sent else "application/json"},
                    timeout=30,
                )
                response.raise_for_status()
                return answers(response)

            def ask(rows: Sequence[Row]) -> list[Answer]:
                return [found for row in rows for found in ask_once([row])] if one else ask_once(rows)

            yield ask

    return dialect


def v2_json(rows: Sequence[Row]) -> Any:
    """KServe v2."""
    return {
        "id": "1",
        "inputs": [
            {
                "name": name,
                "shape": [len(rows), 1],
                "datatype": "BYTES" if name in CATEGORIES else "FP64",
                "data": values,
            }
            for name, values in columns(rows).items()
        ],
    }


def v2_answers(response: Any) -> list[Answer]:
    """Of KServe v2."""
    found = {output["name"]: output["data"] for output in response.json()["outputs"]}
    return paired(*(found[name] for name in OUTPUTS))


def records(response: Any) -> list[Answer]:
    """``{"predictions": [{…}, …]}``."""
    return [(row["late"], row["late_probability"]) for row in response.json()["predictions"]]


def mapped(response: Any) -> list[Answer]:
    """``{column: [value, …]}``."""
    found = response.json()
    return paired(*(found[name] for name in OUTPUTS))


def generated(response: Any) -> list[Answer]:
    """Of Triton's generate: one row, scalars."""
    return mapped(response)


def events(response: Any) -> list[Answer]:
    """Of Triton's generate_stream: server-sent events, one here."""
    found = [json.loads(line[6:]) for line in response.text.splitlines() if line.startswith("data: ")]
    return [answer for event in found for answer in paired(event["late"], event["late_probability"])]


def frame_csv(rows: Sequence[Row]) -> str:
    """With a header line."""
    out = io.StringIO()
    writer = csv.DictWriter(out, FEATURES)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


@dataclass(frozen=True)
class Dialect:
    """A server and a way to ask it."""

    server: str
    protocol: Literal["http", "grpc"]
    open: Callable[[int], AbstractContextManager[Ask]]
    version: str
    """The label ``version`` of what is recorded."""
    one: bool = False
    """One exchange per row instead of one per call of `ask`."""
    stream: bool = False
    """One exchange for everything, with an inference in each message."""
    more: int = 0
    """Further exchanges of each call, which are no inference."""
    seen: bool = True
    """Whether the wire carries the inputs."""


V2 = f"/v2/models/{MODEL}/infer"
V1 = f"/v1/models/{MODEL}:predict"
JSON_V2 = posted(V2, v2_json, v2_answers)


def _split(rows: Sequence[Row]) -> Any:
    return {
        "dataframe_split": {
            "columns": list(FEATURES),
            "data": [[row[name] for name in FEATURES] for row in rows],
        }
    }


DIALECTS: dict[str, Dialect] = {
    "triton http binary": Dialect("triton", "http", triton_http(), "1"),
    "triton http json": Dialect("triton", "http", triton_http(False, False), "1"),
    "triton http mixed": Dialect("triton", "http", triton_http(False, True), "1"),
    "triton http gzip": Dialect(
        "triton",
        "http",
        triton_http(request_compression_algorithm="gzip", response_compression_algorithm="gzip"),
        "1",
    ),
    "triton http deflate": Dialect(
        "triton",
        "http",
        triton_http(request_compression_algorithm="deflate", response_compression_algorithm="deflate"),
        "1",
    ),
    "triton http async": Dialect("triton", "http", triton_http(way="async_infer"), "1"),
    "triton http aio": Dialect("triton", "http", triton_http_aio, "1"),
    "triton http requests": Dialect("triton", "http", JSON_V2, "1"),
    "triton http shared memory": Dialect("triton", "http", triton_http_shared, "1", more=12, seen=False),
    "triton generate": Dialect(
        "triton",
        "http",
        posted(f"/v2/models/{MODEL}/generate", lambda rows: rows[0], generated, True),
        "1",
        True,
    ),
    "triton generate_stream": Dialect(
        "triton",
        "http",
        posted(f"/v2/models/{MODEL}/generate_stream", lambda rows: rows[0], events, True),
        "1",
        True,
    ),
    "triton grpc": Dialect("triton", "grpc", triton_grpc(), "1"),
    "triton grpc gzip": Dialect("triton", "grpc", triton_grpc(compression_algorithm="gzip"), "1"),
    "triton grpc deflate": Dialect("triton", "grpc", triton_grpc(compression_algorithm="deflate"), "1"),
    "triton grpc async": Dialect("triton", "grpc", triton_grpc("async_infer"), "1"),
    "triton grpc aio": Dialect("triton", "grpc", triton_grpc_aio, "1"),
    "triton grpc stream": Dialect("triton", "grpc", triton_grpc_stream, "1", stream=True),
    "triton grpc contents": Dialect("triton", "grpc", grpc_contents, "1"),
    "triton grpc shared memory": Dialect("triton", "grpc", triton_grpc_shared, "1", more=12, seen=False),
    "mlserver requests": Dialect("mlserver", "http", JSON_V2, "1"),
    "mlserver tritonclient json": Dialect("mlserver", "http", triton_http(False, False), "1"),
    "mlserver grpc": Dialect("mlserver", "grpc", triton_grpc(), "1"),
    "mlserver grpc contents": Dialect("mlserver", "grpc", grpc_contents, "1"),
    "kserve v1": Dialect("kserve", "http", posted(V1, lambda rows: {"instances": rows}, records), ""),
    "kserve v2 json": Dialect("kserve", "http", JSON_V2, "1"),
    "kserve v2 binary": Dialect("kserve", "http", triton_http(), "1"),
    "kserve grpc": Dialect("kserve", "grpc", triton_grpc(), "1"),
    "kserve grpc contents": Dialect("kserve", "grpc", grpc_contents, "1"),
    "mlflow split": Dialect("mlflow", "http", posted("/invocations", _split, records), ""),
    "mlflow records": Dialect(
        "mlflow", "http", posted("/invocations", lambda rows: {"dataframe_records": rows}, records), ""
    ),
    "mlflow instances": Dialect(
        "mlflow", "http", posted("/invocations", lambda rows: {"instances": rows}, records), ""
    ),
    "mlflow inputs": Dialect(
        "mlflow", "http", posted("/invocations", lambda rows: {"inputs": columns(rows)}, records), ""
    ),
    "mlflow csv": Dialect("mlflow", "http", posted("/invocations", frame_csv, records), ""),
    "litserve": Dialect("litserve", "http", posted("/predict", lambda rows: {"rows": rows}, mapped), ""),
    "torchserve": Dialect(
        "torchserve",
        "http",
        posted(f"/predictions/{MODEL}", lambda rows: {"instances": rows}, records),
        "",
    ),
}
"""Name → server and way."""
