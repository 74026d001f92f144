"""Seldon Core's messages: names, nested lists and flat ones, and failures under status 200."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.schema import Configuration, ModelSpec
from sidecar.decode import Decoded, Failed, Undecodable, Unobservable
from tests.decode.test_invocations import features, predictions, read, told

TARGET = b"/api/v1.0/predictions"
ANSWER = {
    "data": {"names": ["t:0", "t:1"], "ndarray": [[0.75, 0.25]]},
    "meta": {"puid": "x", "tags": {"a": [[1]]}},
}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"data": {"names": ["a", "b"], "ndarray": [[1, "x"], [2, None]]}}, [("a", (2,), [1, 2]), ("b", (2,), ["x", None])]),
        ({"data": {"names": ["a", "b"], "tensor": {"shape": [2, 2], "values": [1, 2, 3, 4]}}},
         [("a", (2,), [1, 3]), ("b", (2,), [2, 4])]),
        ({"data": {"ndarray": [[1, 2], [3, 4]]}}, [("data", (2, 2), [1, 2, 3, 4])]),
        ({"data": {"names": ["a"], "ndarray": [[1, 2]]}}, [("data", (1, 2), [1, 2])]),
        ({"data": {"names": ["a"], "ndarray": [1, 2]}}, [("a", (2,), [1, 2])]),
        ({"data": {"names": ["a", "b"], "ndarray": [1, 2]}}, [("a", (1,), [1]), ("b", (1,), [2])]),
        ({"data": {"ndarray": [1, 2]}}, [("data", (2,), [1, 2])]),
        ({"data": {"tensor": {"values": [1, 2]}}}, [("data", (2,), [1, 2])]),
        ({"data": {"names": ["a", "b"], "ndarray": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]]}},
         [("a", (2, 2), [1, 2, 5, 6]), ("b", (2, 2), [3, 4, 7, 8])]),
        ({"jsonData": {"rows": [{"a": 1}, {"a": 2}]}}, [("a", (2,), [1, 2])]),
        ({"jsonData": [[1, 2]]}, [("jsonData", (1, 2), [1, 2])]),
        ({"strData": "text"}, [("strData", (1,), ["text"])]),
    ],
)  # fmt: skip
def test_where_the_values_of_a_message_are(body: Any, expected: Any) -> None:
    assert features(body, ANSWER, target=TARGET) == expected


def test_answers_are_messages_too() -> None:
    request = {"data": {"ndarray": [[1], [2]]}}
    assert predictions(request, {"data": {"names": ["t:0"], "ndarray": [[0.5], [0.25]]}}, target=TARGET) == [
        ("t:0", (2,), [0.5, 0.25])
    ]
    assert predictions(request, {"jsonData": [0.5, 0.25]}, target=TARGET) == [("jsonData", (2,), [0.5, 0.25])]


@pytest.mark.parametrize("status", ["FAILURE", 1])
def test_a_failure_under_status_200(status: Any) -> None:
    answer = {"status": {"code": 500, "info": "no", "reason": "r", "status": status}}
    assert read(b"", answer, target=b"/seldon/space/late/api/v1.0/predictions") == Failed(
        "late", "", "in_band"
    )
    assert isinstance(
        read({"strData": "x"}, {**ANSWER, "status": {"status": "SUCCESS"}}, target=TARGET), Decoded
    )


@pytest.mark.parametrize(
    ("target", "model"),
    [
        (b"/seldon/space/late/api/v1.0/predictions", "late"),
        (b"/seldon/space/late/api/v0.1/predictions", "late"),
        (b"/api/v1.0/predictions", "only"),
        (b"/api/v0.1/predictions", "only"),
    ],
)
def test_the_deployment_is_the_model(target: bytes, model: str) -> None:
    one = Configuration(models=(ModelSpec(name="only"),))
    outcome = read({"data": {"ndarray": [[1]]}}, ANSWER, target=target, configuration=one)
    assert isinstance(outcome, Decoded)
    assert outcome.model == model


def test_what_is_opaque() -> None:
    for body, media in (
        ({"binData": "AAAA"}, b"application/json"),
        ({"customData": {}}, b"application/json"),
        ({"data": {"tftensor": {"dtype": "DT_FLOAT"}}}, b"application/json"),
        (b"--x", b"multipart/form-data; boundary=x"),
    ):
        outcome = read(body, ANSWER, media=media, target=TARGET)
        assert isinstance(outcome, Decoded)
        assert (outcome.inputs, told(outcome.outputs), outcome.holes) == (
            [], [("t:0", (1,), [0.75]), ("t:1", (1,), [0.25])], 1
        )  # fmt: skip
        assert read(body, {"binData": "AAAA"}, media=media, target=TARGET) == Unobservable(
            "default", "", "opaque_body"
        )


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"[]", "bad_json"),
        (b"{}", "bad_json"),
        (b"[" * 1_000_000, "bad_json"),
        ({"data": {}}, "bad_json"),
        ({"data": {"names": [1], "ndarray": []}}, "bad_json"),
        ({"data": {"tensor": {"shape": [2, 2], "values": [1]}}}, "bad_tensor"),
        ({"data": {"tensor": {"shape": [-1], "values": [1]}}}, "bad_json"),
        ({"jsonData": {}}, "bad_json"),
    ],
)
def test_what_can_not_be_read_has_a_reason(body: Any, reason: str) -> None:
    assert read(body, ANSWER, target=TARGET) == Undecodable("default", "", reason)  # type: ignore[arg-type]
