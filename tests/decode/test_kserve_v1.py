"""KServe v1: rows as scalars, lists and objects, and TensorFlow Serving's columnar form."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.schema import Limits
from sidecar.decode import Decoded, Failed, Undecodable, decode
from tests.decode.build import V1, exchange, gzipped

LIMITS = Limits()


def decoded(request: Any, answer: Any = None, target: bytes = V1) -> Decoded:
    answer = {"predictions": [1]} if answer is None else answer
    outcome = decode(
        exchange(json.dumps(request).encode(), json.dumps(answer).encode(), target=target), LIMITS
    )
    assert isinstance(outcome, Decoded), outcome
    return outcome


def tensors(request: Any) -> list[tuple[str, tuple[int, ...], Any]]:
    return [(tensor.name, tensor.shape, tensor.data) for tensor in decoded(request).inputs]


@pytest.mark.parametrize(
    ("instances", "expected"),
    [
        ([], [("instances", (0,), [])]),
        ([1, "a", None, True], [("instances", (4,), [1, "a", None, True])]),
        ([[1, 2], [3, 4]], [("instances", (2, 2), [1, 2, 3, 4])]),
        ([[[1], [2]], [[3], [4]]], [("instances", (2, 2, 1), [1, 2, 3, 4])]),
        ([[], []], [("instances", (2, 0), [])]),
        ([[1, 2], [3]], [("instances", (2,), [[1, 2], [3]])]),
        ([[1, 2], "ab"], [("instances", (2,), [[1, 2], "ab"])]),
        ([[[1], [2]], [[3], [4, 5]]], [("instances", (2,), [[[1], [2]], [[3], [4, 5]]])]),
        ([{"a": 1, "b": "x"}, {"b": "y", "a": 2}], [("a", (2,), [1, 2]), ("b", (2,), ["x", "y"])]),
        ([{"a": 1}, {"b": 2}], [("a", (2,), [1, None]), ("b", (2,), [None, 2])]),
        ([{"a": 1}, {"a": 2, "b": 3}], [("a", (2,), [1, 2]), ("b", (2,), [None, 3])]),
        ([{"a": [1, 2]}, {"a": [3, 4]}], [("a", (2, 2), [1, 2, 3, 4])]),
        ([{"a": {"b": 1}}], [("a", (1,), [{"b": 1}])]),
        ([{}, {}], []),
    ],
)
def test_rows_of_every_form_become_tensors(instances: Any, expected: list[Any]) -> None:
    assert tensors({"instances": instances, "signature_name": "s"}) == expected
    if not (instances and isinstance(instances[0], dict)):
        expected = [("inputs", *expected[0][1:])]
    assert tensors({"inputs": instances}) == expected


def test_columnar_inputs_are_an_object_of_columns() -> None:
    assert tensors({"inputs": {"a": [[1], [2]], "b": ["x", "y"], "c": 5}}) == [
        ("a", (2, 1), [1, 2]),
        ("b", (2,), ["x", "y"]),
        ("c", (1,), [5]),
    ]


def test_predictions_and_outputs_are_read_alike() -> None:
    for field in ("predictions", "outputs"):
        outcome = decoded({"instances": [1, 2]}, {field: [[0.1, 0.9], [0.8, 0.2]]})
        assert [(tensor.name, tensor.shape, tensor.data) for tensor in outcome.outputs] == [
            (field, (2, 2), [0.1, 0.9, 0.8, 0.2])
        ]
        assert (outcome.model, outcome.version, outcome.rows) == ("m", "", 2)


def test_one_prediction_may_stand_by_itself() -> None:
    outcome = decoded({"instances": [1]}, {"predictions": 0.5})
    assert [(tensor.name, tensor.shape, tensor.data) for tensor in outcome.outputs] == [
        ("predictions", (1,), [0.5])
    ]


def test_the_version_is_in_the_path() -> None:
    outcome = decoded({"instances": [1]}, target=b"/v1/models/a%3Ab/versions/12:predict")
    assert (outcome.model, outcome.version) == ("a:b", "12")


def test_an_error_in_a_successful_answer_is_a_failure_in_band() -> None:
    assert decode(exchange(b'{"instances":[]}', b'{"error":"no"}', target=V1), LIMITS) == Failed(
        "m", "", "in_band"
    )


def test_content_codings_are_taken_off() -> None:
    coding = {b"content-encoding": b"gzip"}
    outcome = decode(
        exchange(gzipped(b'{"instances":[1]}'), b'{"predictions":[2]}', target=V1, request_headers=coding),
        LIMITS,
    )
    assert isinstance(outcome, Decoded)


@pytest.mark.parametrize(
    ("request_body", "answer", "reason"),
    [
        (b"{}", b'{"predictions":[]}', "bad_json"),
        (b"[1]", b'{"predictions":[]}', "bad_json"),
        (b'{"instances":null}', b'{"predictions":[]}', "bad_json"),
        (b'{"instances":[{"a":1},2]}', b'{"predictions":[]}', "bad_json"),
        (b'{"instances":[1]}', b"{}", "bad_json"),
        (b'{"instances":[1]}', b"not json", "bad_json"),
        (b'{"instances":' + b"[" * 500_000, b'{"predictions":[]}', "bad_json"),
    ],
)
def test_a_body_that_is_not_of_the_dialect_is_undecodable(
    request_body: bytes, answer: bytes, reason: str
) -> None:
    assert decode(exchange(request_body, answer, target=V1), LIMITS) == Undecodable("m", "", reason)  # type: ignore[arg-type]


def test_rows_that_share_no_keys_do_not_multiply() -> None:
    body = json.dumps({"instances": [{f"k{number}": number} for number in range(50_000)]}).encode()
    begun = time.monotonic()
    assert decode(exchange(body, b'{"predictions":[]}', target=V1), LIMITS) == Undecodable(
        "m", "", "bad_tensor"
    )
    assert time.monotonic() - begun < 5  # 2.5 thousand million cells would take minutes


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(json_values, json_values)
def test_any_json_under_the_keys_gives_rectangular_tensors_or_a_reason(request: Any, answer: Any) -> None:
    outcome = decode(
        exchange(
            json.dumps({"instances": request}).encode(),
            json.dumps({"predictions": answer}).encode(),
            target=V1,
        ),
        LIMITS,
    )
    if isinstance(outcome, Undecodable):
        assert outcome.reason in ("bad_json", "bad_tensor")
        return
    assert isinstance(outcome, Decoded)
    for tensor in (*outcome.inputs, *outcome.outputs):
        elements = 1
        for dimension in tensor.shape:
            elements *= dimension
        assert len(tensor.data) == elements


CLASSIFY = b"/v1/models/m/labels/canary:classify"


def examples(request: Any, answer: Any) -> tuple[list[Any], list[Any]]:
    outcome = decoded(request, answer, CLASSIFY)
    assert (outcome.model, outcome.version) == ("m", "canary")
    return tuple(
        [(made.name, made.shape, made.data) for made in role] for role in (outcome.inputs, outcome.outputs)
    )  # type: ignore[return-value]


def test_examples_share_their_context_and_results_are_columns_per_class() -> None:
    request = {
        "signature_name": "s",
        "context": {"day": 5},
        "examples": [{"age": 31, "v": [1, 2]}, {"age": 42, "v": [3, 4]}],
    }
    inputs = [("age", (2,), [31, 42]), ("v", (2, 2), [1, 2, 3, 4]), ("day", (2,), [5, 5])]
    for key in ("result", "results"):
        assert examples(request, {key: [[["a", 0.75], ["b", 0.25]], [["b", 0.5], ["a", 0.5]]]}) == (
            inputs, [("a", (2,), [0.75, 0.5]), ("b", (2,), [0.25, 0.5])]
        )  # fmt: skip
    assert examples(request, {"results": [[["", 0.75], ["", 0.25]], [["", 0.5], ["", 0.5]]]}) == (
        inputs, [("results", (2, 2), [0.75, 0.25, 0.5, 0.5])]
    )  # fmt: skip
    assert examples(request, {"results": [0.5, 1]}) == (inputs, [("results", (2,), [0.5, 1])])


@pytest.mark.parametrize(
    ("request_body", "answer", "reason"),
    [
        ({"examples": 5}, {"results": []}, "bad_json"),
        ({}, {"results": []}, "bad_json"),
        ({"examples": [{"a": 1}]}, {}, "bad_json"),
        ({"examples": [{"a": 1}]}, {"results": [[1]]}, "bad_json"),
        ({"examples": [{"a": 1}]}, {"results": [[["a"]]]}, "bad_json"),
        ({"examples": [{"a": 1}]}, {"results": [[[["a"], 1]]]}, "bad_json"),
        ({"examples": [{"a": 1}]}, {"results": [[[1, 1]]]}, "bad_json"),
        ({"examples": [{"a": 1}]}, {"results": [[{"a": 1, "b": 2}]]}, "bad_json"),
        ({"examples": [{"a": 1}] * 10_000, "context": {"a": [0] * 10_000}}, {"results": []}, "bad_tensor"),
    ],
)
def test_examples_that_are_none_are_undecodable(request_body: Any, answer: Any, reason: str) -> None:
    body, answered = json.dumps(request_body).encode(), json.dumps(answer).encode()
    assert decode(exchange(body, answered, target=CLASSIFY), LIMITS) == Undecodable("m", "canary", reason)  # type: ignore[arg-type]
    assert decode(exchange(body, b'{"error":"no"}', target=CLASSIFY), LIMITS) == Failed(
        "m", "canary", "in_band"
    )
