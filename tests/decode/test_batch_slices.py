"""Slices travel with the predictions of the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from exporter.rows import Rows
from exporter.schema import ColumnSpec, Configuration, ModelSpec
from sidecar.decode.batch import Batcher
from sidecar.decode.outcome import Decoded
from sidecar.decode.tensor import Tensor


def batcher(**spec: Any) -> Batcher:
    slices = spec.pop("slices", ("carrier", "origin"))
    return Batcher(Configuration(models=(ModelSpec(name="m", slices=slices, **spec),)))


def exchange(carriers: list[object], scores: list[float], **more: list[object]) -> Decoded:
    rows = len(carriers)
    inputs = [Tensor("carrier", (rows,), "BYTES", carriers)]
    inputs += [Tensor(name, (len(values),), "", values) for name, values in more.items()]
    return Decoded("m", "1", rows, inputs, [Tensor("late", (len(scores),), "FP64", scores)])


def of_role(batches: list[Rows], role: str) -> list[Rows]:
    return [rows for rows in batches if rows.role == role]


def plain(slices: Any) -> dict[str, list[object]]:
    return {name: list(values) for name, values in slices.items()}


def test_predictions_of_several_exchanges_carry_the_slices_of_their_rows() -> None:
    batch = batcher()
    batch.add(exchange(["UA", "AA"], [0.1, 0.2], origin=["JFK", "LGA"]), 0.0)
    batch.add(exchange(["DL", None], [0.3, 0.4], origin=["EWR", "JFK"]), 1.0)
    features, predictions = batch.flush()
    assert predictions.columns["late"].tolist() == [0.1, 0.2, 0.3, 0.4]
    assert plain(predictions.slices) == {
        "carrier": ["UA", "AA", "DL", None],
        "origin": ["JFK", "LGA", "EWR", "JFK"],
    }
    assert features.slices == {}


def test_an_element_of_a_tensor_can_be_a_slice() -> None:
    batch = batcher(slices=("hour",), columns=(ColumnSpec(name="hour", tensor="x", index=1),))
    raw = np.array([[1.5, 7], [2.5, 8], [3.5, 7]], "<f4").tobytes()
    inputs = [Tensor("x", (3, 2), "FP32", raw)]
    batch.add(Decoded("m", "1", 3, inputs, [Tensor("y", (3,), "FP32", raw[:12])]), 0.0)
    (predictions,) = of_role(batch.flush(), "prediction")
    assert plain(predictions.slices) == {"hour": [7, 8, 7]}


def test_another_number_of_rows_or_a_model_without_slices_has_none() -> None:
    batch = batcher()
    batch.add(exchange(["UA", "AA"], [0.1]), 0.0)
    other = batcher(slices=())
    other.add(exchange(["UA"], [0.1]), 0.0)
    found = [of_role(each.flush(), "prediction")[0].slices for each in (batch, other)]
    assert found == [{}, {}]


def test_exchanges_with_and_without_a_slice_are_not_put_together() -> None:
    batch = batcher()
    batch.add(exchange(["UA"], [0.1], origin=["JFK"]), 0.0)
    batch.add(exchange(["AA"], [0.2]), 0.0)
    found = [plain(rows.slices) for rows in of_role(batch.flush(), "prediction")]
    assert found == [{"carrier": ["UA"], "origin": ["JFK"]}, {"carrier": ["AA"]}]


def test_after_a_flush_a_known_layout_begins_anew() -> None:
    batch = batcher(slices=("carrier",))
    seen = []
    for carrier in ("UA", "AA"):
        batch.add(exchange([carrier], [0.1]), 0.0)
        seen += [plain(rows.slices) for rows in of_role(batch.flush(), "prediction")]
    assert seen == [{"carrier": ["UA"]}, {"carrier": ["AA"]}]
