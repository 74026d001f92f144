"""What fails is the same failure to the client, is counted as one, and is in no profile."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import grpc
import pytest
import requests
from tritonclient.grpc import service_pb2, service_pb2_grpc

from sidecar.demo.process import Processes
from tests.e2e.conftest import Serving
from tests.real import sidecar
from tests.real.clients import MODEL, V1, V2, Row, columns, frame_csv, v2_json
from tests.real.golden import ROWS, Golden
from tests.real.relay import Relay, same
from tests.real.servers.late import CATEGORIES
from tests.real.sidecar import labels

pytestmark = pytest.mark.real

Body: TypeAlias = Callable[[Row], Any]

WHOLE = ROWS[0]
WITHOUT = {name: value for name, value in WHOLE.items() if name != "dep_delay"}


def v2(row: Row) -> Any:
    """One row, with the columns that it has."""
    document = v2_json([{**WHOLE, **row}])
    return {**document, "inputs": [each for each in document["inputs"] if each["name"] in row]}


HTTP: dict[str, tuple[str, Body, str | None]] = {
    "triton": (V2, v2, "/v2/models/trains/infer"),
    "mlserver": (V2, v2, "/v2/models/trains/infer"),
    "kserve": (V1, lambda row: {"instances": [row]}, "/v1/models/trains:predict"),
    "mlflow": ("/invocations", lambda row: {"dataframe_records": [row]}, None),
    "litserve": ("/predict", lambda row: {"rows": [row]}, None),
    "torchserve": (f"/predictions/{MODEL}", lambda row: {"instances": [row]}, "/predictions/trains"),
}
"""Server → path, body, and the path of a model that there is not, where the path names one."""


@pytest.mark.parametrize("server", HTTP)
def test_over_http_missing_inputs_unknown_models_and_nonsense(
    server: str, serving: Serving, table: Golden, processes: Processes
) -> None:
    path, body, unknown = HTTP[server]
    cases = [
        (path, json.dumps(body(WHOLE))),
        (path, json.dumps(body(WITHOUT))),
        (path, "{"),
        *([(unknown, json.dumps(body(WHOLE)))] if unknown else []),
    ]
    upstream = serving(server).ports["http"]
    with Relay(upstream) as behind:
        wrapped = sidecar.start(
            processes, behind.port, configuration=table.configuration(paths=server == "litserve")
        )
        with Relay(wrapped.port) as before:
            found = []
            for port in (upstream, before.port):
                # A connection for each: uvicorn closes one after a 500 without having said so.
                answers = [
                    requests.post(
                        f"http://127.0.0.1:{port}{each}",
                        data=text,
                        headers={"Content-Type": "application/json"},
                        timeout=30,
                    )
                    for each, text in cases
                ]
                found.append([(answer.status_code, answer.reason) for answer in answers])
            same(before, behind)
            samples = wrapped.at_rest(seen=len(cases))

    direct, through = found
    assert direct == through
    assert direct[0][0] == 200
    statuses = [status for status, _ in direct[1:]]
    assert all(status >= 400 for status in statuses)
    assert sidecar.books(samples) == {
        ("seen", ""): len(cases),
        ("recorded", ""): 1,
        ("ignored", "failed"): len(cases) - 1,
    }
    reasons = ["client_error" if status < 500 else "server_error" for status in statuses]
    assert by_reason(samples) == {reason: reasons.count(reason) for reason in set(reasons)}
    assert models(samples) == {MODEL: len(cases) - bool(unknown), **({"unknown": 1} if unknown else {})}
    assert sum(sidecar.family(samples, "modelmeter_rows_recorded_total").values()) == 1


def by_reason(samples: sidecar.Samples) -> dict[str, float]:
    """Failures, whatever the model."""
    found: dict[str, float] = {}
    for each, value in sidecar.family(samples, "modelmeter_request_failures_total").items():
        reason = dict(each)["reason"]
        found[reason] = found.get(reason, 0) + value
    return found


def models(samples: sidecar.Samples) -> dict[str, float]:
    """Requests by model."""
    return {
        dict(each)["model"]: value
        for each, value in sidecar.family(samples, "modelmeter_requests_total").items()
    }


def asked(row: Row, model: str = MODEL) -> Any:
    """A ModelInferRequest with the columns that *row* has."""
    request = service_pb2.ModelInferRequest(model_name=model)
    for name, values in (
        (name, values) for name, values in columns([{**WHOLE, **row}]).items() if name in row
    ):
        tensor = request.inputs.add(
            name=name, shape=[1, 1], datatype="BYTES" if name in CATEGORIES else "FP64"
        )
        if name in CATEGORIES:
            tensor.contents.bytes_contents.extend(value.encode() for value in values)
        else:
            tensor.contents.fp64_contents.extend(values)
    return request


_CLIENT = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}


@pytest.mark.parametrize("server", ["triton", "mlserver", "kserve"])
def test_over_grpc_missing_inputs_and_unknown_models(
    server: str, serving: Serving, table: Golden, processes: Processes
) -> None:
    cases = [asked(WHOLE), asked(WITHOUT), asked(WHOLE, "trains")]
    upstream = serving(server).ports["grpc"]
    with Relay(upstream) as behind:
        wrapped = sidecar.start(processes, behind.port, configuration=table.configuration(), protocol="grpc")
        with Relay(wrapped.port) as before:
            found: list[list[tuple[grpc.StatusCode, str]]] = []
            for port in (upstream, before.port):
                with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                    stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
                    found.append([])
                    for case in cases:
                        try:
                            stub.ModelInfer(case)
                            found[-1].append((grpc.StatusCode.OK, ""))
                        except grpc.RpcError as error:
                            found[-1].append((error.code(), error.details()))
                    if port == before.port:
                        same(before, behind)
            samples = wrapped.at_rest(seen=len(cases))

    direct, through = found
    assert direct == through
    codes = [code for code, _ in direct]
    assert codes[0] == grpc.StatusCode.OK
    assert grpc.StatusCode.OK not in codes[1:]
    assert sidecar.books(samples) == {("seen", ""): 3, ("recorded", ""): 1, ("ignored", "failed"): 2}
    reasons = ["client_error" if code in _CLIENT else "server_error" for code in codes[1:]]
    assert by_reason(samples) == {reason: reasons.count(reason) for reason in set(reasons)}
    assert models(samples) == {MODEL: 2, "unknown": 1}
    assert sidecar.family(samples, "modelmeter_rows_recorded_total") == {labels(model=MODEL, version="1"): 1}


@pytest.mark.parametrize("server", ["mlflow"])
def test_a_400_that_repeats_the_data_puts_none_of_it_into_a_log(
    server: str, serving: Serving, table: Golden, processes: Processes
) -> None:
    wrapped = sidecar.start(processes, serving(server).ports["http"], configuration=table.configuration())
    secret = "carrier-of-secrets"
    answer = requests.post(
        wrapped.url + "/invocations",
        data=frame_csv([{**WHOLE, "origin": secret}]),
        headers={"Content-Type": "text/csv"},
        timeout=30,
    )
    assert answer.status_code == 400
    assert secret in answer.text
    wrapped.at_rest(seen=1)
    assert secret not in wrapped.process.log.read_text()
    page = requests.get(f"http://127.0.0.1:{wrapped.metrics_port}/metrics", timeout=10).text
    assert secret not in page
