"""Paths of the configuration: which request is whose, where its columns are, and what a model is called."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.schema import ColumnSpec, Configuration, ModelSpec
from sidecar.decode import Decoded, Failed, Ignored, Undecodable
from tests.decode.test_invocations import features, predictions, read


def configured(
    columns: dict[str, str], outputs: dict[str, str], path: str = "/predict", *others: ModelSpec
) -> Configuration:
    spec = ModelSpec(
        name="late",
        path=path,
        columns=tuple(ColumnSpec(name=name, path=where) for name, where in columns.items()),
        predictions=tuple(ColumnSpec(name=name, path=where) for name, where in outputs.items()),
    )
    return Configuration(models=(spec, *others))


MAPPED = configured(
    {"age": "$.rows[*].user.age", "carrier": "$.rows[*]['carrier']", "v": "$.rows[*].v"},
    {"late": "$.out[*].p[1]"},
)
REQUEST = {
    "rows": [{"user": {"age": 31}, "carrier": "UA", "v": [1, 2]}, {"user": {}, "v": [3, 4]}],
    "more": [[1]],
}
ANSWER = {"out": [{"p": [0.25, 0.75]}, {"p": [0.5, 0.5]}]}


def test_columns_are_read_where_the_configuration_says() -> None:
    arguments: dict[str, Any] = {"target": b"/predict?x=1", "configuration": MAPPED}
    assert features(REQUEST, ANSWER, **arguments) == [
        ("age", (2,), [31, None]),
        ("carrier", (2,), ["UA", None]),
        ("v", (2, 2), [1, 2, 3, 4]),
    ]
    assert predictions(REQUEST, ANSWER, **arguments) == [("late", (2,), [0.75, 0.5])]
    assert features(b"1,UA\n2,DL", ANSWER, b"text/csv", **arguments) == [
        ("features", (2, 2), [1, "UA", 2, "DL"])
    ]
    outcome = read(REQUEST, ANSWER, **arguments)
    assert isinstance(outcome, Decoded)
    assert (outcome.model, outcome.version, outcome.rows) == ("late", "", 2)


def test_where_one_role_has_no_paths_its_body_is_read_by_its_form() -> None:
    only_columns = configured({"age": "$.rows[*].user.age"}, {})
    assert predictions(REQUEST, {"late": [1, 0]}, target=b"/predict", configuration=only_columns) == [
        ("late", (2,), [1, 0])
    ]
    only_outputs = configured({}, {"late": "$.out[*].p[0]"})
    assert features([{"age": 31}], ANSWER, target=b"/predict", configuration=only_outputs) == [
        ("age", (1,), [31])
    ]


def test_columns_that_are_not_monitored_are_not_read() -> None:
    spec = ModelSpec(name="m", path="/p", columns=(ColumnSpec(name="a", path="$.a", monitored=False),))
    assert features({"b": 1}, 1, target=b"/p", configuration=Configuration(models=(spec,))) == []


@pytest.mark.parametrize(
    ("request_body", "answer"),
    [
        ({"rows": 5}, ANSWER),
        ({}, ANSWER),
        (REQUEST, {}),
        (REQUEST, []),
        (b"[" * 1_000_000, ANSWER),
        (b"[" * 500 + b"]" * 500, ANSWER),
    ],
)
def test_a_document_that_is_not_what_the_paths_were_written_for_is_undecodable(
    request_body: Any, answer: Any
) -> None:
    assert read(request_body, answer, target=b"/predict", configuration=MAPPED) == Undecodable(
        "late", "", "bad_json"
    )


def test_columns_that_differ_in_their_rows_are_undecodable() -> None:
    two = configured({"a": "$.a[*]", "b": "$.b[*]"}, {})
    assert read({"a": [1, 2], "b": [1]}, 1, target=b"/predict", configuration=two) == Undecodable(
        "late", "", "bad_json"
    )
    assert features({"a": [1, 2], "b": [3, 4]}, 1, target=b"/predict", configuration=two) == [
        ("a", (2,), [1, 2]), ("b", (2,), [3, 4])
    ]  # fmt: skip


def test_a_configured_path_is_that_path_and_no_other() -> None:
    configuration = configured({}, {}, "/größe/predict")
    for target in (b"/gr%C3%B6%C3%9Fe/predict", b"http://host:80/gr%C3%B6%C3%9Fe/predict?x"):
        outcome = read({"a": 1}, 1, target=target, configuration=configuration)
        assert isinstance(outcome, Decoded)
        assert outcome.model == "late"
    for target in (
        b"/predict",
        b"/x/gr%C3%B6%C3%9Fe/predict",
        b"/gr%C3%B6%C3%9Fe/predict/",
        b"/gr%C3%B6%C3%9Fe/predictx",
    ):
        assert read({"a": 1}, 1, target=target, configuration=configuration) == Ignored("unknown_dialect")


def test_failures_bear_the_configured_name() -> None:
    assert read(REQUEST, ANSWER, target=b"/predict", status=500, configuration=MAPPED) == Failed(
        "late", "", "server_error"
    )


def test_a_path_without_columns_leaves_a_known_protocol_its_reader() -> None:
    configuration = configured({}, {}, "/invocations")
    assert features({"dataframe_split": {"columns": ["a"], "data": [[1]]}}, configuration=configuration) == [
        ("a", (1,), [1])
    ]
    mapped = configured({"b": "$.dataframe_split.data[*][0]"}, {}, "/invocations")
    assert features({"dataframe_split": {"columns": ["a"], "data": [[1]]}}, configuration=mapped) == [
        ("b", (1,), [1])
    ]


@pytest.mark.parametrize(
    ("models", "expected"),
    [
        ((), "default"),
        ((ModelSpec(name="a"),), "a"),
        ((ModelSpec(name="a", path="/other"),), "a"),
        ((ModelSpec(name="a"), ModelSpec(name="b")), "default"),
        ((ModelSpec(name="a"), ModelSpec(name="b", path="/invocations")), "b"),
        ((ModelSpec(name="a", path="/v"), ModelSpec(name="b", path="/x/invocations")), "default"),
    ],
)
def test_what_a_model_is_called_that_the_wire_does_not_name(
    models: tuple[ModelSpec, ...], expected: str
) -> None:
    outcome = read([[1]], configuration=Configuration(models=models))
    assert isinstance(outcome, Decoded)
    assert outcome.model == expected
