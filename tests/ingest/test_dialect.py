"""Dialects of events: what a logger's event says is what the same exchange says over HTTP."""

from __future__ import annotations

import json

import pytest

from exporter.schema import Limits
from sidecar.decode import ROUTES, Decoded, Ignored, decode
from sidecar.exchange import Exchange
from sidecar.ingest.dialect import EventRoutes, json_length, locate
from sidecar.ingest.event import parse
from sidecar.ingest.pairs import Pairs
from sidecar.words import DOOR_BYTES
from tests.decode.build import gzipped, mixed, raw, tensor
from tests.ingest.loggers import kserve, lower, seldon
from tests.memory import shared_memory

LIMITS = Limits()
V1 = (b'{"instances": [[1.5, 2], [3, 4]]}', b'{"predictions": [0, 1]}')
V2 = (
    json.dumps({"id": "1", "parameters": {"a": {"b": 1}}, "inputs": [{"parameters": {"content_type": "np"}, **tensor("x", "FP64", [2, 1], [1.5, 2.5])}]}).encode(),
    json.dumps({"model_name": "m", "model_version": "2", "outputs": [tensor("y", "FP64", [2], [1.0, 0.0])]}).encode(),
)  # fmt: skip
SELDON = b'{"data": {"names": ["a"], "ndarray": [[1]]}}'


def located(body: bytes, headers: dict[str, str]) -> bytes:
    [event], _ = parse(lower(headers), body)
    locate(event, LIMITS)
    return event.path


def paired(request: bytes, answer: bytes, **changed: str) -> Exchange:
    """The exchange of two events of KServe's logger."""
    pairs = Pairs(shared_memory(DOOR_BYTES))
    for half, body in (("request", request), ("response", answer)):
        events, _ = parse(lower(kserve(half, "7", **changed)), body)
        for event in events:
            locate(event, LIMITS)
        pairs.accept(events)
    [exchange] = pairs.drain(9)
    return exchange


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (V1[0], b"/v1/models/sklearn-iris:predict"),
        (b'{"inputs": {"a": [1]}}', b"/v1/models/sklearn-iris:predict"),
        (V2[0], b"/v2/models/sklearn-iris/infer"),
        (
            b'{"note": "NaN\\"NaN", "instances": [[NaN, -Infinity, "Infinity"]]} \n',
            b"/v1/models/sklearn-iris:predict",
        ),
        (b'{"inputs": []}', b"/v2/models/sklearn-iris/infer"),
        (gzipped(V2[0]), b"/v2/models/sklearn-iris/infer"),
        (b'{"inputs": [1, 2]}', b"/v1/models/sklearn-iris:predict"),
        (b'{"dataframe_split": {}}', b"event:sklearn-iris//invocations"),
        (SELDON, b"event:sklearn-iris//api/v1.0/predictions"),
        (b'{"strData": "x"}', b"event:sklearn-iris//api/v1.0/predictions"),
        (b'{"prompt": "x"}', b""),
        (b"[1]", b""),
        (b"\x89PNG", b""),
        (b"", b""),
        (gzipped(V2[0])[:20], b""),
        (b"[" * 100_000, b""),
    ],
)
def test_the_content_tells_the_path(body: bytes, path: bytes) -> None:
    assert located(body, kserve("request", "7")) == path


def test_a_path_that_is_told_is_taken_with_the_model_that_is_told() -> None:
    path = {"Ce-Path": "/predict?a=1"}
    assert located(V1[0], kserve("request", "7", **path)) == b"event:sklearn-iris//predict?a=1"
    headers = kserve("request", "7", **path, **{"Ce-Inferenceservicename": "", "Ce-Modelname": ""})
    assert located(V1[0], headers) == b"/predict?a=1"
    headers = seldon("request", "7", **{"Ce-Modelid": "a/b c", "Ce-Endpoint": "canary"})
    assert located(SELDON, headers) == b"event:a%2Fb%20c/canary/api/v1.0/predictions"


def test_the_routes_of_events_put_the_events_names_in_the_place_of_the_paths() -> None:
    routes = EventRoutes(ROUTES)
    place = routes.find(b"event:a%2Fb/2/v1/models/other:predict", b"")
    assert place is not None
    assert (place.model, place.version) == ("a/b", "2")
    assert routes.find(b"event:a//nothing", b"") is None
    assert routes.find(b"event:broken", b"") is None
    assert routes.find(b"/v1/models/other:predict", b"") == ROUTES.find(b"/v1/models/other:predict", b"")


def test_kserve_v1_and_v2_are_decoded_as_over_http() -> None:
    routes = EventRoutes(ROUTES)
    first = decode(paired(*V1), LIMITS, routes)
    assert first == decode(
        Exchange("http", b"POST", b"/v1/models/sklearn-iris:predict", {}, V1[0], 200, {}, V1[1]), LIMITS
    )
    second = decode(paired(*V2), LIMITS, routes)
    assert isinstance(second, Decoded)
    assert (second.model, second.version, second.rows) == ("m", "2", 2)
    assert [tensor.name for tensor in (*second.inputs, *second.outputs)] == ["x", "y"]


def test_seldons_messages_are_decoded_under_the_name_of_the_node() -> None:
    pairs = Pairs(shared_memory(DOOR_BYTES))
    answer = b'{"data": {"names": ["p"], "tensor": {"shape": [1, 1], "values": [0.5]}}, "meta": {}}'
    for half, body in (("request", SELDON), ("response", answer)):
        events, _ = parse(lower(seldon(half, "puid", **{"Ce-Endpoint": "canary"})), body)
        locate(events[0], LIMITS)
        pairs.accept(events)
    [exchange] = pairs.drain(1)
    outcome = decode(exchange, LIMITS, EventRoutes(ROUTES))
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.version, outcome.rows) == ("classifier", "canary", 1)
    assert [(tensor.name, tensor.data) for tensor in (*outcome.inputs, *outcome.outputs)] == [
        ("a", [1]),
        ("p", [0.5]),
    ]


@pytest.mark.parametrize(
    ("body", "name"), [(b'{"dataframe_split": {"columns": ["a"], "data": [[1]]}}', "a"), (V1[0], "instances")]
)
def test_what_mlflow_takes_is_decoded_under_the_name_of_the_service(body: bytes, name: str) -> None:
    outcome = decode(paired(body, V1[1]), LIMITS, EventRoutes(ROUTES))
    assert isinstance(outcome, Decoded)
    assert outcome.model == "sklearn-iris"
    assert outcome.inputs[0].name == name


def test_binary_tensors_are_found_where_the_json_ends() -> None:
    data = raw("FP64", [1.5, -7.25e-310, 4.0])
    request, length = mixed("inputs", [(tensor('}{"\\', "FP64", [3]), data)])
    answer, _ = mixed("outputs", [(tensor("y", "FP64", [3]), data)], model_name="m")
    assert json_length(request) == length
    changed = {"Content-Type": "application/octet-stream"}
    for exchange in (
        paired(request, answer, **changed),
        paired(gzipped(request), gzipped(answer), **changed),
    ):
        outcome = decode(exchange, LIMITS, EventRoutes(ROUTES))
        assert isinstance(outcome, Decoded)
        assert [tensor.data for tensor in (*outcome.inputs, *outcome.outputs)] == [data, data]


def test_what_no_dialect_knows_is_ignored() -> None:
    assert decode(paired(b"{}", b"{}"), LIMITS, EventRoutes(ROUTES)) == Ignored("unknown_dialect")


def test_a_body_of_brackets_costs_no_more_than_its_length() -> None:
    assert json_length(b"{" * 4_000_000) == 4_000_000
    assert json_length(b'{"a' * 1_000_000) == 3_000_000
