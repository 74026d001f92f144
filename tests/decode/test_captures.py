"""What real servers and clients sent, decoded: whole outcomes against what the client put in and printed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exporter.schema import ColumnSpec, Configuration, Limits, ModelSpec
from sidecar.decode import Decoded, Failed, Ignored, Outcome, decode, make_routes
from sidecar.decode.batch import Batcher
from tests.wire import captures
from tests.wire.conversation import listen

FLIGHTS: dict[str, list[Any]] = {
    "month": [10, 10, 10],
    "day": [1, 1, 1],
    "hour": [5, 5, 5],
    "minute": [0, 17, 45],
    "dep_time": [447, 522, 536],
    "dep_delay": [-13, 5, -9],
    "distance": [529, 1400, 1089],
    "carrier": ["US", "UA", "AA"],
    "origin": ["EWR", "EWR", "JFK"],
    "dest": ["CLT", "IAH", "MIA"],
}
LATE = {
    "prob_late": np.array(
        [0.017617015168070793, 0.04861188679933548, 0.01968143694102764], np.float32
    ).tolist(),
    "label": ["on_time"] * 3,
}


NOTHING = Configuration()


def outcomes(name: str, configuration: Configuration = NOTHING) -> list[Outcome]:
    routes = make_routes(configuration)
    return [decode(exchange, Limits(), routes) for exchange in listen(captures.steps(name)).exchanges]


def columns(
    name: str, configuration: Configuration = NOTHING
) -> tuple[dict[str, list[Any]], dict[str, list[Any]], set[tuple[str, str, int]]]:
    """Features, predictions, and (model, version, rows) of a capture, through the batcher."""
    batcher = Batcher(configuration)
    told = set()
    for outcome in outcomes(name, configuration):
        assert isinstance(outcome, Decoded), outcome
        assert outcome.holes == 0
        batcher.add(outcome, 0.0)
        told.add((outcome.model, outcome.version, outcome.rows))
    by_role: dict[str, dict[str, list[Any]]] = {}
    for rows in batcher.flush():
        by_role[rows.role] = {column: np.asarray(values).tolist() for column, values in rows.columns.items()}
    return by_role["feature"], by_role["prediction"], told


@pytest.mark.parametrize(
    "name",
    ["triton-http-json", "triton-http-gzjson", "triton-http-bin", "triton-http-gz", "kserve-v2-json", "kserve-v2-bin",
     "kserve-v2-bin_in_json_out"],
)  # fmt: skip
def test_every_encoding_of_three_flights_decodes_to_the_same_columns(name: str) -> None:
    features, predictions, told = columns(name)
    assert features == FLIGHTS
    assert {column: np.array(values, "f4").tolist() if column == "prob_late" else values
            for column, values in predictions.items()} == LATE  # fmt: skip
    assert told == {("late_arrival", "1" if name.startswith("triton") else "", 3)}


def test_mlserver_with_content_types() -> None:
    features, predictions, told = columns("mlserver-json")
    assert features == FLIGHTS
    assert predictions == {
        "predict": [0, 0, 0],
        "predict_proba[0]": [0.9823829849771863, 0.9513881142406523, 0.9803185637504735],
        "predict_proba[1]": [0.017617015022813657, 0.04861188575934772, 0.0196814362495265],
    }
    assert told == {("late_arrival", "v1", 3)}


def test_kserve_v1_objects_become_columns() -> None:
    features, predictions, told = columns("kserve-v1-predict")
    assert features == {
        "month": [10, 10], "day": [1, 1], "hour": [5, 5], "minute": [0, 17], "dep_time": [447, 522],
        "dep_delay": [-13, 65], "distance": [529, 1400], "carrier": ["US", "UA"], "origin": ["EWR", "EWR"],
        "dest": ["CLT", "IAH"],
    }  # fmt: skip
    assert predictions == {
        "prob_late": [0.017617015022813657, 0.9918475107925432],
        "label": ["on_time", "late"],
    }
    assert told == {("late_arrival", "", 2)}


def test_three_exchanges_on_one_connection() -> None:
    features, predictions, told = columns("triton-http-keepalive3")
    assert set(features) == set(FLIGHTS)
    assert features["month"] == [1, 1, 1]
    assert set(predictions) == set(LATE)
    assert [len(values) for values in predictions.values()] == [3, 3]
    assert told == {("late_arrival", "1", 1)}


def test_chunks_and_100_continue() -> None:
    features, predictions, told = columns("triton-http-chunked-100continue")
    assert features == {name: [1.0] for name in list(FLIGHTS)[:7]} | {
        "carrier": ["UA"], "origin": ["EWR"], "dest": ["IAH"]
    }  # fmt: skip
    assert predictions == {"prob_late": [0.11256091296672821], "label": ["on_time"]}
    assert told == {("late_arrival", "1", 1)}


def test_a_thousand_rows_of_binary_tensors() -> None:
    features, predictions, told = columns("triton-http-bin-batch1000")
    assert told == {("late_arrival", "1", 1000)}
    assert {name: len(values) for name, values in features.items()} == dict.fromkeys(FLIGHTS, 1000)
    assert set(features["origin"]) == {"EWR", "JFK", "LGA"}
    assert (min(features["month"]), max(features["hour"])) == (10.0, 23.0)
    assert set(predictions["label"]) == {"on_time", "late"}
    assert all(
        (probability > 0.5) == (label == "late")
        for probability, label in zip(*predictions.values(), strict=True)
    )


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("triton-http-err", "client_error"),
        ("kserve-v2-err", "server_error"),
        ("kserve-v2-gz", "client_error"),
        ("kserve-v2-gzjson", "client_error"),
        ("mlserver-bin", "client_error"),
    ],
)
def test_failures_are_told_by_status(name: str, reason: str) -> None:
    assert outcomes(name) == [Failed("late_arrival", "", reason)]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["mlflow-bad_format", "mlflow-bad_missing"])
def test_mlflows_refusals_are_failures_of_the_client(name: str) -> None:
    assert outcomes(name) == [Failed("default", "", "client_error")]


ONE_FLIGHT: dict[str, list[Any]] = {
    "month": [10], "day": [1], "hour": [5], "minute": [0], "dep_time": [447], "dep_delay": [-13],
    "distance": [529], "carrier": ["US"], "origin": ["EWR"], "dest": ["CLT"],
}  # fmt: skip
TWO_FLIGHTS: dict[str, list[Any]] = {
    "month": [10, 10], "day": [1, 1], "hour": [5, 5], "minute": [0, 17], "dep_time": [447, 522],
    "dep_delay": [-13, 65], "distance": [529, 1400], "carrier": ["US", "UA"], "origin": ["EWR", "EWR"],
    "dest": ["CLT", "IAH"],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "flights"),
    [
        ("mlflow-dataframe_split", TWO_FLIGHTS),
        ("mlflow-split_params", TWO_FLIGHTS),
        ("mlflow-dataframe_records", ONE_FLIGHT),
        ("mlflow-instances", ONE_FLIGHT),
    ],
)
def test_mlflows_forms_decode_to_the_same_columns(name: str, flights: dict[str, list[Any]]) -> None:
    features, predictions, told = columns(name)
    assert features == flights
    rows = len(flights["month"])
    assert predictions == {
        "predictions[0]": [0.9823829849771863, 0.008152489207456814][:rows],
        "predictions[1]": [0.017617015022813657, 0.9918475107925432][:rows],
    }
    assert told == {("default", "", rows)}


@pytest.mark.parametrize(("name", "path"), [("litserve-predict", "/predict"), ("ray-serve", "/late")])
@pytest.mark.parametrize("mapped", [False, True])
def test_servers_that_speak_their_own_json_are_read_as_configured(name: str, path: str, mapped: bool) -> None:
    assert outcomes(name) == [Ignored("unknown_dialect")]  # without a configuration
    spec = ModelSpec(
        name="late",
        path=path,
        columns=tuple(ColumnSpec(name=each, path=f"$.rows[*].{each}") for each in ONE_FLIGHT)
        if mapped
        else (),
        predictions=(ColumnSpec(name="prob_late", path="$.prob_late[*]"),) if mapped else (),
    )
    features, predictions, told = columns(name, Configuration(models=(spec,)))
    assert features == ONE_FLIGHT
    assert predictions == {"prob_late": [0.017617015022813657]}
    assert told == {("late", "", 1)}
