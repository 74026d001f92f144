"""Triton's classification extension: what was asked for as classes is a category and its score."""

from __future__ import annotations

from typing import Any

import pytest
from tritonclient import grpc as client
from tritonclient.grpc import service_pb2 as oip

from exporter.schema import Limits
from sidecar.decode import Decoded, Outcome, Undecodable, decode
from tests.decode import grpc_build
from tests.decode.build import exchange, message, raw, tensor
from tests.decode.grpc_build import answer, tensor_in, tensor_out

LIMITS = Limits()
TEXTS = ["0.75:1:a:b", "0.25:0", "0.5:0:\u00e9", "0.5:1:x"]
EXPECTED = [
    ("y", "BYTES", (2, 2), ["a:b", "0", "\u00e9", "x"]),
    ("y.score", "FP64", (2, 2), [0.75, 0.25, 0.5, 0.5]),
]


def over_http(texts: list[str], outputs: Any) -> Outcome:
    request = message("inputs", [tensor("x", "FP32", [2], [1, 2])], outputs=outputs)
    return decode(exchange(request, message("outputs", [tensor("y", "BYTES", [2, 2], texts)])), LIMITS)


def over_grpc(texts: list[str], outputs: list[Any]) -> Outcome:
    asked = oip.ModelInferRequest(
        model_name="m",
        inputs=[tensor_in("x", "FP32", [2])],
        outputs=[output._get_tensor() for output in outputs],
        raw_input_contents=[raw("FP32", [1, 2])],
    ).SerializeToString()
    return decode(
        grpc_build.exchange(asked, answer([tensor_out("y", "BYTES", [2, 2])], [raw("BYTES", texts)])), LIMITS
    )


def told(outcome: Outcome) -> list[tuple[str, str, tuple[int, ...], Any]]:
    assert isinstance(outcome, Decoded), outcome
    return [(made.name, made.datatype, made.shape, made.data) for made in outcome.outputs]


def test_a_class_and_its_score_are_a_column_each() -> None:
    assert told(over_http(TEXTS, [{"name": "y", "parameters": {"classification": 2}}])) == EXPECTED
    assert told(over_grpc(TEXTS, [client.InferRequestedOutput("y", class_count=2)])) == EXPECTED


@pytest.mark.parametrize(
    "outputs",
    [None, [], {}, [5], [{}], [{"name": "y"}], [{"name": "y", "parameters": {"classification": 0}}],
     [{"name": "z", "parameters": {"classification": 2}}], [{"name": ["y"], "parameters": {"classification": 2}}]],
)  # fmt: skip
def test_other_texts_are_what_they_are(outputs: Any) -> None:
    assert told(over_http(["1:2", "b", "c", "d"], outputs)) == [
        ("y", "BYTES", (2, 2), ["1:2", "b", "c", "d"])
    ]
    assert told(over_grpc(["1:2", "b", "c", "d"], [client.InferRequestedOutput("y")])) == [
        ("y", "BYTES", (2, 2), ["1:2", "b", "c", "d"])
    ]


@pytest.mark.parametrize("text", ["", "cat", "x:0:cat", "0.5"])
def test_what_is_no_score_and_index_is_undecodable(text: str) -> None:
    texts = [*TEXTS[:3], text]
    expected = Undecodable("m", "", "bad_tensor")
    assert over_http(texts, [{"name": "y", "parameters": {"classification": 2}}]) == expected
    outcome = over_grpc(texts, [client.InferRequestedOutput("y", class_count=2)])
    assert isinstance(outcome, Undecodable)
    assert (outcome.model, outcome.reason) == ("m", "bad_tensor")
