"""One table, and how each dialect would carry it: a row in `WAYS` for each.

The table has 199 rows: numbers with a part missing, whole numbers, categories and truths; predictions are a
score and a label. Numbers are multiples of 1/8, so that FP32 and decimal text hold them exactly. It is sent as
three batches and twenty single rows.
"""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from exporter.schema import ColumnSpec, Configuration, ModelSpec
from sidecar.decode.proto import tfserving_pb2
from sidecar.exchange import Exchange
from tests.decode import build, grpc_build, test_tfserving_grpc

Row = dict[str, Any]

MODEL = "golden"
FEATURES = {"delay": "FP32", "distance": "INT64", "carrier": "BYTES", "late_before": "BOOL"}
PREDICTIONS = {"score": "FP32", "label": "BYTES"}
CATEGORIES = {"carrier": ("UA", "DL", "B6"), "label": ("late", "on_time")}
NUMERIC = frozenset({"delay", "distance", "score"})


def _table() -> list[tuple[Row, Row]]:
    draw = random.Random(7)
    return [
        (
            {
                "delay": None if draw.random() < 0.1 else draw.randrange(-80, 2000) / 8,
                "distance": draw.randrange(90, 5000),
                "carrier": draw.choice(["UA", "DL", "B6", "ÜX"]),
                "late_before": draw.random() < 0.3,
            },
            {"score": draw.randrange(9) / 8, "label": draw.choice(["late", "on_time"])},
        )
        for _ in range(199)
    ]


TABLE = _table()
SENT = [TABLE[:100], TABLE[100:160], TABLE[160:179], *([row] for row in TABLE[179:])]
"""The requests."""


@dataclass(frozen=True)
class Way:
    """How a dialect carries rows, and what has to be configured for their names."""

    encode: Callable[[list[Row], list[Row]], Exchange]
    features: tuple[ColumnSpec, ...]
    predictions: tuple[ColumnSpec, ...]
    path: str | None = None
    only: frozenset[str] = frozenset({*FEATURES, *PREDICTIONS})
    """Columns that it can carry at all."""

    def configuration(self) -> Configuration:
        model = ModelSpec(name=MODEL, path=self.path, columns=self.features, predictions=self.predictions)
        return Configuration(models=(model,))


def named(names: Sequence[str] | dict[str, str]) -> tuple[ColumnSpec, ...]:
    """The wire names the columns."""
    return tuple(ColumnSpec(name=name, categories=CATEGORIES.get(name)) for name in names)


def at(tensor: str, names: Sequence[str] | dict[str, str]) -> tuple[ColumnSpec, ...]:
    """The wire has positions only."""
    return tuple(
        ColumnSpec(name=name, tensor=tensor, index=index, categories=CATEGORIES.get(name))
        for index, name in enumerate(names)
    )


def behind(path: str, names: Sequence[str] | dict[str, str]) -> tuple[ColumnSpec, ...]:
    """The configuration says where they are."""
    return tuple(
        ColumnSpec(name=name, path=path.format(name), categories=CATEGORIES.get(name)) for name in names
    )


F, P = named(FEATURES), named(PREDICTIONS)


def over_http(
    target: str,
    request: Callable[[list[Row]], Any],
    answer: Callable[[list[Row]], Any],
    media: str = "application/json",
    answer_media: str = "",
) -> Callable[[list[Row], list[Row]], Exchange]:
    """JSON of what *request* and *answer* make of rows, or their bytes."""

    def encode(features: list[Row], predictions: list[Row]) -> Exchange:
        bodies = [made if isinstance(made, bytes) else json.dumps(made).encode()
                  for made in (request(features), answer(predictions))]  # fmt: skip
        return build.exchange(
            *bodies,
            target=target.encode(),
            request_headers={b"content-type": media.encode()},
            response_headers={b"content-type": (answer_media or media).encode()},
        )

    return encode


# Forms of rows


def records(rows: list[Row]) -> list[Row]:
    return rows


def lists(rows: list[Row]) -> list[list[Any]]:
    return [list(row.values()) for row in rows]


def by_column(rows: list[Row]) -> dict[str, list[Any]]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def split(rows: list[Row]) -> dict[str, Any]:
    return {"columns": list(rows[0]), "data": lists(rows)}


def numbers(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name in NUMERIC} for row in rows]


def lines(rows: list[Any]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


def comma_separated(rows: list[Row], header: bool = False) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(rows[0])
    writer.writerows(lists(rows))
    return text.getvalue().encode()


def quoted(rows: list[Row]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(rows[0])
    writer.writerows(
        [str(value).lower() if isinstance(value, bool) else value for value in row.values()] for row in rows
    )
    return text.getvalue().encode()


def under(key: str, form: Callable[[list[Row]], Any]) -> Callable[[list[Row]], Any]:
    return lambda rows: {key: form(rows)}


def seldon_tensor(rows: list[Row]) -> Any:
    rows = numbers(rows)
    values = [value for row in rows for value in row.values()]
    return {
        "data": {"names": list(rows[0]), "tensor": {"shape": [len(rows), len(rows[0])], "values": values}}
    }


def seldon_array(rows: list[Row]) -> Any:
    return {"data": {"names": list(rows[0]), "ndarray": lists(rows)}, "meta": {}}


# KServe v2

DATATYPES = FEATURES | PREDICTIONS


def v2_json(field: str) -> Callable[[list[Row]], Any]:
    def made(rows: list[Row]) -> Any:
        tensors = [
            build.tensor(name, DATATYPES[name], [len(rows)], values)
            for name, values in by_column(rows).items()
        ]
        return {field: tensors, "model_name": MODEL}

    return made


def raws(rows: list[Row]) -> dict[str, bytes]:
    return {
        name: build.raw(DATATYPES[name], [np.nan if value is None else value for value in values])
        for name, values in by_column(rows).items()
    }


def v2_binary(features: list[Row], predictions: list[Row]) -> Exchange:
    bodies, headers = [], []
    for field, rows in (("inputs", features), ("outputs", predictions)):
        tensors = [
            (build.tensor(name, DATATYPES[name], [len(rows), 1]), data) for name, data in raws(rows).items()
        ]
        body, length = build.mixed(field, tensors)
        bodies.append(body)
        headers.append(build.with_json_length(length))
    return build.exchange(
        *bodies, target=b"/v2/models/golden/infer", request_headers=headers[0], response_headers=headers[1]
    )


def v2_grpc(raw: bool) -> Callable[[list[Row], list[Row]], Exchange]:
    def encode(features: list[Row], predictions: list[Row]) -> Exchange:
        sides = []
        for kind, rows in ((grpc_build.tensor_in, features), (grpc_build.tensor_out, predictions)):
            tensors = [
                kind(
                    name,
                    DATATYPES[name],
                    [len(rows)],
                    () if raw else [np.nan if value is None else value for value in values],
                )
                for name, values in by_column(rows).items()
            ]
            sides.append((tensors, list(raws(rows).values()) if raw else []))
        return grpc_build.exchange(
            grpc_build.request(*sides[0], model_name=MODEL), grpc_build.answer(*sides[1], model_name=MODEL)
        )

    return encode


# TensorFlow Serving

TENSORFLOW = {"FP32": 1, "BYTES": 7, "INT64": 9, "BOOL": 10}


def tensorflow(features: list[Row], predictions: list[Row]) -> Exchange:
    sides = []
    for rows in (features, predictions):
        tensors = {}
        for name, values in by_column(rows).items():
            dtype = TENSORFLOW[DATATYPES[name]]
            plain = [np.nan if value is None else value for value in values]
            field = test_tfserving_grpc.values_of(dtype, plain)
            tensors[name] = test_tfserving_grpc.proto(dtype, [len(rows), 1], **field)
        sides.append(tensors)
    spec = test_tfserving_grpc.spec(MODEL, 1)
    return grpc_build.exchange(
        tfserving_pb2.PredictRequest(model_spec=spec, inputs=sides[0]).SerializeToString(),
        tfserving_pb2.PredictResponse(model_spec=spec, outputs=sides[1]).SerializeToString(),
        target=test_tfserving_grpc.PREDICT,
    )


def examples(rows: list[Row]) -> Any:
    return {"signature_name": "s", "examples": rows}


INVOKE = "/invocations"
CSV = "text/csv"
LINES = "application/jsonlines"
ANSWER = under("predictions", records)

WAYS: dict[str, Way] = {
    "kserve v1, objects": Way(over_http("/v1/models/golden:predict", under("instances", records), ANSWER), F, P),
    "kserve v1, lists": Way(
        over_http("/v1/models/golden:predict", under("instances", lists), under("predictions", lists)),
        at("instances", FEATURES), at("predictions", PREDICTIONS),
    ),
    "kserve v2, json": Way(over_http("/v2/models/golden/infer", v2_json("inputs"), v2_json("outputs")), F, P),
    "kserve v2, binary": Way(v2_binary, F, P),
    "kserve v2, grpc raw": Way(v2_grpc(True), F, P),
    "kserve v2, grpc contents": Way(v2_grpc(False), F, P),
    "tensorflow serving, columns": Way(
        over_http("/v1/models/golden:predict", under("inputs", by_column), under("outputs", by_column)), F, P
    ),
    "tensorflow serving, examples": Way(
        over_http("/v1/models/golden:regress", examples, lambda rows: {"results": [row["score"] for row in rows]}),
        F, (ColumnSpec(name="score", tensor="results"),), only=frozenset({*FEATURES, "score"}),
    ),
    "tensorflow serving, grpc": Way(tensorflow, F, P),
    "mlflow, dataframe_split": Way(over_http(INVOKE, under("dataframe_split", split), ANSWER), F, P),
    "mlflow, dataframe_records": Way(over_http(INVOKE, under("dataframe_records", records), ANSWER), F, P),
    "mlflow, instances": Way(over_http(INVOKE, under("instances", records), ANSWER), F, P),
    "mlflow, inputs": Way(over_http(INVOKE, under("inputs", by_column), under("predictions", by_column)), F, P),
    "mlflow, csv": Way(over_http(INVOKE, lambda rows: comma_separated(rows, True), ANSWER, CSV, "application/json"), F, P),
    "mlflow, quoted csv": Way(over_http(INVOKE, quoted, records, CSV, "application/json"), F, P),
    "sagemaker, json": Way(
        over_http(INVOKE, lambda rows: {"instances": [{"features": row} for row in lists(rows)]}, ANSWER),
        at("features", FEATURES), P,
    ),
    "sagemaker, json lines": Way(
        over_http(INVOKE, lambda rows: lines([{"features": row} for row in lists(rows)]), lines, LINES),
        at("features", FEATURES), P,
    ),
    "sagemaker, csv": Way(
        over_http(INVOKE, comma_separated, comma_separated, CSV), at("features", FEATURES), at("predictions", PREDICTIONS)
    ),
    "torchserve, objects": Way(over_http("/predictions/golden/1.0", records, records), F, P),
    "torchserve, lists": Way(over_http("/predictions/golden", under("data", lists), records), at("data", FEATURES), P),
    "seldon, ndarray": Way(over_http("/seldon/space/golden/api/v1.0/predictions", seldon_array, seldon_array), F, P),
    "seldon, tensor": Way(over_http("/api/v1.0/predictions", seldon_tensor, seldon_tensor), F, P, only=NUMERIC),
    "seldon, jsonData": Way(over_http("/api/v0.1/predictions", under("jsonData", records), under("jsonData", records)), F, P),
    "a mapped path": Way(
        over_http("/predict", lambda rows: {"rows": [{"in": row} for row in rows], "more": [[1]]}, under("out", by_column)),
        behind("$.rows[*].in.{}", FEATURES), behind("$.out['{}'][*]", PREDICTIONS), path="/predict",
    ),
    "a path without a mapping": Way(over_http("/late", under("rows", records), by_column), F, P, path="/late"),
}  # fmt: skip
"""Every dialect's ways. Add a row: `test_golden` does the rest."""
