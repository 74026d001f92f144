"""A client can not tell whether the sidecar is there."""

from __future__ import annotations

import json
from typing import Any

import pytest
import requests
import tritonclient.http

from sidecar.demo.flights import request_body
from sidecar.demo.process import Processes
from sidecar.demo.servers import MODEL
from tests.real import sidecar, tensors
from tests.real.flights import INFER, JSON, Served

pytestmark = pytest.mark.real


def exchange(url: str, method: str, path: str, body: bytes | None) -> tuple[int, str, dict[str, str], bytes]:
    """Status, reason, headers and body, but for what differs from one moment to the next."""
    answer = requests.request(method, url + path, data=body, headers=JSON, timeout=30)
    headers = {name.lower(): value for name, value in answer.headers.items() if name.lower() != "date"}
    return answer.status_code, answer.reason, headers, answer.content


def test_every_answer_is_the_same_with_and_without(served: Served, processes: Processes) -> None:
    wrapped = sidecar.start(processes, served.launch.http_port, configuration=served.configuration)
    departures = served.departures()

    def request(rows: int) -> bytes:
        document: dict[str, Any] = json.loads(request_body(departures[:rows]))
        return json.dumps(
            {"id": "the-same", **document}
        ).encode()  # MLServer makes up an id where there is none

    without = json.loads(request(1))
    del without["inputs"][0]
    cases = {
        "one flight": ("POST", INFER, request(1)),
        "300 flights": ("POST", INFER, request(300)),
        "a column is missing": ("POST", INFER, json.dumps(without).encode()),
        "not JSON": ("POST", INFER, b"{"),
        "no such model": ("POST", "/v2/models/trains/infer", request(1)),
        "metadata": ("GET", f"/v2/models/{MODEL}", None),
        "ready": ("GET", "/v2/health/ready", None),
        "HEAD": ("HEAD", "/v2/health/ready", None),
        "no such path": ("GET", "/nowhere", None),
        "wrong method": ("DELETE", INFER, None),
    }
    direct = f"http://127.0.0.1:{served.launch.http_port}"
    found = {name: exchange(wrapped.url, *case) for name, case in cases.items()}
    expected = {name: exchange(direct, *case) for name, case in cases.items()}
    assert found == expected
    assert expected["one flight"][0] == expected["300 flights"][0] == 200
    assert expected["not JSON"][0] >= 400
    wrapped.at_rest(seen=len(cases))


def test_triton_clients_get_the_same_tensors_with_and_without(served: Served, processes: Processes) -> None:
    wrapped = sidecar.start(processes, served.launch.http_port, configuration=served.configuration)
    departures = served.departures()[:64]
    modes = tensors.MODES_OF[served.launch.name]
    for mode in modes:
        answers = []
        for port in (wrapped.port, served.launch.http_port):
            with tritonclient.http.InferenceServerClient(f"127.0.0.1:{port}") as client:
                answers.append(tensors.infer(client, departures, mode))
        assert answers[0] == answers[1], mode
        assert [len(rows) for rows in answers[0].values()] == [64, 64]
    wrapped.at_rest(seen=len(modes))
