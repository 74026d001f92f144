"""Triton's generate extension: requests and responses as its documentation and its server write them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.profile import infer_kind
from exporter.schema import Configuration, Limits
from sidecar.decode import Decoded, Failed, Outcome, Routes, Undecodable, decode
from sidecar.decode.batch import Batcher
from sidecar.decode.generate import ROWS
from tests.decode.build import exchange

TARGET = b"/v2/models/m/generate"
STREAM_TARGET = b"/v2/models/m/versions/3/generate_stream"
STREAM = {b"content-type": b"text/event-stream; charset=utf-8"}
ROUTES = Routes(*ROWS)
REQUEST = b'{"text_input": "client input", "parameters": {"stream": false, "temperature": 0}}'
"""The documentation's example."""


def read(request: bytes, answer: bytes, target: bytes = TARGET, **others: Any) -> Outcome:
    return decode(exchange(request, answer, target=target, **others), Limits(), ROUTES)


def stream(*responses: Any) -> bytes:
    """As the server writes them."""
    return b"".join(b"data: " + json.dumps(response).encode() + b"\n\n" for response in responses)


def told(tensors: list[Any]) -> list[tuple[str, tuple[int, ...], str, Any]]:
    return [(tensor.name, tensor.shape, tensor.datatype, tensor.data) for tensor in tensors]


def test_the_example_of_the_documentation() -> None:
    outcome = read(REQUEST, b'{"model_name": "mymodel", "model_version": "1", "text_output": "model output"}')
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.version, outcome.rows, outcome.tokens) == ("mymodel", "1", 1, None)
    assert told(outcome.inputs) == [
        ("stream", (1,), "", [False]),
        ("temperature", (1,), "", [0]),
        ("text_input", (1,), "TEXT", ["client input"]),
    ]
    assert told(outcome.outputs) == [("text_output", (1,), "TEXT", ["model output"])]


def test_a_stream_gives_a_row_for_each_response() -> None:
    answer = stream(
        {"model_name": "m", "model_version": "7", "text_output": "Hel", "ids": [1, 2], "last": False},
        {"model_name": "m", "model_version": "7", "text_output": "lo", "ids": [3, 4], "last": True},
    )
    outcome = read(REQUEST, answer, STREAM_TARGET, response_headers=STREAM)
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.version, outcome.rows) == ("m", "7", 1)
    assert told(outcome.outputs) == [
        ("text_output", (2,), "TEXT", ["Hel", "lo"]),
        ("ids", (2, 2), "", [1, 2, 3, 4]),
        ("last", (2,), "", [False, True]),
    ]
    assert {tensor.shape for tensor in outcome.inputs} == {(1,)}


def test_a_stream_without_a_response_is_a_row_of_features_alone() -> None:
    outcome = read(REQUEST, b"", STREAM_TARGET, response_headers=STREAM)
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.version, outcome.rows, outcome.outputs) == ("m", "3", 1, [])


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        (b'{"x": 1.5, "carrier": "UA"}', [("x", (1,), "", [1.5]), ("carrier", (1,), "", ["UA"])]),
        (b'{"x": [1, 2, 3]}', [("x", (1, 3), "", [1, 2, 3])]),
        (b'{"x": []}', [("x", (1, 0), "", [])]),
        (b'{"x": null}', [("x", (1,), "", [None])]),
        (b'{"x": NaN}', None),
        (b'{"id": "a", "x": 1}', [("x", (1,), "", [1])]),
        (b'{"x": 1, "parameters": {"x": 2, "y": 3}}', [("x", (1,), "", [1]), ("y", (1,), "", [3])]),
        (b'{"parameters": 5}', [("parameters", (1,), "", [5])]),
        (b'{"text_input": ["a", "b"]}', [("text_input", (1, 2), "TEXT", ["a", "b"])]),
        (b'{"text_input": 5}', [("text_input", (1,), "", [5])]),
        (b"{}", []),
    ],
)
def test_every_key_of_a_request_is_a_column(request_body: bytes, expected: Any) -> None:
    outcome = read(request_body, b'{"model_name":"m","y":1}')
    assert isinstance(outcome, Decoded)
    if expected is not None:
        assert told(outcome.inputs) == expected


@pytest.mark.parametrize(
    ("answer", "headers"),
    [
        (b'{"error":"generate expects model to produce exactly 1 response"}', {}),
        (stream({"error": "no"}), STREAM),
        (stream({"model_name": "m", "text_output": "a"}, {"error": "CUDA"}), STREAM),
        (stream({"model_name": "m", "text_output": "a"}) + b'data: {"error":"cut"}', STREAM),
        (b"event: error\ndata: {}\n\n", STREAM),
    ],
)
def test_an_error_object_under_200_is_a_failure_in_band(answer: bytes, headers: dict[bytes, bytes]) -> None:
    assert read(REQUEST, answer, response_headers=headers) == Failed("m", "", "in_band")


def test_an_output_that_is_called_error_is_a_column() -> None:
    outcome = read(REQUEST, b'{"model_name":"m","error":0.5}')
    assert isinstance(outcome, Decoded)
    assert told(outcome.outputs) == [("error", (1,), "", [0.5])]


@pytest.mark.parametrize(
    ("request_body", "answer", "others", "expected"),
    [
        (REQUEST, b"[]", {}, Undecodable("m", "", "bad_json")),
        (REQUEST, b"", {}, Undecodable("m", "", "bad_json")),
        (b"[1]", b'{"model_version":2}', {}, Undecodable("m", "2", "bad_json")),
        (REQUEST, b"data: x\n\n", {"response_headers": STREAM}, Undecodable("m", "", "bad_json")),
        (REQUEST, b'data: {"a":1}\n\ndata: {"a', {"response_headers": STREAM}, Undecodable("m", "", "bad_json")),
        (REQUEST, stream({"a": 1}), {"response_headers": STREAM, "response_body_complete": False},
         Undecodable("m", "", "truncated")),
        (REQUEST, b"{}", {"request_body_complete": False}, Undecodable("m", "", "truncated")),
        (REQUEST, b"{}", {"response_headers": {b"content-encoding": b"br"}}, Undecodable("m", "", "bad_encoding")),
        (REQUEST, stream({"a": 1}), {"response_headers": STREAM, "closed": True}, Failed("m", "", "closed")),
        (REQUEST, b'{"error":"no"}', {"status": 400}, Failed("m", "", "client_error")),
    ],
)  # fmt: skip
def test_what_can_not_be_read_has_its_reason(
    request_body: bytes, answer: bytes, others: dict[str, Any], expected: Outcome
) -> None:
    assert read(request_body, answer, **others) == expected


def test_responses_that_share_no_keys_do_not_multiply() -> None:
    answer = stream(*({f"k{number}": 1} for number in range(30_000)))
    assert read(REQUEST, answer, response_headers=STREAM) == Undecodable("m", "", "bad_tensor")


def test_text_is_profiled_by_its_length_however_short() -> None:
    outcome = read(REQUEST, b'{"model_name":"m","model_version":"1","text_output":"yes","label":"late"}')
    assert isinstance(outcome, Decoded)
    batcher = Batcher(Configuration())
    batcher.add(outcome, 0.0)
    kinds = {name: infer_kind(values) for rows in batcher.flush() for name, values in rows.columns.items()}
    assert kinds == {
        "stream": "boolean", "temperature": "numeric", "text_input": "text", "text_output": "text", "label": "categorical",
    }  # fmt: skip


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=10,
)
objects = st.dictionaries(
    st.sampled_from(["x", "y", "text_input", "text_output", "parameters", "model_name", "model_version", "error", "id"]),
    json_values,
    max_size=4,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(objects, st.lists(objects, max_size=4), st.booleans(), st.integers(0, 60))
def test_any_objects_give_rectangular_tensors_or_a_reason(
    request: Any, responses: list[Any], streamed: bool, cut: int
) -> None:
    text = stream(*responses) if streamed else json.dumps(responses[0] if responses else {}).encode()
    text = text[: len(text) - cut] if cut < 30 else text
    outcome = read(json.dumps(request).encode(), text, response_headers=STREAM if streamed else {})
    if not isinstance(outcome, Decoded):
        assert isinstance(outcome, Failed | Undecodable)
        return
    for tensor in (*outcome.inputs, *outcome.outputs):
        elements = 1
        for dimension in tensor.shape:
            elements *= dimension
        assert len(tensor.data) == elements
    batcher = Batcher(Configuration())
    batcher.add(outcome, 0.0)
    batcher.flush()
