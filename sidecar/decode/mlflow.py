"""MLflow's scoring server: the JSON of ``/invocations``.

Requests, by the one of these keys that they have:

* ``dataframe_split``: ``columns`` (names, or numbers that are read as names) and ``data`` (rows);
  ``index`` is not read; without ``columns`` the rows are ``dataframe_split[0]`` …;
* ``dataframe_records``: a list of objects;
* ``instances``, ``inputs``: as TensorFlow Serving's (`sidecar.decode.kserve_v1`); ``inputs`` that is one
  text is free text;
* ``columns`` and ``data`` at the top, or a list by itself: what MLflow before 2.0 took.

``params`` are not features. The answer is ``predictions``: scalars, lists, objects, or an object of
columns; before 2.0 a list by itself.

Source: mlflow/mlflow ``mlflow/pyfunc/scoring_server/__init__.py`` and mlflow.org/docs, "Deploy MLflow
Model as a Local Inference Server".
"""

from __future__ import annotations

from itertools import chain
from typing import Any

import msgspec

from exporter.schema import Limits
from sidecar.decode import freeform, kserve_v1
from sidecar.decode.bodies import ANY, FEATURES, PREDICTIONS
from sidecar.decode.content import read_json
from sidecar.decode.outcome import DecodeError
from sidecar.decode.tensor import Tensor


class _Split(msgspec.Struct, gc=False):
    data: list[list[Any]]
    columns: list[str | int | float | bool | None] | None = None


class _Request(msgspec.Struct, gc=False):
    dataframe_split: _Split | None = None
    dataframe_records: list[dict[str, Any]] | None = None
    instances: Any = None
    inputs: Any = None
    columns: Any = None
    data: Any = None


_REQUEST: msgspec.json.Decoder[_Request | list[Any]] = msgspec.json.Decoder(_Request | list[Any])


def request(text: bytes, limits: Limits) -> list[Tensor]:
    """The features in a JSON request; raises DecodeError.

    >>> [(tensor.name, tensor.data) for tensor in request(b'{"dataframe_records": [{"a": 1}, {}]}', Limits())]
    [('a', [1, None])]
    """
    document = read_json(_REQUEST, text, limits)
    if type(document) is list:
        return freeform.tensors(FEATURES, document)
    assert isinstance(document, _Request)
    if document.dataframe_split is not None:
        return _split(document.dataframe_split)
    if document.dataframe_records is not None:
        return freeform.table("dataframe_records", document.dataframe_records)
    if document.instances is not None:
        return kserve_v1.tensors("instances", document.instances)
    if type(document.inputs) is str:
        return [Tensor("inputs", (1,), "TEXT", [document.inputs])]
    if document.inputs is not None:
        return kserve_v1.tensors("inputs", document.inputs)
    if document.columns is not None and document.data is not None:
        try:
            return _split(msgspec.convert({"columns": document.columns, "data": document.data}, _Split))
        except msgspec.ValidationError as error:
            raise DecodeError("bad_json", str(error)) from None
    return freeform.tensors(FEATURES, read_json(ANY, text, limits))


def answer(text: bytes, limits: Limits, asked: int | None) -> list[Tensor]:
    """The predictions in a JSON answer to *asked* rows; raises DecodeError.

    >>> [(tensor.name, tensor.shape) for tensor in answer(b'{"predictions": [[0.9, 0.1]]}', Limits(), 1)]
    [('predictions', (1, 2))]
    """
    document = read_json(ANY, text, limits)
    if type(document) is dict and "predictions" in document:
        return kserve_v1.tensors(PREDICTIONS, document["predictions"])
    return freeform.tensors(PREDICTIONS, document, asked)


def _split(frame: _Split) -> list[Tensor]:
    rows = frame.data
    if frame.columns is None:
        return [kserve_v1.tensor("dataframe_split", rows)]
    names = [name if type(name) is str else msgspec.json.encode(name).decode() for name in frame.columns]
    width = len(names)
    if set(map(len, rows)) - {width}:
        raise DecodeError("bad_tensor", f"expected {width} values in every row")
    flat = list(chain.from_iterable(rows))
    return [kserve_v1.tensor(name, flat[j::width]) for j, name in enumerate(names)]
