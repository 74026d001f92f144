"""TorchServe's own path: bodies that are whatever the handler makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from sidecar.decode import Decoded, Failed, Unobservable
from tests.decode.test_invocations import features, predictions, read, told

TARGET = b"/predictions/m/2.0"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"data": [1, 2]}, [("data", (1, 2), [1, 2])]),
        ({"data": [[1, 2], [3, 4]]}, [("data", (2, 2), [1, 2, 3, 4])]),
        ([{"age": 31}, {"age": 42}], [("age", (2,), [31, 42])]),
        ({"instances": [{"data": [1, 2]}, {"data": [3, 4]}]}, [("data", (2, 2), [1, 2, 3, 4])]),
        ({"instances": [1, 2]}, [("instances", (2,), [1, 2])]),
        ({"age": 31, "carrier": "UA"}, [("age", (1,), [31]), ("carrier", (1,), ["UA"])]),
    ],
)
def test_requests(body: Any, expected: Any) -> None:
    assert features(body, target=TARGET) == expected
    assert features(body, target=TARGET, media=b"") == expected


def test_csv_is_read_and_put_is_a_request() -> None:
    assert features(b"1,2\n3,4", target=TARGET, media=b"text/csv", method=b"PUT") == [
        ("features", (2, 2), [1, 2, 3, 4])
    ]


@pytest.mark.parametrize(
    "text",
    [
        b"12 monkeys, secret",
        b"- secret, words\n- more, words",
        b"2024 was, my year\nof, love",
        b"+1 secret",
        b"...",
    ],
)
@pytest.mark.parametrize("media", [b"", b"text/plain"])
def test_what_somebody_has_written_is_no_table(text: bytes, media: bytes) -> None:
    assert read(text, b"positive", media, b"text/plain", TARGET) == Unobservable("m", "2.0", "opaque_body")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"7", [("features", (1,), [7])]),
        (b" -.5e3 ,x\r\n1,y", [("features", (2, 2), [-500.0, "x", 1.0, "y"])]),
        (b"\n1.,2", [("features", (1, 2), [1, 2])]),
    ],
)
def test_numbers_without_a_content_type_are_csv(text: bytes, expected: Any) -> None:
    assert features(text, target=TARGET, media=b"") == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (0.5, [("predictions", (1,), [0.5])]),
        ([0.5], [("predictions", (1,), [0.5])]),
        ([0.75, 0.25], [("predictions", (1, 2), [0.75, 0.25])]),
        ([[0.75, 0.25]], [("predictions", (1, 2), [0.75, 0.25])]),
        ({"cat": 0.75, "dog": 0.25}, [("cat", (1,), [0.75]), ("dog", (1,), [0.25])]),
        ([{"cat": 0.75, "dog": 0.25}], [("cat", (1,), [0.75]), ("dog", (1,), [0.25])]),
        ({"predictions": ["cat"]}, [("predictions", (1,), ["cat"])]),
        ({"predictions": [{"cat": 0.75}]}, [("cat", (1,), [0.75])]),
    ],
)
def test_answers_to_one_row(answer: Any, expected: Any) -> None:
    assert predictions([{"age": 31}], answer, target=TARGET) == expected
    # An image is one row, too.
    outcome = read(b"\xff\xd8", answer, media=b"image/jpeg", target=TARGET, request_body_complete=False)
    assert isinstance(outcome, Decoded)
    assert (told(outcome.outputs), outcome.inputs, outcome.holes) == (expected, [], 1)


def test_a_list_of_as_many_values_as_rows_is_a_value_for_each() -> None:
    assert predictions([{"age": 31}, {"age": 42}], [1, 0], target=TARGET) == [("predictions", (2,), [1, 0])]


def test_model_version_and_failures() -> None:
    for target, version in ((b"/predictions/m", ""), (TARGET, "2.0"), (b"/a/predictions/m/2.0?x", "2.0")):
        outcome = read({"data": [1]}, target=target)
        assert isinstance(outcome, Decoded)
        assert (outcome.model, outcome.version) == ("m", version)
        assert read({"data": [1]}, target=target, status=503) == Failed("m", version, "server_error")
    assert read(b"\xff\xd8", b"\xff\xd8", b"image/jpeg", b"image/png", TARGET) == Unobservable(
        "m", "2.0", "opaque_body"
    )
