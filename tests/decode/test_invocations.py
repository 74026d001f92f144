"""``/invocations``: what MLflow and SageMaker take and answer there, told apart by what is on the wire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.schema import ColumnSpec, Configuration, Limits, ModelSpec
from sidecar.decode import Decoded, Failed, Outcome, Undecodable, Unobservable, decode, make_routes
from tests.decode.build import exchange, gzipped
from tests.decode.test_decode import assert_known
from tests.decode.test_kserve_v1 import json_values

LIMITS = Limits()
TARGET = b"/invocations"
JSON = b"application/json"


def read(
    request: Any,
    answer: Any = b"[1]",
    media: bytes = JSON,
    answer_media: bytes = JSON,
    target: bytes = TARGET,
    configuration: Configuration | None = None,
    **others: Any,
) -> Outcome:
    made = exchange(
        request if isinstance(request, bytes) else json.dumps(request).encode(),
        answer if isinstance(answer, bytes) else json.dumps(answer).encode(),
        target=target,
        request_headers={b"content-type": media, **others.pop("request_headers", {})},
        response_headers={b"content-type": answer_media},
        **others,
    )
    return decode(made, LIMITS, make_routes(configuration or Configuration()))


def told(tensors: list[Any]) -> list[tuple[str, tuple[int, ...], Any]]:
    return [(tensor.name, tensor.shape, tensor.data) for tensor in tensors]


def features(*arguments: Any, **others: Any) -> list[tuple[str, tuple[int, ...], Any]]:
    outcome = read(*arguments, **others)
    assert isinstance(outcome, Decoded), outcome
    return told(outcome.inputs)


def predictions(*arguments: Any, **others: Any) -> list[tuple[str, tuple[int, ...], Any]]:
    outcome = read(*arguments, **others)
    assert isinstance(outcome, Decoded), outcome
    return told(outcome.outputs)


AB = [("a", (2,), [1, 3]), ("b", (2,), ["x", None])]


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [3, None]]}},
        {
            "dataframe_split": {"columns": ["a", "b"], "data": [[1, "x"], [3, None]], "index": [5, 6]},
            "params": {"t": 1},
        },
        {"dataframe_records": [{"a": 1, "b": "x"}, {"a": 3}]},
        {"instances": [{"a": 1, "b": "x"}, {"b": None, "a": 3}]},
        {"inputs": {"a": [1, 3], "b": ["x", None]}},
        {"inputs": [{"a": 1, "b": "x"}, {"a": 3, "b": None}]},
        {"columns": ["a", "b"], "data": [[1, "x"], [3, None]]},  # before 2.0
        [{"a": 1, "b": "x"}, {"a": 3, "b": None}],
    ],
)
def test_every_form_of_mlflow_gives_the_same_columns(body: Any) -> None:
    assert features(body) == AB
    assert features(gzipped(json.dumps(body).encode()), request_headers={b"content-encoding": b"gzip"}) == AB


def test_csv_with_a_header_is_mlflows_and_without_sagemakers() -> None:
    assert features(b"a,b\n1,x\n3,\n", media=b"text/csv; charset=utf-8") == AB
    assert features(b"1,x\n3,\n", media=b"text/csv") == [("features", (2, 2), [1, "x", 3, None])]


def test_a_table_of_text_has_no_header_where_the_content_type_or_the_configuration_says_so() -> None:
    body = b"x,y\nz,w\n"
    rows = [("features", (2, 2), ["x", "y", "z", "w"])]
    assert features(body, media=b"text/csv") == [("x", (1,), ["z"]), ("y", (1,), ["w"])]
    assert features(body, media=b"text/csv; header=absent") == rows
    by_position = ModelSpec(name="m", columns=(ColumnSpec(name="a", tensor="features", index=0),))
    assert features(body, media=b"text/csv", configuration=Configuration(models=(by_position,))) == rows
    by_name = ModelSpec(name="m", columns=(ColumnSpec(name="x"),))
    assert len(features(body, media=b"text/csv", configuration=Configuration(models=(by_name,)))) == 2


FEATURES = [("features", (2, 2), [1, 2, 3, 4])]


@pytest.mark.parametrize(
    ("body", "media"),
    [
        ({"instances": [{"features": [1, 2]}, {"features": [3, 4]}]}, JSON),
        (
            {
                "instances": [
                    {"data": {"features": {"values": [1, 2]}}},
                    {"data": {"features": {"values": [3, 4]}}},
                ]
            },
            JSON,
        ),
        ({"features": [[1, 2], [3, 4]]}, JSON),
        ([[1, 2], [3, 4]], JSON),
        ([[1, 2], [3, 4]], b"text/json; charset=utf-8"),
        ([[1, 2], [3, 4]], b""),
        ([[1, 2], [3, 4]], b"application/x-www-form-urlencoded"),
        (b"[1,2]\n[3,4]\n", b"application/jsonlines"),
        (b'{"features":[1,2]}\n\n{"features":[3,4]}', b"application/jsonlines"),
        (b'{"features":[1,2]}\r\n{"features":[3,4]}\r\n', b"application/x-ndjson"),
        (
            b'{"data":{"features":{"values":[1,2]}}}\n{"data":{"features":{"values":[3,4]}}}',
            b"application/jsonlines",
        ),
        (b"1,2\n3,4\n", b"text/csv"),
        (b"1,2\n3,4\n", b"text/plain"),
    ],
)
def test_every_form_of_sagemaker_gives_the_same_columns(body: Any, media: bytes) -> None:
    assert features(body, media=media) == FEATURES


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"instances": [[1, 2]]}, [("instances", (1, 2), [1, 2])]),
        ({"inputs": [1, 2]}, [("inputs", (2,), [1, 2])]),
        ({"inputs": "some text"}, [("inputs", (1,), ["some text"])]),
        ({"dataframe_split": {"data": [[1, 2]]}}, [("dataframe_split", (1, 2), [1, 2])]),
        (
            {"dataframe_split": {"columns": [0, 1.5, "c"], "data": []}},
            [("0", (0,), []), ("1.5", (0,), []), ("c", (0,), [])],
        ),
        (
            {"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}},
            [("a", (1,), [1]), ("a", (1,), [2])],
        ),
        (
            {"dataframe_split": {"columns": ["v"], "data": [[[1, 2]], [[3, 4]]]}},
            [("v", (2, 2), [1, 2, 3, 4])],
        ),
        ({"dataframe_records": []}, [("dataframe_records", (0,), [])]),
        ([1, 2, 3], [("features", (1, 3), [1, 2, 3])]),
        ({"features": [1, 2]}, [("features", (1, 2), [1, 2])]),
        ({"age": 31, "carrier": "UA"}, [("age", (1,), [31]), ("carrier", (1,), ["UA"])]),
    ],
)
def test_other_requests(body: Any, expected: Any) -> None:
    assert features(body) == expected


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"predictions": [1, 2]}, [("predictions", (2,), [1, 2])]),
        ({"predictions": [[0.9, 0.1], [0.2, 0.8]]}, [("predictions", (2, 2), [0.9, 0.1, 0.2, 0.8])]),
        ({"predictions": [{"score": 0.9, "predicted_label": 1}, {"score": 0.1, "predicted_label": 0}]},
         [("score", (2,), [0.9, 0.1]), ("predicted_label", (2,), [1, 0])]),
        ({"predictions": {"late": [1, 2]}}, [("late", (2,), [1, 2])]),
        ({"predictions": 0.5}, [("predictions", (1,), [0.5])]),
        ([1, 2], [("predictions", (2,), [1, 2])]),
        ([[0.9, 0.1], [0.2, 0.8]], [("predictions", (2, 2), [0.9, 0.1, 0.2, 0.8])]),
        ([{"late": 1}, {"late": 2}], [("late", (2,), [1, 2])]),
        ({"late": [1, 2]}, [("late", (2,), [1, 2])]),
        ({"scores": [1, 2, 3]}, [("scores", (3,), [1, 2, 3])]),
        (0.5, [("predictions", (1,), [0.5])]),
    ],
)  # fmt: skip
def test_answers_in_json(answer: Any, expected: Any) -> None:
    assert predictions([[1], [2]], answer) == expected


@pytest.mark.parametrize(
    ("answer", "media", "expected"),
    [
        (b"0.5\n0.25\n", b"text/csv; charset=utf-8", [("predictions", (2,), [0.5, 0.25])]),
        (b"0.5,0.25", b"text/csv", [("predictions", (2,), [0.5, 0.25])]),  # older XGBoost containers
        (b"0.5,0.25,0.25", b"text/csv", [("predictions", (1, 3), [0.5, 0.25, 0.25])]),
        (b"1,0.5\n0,0.25", b"text/csv", [("predictions", (2, 2), [1, 0.5, 0, 0.25])]),
        (b"late,0.5\non_time,0.25", b"text/csv", [("predictions", (2, 2), ["late", 0.5, "on_time", 0.25])]),
        (b'{"score":0.5}\n{"score":0.25}\n', b"application/jsonlines", [("score", (2,), [0.5, 0.25])]),
        (b"[0.5, 0.25]", b"text/html; charset=utf-8", [("predictions", (2,), [0.5, 0.25])]),
    ],
)
def test_answers_in_csv_and_lines(answer: bytes, media: bytes, expected: Any) -> None:
    assert predictions([[1], [2]], answer, answer_media=media) == expected


def test_one_row_is_answered_by_one_row_of_scores() -> None:
    assert predictions([[1]], b"0.5,0.25,0.25", answer_media=b"text/csv") == [
        ("predictions", (1, 3), [0.5, 0.25, 0.25])
    ]
    assert predictions([[1]], [0.5, 0.5]) == [("predictions", (1, 2), [0.5, 0.5])]
    assert predictions([[1]], [0.5]) == [("predictions", (1,), [0.5])]


def test_an_opaque_body_is_a_hole_and_two_can_not_be_observed() -> None:
    outcome = read(
        b"\x93NUMPY", {"predictions": [1]}, media=b"application/x-npy", request_body_complete=False
    )
    assert isinstance(outcome, Decoded)
    assert (outcome.inputs, told(outcome.outputs), outcome.rows, outcome.holes) == (
        [],
        [("predictions", (1,), [1])],
        1,
        1,
    )
    outcome = read([[1]], b"\x00\x01", answer_media=b"application/x-recordio-protobuf")
    assert isinstance(outcome, Decoded)
    assert (told(outcome.inputs), outcome.outputs, outcome.holes) == ([("features", (1, 1), [1])], [], 1)
    assert read(b"\xff\xd8", b"\x00", media=b"image/jpeg", answer_media=b"application/x-npy") == Unobservable(
        "default", "", "opaque_body"
    )
    assert read(b"PK", b"PK", media=b"", answer_media=b"") == Unobservable("default", "", "opaque_body")


def test_no_text_of_a_chat_becomes_a_category() -> None:
    chat = {"messages": [{"role": "user", "content": "secret"}], "temperature": 0.5}
    answer = {
        "model": "llm",
        "choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "secret"}}],
    }
    for body, headers in (
        (json.dumps(chat).encode(), {}),
        (gzipped(json.dumps(chat).encode()), {b"content-encoding": b"gzip"}),
        (json.dumps({"prompt": "secret"}).encode(), {}),
        (json.dumps({"prompt": ["secret", "secret"]}).encode(), {}),
    ):
        outcome = read(body, answer, request_headers=headers)
        assert isinstance(outcome, Decoded)
        assert outcome.model == "llm"
        assert "secret" not in repr([*outcome.inputs, *outcome.outputs])
    # A column of that name is none.
    assert features({"dataframe_records": [{"prompt": 1}]}) == [("prompt", (1,), [1])]


@pytest.mark.parametrize(
    ("body", "media", "reason"),
    [
        (b"{", JSON, "bad_json"),
        (b"{}", JSON, "bad_json"),
        (b"null", JSON, "bad_json"),
        (b"", JSON, "bad_json"),
        (b"[" * 1_000_000, JSON, "bad_json"),
        (b'{"instances":' + b"[" * 1_000_000, JSON, "bad_json"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3]]}}, JSON, "bad_tensor"),
        ({"dataframe_split": {"columns": ["a"], "data": [1, 2]}}, JSON, "bad_json"),
        ({"dataframe_split": {"columns": [["a"]], "data": [[1]]}}, JSON, "bad_json"),
        ({"dataframe_split": {}}, JSON, "bad_json"),
        ({"columns": ["a"], "data": 5}, JSON, "bad_json"),
        ({"dataframe_records": [1]}, JSON, "bad_json"),
        ({"dataframe_records": [{f"k{number}": number} for number in range(20_000)]}, JSON, "bad_tensor"),
        ({"a": [[1]], "b": [[2]]}, JSON, "bad_json"),
        (b"1,2\n3", b"text/csv", "bad_tensor"),
        (b"", b"text/csv", "bad_json"),
        (b"{}\n{", b"application/jsonlines", "bad_json"),
        (b"1,2\n3", b"application/jsonlines", "bad_json"),
        (b"", b"application/jsonlines", "bad_json"),
    ],
)
def test_what_can_not_be_read_has_a_reason(body: Any, media: bytes, reason: str) -> None:
    assert read(body, media=media) == Undecodable("default", "", reason)  # type: ignore[arg-type]


@pytest.mark.parametrize("keys", [1_000, 100_000])
def test_many_keys_are_as_many_tensors(keys: int) -> None:
    row = {f"k{number}": number for number in range(keys)}
    assert len(features({"dataframe_records": [row]})) == keys
    assert len(features(row)) == keys


@pytest.mark.parametrize(
    ("target", "model"),
    [
        (b"/invocations", "default"),
        (b"/prefix/invocations?x=1", "default"),
        (b"/endpoints/late-arrival/invocations", "late-arrival"),
        (b"/serving-endpoints/late%20arrival/invocations", "late arrival"),
        (b"/models/m/invoke", "m"),
    ],
)
def test_the_path_names_the_model_where_it_does(target: bytes, model: str) -> None:
    outcome = read([[1]], target=target)
    assert isinstance(outcome, Decoded)
    assert outcome.model == model
    assert read([[1]], target=target, status=500) == Failed(model, "", "server_error")


medias = st.sampled_from(
    [JSON, b"text/csv", b"application/jsonlines", b"", b"image/png", b"text/html", b"a/b+json"]
)


@settings(max_examples=400, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(
            ["dataframe_split", "dataframe_records", "instances", "inputs", "columns", "data", "features", "messages", "prompt"]
        ),
        json_values | st.fixed_dictionaries({"columns": json_values, "data": json_values}),
        max_size=3,
    )
    | json_values,
    json_values | st.fixed_dictionaries({"predictions": json_values}),
    medias,
    medias,
)  # fmt: skip
def test_any_json_is_an_outcome(request: Any, answer: Any, media: bytes, answer_media: bytes) -> None:
    for target in (b"/invocations", b"/predictions/m", b"/api/v1.0/predictions", b"/v1/models/m:classify"):
        assert_known(read(request, answer, media, answer_media, target))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=100), st.binary(max_size=100), medias, medias)
def test_any_bytes_are_an_outcome(request: bytes, answer: bytes, media: bytes, answer_media: bytes) -> None:
    for target in (b"/invocations", b"/predictions/m", b"/api/v1.0/predictions", b"/v1/models/m:regress"):
        assert_known(read(request, answer, media, answer_media, target))
